//! How long the machine has been running: that clock is set by nobody, and goes on while the
//! gateway does not run.

use std::fs;

/// The machine's start, and milliseconds since then; `None` where that is not told.
pub(super) fn now() -> Option<(String, u64)> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let hundredths: u64 = hundredths.parse().ok()?;
    Some((id.trim().to_owned(), seconds * 1_000 + hundredths * 10))
}

/// Milliseconds between two of them; `None` when there was another start in between.
pub(super) fn between(
    earlier: Option<&(String, u64)>,
    later: Option<&(String, u64)>,
) -> Option<u64> {
    let ((before, from), (after, to)) = (earlier?, later?);
    if before == after { to.checked_sub(*from) } else { None }
}
