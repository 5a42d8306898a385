//! Configuration of `keysherd gateway`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgMatches, Command};
use keysherd_crypto::sign::PublicKey;
use keysherd_gateway::Strictness;

use super::addresses::{self, ManagerAddresses};
use super::confinement;
use super::enroll;
use super::owner_key::{owner_key, owner_option};
use super::server::{LISTEN_DEFAULT, rewraps_per_second};
use super::settings::{Settings, common, option, options, switch, wrong};
use crate::customer_fragments::module::{self, ModuleSource};
use crate::customer_fragments::source::{self, FragmentSource};
use crate::exit::Exit;
use crate::hardening::Confinement;

/// What a gateway runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewaySettings {
    /// Everything it keeps.
    pub(crate) data_dir: PathBuf,
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// Further names and addresses for its certificate.
    pub(crate) tls_names: Vec<String>,
    /// The owner it was told to obey.
    pub(crate) owner_key: Option<PublicKey>,
    /// Where control is.
    pub(crate) controls: Vec<String>,
    /// Where managers are.
    pub(crate) managers: ManagerAddresses,
    /// Whether managers are reached through control's relay.
    pub(crate) relay: bool,
    /// Where its customer fragments are.
    pub(crate) customer_fragments: FragmentSource,
    /// The hardware module of those that are kept in one.
    pub(crate) fragment_module: Option<ModuleSource>,
    /// What it refuses beyond what it must.
    pub(crate) strict: Strictness,
    /// Values wrapped anew in a second after a rotation; 0: none.
    pub(crate) rewraps_per_second: u32,
    /// What it gives up.
    pub(crate) confinement: Confinement,
    /// Seconds an opened key stays in memory; 0 switches the cache off.
    pub(crate) key_cache_seconds: i64,
    /// Seconds running requests may take after SIGTERM.
    pub(crate) drain_seconds: u64,
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
}

/// The command line of `keysherd gateway`.
pub(crate) fn command() -> Command {
    run_options(Command::new("gateway"))
        .about("Run a gateway: the only place where plaintext meets a key.")
        .args_conflicts_with_subcommands(true)
        .subcommand(setup_options())
        .subcommand(enroll::command())
}

fn setup_options() -> Command {
    run_options(Command::new("setup"))
        .about("Make an account with control's setup token; write bootstrap.json.")
        .arg(option(
            "setup-token-file",
            "FILE",
            "KEYSHERD_SETUP_TOKEN_FILE",
            "A copy of the file setup-token in control's data directory",
        ))
        .arg(option(
            "out",
            "DIR",
            "KEYSHERD_OUT",
            "Directory for bootstrap.json and owner-password [default: the data directory]",
        ))
        .arg(option("owner-email", "ADDRESS", "KEYSHERD_OWNER_EMAIL", "The owner's address"))
        .arg(option(
            "url",
            "URL",
            "KEYSHERD_URL",
            "Where clients will find this gateway [default: https:// and the address of --listen]",
        ))
}

fn run_options(command: Command) -> Command {
    common(command)
        .arg(option(
            "listen",
            "ADDRESS:PORT",
            "KEYSHERD_LISTEN",
            "Address clients connect to; port 0 takes a free one [default: 127.0.0.1:8000]",
        ))
        .arg(options(
            "tls-name",
            "NAME",
            "A further name or address for the gateway's certificate; repeatable",
        ))
        .arg(owner_option())
        .arg(addresses::control_option("Where control is; repeatable"))
        .arg(addresses::manager_option())
        .arg(switch("relay", "Reach the fragment managers through control's relay"))
        .arg(switch("strict-writes", "Refuse writes while a fragment manager is missing"))
        .arg(switch("strict-names", "Refuse values whose path no gateway attested"))
        .args(source::flags())
        .args(module::flags())
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

    fn read(settings: &Settings<'_>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Exit> {
        let what = "an address and a port, such as 127.0.0.1:8000";
        let cache = settings.number("key-cache-seconds", 0..=3_600, 60)?;
        let data_dir = settings.data_dir("gateway", env)?;
        let file = settings.text("customer-fragments")?.map(PathBuf::from);
        let customer_fragments = FragmentSource::choose(settings.flags, file, env);
        let fragment_module = ModuleSource::choose(&|name| settings.text(name), env)?;
        let mut readable = customer_fragments.paths();
        readable.extend(fragment_module.iter().flat_map(ModuleSource::paths));
        let confinement = confinement::load(settings, &data_dir, readable)?;
        let config = Self {
            data_dir,
            listen: settings.parsed("listen", LISTEN_DEFAULT, what)?,
            tls_names: settings.texts("tls-name")?,
            owner_key: owner_key(settings)?,
            controls: addresses::controls(settings)?,
            managers: addresses::managers(settings)?,
            relay: settings.is_set("relay")?,
            strict: Strictness {
                writes: settings.is_set("strict-writes")?,
                names: settings.is_set("strict-names")?,
            },
            rewraps_per_second: rewraps_per_second(settings)?,
            customer_fragments,
            fragment_module,
            confinement,
            key_cache_seconds: i64::try_from(cache).unwrap_or(0),
            drain_seconds: settings.number("drain-seconds", 0..=3_600, 25)?,
            log_json: settings.is_set("log-json")?,
        };
        if config.controls.is_empty() {
            return Err(Exit::Configuration(
                "--control is missing: the address of the control plane, such as \
                 control.example:8400"
                    .to_owned(),
            ));
        }
        if let Some(name) = config.tls_names.iter().find(|name| !super::server::is_tls_name(name)) {
            return Err(wrong("tls-name", name, "a DNS name or an IP address"));
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
            gateway,
        })
    }
}
