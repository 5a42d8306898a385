//! Configuration of `keysherd gateway`.

use std::path::PathBuf;

use clap::{ArgMatches, Command};
use keysherd_crypto::sign::PublicKey;

use super::addresses::{self, ManagerAddresses};
use super::carry;
use super::confinement;
use super::enroll;
use super::owner_key::{owner_key, owner_option};
use super::serving::{ServingSettings, serving};
use super::settings::{Settings, common, option, switch, wrong};
use crate::exit::Exit;
use crate::hardening::Confinement;
use crate::roles::public_edge::Served;

/// What a gateway runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewaySettings {
    /// Everything it keeps.
    pub(crate) data_dir: PathBuf,
    /// How clients are served.
    pub(crate) serving: ServingSettings,
    /// The owner it was told to obey.
    pub(crate) owner_key: Option<PublicKey>,
    /// Where control is.
    pub(crate) controls: Vec<String>,
    /// Where managers are.
    pub(crate) managers: ManagerAddresses,
    /// Whether managers are reached through control's relay.
    pub(crate) relay: bool,
    /// Which commands it serves.
    pub(crate) served: Served,
    /// What it gives up.
    pub(crate) confinement: Confinement,
    /// Whether log lines are JSON.
    pub(crate) log_json: bool,
}

/// What `keysherd gateway setup` makes an account with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetupSettings {
    /// The gateway.
    pub(crate) gateway: GatewaySettings,
    /// The copy of control's token file.
    pub(crate) token_file: PathBuf,
    /// Where the account's bootstrap file and owner password go.
    pub(crate) out_dir: PathBuf,
    /// The owner's address.
    pub(crate) owner_email: Option<String>,
    /// Where clients will find the gateway.
    pub(crate) url: Option<String>,
    /// Whether the credentials are shown, besides being written.
    pub(crate) print: bool,
}

/// The command line of `keysherd gateway`.
pub(crate) fn command() -> Command {
    run_options(Command::new("gateway"))
        .about("Run a gateway: the only place where plaintext meets a key.")
        .args_conflicts_with_subcommands(true)
        .subcommand(setup_options())
        .subcommand(
            looking("endpoints").about("List what this gateway has to reach, and through what."),
        )
        .subcommand(
            looking("doctor").about("Try everything this gateway needs; say what fails, and why."),
        )
        .subcommand(enroll::command())
        .subcommands(carry::commands())
}

fn looking(name: &'static str) -> Command {
    run_options(Command::new(name)).arg(switch("json", "Print JSON"))
}

fn setup_options() -> Command {
    run_options(Command::new("setup"))
        .about("Make an account with control's setup token; write bootstrap.json.")
        .arg(option(
            "setup-token-file",
            "FILE",
            "KEYSHERD_SETUP_TOKEN_FILE",
            "A copy of the file setup-token in control's data directory, or - for standard input",
        ))
        .arg(option(
            "out",
            "DIR",
            "KEYSHERD_OUT",
            "Directory for bootstrap.json and owner-password [default: the data directory]",
        ))
        .arg(switch("print", "Print the credentials as JSON and leave no files with them"))
        .arg(option("owner-email", "ADDRESS", "KEYSHERD_OWNER_EMAIL", "The owner's address"))
        .arg(option(
            "url",
            "URL",
            "KEYSHERD_URL",
            "Where clients will find this gateway [default: https:// and the address of --listen]",
        ))
}

pub(super) fn run_options(command: Command) -> Command {
    serving(common(command))
        .arg(owner_option())
        .arg(addresses::control_option("Where control is; repeatable"))
        .arg(addresses::manager_option())
        .arg(switch("relay", "Reach the fragment managers through control's relay"))
        .arg(option(
            "role",
            "ROLE",
            "KEYSHERD_GATEWAY_ROLE",
            "full, or log-forwarder: forwards the audit log and serves no secrets [default: full]",
        ))
}

impl GatewaySettings {
    /// Reads and validates the configuration.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        Self::read(&Settings::load(&run_options(Command::new("gateway")), flags)?, env)
    }

    /// The same for those who look at a gateway.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn looked_at(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        Self::read(&Settings::load(&looking("doctor"), flags)?, env)
    }

    pub(super) fn read(
        settings: &Settings<'_>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let data_dir = settings.data_dir("gateway", env)?;
        let serving = ServingSettings::load(settings, env)?;
        let config = Self {
            confinement: confinement::load(settings, &data_dir, serving.paths(env))?,
            data_dir,
            serving,
            owner_key: owner_key(settings)?,
            controls: addresses::controls(settings)?,
            managers: addresses::managers(settings)?,
            relay: settings.is_set("relay")?,
            served: match settings.text("role")?.as_deref() {
                None | Some("full") => Served::Everything,
                Some("log-forwarder") => Served::LogForwarding,
                Some(other) => return Err(wrong("role", other, "full or log-forwarder")),
            },
            log_json: settings.is_set("log-json")?,
        };
        if config.controls.is_empty() {
            return Err(Exit::Configuration(
                "--control is missing: the address of the control plane, such as \
                 control.example:8400"
                    .to_owned(),
            ));
        }
        Ok(config)
    }
}

impl SetupSettings {
    /// What the set-up gives up: it writes elsewhere than a gateway.
    pub(crate) fn confinement(&self) -> Confinement {
        let mut confinement = self.gateway.confinement.clone();
        confinement.writable.push(self.out_dir.clone());
        confinement.readable.push(self.token_file.clone());
        confinement
    }

    /// Reads and validates what follows `setup`.
    ///
    /// # Errors
    /// As [`GatewaySettings::load`].
    pub(crate) fn load(
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let settings = Settings::load(&setup_options(), flags)?;
        let gateway = GatewaySettings::read(&settings, env)?;
        let what = "a copy of the file setup-token in control's data directory";
        let out_dir = settings.text("out")?.map(PathBuf::from);
        Ok(Self {
            token_file: PathBuf::from(settings.required("setup-token-file", what)?),
            out_dir: out_dir.unwrap_or_else(|| gateway.data_dir.clone()),
            owner_email: settings.text("owner-email")?,
            url: settings.text("url")?,
            print: settings.is_set("print")?,
            gateway,
        })
    }
}
