//! The bare disk: records appended to a file in groups, one `fdatasync` for each group. No store
//! with one log can commit faster than this.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Bytes of a record: about what a value of 100 bytes and its metadata take in a log.
pub(crate) const RECORD_BYTES: usize = 200;
/// The file starts over at this size; on a disk in memory it would otherwise never end.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What the disk can do.
pub(crate) struct Raw {
    /// Records that share one sync.
    pub(crate) group: usize,
    /// Syncs in a second.
    pub(crate) syncs_per_second: f64,
    /// Time of a write and its sync, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Raw {
    /// Records made durable in a second: the raw group-commit rate.
    pub(crate) fn records_per_second(&self) -> f64 {
        let group = u32::try_from(self.group).unwrap_or(u32::MAX);
        self.syncs_per_second * f64::from(group)
    }
}

/// Appends groups of `group` records to a file in `directory` for `time`, at least one group.
///
/// # Errors
/// When the disk fails.
pub(crate) fn measure(directory: &Path, group: usize, time: Duration) -> Result<Raw, String> {
    let path = directory.join("raw.tmp");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).open(&path).map_err(failed)?;
    let measured = append(&mut file, group, time).map_err(failed);
    std::fs::remove_file(&path).map_err(failed)?;
    let (latency, elapsed) = measured?;
    let syncs = u32::try_from(latency.len()).unwrap_or(u32::MAX);
    let syncs_per_second = f64::from(syncs) / elapsed.as_secs_f64();
    Ok(Raw { group, syncs_per_second, latency })
}

fn append(
    file: &mut File,
    group: usize,
    time: Duration,
) -> std::io::Result<(Histogram<u64>, Duration)> {
    let records = vec![b'r'; group * RECORD_BYTES];
    let mut latency = Histogram::new_with_max(100_000_000_000, 3)
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    let begin = Instant::now();
    loop {
        let one = Instant::now();
        file.write_all(&records)?;
        file.sync_data()?;
        let took = u64::try_from(one.elapsed().as_nanos()).unwrap_or(u64::MAX);
        latency.saturating_record(took);
        if begin.elapsed() >= time {
            return Ok((latency, begin.elapsed()));
        }
        if file.stream_position()? >= FILE_BYTES_MAX {
            file.seek(SeekFrom::Start(0))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_group_is_synced_and_the_file_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let raw = measure(directory.path(), 128, Duration::ZERO).unwrap();
        assert_eq!(raw.latency.len(), 1);
        assert!(raw.syncs_per_second > 0.0);
        let ratio = raw.records_per_second() / raw.syncs_per_second;
        assert!((ratio - 128.0).abs() < 1e-6);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(measure(&directory.path().join("none"), 1, Duration::ZERO).is_err());
    }
}
