//! Who keeps the key under which the store is encrypted (design 5.12).
//!
//! The epoch key lies apart from the store: without it the store and its backups are useless, and
//! erasing it erases all fragments at once. Where it lies is a provider's business: [`KeyFile`]
//! needs nothing else; [`WrappedKeyFile`] keeps it encrypted by a [`Wrapping`], such as a
//! passphrase, the machine's own credential key, or a token. [`Moving`] goes from one to another.

use keysherd_base::{Fault, Secret, SecretBytes};
use keysherd_crypto::hash::sha256;

mod file;
mod key_file;
mod moving;
mod passphrase;
mod systemd;
mod token;
mod wrapped;

pub use key_file::KeyFile;
pub use moving::Moving;
pub use passphrase::PassphraseWrapping;
pub use systemd::SystemdWrapping;
pub use token::TokenWrapping;
pub use wrapped::{WrappedKeyFile, Wrapping};

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

    /// Forgets the key, because another provider keeps it now.
    ///
    /// # Errors
    /// When it cannot be erased.
    fn erase(&self) -> Result<(), Fault>;

    /// What keeps the key, in one or two words for the status.
    fn name(&self) -> &'static str;
}

const MAGIC: &[u8; 8] = b"KSF1-EK\n";
const CHECK_BYTES: usize = 8;
/// Longest encoding: with the next key, which is there only while the store is sealed anew.
const FILE_BYTES_MAX: usize = MAGIC.len() + 72 + CHECK_BYTES;

/// What files hold, wrapped or not: `KSF1-EK\n`, [`EpochKey::to_bytes`] and the first 8 bytes of
/// the SHA-256 of all that.
fn to_file(key: &EpochKey) -> SecretBytes {
    let mut bytes = Vec::with_capacity(FILE_BYTES_MAX);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(key.to_bytes().expose());
    let check = sha256(&[&bytes]);
    bytes.extend_from_slice(&check[..CHECK_BYTES]);
    SecretBytes::new(bytes)
}

/// Reads what [`to_file`] gave; `None` for anything else.
fn from_file(bytes: &[u8]) -> Option<EpochKey> {
    let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    if sha256(&[body]).get(..CHECK_BYTES) != Some(check.as_slice()) {
        return None;
    }
    EpochKey::from_bytes(body.strip_prefix(MAGIC)?)
}
