//! The ballast: a file of reserved disk space, thrown overboard when the disk is full, so that
//! audit records of reads and of refused changes can still be written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// What a store needs to be opened at all: its log, and the index of its log.
const FULL_BYTES: u64 = 128 * 1024;

/// The reserve of one store.
#[derive(Debug)]
pub(crate) struct Ballast {
    folder: PathBuf,
    file: PathBuf,
    bytes: u64,
}

impl Ballast {
    /// The ballast of the store in `folder`, not yet on disk.
    pub(crate) fn new(folder: &Path, bytes: u64) -> Self {
        Self { folder: folder.to_owned(), file: folder.join("reserve.bin"), bytes }
    }

    /// Makes sure that the reserve is on disk.
    pub(crate) fn take_aboard(&self) -> io::Result<()> {
        match std::fs::metadata(&self.file) {
            Ok(found) if found.len() >= self.bytes => return Ok(()),
            _ if self.bytes == 0 => return Ok(()),
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.file)?;
        let allocated = allocate(&file, self.bytes);
        if allocated.is_err() {
            // A half-made reserve takes space and protects nothing.
            let _ = std::fs::remove_file(&self.file);
        }
        allocated
    }

    /// Whether the file system has next to nothing left.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.free_bytes().is_ok_and(|free| free < FULL_BYTES)
    }

    /// As [`Self::take_aboard`], but only if half as much again stays free: otherwise the very next
    /// change would fill the disk once more.
    pub(crate) fn take_aboard_again(&self) -> io::Result<()> {
        if self.free_bytes()? < self.bytes.saturating_add(self.bytes / 2) {
            return Err(Errno::NOSPC.into());
        }
        self.take_aboard()
    }

    /// Gives the space back to the file system.
    pub(crate) fn throw_overboard(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let volume = rustix::fs::statvfs(&self.folder)?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }
}

fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        // Some file systems cannot reserve; a file full of zeros does the same.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            let zeros = [0; 64 * 1024];
            let mut left = bytes;
            while left > 0 {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
                file.write_all(&zeros[..length])?;
                left -= length as u64;
            }
        }
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}
