//! Configuration of `keysherd account create`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use keysherd_store::PostgresSettings;

use super::at_rest::{self, AtRest};
use super::database;
use super::settings::Settings;
use crate::config::data_dir;
use crate::exit::Exit;

/// What an account is created with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountConfig {
    /// The server's data directory.
    pub(crate) data_dir: PathBuf,
    /// Where the account's bootstrap file and owner password go.
    pub(crate) out_dir: PathBuf,
    /// The owner's address.
    pub(crate) owner_email: String,
    /// What keeps the keys of the managers' stores.
    pub(crate) at_rest: AtRest,
    /// Where control's store is; `None`: in the data directory.
    pub(crate) database: Option<PostgresSettings>,
}

/// The command line of `keysherd account`.
pub(crate) fn command() -> Command {
    Command::new("account")
        .about("Accounts of a data directory whose server is stopped.")
        .subcommand_required(true)
        .subcommand(create())
}

fn create() -> Command {
    let create = Command::new("create")
        .about("Create an account; write bootstrap.json and owner-password.")
        .arg(data_dir::flag())
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("DIR")
                .required(true)
                .help("Directory for the two files; created for your user alone"),
        )
        .arg(
            Arg::new("owner-email")
                .long("owner-email")
                .value_name("ADDRESS")
                .required(true)
                .help("The owner's address"),
        );
    database::database(at_rest::at_rest(create))
}

impl AccountConfig {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting.
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let (_, flags) = flags
            .subcommand()
            .ok_or_else(|| Exit::Configuration("say what to do: account create".to_owned()))?;
        let text = |name: &str| {
            let missing = || Exit::Configuration(format!("--{name} is missing"));
            flags.get_one::<String>(name).cloned().ok_or_else(missing)
        };
        let settings = Settings::of_flags(flags);
        Ok(Self {
            data_dir: data_dir::of(flags, env)?,
            out_dir: PathBuf::from(text("out")?),
            owner_email: text("owner-email")?,
            at_rest: at_rest::load(&settings)?,
            database: database::load(&settings, env)?,
        })
    }
}
