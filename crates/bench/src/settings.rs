//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

/// Names in one bulk read (row B2).
pub(crate) const BULK: u32 = 100;
/// Most secrets: their numbers have eight digits, and the client keeps all names in memory.
const SECRETS_MAX: u32 = 10_000_000;
/// Fewest secrets: a cold row uses a tenth of them to warm up, and the rest must do for a call.
const SECRETS_MIN: u32 = 200;
/// Longest time of a row with its warm-up. Opened keys live 60 seconds in the gateway; a warm row
/// that lasts longer than they do would not be warm.
const SECONDS_MAX: f64 = 40.0;

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The server's binary; `None`: it is built.
    pub(crate) server: Option<PathBuf>,
    /// Where the loaded store is kept for the next run; `None`: a temporary directory.
    pub(crate) data_dir: Option<PathBuf>,
    /// Secrets in the store.
    pub(crate) secrets: u32,
    /// Secrets that the warm rows read.
    pub(crate) warm_names: u32,
    /// Time of each row.
    pub(crate) seconds: Duration,
    /// Time before each row that is not counted.
    pub(crate) warm_up: Duration,
    /// Whether only the program itself is tried, with a debug build and no meaning in the numbers.
    pub(crate) smoke: bool,
    /// Whether server and client get a core of their own.
    pub(crate) pin: bool,
    /// Whether the result is JSON instead of a table.
    pub(crate) json: bool,
}

/// The command line of the bench.
pub(crate) fn command() -> Command {
    arguments(Command::new("keysherd-bench"))
        .about("Measures a running server beside a bare TLS echo and a bare disk.")
        .args_conflicts_with_subcommands(true)
        .subcommand(crate::apart::command())
        .subcommand(crate::audit_log::command())
        .subcommand(crate::decide::command())
        .subcommand(crate::dynamic::command())
        .subcommand(crate::echo::command())
        .subcommand(crate::edge::command())
        .subcommand(crate::leases::command())
        .subcommand(crate::link::command())
        .subcommand(crate::reviewer::command())
}

/// What is measured, and how long.
pub(crate) fn arguments(command: Command) -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    command
        .arg(
            option("server", "PATH", "The keysherd binary [default: a release build of it]")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("data-dir", "DIR", "Keep the loaded store here and use it again")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(option("secrets", "N", "Secrets in the store [default: 100000]").value_parser(
            value_parser!(u32).range(i64::from(SECRETS_MIN)..=i64::from(SECRETS_MAX)),
        ))
        .arg(
            option("warm-names", "N", "Secrets that the warm rows read [default: 10000]")
                .value_parser(value_parser!(u32).range(i64::from(BULK)..=50_000)),
        )
        .arg(
            option("seconds", "S", "Time of each row; with its warm-up at most 40 [default: 5]")
                .value_parser(value_parser!(f64)),
        )
        .arg(
            option("warm-up", "S", "Time before each row that is not counted [default: 1]")
                .value_parser(value_parser!(f64)),
        )
        .arg(flag("pin", "Give the server the first core and the client the second"))
        .arg(flag("json", "Print JSON instead of a table"))
        .arg(flag("smoke", "Try every row for a moment with few secrets and a debug build"))
}

impl Settings {
    /// Reads the command line.
    ///
    /// # Errors
    /// When a time is out of range; the text names it.
    pub(crate) fn of(flags: &ArgMatches) -> Result<Self, String> {
        let smoke = flags.get_flag("smoke");
        let number = |name: &str| flags.get_one::<u32>(name).copied();
        let seconds = |name: &str, ordinary: f64, short: f64| {
            let ordinary = if smoke { short } else { ordinary };
            let given = flags.get_one::<f64>(name).copied().unwrap_or(ordinary);
            if (0.0..=SECONDS_MAX).contains(&given) {
                return Ok(Duration::from_secs_f64(given));
            }
            Err(format!("--{name} is {given}; it must be 0 to {SECONDS_MAX}"))
        };
        let (row, warm_up) = (seconds("seconds", 5.0, 0.2)?, seconds("warm-up", 1.0, 0.05)?);
        if (row + warm_up).as_secs_f64() > SECONDS_MAX {
            return Err(format!("--seconds and --warm-up are more than {SECONDS_MAX} together"));
        }
        let secrets = number("secrets").unwrap_or(if smoke { 200 } else { 100_000 });
        Ok(Self {
            server: flags.get_one::<PathBuf>("server").cloned(),
            data_dir: flags.get_one::<PathBuf>("data-dir").cloned(),
            secrets,
            warm_names: number("warm-names").unwrap_or(10_000).min(secrets),
            seconds: row,
            warm_up,
            smoke,
            pin: flags.get_flag("pin"),
            json: flags.get_flag("json"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(words: &[&str]) -> Result<Settings, String> {
        let words = std::iter::once(&"keysherd-bench").chain(words);
        Settings::of(&command().try_get_matches_from(words).map_err(|error| error.to_string())?)
    }

    #[test]
    fn there_are_never_more_warm_names_than_secrets() {
        assert_eq!(settings(&["--secrets", "300"]).unwrap().warm_names, 300);
        assert_eq!(settings(&[]).unwrap().warm_names, 10_000);
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (words, named) in [
            (["--secrets", "199"], "--secrets"),
            (["--warm-names", "50001"], "--warm-names"),
            (["--seconds", "41"], "--seconds"),
            (["--seconds", "39.5"], "--warm-up"),
            (["--warm-up", "-1"], "--warm-up"),
        ] {
            let words = [format!("{}={}", words[0], words[1])];
            let error = settings(&[words[0].as_str()]).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
