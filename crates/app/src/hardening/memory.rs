//! Memory that is not dumped, not read by other processes, and not written to a swap file.

use std::fs;

use rustix::mm::{MlockAllFlags, mlockall, munlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, capabilities};

use crate::exit::Exit;

/// Makes the process undumpable and forbids core files, whatever the surroundings allow. A process
/// of the same user cannot attach to it or read its memory then; root can.
pub(crate) fn conceal() -> Result<(), Exit> {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, nothing)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| Exit::Damaged(format!("core files cannot be forbidden: {error}")))
}

/// Keeps all memory, also what is allocated later, out of swap.
///
/// Where the limit on locked memory is finite, later allocations would fail at it, so nothing is
/// locked then: the machine's administrator has to lift the limit or do without swap.
pub(super) fn lock(required: bool) -> Result<(), Exit> {
    let unlimited = getrlimit(Resource::Memlock).current.is_none() || may_lock_anything();
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if unlimited && mlockall(all).is_ok() {
        return Ok(());
    }
    // A half-done lock would only make allocations fail.
    munlockall().ok();
    let advice = "memory cannot be locked, so secrets could be written to swap: lift the limit \
                  (LimitMEMLOCK=infinity, ulimit -l unlimited)";
    if required {
        return Err(Exit::Configuration(format!("{advice}, or start without --require-mlock")));
    }
    if has_swap() {
        tracing::warn!("{advice}, or switch swap off");
    }
    Ok(())
}

/// CAP_IPC_LOCK: no limit applies.
fn may_lock_anything() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

/// The list has a line of headings, and one for each swap file.
fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1)
}
