//! The values of universal-identity tokens, as their bearers hold them.
//!
//! `u-` and the hex of `body | tag`, sealed by the token key:
//!
//! ```text
//! body = 01 | token i64 | number u32 | secret 32
//! ```
//!
//! (big-endian). The tag proves that a value was given out here, so that nobody can make one up
//! that looks as if it had been rotated out. The store has a hash of the secret only: neither its
//! copy nor the token key alone makes a value that is accepted.

use keysherd_base::{Fault, Rng, Secret, SecretString};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::token::TokenKey;
use keysherd_domain::uid::UidValue;

/// What values start with.
const PREFIX: &str = "u-";
/// Label of the hash that is kept; one zero byte follows it.
const VERIFIER_LABEL: &[u8] = b"KSC1/uid-verifier";

const FORMAT: u8 = 1;
const SECRET_BYTES: usize = 32;
const BODY_BYTES: usize = 1 + 8 + 4 + SECRET_BYTES;

/// A value that was given out here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Presented {
    /// The token's number in the store.
    pub(crate) token: i64,
    /// The value, as far as it is kept.
    pub(crate) value: UidValue,
}

/// Whether a text claims to be a value of a universal-identity token.
pub(crate) fn is_uid_token(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Recognizes a value; `None` when it was not given out here.
pub(crate) fn parse(key: &TokenKey, text: &str) -> Option<Presented> {
    let body = Secret::new(key.open(PREFIX, text)?);
    let body: &[u8; BODY_BYTES] = body.expose().as_slice().try_into().ok()?;
    let (format, rest) = body.split_first()?;
    let (token, rest) = rest.split_first_chunk::<8>()?;
    let (number, secret) = rest.split_first_chunk::<4>()?;
    (*format == FORMAT).then(|| Presented {
        token: i64::from_be_bytes(*token),
        value: UidValue { number: u32::from_be_bytes(*number), verifier: verifier(secret) },
    })
}

/// A fresh value for a token.
///
/// # Errors
/// When the random source fails.
pub(super) fn issue(
    key: &TokenKey,
    rng: &dyn Rng,
    token: i64,
    number: u32,
) -> Result<(SecretString, UidValue), Fault> {
    let mut body = Secret::new([0; BODY_BYTES]);
    let bytes = body.expose_mut();
    let (head, secret) = bytes.split_at_mut(BODY_BYTES - SECRET_BYTES);
    head[0] = FORMAT;
    head[1..9].copy_from_slice(&token.to_be_bytes());
    head[9..].copy_from_slice(&number.to_be_bytes());
    rng.fill(secret)?;
    let value = UidValue { number, verifier: verifier(secret) };
    Ok((key.seal(PREFIX, body.expose()), value))
}

fn verifier(secret: &[u8]) -> [u8; 32] {
    sha256(&[VERIFIER_LABEL, &[0], secret])
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysherd_crypto::random::SystemRng;

    #[test]
    fn values_are_recognized_and_cannot_be_made_up() {
        let key = TokenKey::new(&Secret::new([1; 32]));
        let (text, value) = issue(&key, &SystemRng, 7, 3).unwrap();
        assert!(is_uid_token(text.expose()));
        assert_eq!(parse(&key, text.expose()), Some(Presented { token: 7, value }));
        let (other, _) = issue(&key, &SystemRng, 7, 3).unwrap();
        assert_ne!(parse(&key, other.expose()).unwrap().value, value, "the secret is fresh");
        let foreign = TokenKey::new(&Secret::new([2; 32]));
        assert_eq!(parse(&foreign, text.expose()), None);
        let bearer = key.seal("t-", &[FORMAT; BODY_BYTES]);
        let renamed = bearer.expose().replacen("t-", "u-", 1);
        let longer = key.seal(PREFIX, &[FORMAT; BODY_BYTES + 1]);
        let later = key.seal(PREFIX, &[2; BODY_BYTES]);
        for bad in ["u-", "", &renamed, longer.expose(), later.expose(), &text.expose()[..60]] {
            assert_eq!(parse(&key, bad), None, "{bad}");
        }
    }
}
