//! Configuration of `keysherd fragments log` and `keysherd fragments reconcile`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use keysherd_base::{AccountId, Timestamp, Uid};

use crate::exit::Exit;

/// What is done with the logs of fragment managers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogErrand {
    /// Print entries.
    List(Selection),
    /// Print what was derived, each derived key once.
    Derived(Selection),
    /// Check every hash, and signed positions that were remembered elsewhere.
    Verify {
        /// Files with signed positions.
        checkpoints: Vec<PathBuf>,
    },
    /// Hold the logs against the control plane's audit log.
    Reconcile {
        /// A data directory, or a file of `audit list --json`.
        audit: PathBuf,
        /// Only this account.
        account: Option<AccountId>,
    },
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Obtained by the gateway whose public key has this hash.
    pub(crate) gateway: Option<[u8; 32]>,
    /// Of this account.
    pub(crate) account: Option<AccountId>,
    /// Of this item.
    pub(crate) item: Option<Uid>,
    /// From this time on.
    pub(crate) since: Option<Timestamp>,
    /// Before this time.
    pub(crate) until: Option<Timestamp>,
}

/// The logs, and what is done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogConfig {
    /// Directories given with `--log`.
    pub(crate) logs: Vec<PathBuf>,
    /// Whether results are JSON lines.
    pub(crate) json: bool,
    /// What is done.
    pub(crate) errand: LogErrand,
}

/// The subcommands of `keysherd fragments` that read logs.
pub(crate) fn commands() -> [Command; 2] {
    let selection =
        [hex_arg("gateway"), text("account"), text("item"), text("since"), text("until")];
    let log = Command::new("log")
        .about("The logs of fragment managers, running or not.")
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about("Print entries, oldest first.")
                .args(shared())
                .args(selection.clone()),
        )
        .subcommand(
            Command::new("derived")
                .about(
                    "Print every key that was derived, once: with --gateway, all that a gateway \
                     that was broken into has obtained.",
                )
                .args(shared())
                .args(selection),
        )
        .subcommand(
            Command::new("verify")
                .about("Find any altered, missing or moved entry; exit code 70 if there is one.")
                .args(shared())
                .arg(
                    path("checkpoint")
                        .help("A file with a signed position that a gateway remembers; repeatable")
                        .action(ArgAction::Append),
                ),
        );
    let reconcile = Command::new("reconcile")
        .about(
            "Name every derivation that the control plane's audit log does not explain; exit code \
             70 if there is one.",
        )
        .args(shared())
        .arg(
            path("control-audit")
                .required(true)
                .help("A data directory of control, or a file that audit list --json printed"),
        )
        .arg(text("account"));
    [log, reconcile]
}

fn shared() -> [Arg; 2] {
    let json = Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print JSON lines instead of text");
    let logs = path("log")
        .required(true)
        .action(ArgAction::Append)
        .help("A manager's data directory or its log directory, or a server's; repeatable");
    [logs, json]
}

fn path(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("PATH").value_parser(clap::value_parser!(PathBuf))
}

fn hex_arg(name: &'static str) -> Arg {
    text(name).value_name("HEX").help("Only what this gateway obtained: SHA-256 of its public key")
}

fn text(name: &'static str) -> Arg {
    let help = match name {
        "account" => "Only this account, acc- and its digits",
        "item" => "Only this item, by the id that managers see",
        "since" => "Only from this time on, such as 2026-01-05T10:00:00Z",
        _ => "Only before this time",
    };
    Arg::new(name).long(name).value_name("VALUE").help(help)
}

impl LogConfig {
    /// Reads and validates the configuration of the subcommand `name`.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting.
    pub(crate) fn load(name: &str, flags: &ArgMatches) -> Result<Self, Exit> {
        let (verb, flags) = match flags.subcommand() {
            Some((verb, flags)) => (verb, flags),
            None => (name, flags),
        };
        let errand = match verb {
            "list" => LogErrand::List(Selection::load(flags)?),
            "derived" => LogErrand::Derived(Selection::load(flags)?),
            "verify" => LogErrand::Verify { checkpoints: paths(flags, "checkpoint") },
            _ => LogErrand::Reconcile {
                audit: flags.get_one::<PathBuf>("control-audit").cloned().unwrap_or_default(),
                account: account(flags)?,
            },
        };
        Ok(Self { logs: paths(flags, "log"), json: flags.get_flag("json"), errand })
    }
}

impl Selection {
    fn load(flags: &ArgMatches) -> Result<Self, Exit> {
        let parsed = |name: &str, what: &str| -> Result<Option<String>, Exit> {
            let Some(value) = flags.get_one::<String>(name) else { return Ok(None) };
            let long = value.len() > 128;
            if long { Err(wrong(name, value, what)) } else { Ok(Some(value.clone())) }
        };
        let time = |name: &str| -> Result<Option<Timestamp>, Exit> {
            let what = "a time such as 2026-01-05T10:00:00Z";
            let Some(value) = parsed(name, what)? else { return Ok(None) };
            let time = Timestamp::parse_rfc3339(&value);
            time.map(Some).ok_or_else(|| wrong(name, &value, what))
        };
        let hex_of = "hexadecimal digits, as the log shows them";
        let gateway = match parsed("gateway", hex_of)? {
            Some(value) => Some(fixed(&value).ok_or_else(|| wrong("gateway", &value, hex_of))?),
            None => None,
        };
        let item = match parsed("item", hex_of)? {
            Some(value) => Some(Uid(fixed(&value).ok_or_else(|| wrong("item", &value, hex_of))?)),
            None => None,
        };
        let (since, until) = (time("since")?, time("until")?);
        Ok(Self { gateway, account: account(flags)?, item, since, until })
    }
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

fn account(flags: &ArgMatches) -> Result<Option<AccountId>, Exit> {
    let Some(text) = flags.get_one::<String>("account") else { return Ok(None) };
    let parsed = AccountId::parse(text);
    parsed.map(Some).map_err(|bad| Exit::Configuration(format!("--account: {bad}")))
}

fn paths(flags: &ArgMatches, name: &str) -> Vec<PathBuf> {
    flags.get_many::<PathBuf>(name).into_iter().flatten().cloned().collect()
}

fn wrong(name: &str, value: &str, what: &str) -> Exit {
    Exit::Configuration(format!("--{name} {value:?} is not {what}"))
}
