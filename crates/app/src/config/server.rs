//! Configuration of `keysherd server`: flags, environment, and an optional TOML file.
//!
//! A flag wins over the environment, the environment over the file, the file over the default.
//! Unknown keys of the file are errors.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command};
use serde::Deserialize;

use crate::config::data_dir;
use crate::customer_fragments::source::{self, FragmentSource};
use crate::exit::Exit;

/// Where the server listens unless told otherwise: on this machine only.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:8000";
/// Seconds an opened key stays in the gateway's memory.
const KEY_CACHE_SECONDS_DEFAULT: i64 = 60;
/// Longest time a key may stay in memory (`fragments.md` 5.13).
const KEY_CACHE_SECONDS_MAX: i64 = 3_600;

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
    /// Seconds running requests may take after SIGTERM.
    pub(crate) drain_seconds: u64,
    /// Whether writes need all fragment managers.
    pub(crate) strict_writes: bool,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
    /// Where customer fragments come from.
    pub(crate) customer_fragments: FragmentSource,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    tls_names: Vec<String>,
    key_cache_seconds: Option<i64>,
    drain_seconds: Option<u64>,
    strict_writes: Option<bool>,
    log_json: Option<bool>,
    customer_fragments: Option<PathBuf>,
}

/// The command line of `keysherd server`.
pub(crate) fn command() -> Command {
    let option =
        |name: &'static str, value: &'static str, env: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name(value).env(env).help(help)
        };
    Command::new("server")
        .about("Run control plane, fragment managers and gateway on this machine.")
        .arg(option("config", "FILE", "KEYSHERD_CONFIG", "TOML file with these settings"))
        .arg(data_dir::flag())
        .arg(option(
            "listen",
            "ADDRESS:PORT",
            "KEYSHERD_LISTEN",
            "Address clients connect to; port 0 takes a free one [default: 127.0.0.1:8000]",
        ))
        .arg(
            Arg::new("tls-name")
                .long("tls-name")
                .value_name("NAME")
                .action(clap::ArgAction::Append)
                .help("A further name or address for the server's certificate; repeatable"),
        )
        .arg(option(
            "key-cache-seconds",
            "SECONDS",
            "KEYSHERD_KEY_CACHE_SECONDS",
            "How long opened keys stay in memory, 0 to 3600; 0: never [default: 60]",
        ))
        .arg(option(
            "drain-seconds",
            "SECONDS",
            "KEYSHERD_DRAIN_SECONDS",
            "How long running requests may take after SIGTERM [default: 25]",
        ))
        .args(source::flags())
        .arg(
            Arg::new("strict-writes")
                .long("strict-writes")
                .env("KEYSHERD_STRICT_WRITES")
                .action(clap::ArgAction::SetTrue)
                .help("Refuse writes while a fragment manager is missing"),
        )
        .arg(
            Arg::new("log-json")
                .long("log-json")
                .env("KEYSHERD_LOG_JSON")
                .action(clap::ArgAction::SetTrue)
                .help("Write log lines as JSON"),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(clap::ArgAction::SetTrue)
                .help("Validate the configuration, print it, and exit"),
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
        let text = |name: &str| flags.get_one::<String>(name).cloned();
        let file = match text("config") {
            Some(path) => read_file(Path::new(&path))?,
            None => File::default(),
        };
        let data_dir = match text("data-dir").map(PathBuf::from).or(file.data_dir) {
            Some(dir) => dir,
            None => data_dir::default(env)?,
        };
        let listen = text("listen").or(file.listen).unwrap_or_else(|| LISTEN_DEFAULT.to_owned());
        let mut tls_names = file.tls_names;
        tls_names.extend(flags.get_many::<String>("tls-name").into_iter().flatten().cloned());
        let config = Self {
            data_dir,
            listen: listen.parse().map_err(|_| {
                wrong("listen", &listen, "an address and a port, such as 127.0.0.1:8000")
            })?,
            tls_names,
            key_cache_seconds: number("key-cache-seconds", text("key-cache-seconds"))?
                .or(file.key_cache_seconds)
                .unwrap_or(KEY_CACHE_SECONDS_DEFAULT),
            drain_seconds: number("drain-seconds", text("drain-seconds"))?
                .or(file.drain_seconds)
                .unwrap_or(25),
            strict_writes: flags.get_flag("strict-writes") || file.strict_writes.unwrap_or(false),
            log_json: flags.get_flag("log-json") || file.log_json.unwrap_or(false),
            customer_fragments: FragmentSource::choose(flags, file.customer_fragments, env),
        };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), Exit> {
        if !(0..=KEY_CACHE_SECONDS_MAX).contains(&self.key_cache_seconds) {
            let value = self.key_cache_seconds.to_string();
            return Err(wrong("key-cache-seconds", &value, "0 to 3600"));
        }
        if self.drain_seconds > 3_600 {
            return Err(wrong("drain-seconds", &self.drain_seconds.to_string(), "0 to 3600"));
        }
        if let Some(name) = self.tls_names.iter().find(|name| !is_tls_name(name)) {
            return Err(wrong("tls-name", name, "a DNS name or an IP address"));
        }
        Ok(())
    }
}

pub(super) fn is_tls_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'*');
    (1..=253).contains(&name.len()) && name.bytes().all(allowed)
}

fn read_file(path: &Path) -> Result<File, Exit> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Exit::Configuration(format!("cannot read the file {}: {error}", path.display()))
    })?;
    toml::from_str(&text)
        .map_err(|error| Exit::Configuration(format!("in {}: {error}", path.display())))
}

fn number<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, Exit> {
    text.map(|text| text.parse().map_err(|_| wrong(name, &text, "a whole number"))).transpose()
}

fn wrong(name: &str, value: &str, allowed: &str) -> Exit {
    Exit::Configuration(format!("{name} is '{value}'; it must be {allowed}"))
}

#[cfg(test)]
mod tests {
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
            (&["--drain-seconds", "soon"], "drain-seconds", "soon"),
            (&["--tls-name", "a b"], "tls-name", "a b"),
            (&["--config", "/nonexistent.toml"], "/nonexistent.toml", "cannot read"),
        ] {
            let text = load(args).unwrap_err().to_string();
            assert!(text.contains(setting) && text.contains(value), "{text}");
        }
    }
}
