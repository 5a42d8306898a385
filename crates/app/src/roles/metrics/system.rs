//! What the machine says about this process. What cannot be read, in a sandbox or without Linux's
//! newer parts, is left out.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use keysherd_http::{Exposition, Kind, float};

/// Ticks of the kernel's accounting in a second; it is the same on every Linux that runs this.
const TICKS: f64 = 100.0;

/// What is remembered between two looks.
pub(in crate::roles) struct System {
    busy: Mutex<Busy>,
}

/// The processor's share since the last look that is worth one.
struct Busy {
    at: Instant,
    cpu: f64,
    percent: f64,
}

/// What `/proc/self` says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    /// Processor time in seconds.
    cpu: f64,
    /// Resident memory in bytes.
    resident: u64,
    threads: u64,
}

impl System {
    pub(in crate::roles) fn new() -> Self {
        let cpu = stat().map_or(0.0, |stat| stat.cpu);
        Self { busy: Mutex::new(Busy { at: Instant::now(), cpu, percent: 0.0 }) }
    }

    /// Under the names that all programs use.
    pub(in crate::roles) fn write(&self, to: &mut Exposition) {
        let Some(stat) = stat() else { return };
        let help = "Processor time of this process.";
        to.single("process_cpu_seconds_total", Kind::Counter, help, stat.cpu);
        let help = "Memory of this process.";
        to.single("process_resident_memory_bytes", Kind::Gauge, help, float(stat.resident));
        to.single("process_threads", Kind::Gauge, "Its threads.", float(stat.threads));
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            let count = u64::try_from(files.count()).unwrap_or(u64::MAX);
            to.single("process_open_fds", Kind::Gauge, "Its open files.", float(count));
        }
    }

    /// Under the names of V2 gateways.
    pub(super) fn write_as_in_v2(&self, to: &mut Exposition) {
        let gauge = Kind::Gauge;
        if let Some(stat) = stat() {
            let name = "akeyless_gw_system_cpu_usage_percent";
            to.single(name, gauge, "Processor share since the last look.", self.percent(stat.cpu));
            let name = "akeyless_gw_system_memory_usage_in_bytes";
            to.single(name, gauge, "As process_resident_memory_bytes.", float(stat.resident));
        }
        let loads = rustix::system::sysinfo().loads;
        let names = [
            "akeyless_gw_system_cpu_load_average_1m",
            "akeyless_gw_system_cpu_load_average_5m",
            "akeyless_gw_system_cpu_load_average_15m",
        ];
        for (name, load) in names.into_iter().zip(loads) {
            // The kernel counts in parts of 65,536.
            let load = float(load) / 65_536.0;
            to.single(name, gauge, "Load of the machine.", load);
        }
        if let Some((receive, transmit)) = read("/proc/self/net/dev").as_deref().and_then(network) {
            let name = "akeyless_gw_system_network_io_receive_bytes";
            to.single(name, gauge, "Bytes from the network.", float(receive));
            let name = "akeyless_gw_system_network_io_transmit_bytes";
            to.single(name, gauge, "Bytes to the network.", float(transmit));
        }
        if let Some(io) = read("/proc/self/io") {
            let fields = [
                ("akeyless_gw_system_disk_io_read_bytes", "read_bytes:"),
                ("akeyless_gw_system_disk_io_write_bytes", "write_bytes:"),
            ];
            for (name, field) in fields {
                if let Some(bytes) = field_of(&io, field) {
                    to.single(name, gauge, "Bytes from or to disks.", float(bytes));
                }
            }
        }
        if let Some(cpu) = read("/sys/fs/cgroup/cpu.stat") {
            if let Some(periods) = field_of(&cpu, "nr_throttled") {
                let name = "akeyless_gw_system_cpu_throttled_periods_total";
                to.single(name, gauge, "Periods without processor.", float(periods));
            }
            if let Some(micros) = field_of(&cpu, "throttled_usec") {
                let name = "akeyless_gw_system_cpu_throttled_seconds_total";
                to.single(name, gauge, "Time without processor.", float(micros) / 1e6);
            }
        }
    }

    fn percent(&self, cpu: f64) -> f64 {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = busy.at.elapsed().as_secs_f64();
        // Two who look at the same time see the same.
        if passed >= 1.0 {
            let percent = 100.0 * (cpu - busy.cpu) / passed;
            *busy = Busy { at: Instant::now(), cpu, percent };
        }
        busy.percent
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn stat() -> Option<Stat> {
    parse_stat(&read("/proc/self/stat")?, &read("/proc/self/status")?)
}

/// Fields as in proc(5); the name in parentheses may have anything in it.
fn parse_stat(stat: &str, status: &str) -> Option<Stat> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first of them is field 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu: float(field(14)? + field(15)?) / TICKS,
        resident: field_of(status, "VmRSS:")? * 1_024,
        threads: field_of(status, "Threads:")?,
    })
}

/// What all interfaces but the machine's own received and sent.
fn network(text: &str) -> Option<(u64, u64)> {
    let mut sums = (0, 0);
    for line in text.lines() {
        let Some((name, counts)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let counts: Vec<&str> = counts.split_whitespace().collect();
        sums.0 += counts.first()?.parse::<u64>().ok()?;
        sums.1 += counts.get(8)?.parse::<u64>().ok()?;
    }
    Some(sums)
}

fn field_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let text = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 7 0 99 1000 12 1";
        let status = "Name:\tx\nVmRSS:\t  12 kB\nThreads:\t7\n";
        let stat = parse_stat(text, status);
        assert_eq!(stat, Some(Stat { cpu: 3.0, resident: 12 * 1_024, threads: 7 }));
        assert!(parse_stat("42 (x", status).is_none() && parse_stat(text, "").is_none());
        let dev = "Inter-|   Receive\n face |bytes\n    lo: 5 0 0 0 0 0 0 0 5 0\n  \
                   eth0: 10 1 0 0 0 0 0 0 20 1\n  eth1: 1 1 0 0 0 0 0 0 2 1\n";
        assert_eq!(network(dev), Some((11, 22)));
        assert_eq!(field_of("nr_periods 3\nnr_throttled 4\n", "nr_throttled"), Some(4));
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        let stat = stat().unwrap();
        assert!(stat.resident > 100_000 && stat.threads >= 1, "{stat:?}");
    }
}
