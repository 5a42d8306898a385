//! What keeps the memory of a role from its machine, and the machine from a role that was taken
//! over: no core files, no tracing, no swapping; no other files, no other programs.

mod memory;
mod sandbox;

use std::path::PathBuf;

use crate::exit::Exit;

pub(crate) use memory::conceal;

/// How a role confines itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// Directories and files the role may change.
    pub(crate) writable: Vec<PathBuf>,
    /// Directories and files it may read besides those every program needs.
    pub(crate) readable: Vec<PathBuf>,
    /// Whether it must start other programs, which a sandbox would forbid.
    pub(crate) starts_programs: bool,
    /// Whether memory that cannot be locked keeps the role from starting.
    pub(crate) require_locked_memory: bool,
    /// Whether there is a sandbox at all.
    pub(crate) sandboxed: bool,
}

/// Confines this thread and every thread it will start. To be called before the first one.
///
/// # Errors
/// [`Exit`] when core files cannot be forbidden, or memory cannot be locked and must be.
pub(crate) fn confine(confinement: &Confinement) -> Result<(), Exit> {
    conceal()?;
    memory::lock(confinement.require_locked_memory)?;
    if !confinement.sandboxed {
        tracing::warn!("no sandbox: the settings switched it off");
        return Ok(());
    }
    sandbox::enter(confinement)
}
