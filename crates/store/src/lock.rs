//! The lock that keeps a second process from writing to the same store.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keysherd_base::{Fault, FaultKind};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Held as long as the store is open; the kernel takes it back when the process ends, however.
#[derive(Debug)]
pub(crate) struct StoreLock {
    file: File,
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // Closing it is not enough: a process that is being started has a copy of the file until
        // it runs its own program, and would keep the lock for that long.
        if let Err(error) = rustix::fs::flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "the lock of the store is not given back before the file is");
        }
    }
}

impl StoreLock {
    /// Takes the lock of the store in `folder`.
    pub(crate) fn take(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join("store.lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| cannot_open(folder, &error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file }),
            Err(Errno::WOULDBLOCK) => Err(Fault::new(
                FaultKind::Unavailable,
                format!(
                    "the store in {} is in use by another process; stop it, or choose another \
                     folder",
                    folder.display()
                ),
            )),
            Err(error) => Err(cannot_open(folder, &error.into())),
        }
    }
}

/// The fault of a folder that cannot be used.
pub(crate) fn cannot_open(folder: &Path, error: &std::io::Error) -> Fault {
    Fault::new(
        FaultKind::Unavailable,
        format!("cannot open the store in {}: {error}", folder.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_given_back_is_free_although_somebody_has_a_copy_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = StoreLock::take(folder.path()).unwrap();
        let fault = StoreLock::take(folder.path()).unwrap_err();
        assert!(fault.public().contains("in use by another process"), "{fault}");
        // As a process has that is being started.
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        let _again = StoreLock::take(folder.path()).unwrap();
        drop(copy);
        StoreLock::take(folder.path()).unwrap_err();
    }
}
