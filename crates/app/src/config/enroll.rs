//! Configuration of `keysherd control enroll`, `keysherd fragments enroll` and `keysherd gateway
//! enroll`.

use std::path::PathBuf;

use clap::{ArgMatches, Command};
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::address::is_address;
use keysherd_fragments::enrollment::is_name;

use super::owner_key::{owner_key, owner_option};
use super::settings::{Settings, common, option, wrong};
use crate::exit::Exit;

/// What a machine asks to be trusted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnrollSettings {
    /// Everything it keeps.
    pub(crate) data_dir: PathBuf,
    /// The owner it was told to obey.
    pub(crate) owner_key: Option<PublicKey>,
    /// What people call it.
    pub(crate) name: String,
    /// Where it listens; empty: not said.
    pub(crate) address: String,
    /// The request file; otherwise one in the data directory.
    pub(crate) out: Option<PathBuf>,
}

/// The command line of `enroll` for a role whose identity is a file.
pub(super) fn command() -> Command {
    options(common(Command::new("enroll")).arg(owner_option()))
        .about("Make this machine's identity and write the request by which the owner lets it in.")
}

/// The options of `enroll` besides those of a role.
pub(super) fn options(command: Command) -> Command {
    command
        .arg(option(
            "name",
            "NAME",
            "KEYSHERD_NAME",
            "What people call this machine: letters, digits, '-', '_' and '.'",
        ))
        .arg(option(
            "address",
            "HOST:PORT",
            "KEYSHERD_ADDRESS",
            "Where the others reach this machine",
        ))
        .arg(option(
            "out",
            "FILE",
            "KEYSHERD_OUT",
            "The request file, or - for standard output \
             [default: NAME.request in the data directory]",
        ))
}

impl EnrollSettings {
    /// Reads and validates the configuration of `role`, whose options are those of `command`.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(crate) fn load(
        command: &Command,
        role: &str,
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        let settings = Settings::load(command, flags)?;
        let name = settings.required("name", "what people call this machine")?;
        if !is_name(&name) {
            return Err(wrong("name", &name, "1 to 64 letters, digits, '-', '_' and '.'"));
        }
        let address = settings.text("address")?.unwrap_or_default();
        if !address.is_empty() && !is_address(&address) {
            return Err(wrong("address", &address, "a host and a port, such as m1.example:8401"));
        }
        Ok(Self {
            data_dir: settings.data_dir(role, env)?,
            owner_key: owner_key(&settings)?,
            name,
            address,
            out: settings.text("out")?.map(PathBuf::from),
        })
    }

    /// As [`Self::load`], for a role whose identity is a file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn of_role(
        role: &str,
        flags: &ArgMatches,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        Self::load(&command(), role, flags, env)
    }
}
