//! The files of the rotator: the token, the rotation that is not finished, and the lock.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keysherd_base::{Secret, SecretString};

use crate::failure::Failure;
use crate::private_file;

/// Longest file that can hold tokens.
const FILE_BYTES_MAX: usize = 40 * 1024;

/// The values of a rotation that is not finished.
pub(super) struct Pending {
    pub(super) new: SecretString,
    pub(super) old: SecretString,
}

/// The file with the token, and those beside it.
pub(super) struct TokenFile(PathBuf);

impl fmt::Display for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Keeps other rotators from this file for as long as what is returned lives.
    pub(super) fn lock(&self) -> Result<File, Failure> {
        let path = self.beside("lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|error| cannot("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::local(format!("another rotator keeps {self} fresh"))
                    .hint("run one rotator for a token"))
            }
            Err(TryLockError::Error(error)) => Err(cannot("lock", &path, &error)),
        }
    }

    /// What is to be said about the file, if something is.
    pub(super) fn warning(&self) -> Option<String> {
        private_file::is_open_to_others(&self.0).then(|| {
            format!("{self} can be read by other users until the first rotation makes it private")
        })
    }

    /// The token; `None` when there is none.
    pub(super) fn read(&self) -> Result<Option<SecretString>, Failure> {
        let text = read(&self.0)?;
        Ok(text.filter(|text| !text.expose().is_empty()))
    }

    /// Makes `token` the content of the file, as a whole.
    pub(super) fn publish(&self, token: &SecretString) -> Result<(), Failure> {
        replace(&self.0, token.expose())
    }

    /// The rotation that an earlier run did not finish.
    pub(super) fn pending(&self) -> Result<Option<Pending>, Failure> {
        let path = self.beside("pending");
        let Some(text) = read(&path)? else { return Ok(None) };
        let (new, old) = text.expose().split_once('\n').ok_or_else(|| {
            Failure::local(format!("{} does not have two tokens", path.display()))
                .hint("remove it; the token's file is then used as it is")
        })?;
        let value = |text: &str| Secret::new(text.trim().to_owned());
        Ok(Some(Pending { new: value(new), old: value(old) }))
    }

    /// Keeps a rotation that is not finished.
    pub(super) fn keep_pending(&self, pending: &Pending) -> Result<(), Failure> {
        let both = Secret::new(format!("{}\n{}", pending.new.expose(), pending.old.expose()));
        replace(&self.beside("pending"), both.expose())
    }

    /// The rotation is finished.
    pub(super) fn forget_pending(&self) -> Result<(), Failure> {
        let path = self.beside("pending");
        private_file::remove(&path).map(drop).map_err(|error| cannot("remove", &path, &error))
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = OsString::from(self.0.as_os_str());
        name.push(".");
        name.push(end);
        PathBuf::from(name)
    }
}

fn read(path: &Path) -> Result<Option<SecretString>, Failure> {
    let bytes =
        private_file::read(path, FILE_BYTES_MAX).map_err(|error| cannot("read", path, &error))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(bytes.expose())
        .map_err(|_| Failure::local(format!("{} is not text", path.display())))?;
    Ok(Some(Secret::new(text.trim().to_owned())))
}

fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    private_file::replace(path, text.as_bytes()).map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::local(format!("cannot {what} {}: {error}", path.display()))
}
