//! AES-GCM with nonces chosen by the caller (NIST SP 800-38D).
//!
//! GCM does not commit to its key: one ciphertext can open under two keys, to two plaintexts.
//! Where a ciphertext comes from someone who may want that, use [`crate::envelope`], which does.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::OpenFailed;

#[cfg(test)]
mod tests;

/// Bytes of a GCM nonce. One nonce must never be used twice with one key.
pub const NONCE_BYTES: usize = 12;
/// Bytes of a GCM tag.
pub const TAG_BYTES: usize = 16;

/// An AES-128-GCM or AES-256-GCM key whose key schedule has been computed.
pub struct GcmKey(LessSafeKey);

impl GcmKey {
    /// Takes in a key of 16 bytes (AES-128) or 32 bytes (AES-256); `None` for other lengths.
    pub fn new(key: &[u8]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        UnboundKey::new(algorithm, key).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// Takes in an AES-256 key.
    pub fn aes256(key: &[u8; 32]) -> Self {
        Self::new(key).expect("invariant: 32 bytes are an AES-256 key")
    }

    /// Encrypts `buffer` in place and appends the 16-byte tag.
    pub fn seal(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8], buffer: &mut Vec<u8>) {
        let tag = self.seal_in_place(nonce, aad, buffer);
        buffer.extend_from_slice(&tag);
    }

    /// Encrypts `buffer` in place and returns the tag.
    pub fn seal_in_place(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), buffer)
            .expect("invariant: what fits in memory is below GCM's limit of 64 GiB");
        tag.as_ref().try_into().expect("invariant: GCM tags have 16 bytes")
    }

    /// Decrypts `buffer` (ciphertext and tag) in place and returns the plaintext part of it.
    ///
    /// # Errors
    /// [`OpenFailed`]; what is in `buffer` then means nothing.
    pub fn open<'a>(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &'a mut [u8],
    ) -> Result<&'a mut [u8], OpenFailed> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place(nonce, Aad::from(aad), buffer).map_err(|_| OpenFailed)
    }

    /// Decrypts `sealed` (ciphertext and tag) into `plaintext`, which is 16 bytes shorter.
    ///
    /// # Errors
    /// [`OpenFailed`], also when the lengths do not fit; what is in `plaintext` then means nothing.
    pub fn open_into(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), OpenFailed> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(OpenFailed)?;
        if ciphertext.len() != plaintext.len() {
            return Err(OpenFailed);
        }
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext)
            .map_err(|_| OpenFailed)
    }
}

impl std::fmt::Debug for GcmKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GcmKey")
    }
}
