//! Configuration of `keysherd server`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgMatches, Command};
use keysherd_gateway::Strictness;

use super::at_rest::{self, AtRest};
use super::settings::{Settings, common, option, options, switch, wrong};
use super::{confinement, data_dir};
use crate::customer_fragments::module::{self, ModuleSource};
use crate::customer_fragments::source::{self, FragmentSource};
use crate::exit::Exit;
use crate::hardening::Confinement;

/// Where the server listens unless told otherwise: on this machine only.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:8000";

/// How many values a gateway wraps anew in a second after a rotation, unless told otherwise: a
/// quarter of a core, over all roles.
const REWRAPS_PER_SECOND_DEFAULT: u64 = 500;

/// Reads how many values a gateway wraps anew in a second.
///
/// # Errors
/// [`Exit::Configuration`] for a number out of range.
pub(super) fn rewraps_per_second(settings: &Settings<'_>) -> Result<u32, Exit> {
    let number = settings.number("rewraps-per-second", 0..=100_000, REWRAPS_PER_SECOND_DEFAULT)?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// What the server runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerConfig {
    /// Everything the server keeps.
    pub(crate) data_dir: PathBuf,
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// Further names and addresses for the server's certificate.
    pub(crate) tls_names: Vec<String>,
    /// Seconds an opened key stays in the gateway's memory; 0 switches the cache off.
    pub(crate) key_cache_seconds: i64,
    /// Values wrapped anew in a second after a rotation; 0: none.
    pub(crate) rewraps_per_second: u32,
    /// Seconds running requests may take after SIGTERM.
    pub(crate) drain_seconds: u64,
    /// What the gateway refuses beyond what it must.
    pub(crate) strict: Strictness,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
    /// Where customer fragments come from.
    pub(crate) customer_fragments: FragmentSource,
    /// The hardware module of those that are kept in one.
    pub(crate) fragment_module: Option<ModuleSource>,
    /// What keeps the keys of the managers' stores.
    pub(crate) at_rest: AtRest,
    /// What it gives up.
    pub(crate) confinement: Confinement,
}

/// The command line of `keysherd server`.
pub(crate) fn command() -> Command {
    at_rest::at_rest(common(Command::new("server")))
        .about("Run control plane, fragment managers and gateway on this machine.")
        .arg(option(
            "listen",
            "ADDRESS:PORT",
            "KEYSHERD_LISTEN",
            "Address clients connect to; port 0 takes a free one [default: 127.0.0.1:8000]",
        ))
        .arg(options(
            "tls-name",
            "NAME",
            "A further name or address for the server's certificate; repeatable",
        ))
        .arg(option(
            "key-cache-seconds",
            "SECONDS",
            "KEYSHERD_KEY_CACHE_SECONDS",
            "How long opened keys stay in memory, 0 to 3600; 0: never [default: 60]",
        ))
        .arg(option(
            "rewraps-per-second",
            "NUMBER",
            "KEYSHERD_REWRAPS_PER_SECOND",
            "Values a rotation wraps anew in a second, 0 to 100000; 0: none [default: 500]",
        ))
        .arg(option(
            "drain-seconds",
            "SECONDS",
            "KEYSHERD_DRAIN_SECONDS",
            "How long running requests may take after SIGTERM [default: 25]",
        ))
        .args(source::flags())
        .args(module::flags())
        .arg(
            switch("strict-writes", "Refuse writes while a fragment manager is missing")
                .env("KEYSHERD_STRICT_WRITES"),
        )
        .arg(
            switch("strict-names", "Refuse values whose path no gateway attested")
                .env("KEYSHERD_STRICT_NAMES"),
        )
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
        let cache = settings.number("key-cache-seconds", 0..=3_600, 60)?;
        let what = "an address and a port, such as 127.0.0.1:8000";
        let file = settings.text("customer-fragments")?.map(PathBuf::from);
        let customer_fragments = FragmentSource::choose(settings.flags, file, env);
        let at_rest = at_rest::load(&settings)?;
        let fragment_module = ModuleSource::choose(&|name| settings.text(name), env)?;
        let mut confinement = confinement::load(&settings, &data_dir, customer_fragments.paths())?;
        confinement.readable.extend(fragment_module.iter().flat_map(ModuleSource::paths));
        confinement.starts_programs = at_rest.starts_programs();
        confinement.readable.extend(at_rest.paths(env));
        let config = Self {
            data_dir,
            listen: settings.parsed("listen", LISTEN_DEFAULT, what)?,
            tls_names: settings.texts("tls-name")?,
            key_cache_seconds: i64::try_from(cache).unwrap_or(0),
            rewraps_per_second: rewraps_per_second(&settings)?,
            drain_seconds: settings.number("drain-seconds", 0..=3_600, 25)?,
            strict: Strictness {
                writes: settings.is_set("strict-writes")?,
                names: settings.is_set("strict-names")?,
            },
            log_json: settings.is_set("log-json")?,
            customer_fragments,
            fragment_module,
            at_rest,
            confinement,
        };
        if let Some(name) = config.tls_names.iter().find(|name| !is_tls_name(name)) {
            return Err(wrong("tls-name", name, "a DNS name or an IP address"));
        }
        Ok(config)
    }
}

pub(super) fn is_tls_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'*');
    (1..=253).contains(&name.len()) && name.bytes().all(allowed)
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
        assert!(config.listen.ip().is_loopback());
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
        ] {
            let text = load(args).unwrap_err().to_string();
            assert!(text.contains(setting) && text.contains(value), "{text}");
        }
    }
}
