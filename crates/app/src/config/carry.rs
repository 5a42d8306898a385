//! Configuration of `keysherd gateway recipient`, `export`, `import` and `clone`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use keysherd_crypto::fingerprint::Fingerprint;

use super::gateway::{GatewaySettings, run_options};
use super::settings::{Settings, option, switch, wrong};
use crate::exit::Exit;

/// What is carried with, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CarrySettings {
    /// The gateway, whose cluster is meant.
    pub(crate) gateway: GatewaySettings,
    /// What is to be done.
    pub(crate) errand: CarryErrand,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CarryErrand {
    /// Writes the cluster's configuration into a file.
    Export {
        /// The file with the public key of whoever shall open it.
        recipient: PathBuf,
        /// The file, which must not be there.
        out: PathBuf,
    },
    /// Brings in what is in a file.
    Import {
        /// The file.
        file: PathBuf,
        /// The file with the private key it is sealed to.
        key: PathBuf,
        /// The fingerprint of whoever signed it; `None`: a gateway of the trust bundle.
        signer: Option<Fingerprint>,
        /// Also over what would be lost.
        force: bool,
        /// Only says what would change.
        dry_run: bool,
    },
    /// Brings in what another cluster has.
    Clone {
        /// The name of that cluster, under the same access id.
        from: String,
        /// Also over what would be lost.
        force: bool,
        /// Only says what would change.
        dry_run: bool,
    },
}

/// Flags that are given each time: they stand in no configuration file.
fn file(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").required(true).help(help)
}

fn how(command: Command) -> Command {
    command
        .arg(switch("force", "Also over what would be lost by it"))
        .arg(switch("dry-run", "Say what would change, without secrets, and change nothing"))
}

/// The subcommands of `keysherd gateway`.
pub(super) fn commands() -> [Command; 4] {
    let recipient = Command::new("recipient")
        .about("Make the key that exported configurations are sealed to.")
        .arg(file("key", "File for the private key; it must not be there"))
        .arg(file("out", "File for the public key; it must not be there"));
    [recipient, export(), import(), clone()]
}

fn export() -> Command {
    run_options(Command::new("export"))
        .about("Write the cluster's whole configuration into a sealed file.")
        .arg(file("recipient", "File with the public key of whoever shall open it"))
        .arg(file("out", "The file; it must not be there"))
}

fn import() -> Command {
    let signer = option(
        "signer",
        "FINGERPRINT",
        "KEYSHERD_CARRY_SIGNER",
        "Who signed the file, when that is no gateway of the trust bundle",
    );
    how(run_options(Command::new("import")))
        .about("Put an exported configuration in the place of the cluster's.")
        .arg(file("file", "The exported file"))
        .arg(file("key", "File with the private key it is sealed to; mode 0600"))
        .arg(signer)
}

fn clone() -> Command {
    how(run_options(Command::new("clone")))
        .about("Put the configuration of another cluster of the access id in the cluster's place.")
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("NAME")
                .required(true)
                .help("Name of the other cluster"),
        )
}

/// The files of `recipient`: for the private key, and for the public one.
pub(crate) fn recipient_files(flags: &ArgMatches) -> (PathBuf, PathBuf) {
    (path(flags, "key"), path(flags, "out"))
}

fn path(flags: &ArgMatches, name: &str) -> PathBuf {
    PathBuf::from(flags.get_one::<String>(name).cloned().unwrap_or_default())
}

impl CarrySettings {
    /// Reads what follows `name`, which is one of the commands but `recipient`.
    ///
    /// # Errors
    /// As [`GatewaySettings::load`].
    pub(crate) fn load(
        name: &str,
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let command = match name {
            "export" => export(),
            "import" => import(),
            _ => clone(),
        };
        let settings = Settings::load(&command, flags)?;
        let gateway = GatewaySettings::read(&settings, env)?;
        let set = |name: &str| flags.get_flag(name);
        let errand = match name {
            "export" => {
                CarryErrand::Export { recipient: path(flags, "recipient"), out: path(flags, "out") }
            }
            "import" => CarryErrand::Import {
                file: path(flags, "file"),
                key: path(flags, "key"),
                signer: signer(&settings)?,
                force: set("force"),
                dry_run: set("dry-run"),
            },
            _ => CarryErrand::Clone {
                from: flags.get_one::<String>("from").cloned().unwrap_or_default(),
                force: set("force"),
                dry_run: set("dry-run"),
            },
        };
        Ok(Self { gateway, errand })
    }
}

fn signer(settings: &Settings<'_>) -> Result<Option<Fingerprint>, Exit> {
    let what = "a fingerprint, such as the one that export prints";
    let given = settings.text("signer")?;
    given.map(|text| text.parse().map_err(|_| wrong("signer", &text, what))).transpose()
}
