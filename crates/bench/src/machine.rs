//! What Linux says about processes and the machine, read from `/proc`.

use std::path::Path;
use std::time::Duration;

/// CPU time so far of the process `pid` with all its threads, in user mode and in the kernel.
/// Its resolution is the clock tick of the system, usually 10 ms.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, String> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    let ticks = cpu_ticks(&text).ok_or("/proc/PID/stat is not as expected")?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second)))
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) rss: u64,
    /// Resident at most so far.
    pub(crate) peak: u64,
}

/// Memory of the process `pid`.
///
/// # Errors
/// When there is no such process.
pub(crate) fn memory(pid: u32) -> Result<Memory, String> {
    let text = read(&format!("/proc/{pid}/status"))?;
    let field = |name: &str| kib(&text, name).ok_or(format!("/proc/PID/status has no {name}"));
    Ok(Memory { rss: field("VmRSS:")?, peak: field("VmHWM:")? })
}

/// The load of the last minute, as a text.
pub(crate) fn load() -> String {
    let text = read("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The processor's name.
pub(crate) fn processor() -> String {
    let text = read("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// Whether what is written to `directory` stays in memory, so that syncing it costs nothing.
///
/// # Errors
/// When the directory cannot be looked at.
pub(crate) fn is_memory(directory: &Path) -> Result<bool, String> {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    const KINDS: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let found = rustix::fs::statfs(directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let kind = u64::try_from(found.f_type).unwrap_or_default();
    Ok(KINDS.contains(&(kind & 0xffff_ffff)))
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// Fields 14 and 15 of `/proc/PID/stat`, proc(5). The name before them may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    Some(fields.next()?? + fields.next()??)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) R 9) S 1 7 7 0 -1 4194560 100 0 3 0 250 31 0 0 20 0 9 0 12 1 2";
        assert_eq!(cpu_ticks(stat), Some(281));
        assert_eq!(cpu_ticks("7 (a) S 1 2"), None);
    }

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(0 < memory.rss && memory.rss <= memory.peak);
        let before = cpu_time(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_time(pid).unwrap() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(cpu_time(u32::MAX).is_err());
    }

    #[test]
    fn proc_is_no_disk_in_memory() {
        assert_eq!(is_memory(Path::new("/proc")), Ok(false));
        assert!(is_memory(Path::new("/no/such/directory")).is_err());
    }
}
