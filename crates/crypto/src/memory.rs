//! Small secrets kept encrypted in memory, under a key that lives as long as the process.
//!
//! This keeps cached secrets out of core files and swap as long as the one key stays out of them;
//! it does not stop someone who reads the whole memory of the process.

use std::sync::atomic::{AtomicU64, Ordering};

use keysherd_base::{Rng, RngFailed, Secret, SecretBytes};

use crate::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};

/// Bytes that sealing adds: the counter part of the nonce, and the tag.
pub const OVERHEAD_BYTES: usize = COUNTER_BYTES + TAG_BYTES;

const COUNTER_BYTES: usize = 8;

/// Encrypts and decrypts with AES-256-GCM under one random key. The nonce is a random start of 4
/// bytes and a counter of 8, so no nonce comes twice.
#[derive(Debug)]
pub struct Sealer {
    key: GcmKey,
    nonce_start: [u8; NONCE_BYTES - COUNTER_BYTES],
    counter: AtomicU64,
}

impl Sealer {
    /// A sealer with a fresh key. What another sealer sealed does not open.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn new(rng: &dyn Rng) -> Result<Self, RngFailed> {
        let mut key = Secret::new([0; 32]);
        rng.fill(key.expose_mut())?;
        Ok(Self {
            key: GcmKey::aes256(key.expose()),
            nonce_start: rng.array()?,
            counter: AtomicU64::new(0),
        })
    }

    /// Encrypts `secret`: counter, ciphertext and tag.
    pub fn seal(&self, secret: &[u8]) -> Box<[u8]> {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut sealed = Vec::with_capacity(secret.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(&counter);
        sealed.extend_from_slice(secret);
        let tag = self.key.seal_in_place(&self.nonce(counter), &[], &mut sealed[COUNTER_BYTES..]);
        sealed.extend_from_slice(&tag);
        sealed.into_boxed_slice()
    }

    /// Decrypts what [`Self::seal`] of this very sealer gave; `None` for all else.
    pub fn open(&self, sealed: &[u8]) -> Option<SecretBytes> {
        let (counter, sealed) = sealed.split_first_chunk::<COUNTER_BYTES>()?;
        let mut secret = Secret::new(vec![0; sealed.len().checked_sub(TAG_BYTES)?]);
        let opened = self.key.open_into(&self.nonce(*counter), &[], sealed, secret.expose_mut());
        opened.ok().map(|()| secret)
    }

    fn nonce(&self, counter: [u8; COUNTER_BYTES]) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        let (start, end) = nonce.split_at_mut(self.nonce_start.len());
        start.copy_from_slice(&self.nonce_start);
        end.copy_from_slice(&counter);
        nonce
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SystemRng;

    #[test]
    fn opens_only_what_it_sealed_itself() {
        let sealer = Sealer::new(&SystemRng).unwrap();
        let sealed = sealer.seal(b"secret");
        assert_eq!(sealed.len(), 6 + OVERHEAD_BYTES);
        assert_eq!(sealer.open(&sealed).unwrap().expose(), b"secret");
        assert!(Sealer::new(&SystemRng).unwrap().open(&sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut wrong = sealed.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&wrong).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open(&sealed[..length]).is_none(), "length {length}");
        }
    }

    #[test]
    fn no_nonce_comes_twice() {
        let sealer = Sealer::new(&SystemRng).unwrap();
        let sealed: Vec<_> = (0..100).map(|_| sealer.seal(b"same")).collect();
        let counters: std::collections::HashSet<_> = sealed.iter().map(|s| &s[..8]).collect();
        assert_eq!(counters.len(), 100);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_open(bytes: Vec<u8>, secret: Vec<u8>) {
            let sealer = Sealer::new(&SystemRng).unwrap();
            prop_assert!(sealer.open(&bytes).is_none());
            let opened = sealer.open(&sealer.seal(&secret)).unwrap();
            prop_assert_eq!(opened.expose(), &secret);
        }
    }
}
