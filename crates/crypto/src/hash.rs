//! SHA-256, HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869) and PBKDF2-HMAC-SHA-256 (RFC 8018).
//!
//! Messages are given in parts, which are hashed one after the other without separators: it is the
//! caller's duty that the parts have fixed lengths or carry their length.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use keysherd_base::Secret;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// Shortest tag [`HmacKey::verify`] accepts, in bytes: 128 bits, half of the full tag.
pub const TRUNCATED_TAG_BYTES_MIN: usize = 16;

/// Most bytes one [`hkdf_expand`] can give (RFC 5869 section 2.3: 255 times the hash length).
pub const HKDF_OUTPUT_BYTES_MAX: usize = 255 * 32;

/// SHA-256 of `parts` one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    first_32(context.finish().as_ref())
}

/// HMAC-SHA-256 of `parts` one after the other.
///
/// Keys shorter than 64 bytes are padded with zeros, so `k` and `k | 00` are the same key: callers
/// that take keys from outside must demand one exact length.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    HmacKey::new(key).tag(parts)
}

/// An HMAC-SHA-256 key whose two padded blocks have been hashed already.
#[derive(Clone)]
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// Takes the key in; the note at [`hmac_sha256`] about key lengths applies.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag of `parts` one after the other.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        first_32(context.sign().as_ref())
    }

    /// Whether `tag` is the tag of `parts`, or its first bytes, at least
    /// [`TRUNCATED_TAG_BYTES_MIN`] of them. Takes the same time for every wrong tag of one length.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let expected = self.tag(parts);
        match expected.get(..tag.len()) {
            Some(expected) if tag.len() >= TRUNCATED_TAG_BYTES_MIN => {
                constant_time_eq(expected, tag)
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacKey")
    }
}

/// HKDF-Extract (RFC 5869 section 2.2) of the input key material `ikm`, given in parts.
pub fn hkdf_extract(salt: &[u8], ikm: &[&[u8]]) -> Secret<[u8; 32]> {
    Secret::new(hmac_sha256(salt, ikm))
}

/// HKDF-Expand (RFC 5869 section 2.3): fills `out` from `prk` and `info`, given in parts.
///
/// # Panics
/// When `out` is longer than [`HKDF_OUTPUT_BYTES_MAX`]. Output lengths are constants of the
/// formats, never input.
pub fn hkdf_expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8]) {
    assert!(out.len() <= HKDF_OUTPUT_BYTES_MAX, "invariant: HKDF output lengths are constants");
    let key = HmacKey::new(prk);
    let mut block = Zeroizing::new([0_u8; 32]);
    for (counter, chunk) in (1_u8..=255).zip(out.chunks_mut(32)) {
        let mut context = hmac::Context::with_key(&key.0);
        if counter > 1 {
            context.update(&*block);
        }
        for part in info {
            context.update(part);
        }
        context.update(&[counter]);
        block.copy_from_slice(context.sign().as_ref());
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

/// PBKDF2-HMAC-SHA-256 (RFC 8018 section 5.2) of a password, for protocols that demand it. What is
/// stored here is derived by other means.
pub fn pbkdf2_sha256(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Secret<[u8; 32]> {
    let mut derived = Secret::new([0_u8; 32]);
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, salt, password, derived.expose_mut());
    derived
}

/// Whether `a` and `b` are equal, in a time that depends on their lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn first_32(digest: &[u8]) -> [u8; 32] {
    digest.try_into().expect("invariant: SHA-256 gives 32 bytes")
}
