//! Configuration of `keysherd audit list` and `keysherd audit verify`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use keysherd_store::PostgresSettings;

use crate::audit::Remembered;
use crate::config::settings::Settings;
use crate::config::{data_dir, database};
use crate::exit::Exit;

/// What of the audit log is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditConfig {
    /// The server's data directory.
    pub(crate) data_dir: PathBuf,
    /// Where control's store is; `None`: in the data directory.
    pub(crate) database: Option<PostgresSettings>,
    /// Whether the log is verified instead of listed.
    pub(crate) verify: bool,
    /// Whether only the signed heads are printed.
    pub(crate) checkpoint: bool,
    /// Whether records are printed as JSON lines.
    pub(crate) json: bool,
    /// Only this account.
    pub(crate) account: Option<String>,
    /// Records that a verified log must have.
    pub(crate) heads: Vec<Remembered>,
    /// Only records after this number.
    pub(crate) after: u64,
    /// At most this many records.
    pub(crate) limit: usize,
}

/// The command line of `keysherd audit`.
pub(crate) fn command() -> Command {
    let json = Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print JSON lines instead of text");
    let account = Arg::new("account")
        .long("account")
        .value_name("ID")
        .help("Only this account, acc- and its digits");
    Command::new("audit")
        .about("The audit log of a data directory; the server may be running.")
        .subcommand_required(true)
        .subcommand(
            database::database(Command::new("list"))
                .about("Print audit records, oldest first.")
                .args([data_dir::flag(), json.clone(), account.clone()])
                .arg(number("after", "Only records after this number", "0"))
                .arg(number("limit", "At most this many records of each account", "1000")),
        )
        .subcommand(
            database::database(Command::new("checkpoint"))
                .about("Print the signed head of each chain and the public key, as JSON lines.")
                .args([data_dir::flag(), account.clone()]),
        )
        .subcommand(
            Command::new("verify-export")
                .about(
                    "Verify a file of audit-export with nothing but the public key; exit code 70 \
                     if anything was changed.",
                )
                .args([
                    Arg::new("file").value_name("FILE").required(true).help("The file"),
                    Arg::new("key")
                        .long("key")
                        .value_name("HEX")
                        .required(true)
                        .help("The public key, as audit checkpoint and audit-checkpoint print it"),
                    json.clone(),
                    head(),
                ]),
        )
        .subcommand(
            database::database(Command::new("verify"))
                .about(
                    "Find any altered, missing or reordered record; exit code 70 if there is one.",
                )
                .args([data_dir::flag(), json, account])
                .arg(head()),
        )
}

fn head() -> Arg {
    Arg::new("head")
        .long("head")
        .value_name("HEAD")
        .action(ArgAction::Append)
        .value_parser(clap::value_parser!(Remembered))
        .help("A head that an earlier verify printed: the log must still lead through it")
}

fn number(name: &'static str, help: &'static str, default: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("N")
        .default_value(default)
        .value_parser(clap::value_parser!(u64))
        .help(help)
}

impl AuditConfig {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting.
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let (verb, flags) = flags.subcommand().ok_or_else(|| {
            Exit::Configuration("say what to do: audit list or audit verify".to_owned())
        })?;
        let (verify, list) = (verb == "verify", verb == "list");
        let count = |name: &str| match list {
            true => flags.get_one::<u64>(name).copied(),
            false => None,
        };
        Ok(Self {
            data_dir: data_dir::of(flags, env)?,
            database: database::load(&Settings::of_flags(flags), env)?,
            verify,
            checkpoint: verb == "checkpoint",
            json: (verify || list) && flags.get_flag("json"),
            account: flags.get_one::<String>("account").cloned(),
            heads: match verify {
                true => flags.get_many("head").into_iter().flatten().copied().collect(),
                false => Vec::new(),
            },
            after: count("after").unwrap_or(0),
            limit: usize::try_from(count("limit").unwrap_or(u64::MAX)).unwrap_or(usize::MAX),
        })
    }
}
