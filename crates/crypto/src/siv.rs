//! AES-SIV, deterministic authenticated encryption (RFC 5297).
//!
//! The same plaintext, key and associated data give the same ciphertext, and nothing else about
//! the plaintext is shown. The ciphertext is the 16-byte synthetic IV and then the encrypted bytes.

use aes_siv::KeyInit;
use aes_siv::siv::{Aes128Siv, Aes256Siv};
use keysherd_base::{Secret, SecretBytes};

use crate::OpenFailed;

#[cfg(test)]
mod tests;

/// Bytes that the synthetic IV adds to a plaintext.
pub const IV_BYTES: usize = 16;

/// An AES-SIV key; half of it authenticates, half of it encrypts.
#[derive(Debug)]
pub struct SivKey(Kind);

#[derive(Debug)]
enum Kind {
    Aes128(Secret<[u8; 32]>),
    Aes256(Secret<[u8; 64]>),
}

impl SivKey {
    /// Takes in 32 bytes (twice an AES-128 key) or 64 bytes (twice an AES-256 key); `None` for
    /// other lengths.
    pub fn new(key: &[u8]) -> Option<Self> {
        if let Ok(key) = <[u8; 32]>::try_from(key) {
            return Some(Self(Kind::Aes128(Secret::new(key))));
        }
        let key = <[u8; 64]>::try_from(key).ok()?;
        Some(Self(Kind::Aes256(Secret::new(key))))
    }

    /// Encrypts `plaintext` and binds `aad`, which is one component of RFC 5297's vector, also
    /// when it is empty.
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        self.seal_components(&[aad], plaintext)
    }

    /// Decrypts what [`Self::seal`] gave.
    ///
    /// # Errors
    /// [`OpenFailed`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenFailed> {
        let plaintext = match &self.0 {
            Kind::Aes128(key) => Aes128Siv::new(key.expose().into()).decrypt([aad], sealed),
            Kind::Aes256(key) => Aes256Siv::new(key.expose().into()).decrypt([aad], sealed),
        };
        plaintext.map(Secret::new).map_err(|_| OpenFailed)
    }

    fn seal_components(&self, components: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
        match &self.0 {
            Kind::Aes128(key) => Aes128Siv::new(key.expose().into()).encrypt(components, plaintext),
            Kind::Aes256(key) => Aes256Siv::new(key.expose().into()).encrypt(components, plaintext),
        }
        .expect("invariant: fewer than 127 components")
    }
}
