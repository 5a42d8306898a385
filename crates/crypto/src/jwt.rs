//! JSON Web Tokens (RFC 7519) signed by somebody else, and those a gateway signs.
//!
//! Only signatures with public keys count: `none` and the HMAC algorithms do not exist here, so no
//! public key can be taken for a shared secret. A key verifies the algorithms of its own type only
//! (RFC 8725 section 3.1). Keys come from where the verifier was told to find them, never from the
//! token: `jku`, `x5u`, `jwk` and `x5c` headers are not looked at, and a token with critical
//! extensions is refused (RFC 7515 section 4.1.11). Time is handed in.

use std::fmt;

use base64::Engine as _;
use jsonwebtoken::Algorithm;
use keysherd_base::Timestamp;
use serde_json::{Map, Value};

use self::keys::Key;
use self::strict::object;

mod keys;
mod signer;
mod strict;
#[cfg(test)]
mod tests;

pub use self::keys::{BadKeys, JwtKeys};
pub use self::signer::JwtSigner;

/// Longest token that is looked at, in bytes. Tokens with many groups have some ten thousand.
pub const JWT_BYTES_MAX: usize = 32 * 1024;
/// Largest key set that is read, in bytes.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// Most keys of one set.
pub const KEYS_MAX: usize = 100;
/// Smallest RSA modulus that is accepted, in bits (NIST SP 800-131A).
pub const RSA_BITS_MIN: usize = 2_048;

/// The claims of a token that was verified.
pub type JwtClaims = Map<String, Value>;

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtRefused {
    /// It is no JSON Web Token, is too long, or demands extensions nobody here knows.
    Malformed,
    /// Its algorithm is none of those that are accepted.
    Algorithm,
    /// No key of the set can have signed it; the issuer may have new keys.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// It has no end, or ended.
    Expired,
    /// It begins later, or says that it was made later.
    NotYetValid,
    /// Another issuer made it.
    Issuer,
    /// It is meant for somebody else.
    Audience,
}

impl fmt::Display for JwtRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not a well-formed signed token",
            Self::Algorithm => "its algorithm is not accepted; RS, PS, ES and EdDSA are",
            Self::UnknownKey => "none of the issuer's keys signed it",
            Self::Signature => "its signature is wrong",
            Self::Expired => "it has expired",
            Self::NotYetValid => "it is not valid yet",
            Self::Issuer => "another issuer made it",
            Self::Audience => "it is meant for another audience",
        })
    }
}

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Its `iss` must be one of these; empty: any, which is right only when the keys themselves
    /// belong to one issuer.
    pub issuers: &'a [&'a str],
    /// Its `aud` must name one of these; empty: any.
    pub audiences: &'a [&'a str],
    /// The time.
    pub now: Timestamp,
    /// How far the issuer's clock may be from ours, in seconds.
    pub skew_seconds: i64,
}

/// Verifies a compact token and gives its claims. It must have an end.
///
/// # Errors
/// [`JwtRefused`].
pub fn verify(
    token: &str,
    keys: &JwtKeys,
    expected: &Expected<'_>,
) -> Result<JwtClaims, JwtRefused> {
    let parts = Parts::of(token)?;
    // Without an id any key of the right type may have signed; that none did may mean that the
    // issuer has new ones. With one it means that the signature is wrong.
    let mut refused = JwtRefused::UnknownKey;
    for key in keys.0.iter().filter(|key| parts.may_be_signed_by(key)) {
        if parts.is_signed_by(key) {
            return check(parts.claims()?, expected);
        }
        if parts.key_id.is_some() && parts.key_id == key.id {
            refused = JwtRefused::Signature;
        }
    }
    Err(refused)
}

/// Whether `token` looks like one that could be verified, with whatever keys.
///
/// # Errors
/// [`JwtRefused::Malformed`] or [`JwtRefused::Algorithm`].
pub fn glance(token: &str) -> Result<(), JwtRefused> {
    Parts::of(token).map(drop)
}

/// A token taken apart; nothing in it is verified.
struct Parts<'a> {
    /// What is signed: header and claims as they were sent.
    signed: &'a str,
    claims: &'a str,
    signature: &'a str,
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Result<Self, JwtRefused> {
        if token.len() > JWT_BYTES_MAX {
            return Err(JwtRefused::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtRefused::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtRefused::Malformed)?;
        if claims.contains('.') {
            return Err(JwtRefused::Malformed);
        }
        let header = part(header)?;
        // Extensions that must be understood: none is.
        if header.contains_key("crit") {
            return Err(JwtRefused::Malformed);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(JwtRefused::Malformed),
        };
        // An unknown name, `none` among them, is an algorithm that is not accepted.
        let algorithm = text("alg")?.and_then(|name| name.parse().ok());
        let algorithm = algorithm.filter(|known| !HMAC.contains(known));
        let algorithm = algorithm.ok_or(JwtRefused::Algorithm)?;
        let key_id = text("kid")?.map(str::to_owned);
        Ok(Self { signed, claims, signature, algorithm, key_id })
    }

    fn may_be_signed_by(&self, key: &Key) -> bool {
        let named = match (&self.key_id, &key.id) {
            (Some(wanted), Some(id)) => wanted == id,
            _ => true,
        };
        named && key.algorithms.contains(&self.algorithm)
    }

    fn is_signed_by(&self, key: &Key) -> bool {
        let (signature, signed) = (self.signature, self.signed.as_bytes());
        // An error is a signature or a key that is not well-formed.
        jsonwebtoken::crypto::verify(signature, signed, &key.key, self.algorithm).unwrap_or(false)
    }

    fn claims(&self) -> Result<JwtClaims, JwtRefused> {
        part(self.claims)
    }
}

/// Algorithms whose keys are secrets: no issuer's public key may be taken for one.
const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// One part of a token: an object in base64url.
fn part(text: &str) -> Result<JwtClaims, JwtRefused> {
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text);
    bytes.ok().and_then(|bytes| object(&bytes)).ok_or(JwtRefused::Malformed)
}

fn check(claims: JwtClaims, expected: &Expected<'_>) -> Result<JwtClaims, JwtRefused> {
    let now = expected.now.seconds();
    let skew = expected.skew_seconds;
    let end = seconds(&claims, "exp")?.ok_or(JwtRefused::Expired)?;
    if now >= end.saturating_add(skew) {
        return Err(JwtRefused::Expired);
    }
    for claim in ["nbf", "iat"] {
        if seconds(&claims, claim)?.is_some_and(|begin| now < begin.saturating_sub(skew)) {
            return Err(JwtRefused::NotYetValid);
        }
    }
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    if !expected.issuers.is_empty() && !expected.issuers.contains(&issuer) {
        return Err(JwtRefused::Issuer);
    }
    if !expected.audiences.is_empty() && !audience_fits(claims.get("aud"), expected.audiences) {
        return Err(JwtRefused::Audience);
    }
    Ok(claims)
}

fn audience_fits(given: Option<&Value>, accepted: &[&str]) -> bool {
    let fits = |value: &Value| value.as_str().is_some_and(|name| accepted.contains(&name));
    match given {
        Some(Value::Array(many)) => many.iter().any(fits),
        Some(one) => fits(one),
        None => false,
    }
}

/// A numeric date; some issuers write fractions.
fn seconds(claims: &JwtClaims, name: &str) -> Result<Option<i64>, JwtRefused> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let whole = value.as_i64();
            #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
            let seconds = whole.or_else(|| value.as_f64().map(|seconds| seconds as i64));
            seconds.map(Some).ok_or(JwtRefused::Malformed)
        }
    }
}
