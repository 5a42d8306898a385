//! A small secret in a file under a passphrase: Argon2id (RFC 9106), then AES-256-GCM.
//!
//! ```text
//! "KSF1-PP\n" | memory KiB u32 | passes u32 | lanes u32 | salt 16 | commitment 32 | nonce 12
//! | ciphertext | tag 16
//! key[32] | commitment[32] = HKDF-Expand(Argon2id(passphrase, salt), "KSF1/passphrase" 00 purpose)
//! AAD = everything before the nonce
//! ```
//! The commitment is compared first, so one file opens under one passphrase at most, and a wrong
//! passphrase is told from a damaged file. `purpose` keeps a file that was made for one use from
//! being taken for another.

use std::fmt;

use keysherd_base::{Rng, RngFailed, Secret, SecretBytes, SecretString};

use crate::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use crate::hash::{constant_time_eq, hkdf_expand};
use crate::labels;
use crate::password::{DeriveFailed, PasswordParams, derive_seed};

#[cfg(test)]
mod tests;

/// Longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"KSF1-PP\n";
const SALT_BYTES: usize = 16;
const COMMITMENT_BYTES: usize = 32;
const AAD_BYTES: usize = MAGIC.len() + 12 + SALT_BYTES + COMMITMENT_BYTES;
const HEAD_BYTES: usize = AAD_BYTES + NONCE_BYTES;

/// What one guess costs: 64 MiB and 3 passes (RFC 9106, the second recommended option, with one
/// lane), about a tenth of a second.
pub const PARAMS: PasswordParams =
    PasswordParams { memory_kib: 65_536, iterations: 3, parallelism: 1 };

/// Why a secret was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassphraseFailed {
    /// The bytes are not such a file.
    Malformed,
    /// The passphrase is not the one it was sealed with, or the file is for another use.
    WrongPassphrase,
    /// The passphrase is right and the file was changed.
    Damaged,
    /// The secret is longer than [`SECRET_BYTES_MAX`].
    TooLong,
    /// The key could not be derived.
    Derive(DeriveFailed),
    /// The random source failed.
    Rng,
}

impl fmt::Display for PassphraseFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a file under a passphrase; it may be cut off"),
            Self::WrongPassphrase => f.write_str("the passphrase is wrong"),
            Self::Damaged => f.write_str("the file is damaged; restore it from a backup"),
            Self::TooLong => write!(f, "a secret may have {SECRET_BYTES_MAX} bytes at most"),
            Self::Derive(failed) => failed.fmt(f),
            Self::Rng => f.write_str("the random source failed"),
        }
    }
}

impl std::error::Error for PassphraseFailed {}

impl From<DeriveFailed> for PassphraseFailed {
    fn from(failed: DeriveFailed) -> Self {
        Self::Derive(failed)
    }
}

impl From<RngFailed> for PassphraseFailed {
    fn from(_: RngFailed) -> Self {
        Self::Rng
    }
}

/// Whether `bytes` begin like a file under a passphrase.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Seals `secret` under `passphrase`. Takes a tenth of a second by intention.
///
/// # Errors
/// [`PassphraseFailed`].
pub fn seal(
    secret: &SecretBytes,
    passphrase: &SecretString,
    purpose: &str,
    rng: &dyn Rng,
) -> Result<Vec<u8>, PassphraseFailed> {
    seal_with(secret, passphrase, purpose, rng, PARAMS)
}

/// As [`seal`] at another price of a guess.
fn seal_with(
    secret: &SecretBytes,
    passphrase: &SecretString,
    purpose: &str,
    rng: &dyn Rng,
    params: PasswordParams,
) -> Result<Vec<u8>, PassphraseFailed> {
    if secret.expose().len() > SECRET_BYTES_MAX {
        return Err(PassphraseFailed::TooLong);
    }
    let salt: [u8; SALT_BYTES] = rng.array()?;
    let nonce: [u8; NONCE_BYTES] = rng.array()?;
    let keys = keys(passphrase, &salt, params, purpose)?;
    let (key, commitment) = keys.expose().split_at(32);
    let mut sealed = Vec::with_capacity(HEAD_BYTES + secret.expose().len() + TAG_BYTES);
    sealed.extend_from_slice(MAGIC);
    for number in [params.memory_kib, params.iterations, params.parallelism] {
        sealed.extend_from_slice(&number.to_be_bytes());
    }
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(commitment);
    let aad = sealed.clone();
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(secret.expose());
    let tag =
        gcm(key).seal_in_place(&nonce, &aad, sealed.get_mut(HEAD_BYTES..).unwrap_or_default());
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal`] made for the same `purpose`.
///
/// # Errors
/// [`PassphraseFailed`].
pub fn open(
    sealed: &[u8],
    passphrase: &SecretString,
    purpose: &str,
) -> Result<SecretBytes, PassphraseFailed> {
    let malformed = PassphraseFailed::Malformed;
    if sealed.len() > HEAD_BYTES + SECRET_BYTES_MAX + TAG_BYTES {
        return Err(malformed);
    }
    let (aad, _) = sealed.split_at_checked(AAD_BYTES).ok_or(malformed)?;
    let mut rest = sealed.strip_prefix(MAGIC).ok_or(malformed)?;
    let mut number = || -> Option<u32> {
        let (bytes, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        Some(u32::from_be_bytes(*bytes))
    };
    let params = PasswordParams {
        memory_kib: number().ok_or(malformed)?,
        iterations: number().ok_or(malformed)?,
        parallelism: number().ok_or(malformed)?,
    };
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or(malformed)?;
    let (stated, rest) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(malformed)?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(malformed)?;
    let length = rest.len().checked_sub(TAG_BYTES).ok_or(malformed)?;
    let keys = keys(passphrase, salt, params, purpose)?;
    let (key, commitment) = keys.expose().split_at(32);
    if !constant_time_eq(stated, commitment) {
        return Err(PassphraseFailed::WrongPassphrase);
    }
    let mut secret = SecretBytes::new(vec![0; length]);
    gcm(key)
        .open_into(nonce, aad, rest, secret.expose_mut())
        .map_err(|_| PassphraseFailed::Damaged)?;
    Ok(secret)
}

fn keys(
    passphrase: &SecretString,
    salt: &[u8; SALT_BYTES],
    params: PasswordParams,
    purpose: &str,
) -> Result<Secret<[u8; 64]>, PassphraseFailed> {
    let seed = derive_seed(passphrase, salt, params)?;
    let info: [&[u8]; 3] = [labels::PASSPHRASE.as_bytes(), &[0], purpose.as_bytes()];
    let mut keys = Secret::new([0; 64]);
    hkdf_expand(seed.expose(), &info, keys.expose_mut());
    Ok(keys)
}

fn gcm(key: &[u8]) -> GcmKey {
    GcmKey::new(key).expect("invariant: half of 64 bytes is an AES-256 key")
}
