//! Keeps the memory of the server from its machine: no core files, no tracing by other processes.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::exit::Exit;

/// Makes the process undumpable and forbids core files, whatever the surroundings allow. A process
/// of the same user cannot attach to it or read its memory then; root can.
pub(crate) fn conceal_memory() -> Result<(), Exit> {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, nothing)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| Exit::Damaged(format!("core files cannot be forbidden: {error}")))
}
