//! The data directory: who may read it, and how files in it are written.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keysherd_base::{Rng, Secret};
use keysherd_crypto::sign::SigningKey;
use rustix::fs::{FlockOperation, flock};

use crate::exit::Exit;

/// Bits that let anyone but the owner in.
const OTHERS: u32 = 0o077;

/// The data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// Creates the directory (0700), or checks that an existing one is ours alone.
    pub(crate) fn open(path: &Path) -> Result<Self, Exit> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| Exit::Files(format!("{}: {error}", path.display())))?;
        let metadata = fs::metadata(path)
            .map_err(|error| Exit::Files(format!("{}: {error}", path.display())))?;
        if metadata.mode() & OTHERS != 0 {
            return Err(Exit::Files(format!(
                "{} is open to others (mode {:o}); run: chmod 700 {}",
                path.display(),
                metadata.mode() & 0o777,
                path.display()
            )));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(Exit::Files(format!("{} belongs to another user", path.display())));
        }
        let path = path.canonicalize().map_err(|error| Exit::Files(error.to_string()))?;
        Ok(Self(path))
    }

    /// The path of an entry.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A subdirectory (0700), created when absent.
    pub(crate) fn subdir(&self, name: &str) -> Result<Self, Exit> {
        Self::open(&self.0.join(name))
    }

    /// The content of a file; `None` when there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Exit> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.cannot(name, &error)),
        }
    }

    /// Writes a file (0600) so that a crash leaves either nothing or all of it.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Exit> {
        let path = self.0.join(name);
        let unfinished = self.0.join(format!("{name}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            fs::File::open(&self.0)?.sync_all()
        };
        write().map_err(|error| self.cannot(name, &error))
    }

    /// Does `work` while no other process does anything under the same lock file.
    pub(crate) fn locked<T>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T, Exit>,
    ) -> Result<T, Exit> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(self.0.join(name)).map_err(|error| self.cannot(name, &error))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|error| self.cannot(name, &error.into()))?;
        // Closing the file gives the lock back.
        work()
    }

    /// Gives a file another name, durably.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Exit> {
        fs::rename(self.0.join(from), self.0.join(to))
            .and_then(|()| fs::File::open(&self.0)?.sync_all())
            .map_err(|error| self.cannot(from, &error))
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Exit> {
        fs::remove_file(self.0.join(name)).map_err(|error| self.cannot(name, &error))
    }

    /// A signing key whose seed lies in a file (0600), made at first use.
    pub(crate) fn signing_key(&self, name: &str, rng: &dyn Rng) -> Result<SigningKey, Exit> {
        if let Some(bytes) = self.read(name)? {
            let bytes = keysherd_base::SecretBytes::new(bytes);
            let seed: [u8; 32] = bytes.expose().as_slice().try_into().map_err(|_| {
                Exit::Damaged(format!("{} is not a key", self.0.join(name).display()))
            })?;
            return Ok(SigningKey::from_seed(&Secret::new(seed)));
        }
        let key = SigningKey::generate(rng).map_err(|error| Exit::Damaged(error.to_string()))?;
        self.write(name, key.seed().expose())?;
        Ok(key)
    }

    fn cannot(&self, name: &str, error: &std::io::Error) -> Exit {
        Exit::Files(format!("{}: {error}", self.0.join(name).display()))
    }
}
