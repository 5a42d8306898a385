//! How a role confines itself.

use std::path::{Path, PathBuf};

use clap::Command;

use super::settings::{Settings, option, options, switch, wrong};
use crate::exit::Exit;
use crate::hardening::Confinement;

/// The options of every role that runs.
pub(super) fn confined(command: Command) -> Command {
    command
        .arg(option(
            "sandbox",
            "on|off",
            "KEYSHERD_SANDBOX",
            "Whether the role gives up its rights to other files and programs [default: on]",
        ))
        .arg(options(
            "sandbox-path",
            "PATH",
            "A further file or directory the sandbox leaves open, such as a token's; repeatable",
        ))
        .arg(switch("require-mlock", "Do not start where memory may be written to swap"))
}

/// The confinement of a role that changes `data_dir` and reads `readable`.
///
/// # Errors
/// [`Exit::Configuration`].
pub(super) fn load(
    settings: &Settings<'_>,
    data_dir: &Path,
    readable: Vec<PathBuf>,
) -> Result<Confinement, Exit> {
    let mut writable = vec![data_dir.to_owned()];
    writable.extend(settings.texts("sandbox-path")?.into_iter().map(PathBuf::from));
    let sandboxed = match settings.text("sandbox")?.as_deref() {
        None | Some("on") => true,
        Some("off") => false,
        Some(other) => return Err(wrong("sandbox", other, "on or off")),
    };
    let require_locked_memory = settings.is_set("require-mlock")?;
    let starts_programs = false;
    Ok(Confinement { writable, readable, starts_programs, require_locked_memory, sandboxed })
}
