//! Configuration of `keysherd control`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use keysherd_control::WebSettings;
use keysherd_crypto::sign::PublicKey;
use keysherd_store::PostgresSettings;

use super::addresses::{self, ManagerAddresses};
use super::enroll::{self, EnrollSettings};
use super::metrics::{self, MetricsSettings};
use super::owner_key::{owner_key, owner_option};
use super::settings::{Settings, common, option, switch};
use super::{confinement, data_dir, database, egress, identity};
use crate::exit::Exit;
use crate::hardening::Confinement;

/// Where control listens unless told otherwise: on this machine only.
const LISTEN_DEFAULT: &str = "127.0.0.1:8400";

/// What the control plane runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ControlSettings {
    /// Everything it keeps.
    pub(crate) data_dir: PathBuf,
    /// Where gateways and managers connect.
    pub(crate) listen: SocketAddr,
    /// The owner it was told to obey.
    pub(crate) owner_key: Option<PublicKey>,
    /// Where managers are, for the relay.
    pub(crate) managers: ManagerAddresses,
    /// Where its store is; `None`: in the data directory.
    pub(crate) database: Option<PostgresSettings>,
    /// How it reaches identity providers.
    pub(crate) web: WebSettings,
    /// Where metrics are served.
    pub(crate) metrics: Option<MetricsSettings>,
    /// What it gives up.
    pub(crate) confinement: Confinement,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
}

/// What is asked of a control plane besides running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ControlErrand {
    /// Write a fresh setup token; with `true`, show it as well.
    SetupToken(bool),
    /// Take the trust bundle in this file.
    AcceptBundle(PathBuf),
    /// Write the request to be trusted.
    Enroll(Box<EnrollSettings>),
}

/// The command line of `keysherd control`.
pub(crate) fn command() -> Command {
    run_options(Command::new("control"))
        .about("Run the control plane: it stores and authorizes, and cannot read.")
        .args_conflicts_with_subcommands(true)
        .subcommand(
            Command::new("setup-token")
                .about("Write a fresh token with which a gateway can make one account.")
                .arg(data_dir::flag())
                .arg(switch("print", "Print the token instead of the name of its file")),
        )
        .subcommand(
            Command::new("accept-bundle")
                .about("Take a trust bundle that the owner signed; a running control follows.")
                .arg(data_dir::flag())
                .arg(
                    Arg::new("file")
                        .value_name("FILE")
                        .required(true)
                        .help("The signed bundle, or - for standard input"),
                ),
        )
        .subcommand(enroll::command())
}

fn run_options(command: Command) -> Command {
    egress::proxied(database::database(identity::identity(metrics::metrics(common(command)))))
        .arg(option(
            "listen",
            "ADDRESS:PORT",
            "KEYSHERD_LISTEN",
            "Address gateways and managers connect to; port 0 takes a free one \
             [default: 127.0.0.1:8400]",
        ))
        .arg(owner_option())
        .arg(addresses::manager_option())
}

impl ControlSettings {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let settings = Settings::load(&run_options(Command::new("control")), flags)?;
        let what = "an address and a port, such as 127.0.0.1:8400";
        let data_dir = settings.data_dir("control", env)?;
        Ok(Self {
            confinement: confinement::load(&settings, &data_dir, Vec::new())?,
            data_dir,
            listen: settings.parsed("listen", LISTEN_DEFAULT, what)?,
            owner_key: owner_key(&settings)?,
            managers: addresses::managers(&settings)?,
            database: database::load(&settings, env)?,
            web: identity::load(&settings, &egress::load(&settings, env)?)?,
            metrics: MetricsSettings::load(&settings)?,
            log_json: settings.is_set("log-json")?,
        })
    }
}

/// The errand that the flags name, and the data directory it is for.
pub(crate) fn errand(
    flags: &ArgMatches,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(ControlErrand, PathBuf)>, Exit> {
    let Some((verb, flags)) = flags.subcommand() else { return Ok(None) };
    if verb == "enroll" {
        let settings = EnrollSettings::of_role("control", flags, env)?;
        let dir = settings.data_dir.clone();
        return Ok(Some((ControlErrand::Enroll(Box::new(settings)), dir)));
    }
    let dir = match flags.get_one::<String>("data-dir") {
        Some(dir) => PathBuf::from(dir),
        None => data_dir::default(env)?.with_file_name("keysherd-control"),
    };
    let errand = match (verb, flags.try_get_one::<String>("file")) {
        ("setup-token", _) => ControlErrand::SetupToken(flags.get_flag("print")),
        (_, Ok(Some(file))) => ControlErrand::AcceptBundle(PathBuf::from(file)),
        _ => return Err(Exit::Configuration(format!("{verb}: which file?"))),
    };
    Ok(Some((errand, dir)))
}
