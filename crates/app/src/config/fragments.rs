//! Configuration of `keysherd fragments`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgMatches, Command};
use keysherd_crypto::sign::PublicKey;
use keysherd_egress::Egress;
use keysherd_fragments::manager_set::ManagerIndex;

use super::addresses::{self, ManagerAddresses};
use super::at_rest::{self, AtRest};
use super::enroll::{self, EnrollSettings};
use super::metrics::{self, MetricsSettings};
use super::owner_key::{owner_key, owner_option};
use super::settings::{Settings, common, option, switch, wrong};
use super::{confinement, egress};
use crate::exit::Exit;
use crate::hardening::Confinement;

/// Where a manager listens unless told otherwise: on this machine only.
const LISTEN_DEFAULT: &str = "127.0.0.1:8401";

/// What a fragment manager runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FragmentsSettings {
    /// Everything it keeps.
    pub(crate) data_dir: PathBuf,
    /// Its place in the trust bundle.
    pub(crate) index: ManagerIndex,
    /// Where gateways and other managers connect.
    pub(crate) listen: SocketAddr,
    /// The owner it was told to obey.
    pub(crate) owner_key: Option<PublicKey>,
    /// Where control is, which has the newest bundle.
    pub(crate) controls: Vec<String>,
    /// Where the other managers are.
    pub(crate) managers: ManagerAddresses,
    /// Whether the other managers are reached through control's relay.
    pub(crate) relay: bool,
    /// How it reaches control and the other managers.
    pub(crate) egress: Egress,
    /// What keeps the key of its store.
    pub(crate) at_rest: AtRest,
    /// Where metrics are served.
    pub(crate) metrics: Option<MetricsSettings>,
    /// What it gives up.
    pub(crate) confinement: Confinement,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
}

/// The command line of `keysherd fragments`.
pub(crate) fn command() -> Command {
    run_options(Command::new("fragments"))
        .about("Run one fragment manager, or read the logs of some.")
        .args_conflicts_with_subcommands(true)
        .subcommand(enroll_command())
        .subcommands(super::recovery::commands())
        .subcommands(super::manager_logs::commands())
}

fn enroll_command() -> Command {
    enroll::options(run_options(Command::new("enroll")))
        .about("Make this manager's identity and write the request by which the owner lets it in.")
}

/// What a manager that is not yet trusted is opened with, and what its request says.
///
/// # Errors
/// [`Exit::Configuration`] names the setting, its value and what is allowed.
pub(crate) fn enrolling(
    flags: &ArgMatches,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(EnrollSettings, FragmentsSettings), Exit> {
    let command = enroll_command();
    let request = EnrollSettings::load(&command, "fragments", flags, env)?;
    Ok((request, FragmentsSettings::read(&Settings::load(&command, flags)?, env)?))
}

/// The options of a manager.
pub(super) fn run_options(command: Command) -> Command {
    egress::proxied(at_rest::at_rest(metrics::metrics(common(command))))
        .arg(option(
            "index",
            "N",
            "KEYSHERD_INDEX",
            "This manager's place in the trust bundle, 1 to 7",
        ))
        .arg(option(
            "listen",
            "ADDRESS:PORT",
            "KEYSHERD_LISTEN",
            "Address gateways and other managers connect to; port 0 takes a free one \
             [default: 127.0.0.1:8401]",
        ))
        .arg(owner_option())
        .arg(addresses::control_option(
            "Where control is, to ask it for newer trust bundles; repeatable",
        ))
        .arg(addresses::manager_option())
        .arg(switch("relay", "Reach the other managers through control's relay"))
}

impl FragmentsSettings {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        Self::read(&Settings::load(&command(), flags)?, env)
    }

    /// As [`Self::load`], of settings that were read.
    pub(super) fn read(
        settings: &Settings<'_>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let index = settings.required("index", "this manager's place in the trust bundle")?;
        let parsed = index.parse().ok().and_then(ManagerIndex::new);
        let what = "an address and a port, such as 127.0.0.1:8401";
        let data_dir = settings.data_dir("fragments", env)?;
        let at_rest = at_rest::load(settings)?;
        let readable = at_rest.paths(env);
        let mut confinement = confinement::load(settings, &data_dir, readable)?;
        confinement.starts_programs = at_rest.starts_programs();
        let config = Self {
            confinement,
            at_rest,
            data_dir,
            index: parsed.ok_or_else(|| wrong("index", &index, "1 to 7"))?,
            listen: settings.parsed("listen", LISTEN_DEFAULT, what)?,
            owner_key: owner_key(settings)?,
            controls: addresses::controls(settings)?,
            managers: addresses::managers(settings)?,
            relay: settings.is_set("relay")?,
            egress: egress::load(settings, env)?,
            metrics: MetricsSettings::load(settings)?,
            log_json: settings.is_set("log-json")?,
        };
        if config.relay && config.controls.is_empty() {
            return Err(wrong("relay", "set", "used with --control, whose relay it is"));
        }
        Ok(config)
    }
}
