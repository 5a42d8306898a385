//! Configuration of `keysherd db`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use keysherd_store::PostgresSettings;

use crate::config::settings::Settings;
use crate::config::{data_dir, database};
use crate::exit::Exit;

/// What is to be done with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DbErrand {
    /// Look it over.
    Check,
    /// Bring its schema up to date, or only say what is to be done.
    Migrate {
        /// Whether nothing is changed.
        dry_run: bool,
    },
    /// Write all of it into this file, which is not there yet.
    Export(PathBuf),
    /// Fill it from this file.
    Import(PathBuf),
}

/// Which store, and what is to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DbConfig {
    /// The data directory of a control plane or server.
    pub(crate) data_dir: PathBuf,
    /// Where the store is; `None`: in the data directory.
    pub(crate) database: Option<PostgresSettings>,
    /// What is to be done.
    pub(crate) errand: DbErrand,
    /// Whether the outcome is printed as JSON.
    pub(crate) json: bool,
}

/// The command line of `keysherd db`.
pub(crate) fn command() -> Command {
    let verb = |name: &'static str, about: &'static str| {
        database::database(Command::new(name)).about(about).arg(data_dir::flag()).arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print one JSON object instead of text"),
        )
    };
    let file = |help: &'static str| {
        Arg::new("file")
            .value_name("FILE")
            .required(true)
            .value_parser(clap::value_parser!(PathBuf))
            .help(help)
    };
    Command::new("db")
        .about("A control plane's database: check it, bring it up to date, carry it elsewhere.")
        .subcommand_required(true)
        .subcommand(verb(
            "check",
            "Read every row and every audit chain, and say what is wrong; exit code 70 if \
             anything is. Control may be running.",
        ))
        .subcommand(
            verb(
                "migrate",
                "Bring the schema up to this release; on PostgreSQL, control planes of the release \
                 before may be running.",
            )
            .arg(
                Arg::new("dry-run")
                    .long("dry-run")
                    .action(ArgAction::SetTrue)
                    .help("Only say whether there is anything to do"),
            ),
        )
        .subcommand(
            verb(
                "export",
                "Write the whole database, as it is at one moment, into a signed file. Control may \
                 be running.",
            )
            .arg(file("The file to make; mode 0600")),
        )
        .subcommand(
            verb(
                "import",
                "Fill an empty database from a file of db export. The data directory needs the \
                 control.keys of the one it was exported from, and no control may be running on \
                 the database.",
            )
            .arg(file("The file of db export")),
        )
}

impl DbConfig {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting.
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let (verb, flags) = flags.subcommand().ok_or_else(|| {
            Exit::Configuration("say what to do: db check, migrate, export or import".to_owned())
        })?;
        let file = || {
            let file = flags.get_one::<PathBuf>("file").cloned();
            file.ok_or_else(|| Exit::Configuration(format!("db {verb}: which file?")))
        };
        let errand = match verb {
            "check" => DbErrand::Check,
            "migrate" => DbErrand::Migrate { dry_run: flags.get_flag("dry-run") },
            "export" => DbErrand::Export(file()?),
            _ => DbErrand::Import(file()?),
        };
        Ok(Self {
            data_dir: data_dir::of(flags, env)?,
            database: database::load(&Settings::of_flags(flags), env)?,
            errand,
            json: flags.get_flag("json"),
        })
    }
}
