//! From a verified token to an identity: what members that take JSON Web Tokens share.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Fault;
use keysherd_base::limits::CLAIM_VALUE_BYTES_MAX;
use keysherd_crypto::jwt::JwtClaims;
use serde_json::Value;

use crate::claims::claims_of;
use crate::member::Identity;

/// How far an issuer's clock may be from ours, in seconds.
pub(crate) const SKEW_SECONDS: i64 = 60;

/// A token that does not count; why is for the log.
pub(crate) fn refused(why: impl fmt::Display) -> Fault {
    Fault::unauthorized("authentication failed; get a fresh token from the issuer")
        .with_private(why)
}

/// The token in a cloud identity: base64 of it, or the token itself.
///
/// # Errors
/// [`Fault::unauthorized`] when it is neither: some clients try one kind after the other.
pub(crate) fn token_of(cloud_id: &str) -> Result<String, Fault> {
    if cloud_id.split('.').count() == 3 {
        return Ok(cloud_id.to_owned());
    }
    let compact: String = cloud_id.split_whitespace().collect();
    let text = STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| refused("the cloud identity is no token in base64"))
}

/// The bearer of a token with these claims.
///
/// # Errors
/// [`Fault::unauthorized`] when it does not have the claim that tells bearers apart.
pub(crate) fn identity(
    claims: &JwtClaims,
    unique_identifier: &str,
    delimiters: &[String],
) -> Result<Identity, Fault> {
    let unique_id = unique_id(claims, unique_identifier).ok_or_else(|| {
        refused(format!("the claim {unique_identifier:?} of unique-identifier is no single text"))
    })?;
    Ok(Identity { unique_id, claims: claims_of(claims, delimiters)?, ends: None })
}

/// The one text of a claim, whole: split at commas, a name chosen by its bearer could begin with
/// somebody else's.
fn unique_id(claims: &JwtClaims, name: &str) -> Option<String> {
    let nested = || {
        let (outer, inner) = name.split_once('.')?;
        claims.get(outer)?.get(inner)
    };
    let value = claims.get(name).or_else(nested)?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(many) if many.len() == 1 => many[0].as_str()?.to_owned(),
        _ => return None,
    };
    (1..=CLAIM_VALUE_BYTES_MAX).contains(&text.len()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unique_id_is_one_whole_text() {
        let claims = serde_json::json!({
            "sub": "alice,bob", "n": 7, "one": ["x"], "two": ["x", "y"], "none": [], "empty": "",
            "realm": {"user": "carol"}, "a.b": "dotted", "a": {"b": "nested"}, "flag": true,
            "long": "x".repeat(CLAIM_VALUE_BYTES_MAX + 1),
        });
        let claims = claims.as_object().unwrap();
        let id = |name: &str| identity(claims, name, &[]).map(|identity| identity.unique_id);
        for (name, text) in [
            ("sub", "alice,bob"),
            ("n", "7"),
            ("one", "x"),
            ("realm.user", "carol"),
            ("a.b", "dotted"),
        ] {
            assert_eq!(id(name).unwrap(), text);
        }
        for name in ["two", "none", "empty", "flag", "long", "missing", "realm", "realm.x"] {
            assert!(id(name).is_err(), "{name}");
        }
    }
}
