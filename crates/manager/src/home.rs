//! The directory of one manager: created for its user alone, and locked by one process.
//!
//! ```text
//! lock            held by flock while the manager runs
//! fragments.redb  the store, every record sealed under the epoch key
//! epoch.key       the epoch key, where the key file provider keeps it
//! log/            segment files of the log
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keysherd_base::{Fault, FaultKind};
use rustix::fs::{FlockOperation, flock};

/// A manager's directory, locked as long as this value lives.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    lock: File,
}

impl Drop for Home {
    fn drop(&mut self) {
        // Closing it is not enough: a process that is being started has a copy of the file until
        // it runs its own program, and would keep the lock for that long.
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "the lock of the store is not given back before the file is");
        }
    }
}

impl Home {
    /// Creates the directory where it is missing (mode 0700) and locks it.
    ///
    /// # Errors
    /// When it cannot be created, is open to other users, or is locked by another process.
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        create_private(path)?;
        create_private(&path.join("log"))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join("lock")).map_err(|error| unusable(path, &error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => Fault::conflict(format!(
                "{} is in use by another fragment manager process; stop that one first",
                path.display()
            )),
            other => unusable(path, &other.into()),
        })?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// The file of the store.
    pub(crate) fn store_file(&self) -> PathBuf {
        self.path.join("fragments.redb")
    }

    /// The directory of the log.
    pub(crate) fn log_dir(&self) -> PathBuf {
        self.path.join("log")
    }
}

fn create_private(path: &Path) -> Result<(), Fault> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| unusable(path, &error))?;
    let mode = path.metadata().map_err(|error| unusable(path, &error))?.mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Fault::forbidden(format!("{path} is open to other users; set its mode to 0700")))
}

fn unusable(path: &Path, error: &io::Error) -> Fault {
    let path = path.display();
    Fault::new(FaultKind::Unavailable, format!("{path} cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_given_back_is_free_although_somebody_has_a_copy_of_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manager");
        let home = Home::open(&path).unwrap();
        assert_eq!(Home::open(&path).unwrap_err().kind(), FaultKind::Conflict);
        // As a process has that is being started.
        let copy = home.lock.try_clone().unwrap();
        drop(home);
        let _again = Home::open(&path).unwrap();
        drop(copy);
        assert_eq!(Home::open(&path).unwrap_err().kind(), FaultKind::Conflict);
    }
}
