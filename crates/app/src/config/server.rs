//! Configuration of `keysherd server`.

use std::path::PathBuf;

use clap::{ArgMatches, Command};
use keysherd_control::WebSettings;
use keysherd_store::PostgresSettings;

use super::at_rest::{self, AtRest};
use super::serving::{ServingSettings, serving};
use super::settings::{Settings, common};
use super::{confinement, data_dir, database, identity};
use crate::exit::Exit;
use crate::hardening::Confinement;

/// What the server runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerConfig {
    /// Everything the server keeps.
    pub(crate) data_dir: PathBuf,
    /// How clients are served.
    pub(crate) serving: ServingSettings,
    /// What keeps the keys of the managers' stores.
    pub(crate) at_rest: AtRest,
    /// Where control's store is; `None`: in the data directory.
    pub(crate) database: Option<PostgresSettings>,
    /// How it reaches identity providers.
    pub(crate) web: WebSettings,
    /// What it gives up.
    pub(crate) confinement: Confinement,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
}

/// The command line of `keysherd server`.
pub(crate) fn command() -> Command {
    let command = serving(at_rest::at_rest(common(Command::new("server"))));
    database::database(identity::identity(command))
        .about("Run control plane, fragment managers and gateway on this machine.")
}

impl ServerConfig {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let settings = Settings::load(&command(), flags)?;
        let data_dir = match settings.text("data-dir")? {
            Some(dir) => PathBuf::from(dir),
            None => data_dir::default(env)?,
        };
        let serving = ServingSettings::load(&settings, env)?;
        let at_rest = at_rest::load(&settings)?;
        let mut confinement = confinement::load(&settings, &data_dir, serving.paths(env))?;
        confinement.starts_programs = at_rest.starts_programs();
        confinement.readable.extend(at_rest.paths(env));
        let database = database::load(&settings, env)?;
        let web = identity::load(&settings, &serving.egress.egress)?;
        let log_json = settings.is_set("log-json")?;
        Ok(Self { data_dir, serving, at_rest, database, web, confinement, log_json })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(args: &[&str]) -> Result<ServerConfig, Exit> {
        let mut words = vec!["server"];
        words.extend(args);
        let flags = command().try_get_matches_from(words).unwrap();
        let env = |name: &str| (name == "HOME").then(|| "/home/someone".to_owned());
        ServerConfig::load(&flags, &env)
    }

    #[test]
    fn defaults_listen_on_this_machine_only() {
        let config = load(&[]).unwrap();
        assert_eq!(config.data_dir, Path::new("/home/someone/.local/share/keysherd"));
        assert!(config.serving.listen.ip().is_loopback());
    }

    #[test]
    fn a_wrong_value_names_the_setting_the_value_and_what_is_allowed() {
        for (args, setting, value) in [
            (&["--listen", "nowhere"][..], "listen", "nowhere"),
            (&["--key-cache-seconds", "99999"], "key-cache-seconds", "99999"),
            (&["--rewraps-per-second", "100001"], "rewraps-per-second", "100001"),
            (&["--drain-seconds", "soon"], "drain-seconds", "soon"),
            (&["--tls-name", "a b"], "tls-name", "a b"),
            (&["--config", "/nonexistent.toml"], "/nonexistent.toml", "cannot read"),
            (&["--identity-ca-file", "/nonexistent.pem"], "/nonexistent.pem", "cannot read"),
            (&["--identity-ca-file", "/dev/null"], "identity-ca-file", "/dev/null"),
            (&["--google-keys-uri", "http://example.com/"], "google-keys-uri", "example.com"),
            (&["--oci-identity-url", "ftp://example.com/"], "oci-identity-url", "example.com"),
        ] {
            let text = load(args).unwrap_err().to_string();
            assert!(text.contains(setting) && text.contains(value), "{text}");
        }
    }
}
