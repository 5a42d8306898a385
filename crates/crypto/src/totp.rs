//! One-time codes of authenticator apps: TOTP (RFC 6238) with HMAC-SHA-1, six digits and steps of
//! 30 seconds, which is what all apps read.
//!
//! HMAC-SHA-1 is not weakened by the collisions of SHA-1; other hashes are not read by many apps.

use aws_lc_rs::hmac;
use keysherd_base::{Rng, RngFailed, SecretBytes, SecretString, Timestamp};

use crate::hash::constant_time_eq;

#[cfg(test)]
mod tests;

/// Length of a step in seconds.
pub const STEP_SECONDS: i64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Bytes of a fresh seed (RFC 4226 section 4, recommended).
pub const SEED_BYTES: usize = 20;
/// How many steps a clock may be off, both ways.
const SKEW_STEPS: i64 = 1;

/// A fresh seed.
///
/// # Errors
/// [`RngFailed`] when the random source fails.
pub fn new_seed(rng: &dyn Rng) -> Result<SecretBytes, RngFailed> {
    let mut seed = SecretBytes::new(vec![0; SEED_BYTES]);
    rng.fill(seed.expose_mut())?;
    Ok(seed)
}

/// The step that `now` is in.
pub fn step_at(now: Timestamp) -> i64 {
    now.0.div_euclid(1_000 * STEP_SECONDS)
}

/// The code of a step.
pub fn code(seed: &SecretBytes, step: i64) -> SecretString {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed.expose());
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or(0) & 15);
    let chosen = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>());
    let number = u32::from_be_bytes(*chosen.unwrap_or(&[0; 4])) & 0x7fff_ffff;
    SecretString::new(format!("{:06}", number % 1_000_000))
}

/// The step whose code `given` is: one near `now` and later than `used`, the last step whose code
/// was used. All steps are compared, so that the time taken says nothing.
pub fn accepted_step(seed: &SecretBytes, given: &str, now: Timestamp, used: i64) -> Option<i64> {
    let current = step_at(now);
    let steps = current - SKEW_STEPS..=current + SKEW_STEPS;
    steps.fold(None, |accepted, step| {
        let same = constant_time_eq(code(seed, step).expose().as_bytes(), given.as_bytes());
        if same && step > used { Some(step) } else { accepted }
    })
}

/// Base32 (RFC 4648) in capitals without padding: how seeds are typed into apps.
pub fn base32(bytes: &[u8]) -> SecretString {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut group = [0; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(group);
        for index in 0..(chunk.len() * 8).div_ceil(5) {
            let letter = (bits >> (35 - 5 * index)) & 31;
            text.push(char::from(LETTERS[usize::try_from(letter).unwrap_or(0)]));
        }
    }
    SecretString::new(text)
}

/// The address that apps read from a QR code.
pub fn uri(seed: &SecretBytes, issuer: &str, account: &str) -> SecretString {
    let (issuer, account) = (escaped(issuer), escaped(account));
    SecretString::new(format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6\
         &period=30",
        base32(seed.expose()).expose()
    ))
}

fn escaped(text: &str) -> String {
    let mut to = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
    to
}
