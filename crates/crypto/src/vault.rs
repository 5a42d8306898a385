//! Sealing of small secrets that the control plane itself has to read again, such as the seed of a
//! second factor or the client secret of an identity provider.
//!
//! ```text
//! 01 | salt 24 | ciphertext | tag 16
//! key[32] | nonce[12] = HKDF-Expand(vault key, "KSF1/vault" 00 purpose 00 salt)
//! AAD = 01 | salt | context
//! ```
//! Each sealing has a key of its own, so no nonce is ever used twice with one key. `purpose` is a
//! constant of the program; `context` says whose secret it is, so that a sealed secret that is
//! moved to another row of the store does not open there.

use keysherd_base::{Rng, RngFailed, Secret, SecretBytes};

use crate::OpenFailed;
use crate::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use crate::hash::hkdf_expand;
use crate::labels;

#[cfg(test)]
mod tests;

const FORMAT: u8 = 1;
const SALT_BYTES: usize = 24;
const HEAD_BYTES: usize = 1 + SALT_BYTES;

/// Longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// The key that seals small secrets.
#[derive(Debug)]
pub struct VaultKey(Secret<[u8; 32]>);

impl VaultKey {
    /// Takes the key in.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self(Secret::new(*key.expose()))
    }

    /// Seals `secret` for `purpose` (a constant without a zero byte) and the owner that `context`
    /// names. A secret over [`SECRET_BYTES_MAX`] is sealed to something that [`Self::open`]
    /// refuses; callers bound what they take in.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn seal(
        &self,
        purpose: &str,
        context: &[u8],
        secret: &SecretBytes,
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, RngFailed> {
        let salt: [u8; SALT_BYTES] = rng.array()?;
        let mut sealed = Vec::with_capacity(HEAD_BYTES + secret.expose().len() + TAG_BYTES);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&salt);
        let aad = [sealed.as_slice(), context].concat();
        sealed.extend_from_slice(secret.expose());
        let (key, nonce) = self.derive(purpose, &salt);
        let body = sealed.get_mut(HEAD_BYTES..).unwrap_or_default();
        let tag = key.seal_in_place(&nonce, &aad, body);
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] made for the same purpose and context.
    ///
    /// # Errors
    /// [`OpenFailed`].
    pub fn open(
        &self,
        purpose: &str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<SecretBytes, OpenFailed> {
        let (head, body) = sealed.split_at_checked(HEAD_BYTES).ok_or(OpenFailed)?;
        let salt = head.strip_prefix(&[FORMAT]).and_then(|salt| salt.first_chunk());
        let length = body.len().checked_sub(TAG_BYTES).filter(|len| *len <= SECRET_BYTES_MAX);
        let (salt, length) = (salt.ok_or(OpenFailed)?, length.ok_or(OpenFailed)?);
        let (key, nonce) = self.derive(purpose, salt);
        let mut secret = SecretBytes::new(vec![0; length]);
        key.open_into(&nonce, &[head, context].concat(), body, secret.expose_mut())?;
        Ok(secret)
    }

    fn derive(&self, purpose: &str, salt: &[u8; SALT_BYTES]) -> (GcmKey, [u8; NONCE_BYTES]) {
        debug_assert!(!purpose.as_bytes().contains(&0), "a purpose may not contain a zero byte");
        let info: [&[u8]; 5] =
            [labels::VAULT.as_bytes(), &[0], purpose.as_bytes(), &[0], salt.as_slice()];
        let mut derived = Secret::new([0; 32 + NONCE_BYTES]);
        hkdf_expand(self.0.expose(), &info, derived.expose_mut());
        let (key, nonce) = derived.expose().split_at(32);
        let key = GcmKey::new(key).expect("invariant: 32 bytes are an AES-256 key");
        (key, nonce.try_into().expect("invariant: what is left has the length of a nonce"))
    }
}
