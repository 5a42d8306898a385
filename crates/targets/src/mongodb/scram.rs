//! Signing in without saying the password: SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's half.
//! The server proves that it knows the password, too.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{RngFailed, RngHandle, SecretString};
use keysherd_crypto::hash::{HmacKey, constant_time_eq, hmac_sha256, pbkdf2_sha256, sha256};

#[cfg(test)]
mod tests;

/// How much work a server may ask for: RFC 7677 demands the least, a gateway's time the most.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=200_000;
/// Longest message and longest salt of a server, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Somebody who signs in.
pub(super) struct Scram {
    /// The first message without its head.
    bare: String,
    nonce: String,
}

/// What the server has to prove.
pub(super) struct Expected([u8; 32]);

impl Scram {
    /// Begins as this user.
    ///
    /// # Errors
    /// [`RngFailed`].
    pub(super) fn begin(user: &str, rng: &RngHandle) -> Result<Self, RngFailed> {
        Ok(Self::with_nonce(user, STANDARD.encode(rng.array::<24>()?)))
    }

    fn with_nonce(user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self { bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The first message.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.bare).into_bytes()
    }

    /// The second message, in answer to the server's first one. `None`: that is none, was said to
    /// somebody else, or asks for too little or too much work.
    pub(super) fn answer(
        &self,
        challenge: &[u8],
        password: &SecretString,
    ) -> Option<(Vec<u8>, Expected)> {
        let text = std::str::from_utf8(challenge).ok()?;
        if text.len() > MESSAGE_BYTES_MAX {
            return None;
        }
        let mut parts = text.split(',');
        let nonce = parts.next()?.strip_prefix("r=")?;
        let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
        let iterations = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        let fresh = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce);
        if !fresh || salt.is_empty() || !ITERATIONS.contains(&iterations) {
            return None;
        }
        let iterations = NonZeroU32::new(iterations)?;
        let salted = pbkdf2_sha256(password.expose().as_bytes(), &salt, iterations);
        let key = HmacKey::new(salted.expose());
        let client = key.tag(&[b"Client Key"]);
        let last = format!("c=biws,r={nonce}");
        let talk = [self.bare.as_bytes(), b",", challenge, b",", last.as_bytes()];
        let signature = hmac_sha256(&sha256(&[&client]), &talk);
        let mut proof = client;
        for (byte, mask) in proof.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let expected = Expected(hmac_sha256(&key.tag(&[b"Server Key"]), &talk));
        Some((format!("{last},p={}", STANDARD.encode(proof)).into_bytes(), expected))
    }
}

impl Expected {
    /// Whether the server's last message proves that it knows the password.
    pub(super) fn is_proven_by(&self, last: &[u8]) -> bool {
        let text = std::str::from_utf8(last).ok().and_then(|text| text.strip_prefix("v="));
        let proof = text.and_then(|text| STANDARD.decode(text.split(',').next()?).ok());
        proof.is_some_and(|proof| constant_time_eq(&proof, &self.0))
    }
}
