//! Where frames go: a segment file, behind a trait so that tests can let disks fill up and fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FallocateFlags;

/// A file that is written at its end and made durable.
pub(crate) trait Sink: Send {
    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// Whatever the file system says; part of the bytes may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written is durable.
    ///
    /// # Errors
    /// Whatever the file system says; nothing is then known about what is durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file, which also gives back what was reserved behind `length`.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Reserves disk space without changing the length of the file.
    ///
    /// # Errors
    /// Whatever the file system says, also that it cannot reserve at all.
    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<()>;
}

/// Makes the sink of a segment file.
pub(crate) type SinkFactory = Arc<dyn Fn(&Path) -> io::Result<Box<dyn Sink>> + Send + Sync>;

/// The factory of plain files.
pub(crate) fn files() -> SinkFactory {
    Arc::new(|path| Ok(Box::new(FileSink::open(path)?)))
}

/// A segment file.
pub(crate) struct FileSink(File);

impl FileSink {
    /// Opens the file for writing, and creates it when it is not there; mode 0600.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(path).map(Self)
    }
}

impl Sink for FileSink {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<()> {
        rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, offset, length)?;
        Ok(())
    }
}
