//! Who keeps the key under which the store is encrypted (design 5.12).
//!
//! The epoch key lies apart from the store: without it the store and its backups are useless, and
//! erasing it erases all fragments at once. Where it lies is a provider's business; the one that
//! needs nothing else is [`KeyFile`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keysherd_base::{Fault, FaultKind, Secret, SecretBytes};
use keysherd_crypto::hash::sha256;
use zeroize::Zeroizing;

/// The key under which the records of the store are sealed.
pub struct EpochKey {
    /// Grows with every replacement; sealed records name the epoch of their key.
    pub epoch: u64,
    /// An AES-256 key.
    pub key: Secret<[u8; 32]>,
    /// The key of the next epoch, while the store is sealed anew: a crash in the middle finds both.
    /// Providers keep it in the same place and in the same way.
    pub next: Option<Secret<[u8; 32]>>,
}

impl EpochKey {
    /// The one key of `epoch`, with no other to come.
    pub const fn only(epoch: u64, key: Secret<[u8; 32]>) -> Self {
        Self { epoch, key, next: None }
    }

    /// What a provider keeps: the epoch (8 bytes, big-endian), the key, and the next key if there
    /// is one; 40 or 72 bytes.
    pub fn to_bytes(&self) -> SecretBytes {
        let mut bytes = Vec::with_capacity(72);
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(self.key.expose());
        if let Some(next) = &self.next {
            bytes.extend_from_slice(next.expose());
        }
        SecretBytes::new(bytes)
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (epoch, keys) = bytes.split_first_chunk::<8>()?;
        let (key, next) = keys.split_first_chunk::<32>()?;
        let next = match next {
            [] => None,
            next => Some(secret(next.try_into().ok()?)),
        };
        Some(Self { epoch: u64::from_be_bytes(*epoch), key: secret(key), next })
    }
}

fn secret(bytes: &[u8; 32]) -> Secret<[u8; 32]> {
    let mut secret = Secret::new([0; 32]);
    secret.expose_mut().copy_from_slice(bytes);
    secret
}

/// Keeps the epoch key apart from the store.
pub trait AtRestKey: Send + Sync {
    /// The key that was kept last; `None` when none ever was.
    ///
    /// # Errors
    /// When there is one and it cannot be had: unreadable, damaged, or open to other users.
    fn load(&self) -> Result<Option<EpochKey>, Fault>;

    /// Keeps `key` and forgets the one before it. Durable on return.
    ///
    /// # Errors
    /// When it cannot be kept; the one before it then still is.
    fn replace(&self, key: &EpochKey) -> Result<(), Fault>;

    /// What keeps the key, in one or two words for the status.
    fn name(&self) -> &'static str;
}

const MAGIC: &[u8; 8] = b"KSF1-EK\n";
const CHECK_BYTES: usize = 8;
/// Longest file: with the next key, which is there only while the store is sealed anew.
const FILE_BYTES_MAX: usize = MAGIC.len() + 72 + CHECK_BYTES;

/// Keeps the epoch key in a file of mode 0600: `KSF1-EK\n`, [`EpochKey::to_bytes`] and the first 8
/// bytes of the SHA-256 of all that.
#[derive(Clone, Debug)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The file at `path`. Nothing is read or created yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    fn unusable(&self, what: impl std::fmt::Display) -> Fault {
        let path = self.0.display();
        Fault::new(FaultKind::Internal, format!("epoch key file {path} {what}"))
    }

    fn read(&self, file: &mut File) -> Result<EpochKey, Fault> {
        let meta = file.metadata().map_err(|error| self.unusable(error))?;
        if meta.mode() & 0o077 != 0 {
            return Err(self.unusable("is open to other users; set its mode to 0600"));
        }
        let mut bytes = Zeroizing::new([0; FILE_BYTES_MAX + 1]);
        let length = read_full(file, bytes.as_mut_slice()).map_err(|error| self.unusable(error))?;
        let damaged = || self.unusable("is damaged; restore it from where you keep a copy");
        let read = bytes.get(..length).unwrap_or_default();
        let (body, check) = read.split_last_chunk::<CHECK_BYTES>().ok_or_else(damaged)?;
        if sha256(&[body]).get(..CHECK_BYTES) != Some(check.as_slice()) {
            return Err(damaged());
        }
        body.strip_prefix(MAGIC).and_then(EpochKey::from_bytes).ok_or_else(damaged)
    }

    fn write(&self, key: &EpochKey) -> io::Result<()> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(key.to_bytes().expose());
        let check = sha256(&[&bytes]);
        bytes.extend_from_slice(&check[..CHECK_BYTES]);
        let new = self.0.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        // Held open, so that the old bytes can be overwritten after the new file has their name.
        let old = OpenOptions::new().write(true).open(&self.0).ok();
        std::fs::rename(&new, &self.0)?;
        File::open(self.0.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        if let Some(old) = old {
            overwrite(old);
        }
        Ok(())
    }
}

/// Writes zeros over an old key. A file system or disk may keep the old blocks all the same, so
/// this is done as well as it can be and never relied upon.
fn overwrite(mut old: File) {
    let mut zeros = || -> io::Result<()> {
        let length = old.metadata()?.len().min(FILE_BYTES_MAX as u64);
        let length = usize::try_from(length).unwrap_or(FILE_BYTES_MAX);
        old.write_all(&vec![0; length])?;
        old.sync_all()
    };
    if let Err(error) = zeros() {
        tracing::warn!(%error, "the old epoch key was not overwritten");
    }
}

impl AtRestKey for KeyFile {
    fn load(&self) -> Result<Option<EpochKey>, Fault> {
        match File::open(&self.0) {
            Ok(mut file) => self.read(&mut file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable(error)),
        }
    }

    fn replace(&self, key: &EpochKey) -> Result<(), Fault> {
        self.write(key).map_err(|error| self.unusable(error))
    }

    fn name(&self) -> &'static str {
        "key file"
    }
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..)
        && !rest.is_empty()
    {
        match file.read(rest)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
