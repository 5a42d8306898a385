//! Signing in without saying the password, as SAP HANA does (`SCRAMPBKDF2SHA256`, `SCRAMSHA256`),
//! the client's half. By the first of them the server proves that it knows the password, too; the
//! other is what users have whose passwords are from before HANA 2.

use std::num::NonZeroU32;

use keysherd_base::{RngFailed, RngHandle, Secret, SecretString};
use keysherd_crypto::hash::{HmacKey, constant_time_eq, hmac_sha256, pbkdf2_sha256, sha256};

use super::frames::read_fields;

/// The ways, the better one first.
const SLOW: &[u8] = b"SCRAMPBKDF2SHA256";
const PLAIN: &[u8] = b"SCRAMSHA256";
/// How much work a server may ask for: SAP's clients demand the least, a gateway's time the most.
const ITERATIONS: std::ops::RangeInclusive<u32> = 15_000..=200_000;
/// How long a salt or a server's random bytes may be.
const RANDOM_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// Somebody who signs in.
pub(super) struct Scram {
    challenge: [u8; 64],
    /// Whether the server has to prove itself.
    strict: bool,
}

/// What is said to the server's challenge, and what it has to prove.
pub(super) struct Answer {
    method: &'static [u8],
    proof: Vec<u8>,
    expected: Option<[u8; 32]>,
}

impl Scram {
    /// Begins. `strict`: only a server that proves that it knows the password will do, as
    /// nothing else says who it is. By the older way, somebody else could find the password out
    /// with one cheap guess after another.
    ///
    /// # Errors
    /// [`RngFailed`].
    pub(super) fn begin(rng: &RngHandle, strict: bool) -> Result<Self, RngFailed> {
        Ok(Self { challenge: rng.array()?, strict })
    }

    /// The ways to sign in, each with the client's challenge.
    pub(super) fn offers(&self) -> Vec<&[u8]> {
        let ways: &[&'static [u8]] = if self.strict { &[SLOW] } else { &[SLOW, PLAIN] };
        ways.iter().flat_map(|way| [*way, &self.challenge]).collect()
    }

    /// What is said to a challenge. `None`: that is none, or asks for too little or too much work.
    pub(super) fn answer(&self, challenge: &[u8], password: &SecretString) -> Option<Answer> {
        let said = read_fields(challenge)?;
        let [method, data] = said[..] else { return None };
        let data = read_fields(data)?;
        let secret = password.expose().as_bytes();
        let (method, salt, random, salted) = match data[..] {
            [salt, random, iterations] if method == SLOW => {
                let iterations = u32::from_be_bytes(iterations.try_into().ok()?);
                if !ITERATIONS.contains(&iterations) || !RANDOM_BYTES.contains(&salt.len()) {
                    return None;
                }
                let iterations = NonZeroU32::new(iterations)?;
                (SLOW, salt, random, pbkdf2_sha256(secret, salt, iterations))
            }
            [salt, random] if method == PLAIN && !self.strict => {
                (PLAIN, salt, random, Secret::new(hmac_sha256(secret, &[salt])))
            }
            _ => return None,
        };
        if !RANDOM_BYTES.contains(&salt.len()) || !RANDOM_BYTES.contains(&random.len()) {
            return None;
        }
        let key = Secret::new(sha256(&[salted.expose()]));
        let signature = hmac_sha256(&sha256(&[key.expose()]), &[salt, random, &self.challenge]);
        let mut proof = vec![1, 0, 32];
        proof.extend(key.expose().iter().zip(signature).map(|(byte, mask)| byte ^ mask));
        let verifier = HmacKey::new(&hmac_sha256(salted.expose(), &[salt]));
        let expected = (method == SLOW).then(|| verifier.tag(&[&self.challenge, salt, random]));
        Some(Answer { method, proof, expected })
    }
}

impl Answer {
    /// The way that the server chose.
    pub(super) fn method(&self) -> &[u8] {
        self.method
    }

    /// What proves that the password is known.
    pub(super) fn proof(&self) -> &[u8] {
        &self.proof
    }

    /// Whether the server's last word proves that it knows the password, where it has to.
    pub(super) fn is_proven_by(&self, last: &[u8]) -> bool {
        let Some(expected) = self.expected else { return true };
        let said = read_fields(last).unwrap_or_default();
        let [method, data] = said[..] else { return false };
        let proofs = read_fields(data).unwrap_or_default();
        method == self.method && matches!(proofs[..], [p] if constant_time_eq(p, &expected))
    }
}

#[cfg(test)]
mod tests;
