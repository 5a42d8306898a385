//! The epoch key in a file, in clear: the disk must be trusted, or encrypted.

use std::path::PathBuf;

use keysherd_base::Fault;

use super::{AtRestKey, EpochKey, FILE_BYTES_MAX, file, from_file, to_file};

/// Keeps the epoch key in a file of mode 0600.
#[derive(Clone, Debug)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The file at `path`. Nothing is read or created yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl AtRestKey for KeyFile {
    fn load(&self) -> Result<Option<EpochKey>, Fault> {
        let Some(bytes) = file::read(&self.0, FILE_BYTES_MAX)? else { return Ok(None) };
        let key = from_file(bytes.expose());
        let damaged = "is damaged; restore it from where you keep a copy";
        key.map(Some).ok_or_else(|| file::unusable(&self.0, damaged))
    }

    fn replace(&self, key: &EpochKey) -> Result<(), Fault> {
        file::replace(&self.0, to_file(key).expose())
    }

    fn erase(&self) -> Result<(), Fault> {
        file::erase(&self.0)
    }

    fn name(&self) -> &'static str {
        "key file"
    }
}
