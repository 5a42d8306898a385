//! Full and failing disks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::*;

/// A disk with a fixed number of free bytes, and switches for what fails.
#[derive(Default)]
struct Disk {
    free: AtomicI64,
    sync_fails: AtomicBool,
    truncate_fails: AtomicBool,
}

struct DiskFile {
    disk: Arc<Disk>,
    file: FileSink,
    allocated: u64,
}

impl Disk {
    fn factory(self: &Arc<Self>) -> SinkFactory {
        let disk = self.clone();
        Arc::new(move |path| {
            let allocated = path.metadata().map_or(0, |meta| meta.len());
            let file = FileSink::open(path)?;
            Ok(Box::new(DiskFile { disk: disk.clone(), file, allocated }))
        })
    }
}

impl DiskFile {
    fn allocate(&mut self, end: u64) -> io::Result<()> {
        let more = i64::try_from(end.saturating_sub(self.allocated)).unwrap();
        if self.disk.free.load(Ordering::SeqCst) < more {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.free.fetch_sub(more, Ordering::SeqCst);
        self.allocated = self.allocated.max(end);
        Ok(())
    }
}

impl Sink for DiskFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Err(full) = self.allocate(offset + bytes.len() as u64) {
            // As a real disk does: what fits is written.
            self.file.write_at(offset, &bytes[..bytes.len() / 2])?;
            return Err(full);
        }
        self.file.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.disk.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no more"));
        }
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.disk.truncate_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("no more"));
        }
        self.file.truncate(length)
    }

    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.allocate(offset + length)
    }
}

#[test]
fn a_full_disk_leaves_room_for_a_bounded_number_of_entries() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    disk.free.store(1_000_000, Ordering::SeqCst);
    let mut appender =
        open(dir.path(), LogLimits { segment_bytes: 1 << 30, ..small() }, disk.factory()).unwrap();
    append(&mut appender, 1);
    assert!(!appender.status().reserve_failing());
    // Somebody else fills the disk.
    disk.free.store(0, Ordering::SeqCst);
    let mut written = 1;
    while let Ok(positions) = appender.append(&[&entry(written + 1)]) {
        assert_eq!(positions[0].size, written + 2);
        written += 1;
        assert!(written < 1_000, "the reserve never ends");
    }
    assert!(written > 5, "only {written} entries fit in the reserve");
    assert!(appender.status().reserve_failing());
    assert!(matches!(appender.append(&[&entry(0)]), Err(AppendError::Full)));
    // Nothing of what failed is in the log, and it goes on when there is room again.
    disk.free.store(1_000_000, Ordering::SeqCst);
    append(&mut appender, written + 1);
    assert!(!appender.status().reserve_failing());
    assert_eq!(bundles(dir.path()), (1..=written + 1).collect::<Vec<_>>());
    assert_eq!(verify(dir.path()).unwrap().torn_bytes, 0);
}

#[test]
fn a_segment_that_cannot_be_begun_lets_the_old_one_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    disk.free.store(1_000_000, Ordering::SeqCst);
    let mut appender = open(dir.path(), small(), disk.factory()).unwrap();
    while segments(dir.path()).unwrap().len() < 2 {
        append(&mut appender, 1);
    }
    disk.free.store(0, Ordering::SeqCst);
    let mut written = 0;
    while appender.append(&[&entry(2)]).is_ok() {
        written += 1;
    }
    assert!(written > 5, "only {written} entries fit in the reserve");
    assert_eq!(segments(dir.path()).unwrap().len(), 2);
    verify(dir.path()).unwrap();
}

#[test]
fn a_disk_has_space_reserved_for_real() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let appender = open(dir.path(), LogLimits::default(), files()).unwrap();
    let meta = segment_file(dir.path(), 1).metadata().unwrap();
    let reserved = meta.blocks() * 512 >= LogLimits::default().reserve_bytes;
    assert!(reserved || appender.status().reserve_failing());
    assert!(meta.len() < 1_000, "the length of the file must not change");
}

#[tokio::test]
async fn concurrent_entries_each_get_their_own_position() {
    let dir = tempfile::tempdir().unwrap();
    let appender = open(dir.path(), LogLimits::default(), files()).unwrap();
    let writer = Arc::new(LogWriter::start(appender).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for version in 0..200 {
        let writer = writer.clone();
        let event = Event::Bundle { version, sha256: [0; 32] };
        tasks.spawn(async move { writer.append(&Entry { at: AT, event }).await.unwrap() });
    }
    let mut sizes: Vec<u64> = tasks.join_all().await.iter().map(|at| at.size).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, (2..=201).collect::<Vec<_>>());
    assert_eq!(writer.status().checkpoint(), verify(dir.path()).unwrap().end);
}

#[tokio::test]
async fn a_failed_sync_breaks_the_log_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    disk.free.store(1_000_000, Ordering::SeqCst);
    let appender = open(dir.path(), small(), disk.factory()).unwrap();
    let writer = LogWriter::start(appender).unwrap();
    let line = Entry { at: AT, event: Event::Bundle { version: 1, sha256: [0; 32] } };
    writer.append(&line).await.unwrap();
    disk.sync_fails.store(true, Ordering::SeqCst);
    assert_eq!(writer.append(&line).await, Err(LogFailure::Broken));
    // A kernel that reports a failed sync once says success the next time; the log does not.
    disk.sync_fails.store(false, Ordering::SeqCst);
    assert_eq!(writer.append(&line).await, Err(LogFailure::Broken));
    assert!(writer.status().broken());
    drop(writer);
    open(dir.path(), small(), disk.factory()).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_not_for_good_unless_the_rest_cannot_be_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::default());
    disk.free.store(700, Ordering::SeqCst);
    let appender = open(dir.path(), small(), disk.factory()).unwrap();
    let writer = LogWriter::start(appender).unwrap();
    let line = Entry { at: AT, event: Event::Bundle { version: 1, sha256: [0; 32] } };
    disk.free.store(0, Ordering::SeqCst);
    assert_eq!(writer.append(&line).await, Err(LogFailure::Full));
    assert!(writer.status().full());
    disk.free.store(1_000_000, Ordering::SeqCst);
    writer.append(&line).await.unwrap();
    assert!(!writer.status().full());
    disk.free.store(0, Ordering::SeqCst);
    disk.truncate_fails.store(true, Ordering::SeqCst);
    let mut result = writer.append(&line).await;
    while result.is_ok() {
        result = writer.append(&line).await;
    }
    assert_eq!(result, Err(LogFailure::Broken));
}
