//! Configuration of `keysherd fragments export-recovery`, `recover` and `recovery-test`.

use std::path::PathBuf;

use clap::{ArgMatches, Command};

use super::fragments::{FragmentsSettings, run_options};
use super::settings::{Settings, option, options};
use crate::exit::Exit;

/// What is done about the recovery of fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecoveryErrand {
    /// Seal a stopped manager's fragments to the recovery key.
    Export {
        /// The manager.
        manager: FragmentsSettings,
        /// A trust bundle that this manager may not have seen yet.
        bundle: Option<PathBuf>,
        /// The file to write.
        out: PathBuf,
    },
    /// Go through it with throw-away keys.
    Test,
    /// Bring a manager's fragments back into an empty data directory.
    Recover {
        /// The new manager.
        manager: FragmentsSettings,
        /// The trust bundle that was in force.
        bundle: PathBuf,
        /// Files of `export-recovery`.
        exports: Vec<PathBuf>,
        /// Files of custodians' shares.
        shares: Vec<PathBuf>,
    },
}

/// The subcommands.
pub(super) fn commands() -> [Command; 3] {
    [export_command(), recover_command(), test_command()]
}

fn export_command() -> Command {
    run_options(Command::new("export-recovery"))
        .about("Seal the fragments of this manager, which is stopped, to the owner's recovery key.")
        .arg(
            option("out", "FILE", "KEYSHERD_EXPORT", "The file to write; it must not exist")
                .required(true),
        )
        .arg(option(
            "bundle",
            "FILE",
            "KEYSHERD_BUNDLE",
            "A newer trust bundle, where this manager was stopped before it saw the recovery key",
        ))
}

fn test_command() -> Command {
    Command::new("recovery-test")
        .about("Go through a whole recovery with throw-away keys, and say what was proved.")
}

fn recover_command() -> Command {
    run_options(Command::new("recover"))
        .about("Bring fragments back into an empty data directory: custodians' shares and exports.")
        .arg(
            option("bundle", "FILE", "KEYSHERD_BUNDLE", "The trust bundle that was in force")
                .required(true),
        )
        .arg(options("export", "FILE", "An export of a manager; repeatable").required(true))
        .arg(options("share", "FILE", "A custodian's share; repeatable").required(true))
}

impl RecoveryErrand {
    /// Reads the subcommand `name`; `None` when it is another one.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting.
    pub(crate) fn load(
        name: &str,
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Exit> {
        let command = match name {
            "export-recovery" => export_command(),
            "recover" => recover_command(),
            "recovery-test" => return Ok(Some(Self::Test)),
            _ => return Ok(None),
        };
        let settings = Settings::load(&command, flags)?;
        let manager = FragmentsSettings::read(&settings, env)?;
        let path = |name: &str| settings.required(name, "a file").map(PathBuf::from);
        let paths = |name: &str| -> Result<Vec<PathBuf>, Exit> {
            Ok(settings.texts(name)?.into_iter().map(PathBuf::from).collect())
        };
        Ok(Some(if name == "recover" {
            Self::Recover {
                manager,
                bundle: path("bundle")?,
                exports: paths("export")?,
                shares: paths("share")?,
            }
        } else {
            let bundle = settings.text("bundle")?.map(PathBuf::from);
            Self::Export { manager, bundle, out: path("out")? }
        }))
    }
}
