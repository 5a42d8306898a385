//! The epoch key in a file, encrypted by something that is not on the same disk.

use std::path::PathBuf;

use keysherd_base::{Fault, SecretBytes};

use super::{AtRestKey, EpochKey, file, from_file, to_file};

/// Longest wrapped key in bytes; the largest, of a credential for a TPM, has about 1 kB.
const WRAPPED_BYTES_MAX: usize = 64 * 1024;

/// Encrypts and decrypts the epoch key by means that this crate does not hold.
pub trait Wrapping: Send + Sync {
    /// The encrypted form of `key`.
    ///
    /// # Errors
    /// When the means are not at hand.
    fn wrap(&self, key: &SecretBytes) -> Result<Vec<u8>, Fault>;

    /// What [`Self::wrap`] encrypted.
    ///
    /// # Errors
    /// When the means are not at hand, are not those it was encrypted by, or it was changed.
    fn unwrap(&self, wrapped: &[u8]) -> Result<SecretBytes, Fault>;

    /// What it is, in one or two words for the status.
    fn name(&self) -> &'static str;
}

/// Keeps the epoch key in a file of mode 0600, wrapped.
pub struct WrappedKeyFile<W> {
    path: PathBuf,
    wrapping: W,
}

impl<W: Wrapping> WrappedKeyFile<W> {
    /// The file at `path`, encrypted by `wrapping`. Nothing is read or created yet.
    pub fn new(path: impl Into<PathBuf>, wrapping: W) -> Self {
        Self { path: path.into(), wrapping }
    }
}

impl<W: Wrapping> AtRestKey for WrappedKeyFile<W> {
    fn load(&self) -> Result<Option<EpochKey>, Fault> {
        let Some(wrapped) = file::read(&self.path, WRAPPED_BYTES_MAX)? else { return Ok(None) };
        let key = self.wrapping.unwrap(wrapped.expose())?;
        let other = "holds something that is no epoch key; restore it from where you keep a copy";
        let key = from_file(key.expose());
        key.map(Some).ok_or_else(|| file::unusable(&self.path, other))
    }

    fn replace(&self, key: &EpochKey) -> Result<(), Fault> {
        let key = to_file(key);
        let wrapped = self.wrapping.wrap(&key)?;
        // Read back before the old one goes: a key that does not open again is no key.
        let again = self.wrapping.unwrap(&wrapped)?;
        if again.expose() != key.expose() {
            let text = "was not replaced: the wrapped key did not open again";
            return Err(file::unusable(&self.path, text));
        }
        file::replace(&self.path, &wrapped)
    }

    fn erase(&self) -> Result<(), Fault> {
        file::erase(&self.path)
    }

    fn name(&self) -> &'static str {
        self.wrapping.name()
    }
}
