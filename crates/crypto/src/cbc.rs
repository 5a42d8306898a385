//! AES-CBC with PKCS#7 padding (NIST SP 800-38A, RFC 5652 section 6.3), for compatibility only.
//!
//! CBC authenticates nothing: whoever can change a ciphertext can change its plaintext, and whoever
//! can ask often whether a ciphertext opens can read it. New data belongs in [`crate::aead`].

use aws_lc_rs::cipher::{
    AES_128, AES_256, Algorithm, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use keysherd_base::{Secret, SecretBytes};

use crate::OpenFailed;

#[cfg(test)]
mod tests;

/// Bytes of an AES block and of the initialization vector.
pub const BLOCK_BYTES: usize = 16;

/// An AES-128-CBC or AES-256-CBC key.
pub struct CbcKey {
    encrypting: PaddedBlockEncryptingKey,
    decrypting: PaddedBlockDecryptingKey,
}

impl CbcKey {
    /// Takes in a key of 16 bytes (AES-128) or 32 bytes (AES-256); `None` for other lengths.
    pub fn new(key: &[u8]) -> Option<Self> {
        let algorithm: &'static Algorithm = match key.len() {
            16 => &AES_128,
            32 => &AES_256,
            _ => return None,
        };
        let unbound = || UnboundCipherKey::new(algorithm, key).ok();
        Some(Self {
            encrypting: PaddedBlockEncryptingKey::cbc_pkcs7(unbound()?).ok()?,
            decrypting: PaddedBlockDecryptingKey::cbc_pkcs7(unbound()?).ok()?,
        })
    }

    /// Encrypts `plaintext`. The IV must be unpredictable for every message.
    pub fn encrypt(&self, iv: &[u8; BLOCK_BYTES], plaintext: &[u8]) -> Vec<u8> {
        // Room for the padding, so that growing leaves no copy of the plaintext behind.
        let mut buffer = Vec::with_capacity(plaintext.len() + BLOCK_BYTES);
        buffer.extend_from_slice(plaintext);
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.encrypting
            .less_safe_encrypt(&mut buffer, context)
            .expect("invariant: the buffer is padded to whole blocks");
        buffer
    }

    /// Decrypts what [`Self::encrypt`] gave.
    ///
    /// # Errors
    /// [`OpenFailed`] when the length or the padding is wrong.
    pub fn decrypt(
        &self,
        iv: &[u8; BLOCK_BYTES],
        ciphertext: &[u8],
    ) -> Result<SecretBytes, OpenFailed> {
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_BYTES) {
            return Err(OpenFailed);
        }
        let mut buffer = Secret::new(ciphertext.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let plaintext = self.decrypting.decrypt(buffer.expose_mut(), context);
        let length = plaintext.map_err(|_| OpenFailed)?.len();
        buffer.expose_mut().truncate(length);
        Ok(buffer)
    }
}

impl std::fmt::Debug for CbcKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CbcKey")
    }
}
