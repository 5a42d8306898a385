//! JSON Web Tokens (RFC 7519) signed by somebody else, and those a gateway signs.
//!
//! Only signatures with public keys count: `none` and the HMAC algorithms do not exist here, so no
//! public key can be taken for a shared secret. A key verifies the algorithms of its own type only
//! (RFC 8725 section 3.1). Keys come from where the verifier was told to find them, never from the
//! token: `jku`, `x5u`, `jwk` and `x5c` headers are not looked at, and a token with critical
//! extensions is refused (RFC 7515 section 4.1.11). Time is handed in.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use keysherd_base::{SecretString, Timestamp};
use serde_json::{Map, Value};

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

/// A text that holds no usable keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKeys;

/// The public keys an issuer signs with.
#[derive(Clone)]
pub struct JwtKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl JwtKeys {
    /// The signing keys of a JSON Web Key Set (RFC 7517); those of other uses or kinds are passed
    /// over.
    ///
    /// # Errors
    /// [`BadKeys`] when the text is no set, is too large, or has no key that can be used.
    pub fn from_key_set(text: &str) -> Result<Self, BadKeys> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(BadKeys);
        }
        let set: JwkSet = serde_json::from_str(text).map_err(|_| BadKeys)?;
        if set.keys.len() > KEYS_MAX {
            return Err(BadKeys);
        }
        let keys: Vec<_> = set.keys.iter().filter_map(signing_key).collect();
        if keys.is_empty() { Err(BadKeys) } else { Ok(Self(keys)) }
    }

    /// One public key in PEM (`PUBLIC KEY`): RSA, elliptic curve or Ed25519.
    ///
    /// # Errors
    /// [`BadKeys`] when it is none of these, or a short RSA key.
    pub fn from_public_pem(pem: &str) -> Result<Self, BadKeys> {
        let bytes = pem.as_bytes();
        let kinds: [(fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>, &[Algorithm]); 3] = [
            (DecodingKey::from_rsa_pem, RSA),
            (DecodingKey::from_ec_pem, &[Algorithm::ES256, Algorithm::ES384]),
            (DecodingKey::from_ed_pem, &[Algorithm::EdDSA]),
        ];
        let key = kinds.iter().find_map(|(read, algorithms)| Some((read(bytes).ok()?, algorithms)));
        let (key, algorithms) = key.ok_or(BadKeys)?;
        if algorithms.contains(&Algorithm::RS256) && rsa_der_bits(&key) < RSA_BITS_MIN {
            return Err(BadKeys);
        }
        Ok(Self(vec![Key { id: None, algorithms: algorithms.to_vec(), key }]))
    }
}

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Size of an RSA public key; the DER of a key has a few dozen bytes beside its modulus.
fn rsa_der_bits(key: &DecodingKey) -> usize {
    key.try_get_as_bytes().map_or(0, |der| der.len().saturating_sub(8) * 8)
}

fn signing_key(jwk: &Jwk) -> Option<Key> {
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if modulus_bits(&rsa.n) >= RSA_BITS_MIN => RSA.to_vec(),
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    if let Some(named) = jwk.common.key_algorithm {
        let named = named.to_string();
        algorithms.retain(|algorithm| format!("{algorithm:?}") == named);
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    (!algorithms.is_empty()).then(|| Key { id: jwk.common.key_id.clone(), algorithms, key })
}

/// Bits of a modulus in base64url, counted generously by less than one byte.
fn modulus_bits(text: &str) -> usize {
    text.trim_end_matches('=').len() * 6 / 8 * 8
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
    if token.len() > JWT_BYTES_MAX {
        return Err(JwtRefused::Malformed);
    }
    let header = header(token)?;
    let fits = |key: &&Key| key.algorithms.contains(&header.alg);
    let named = |key: &&Key| match (&header.kid, &key.id) {
        (Some(wanted), Some(id)) => wanted == id,
        _ => true,
    };
    let mut refused = JwtRefused::UnknownKey;
    for key in keys.0.iter().filter(fits).filter(named) {
        match jsonwebtoken::decode::<JwtClaims>(token, &key.key, &signature_only(header.alg)) {
            Ok(data) => return check(data.claims, expected),
            Err(_) => refused = JwtRefused::Signature,
        }
    }
    Err(refused)
}

/// The header, whose algorithm is one of those that exist here.
fn header(token: &str) -> Result<Header, JwtRefused> {
    let head = token.split('.').next().unwrap_or_default();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, head);
    let fields: Map<String, Value> =
        serde_json::from_slice(&bytes.map_err(|_| JwtRefused::Malformed)?)
            .map_err(|_| JwtRefused::Malformed)?;
    if fields.contains_key("crit") || token.split('.').count() != 3 {
        return Err(JwtRefused::Malformed);
    }
    // An unknown name, `none` among them, is an algorithm that is not accepted.
    let header = jsonwebtoken::decode_header(token).map_err(|_| JwtRefused::Algorithm)?;
    let hmac = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    if hmac.contains(&header.alg) { Err(JwtRefused::Algorithm) } else { Ok(header) }
}

/// The library checks the signature; claims are checked here, against the time handed in.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
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

/// An RSA private key that signs tokens with RS256.
pub struct JwtSigner(EncodingKey);

impl fmt::Debug for JwtSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSigner([secret])")
    }
}

impl JwtSigner {
    /// Reads an RSA private key in PEM (PKCS #8 or PKCS #1).
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn from_rsa_pem(pem: &SecretString) -> Result<Self, BadKeys> {
        EncodingKey::from_rsa_pem(pem.expose().as_bytes()).map(Self).map_err(|_| BadKeys)
    }

    /// The signed token that says `claims`.
    ///
    /// # Errors
    /// [`BadKeys`] when the key cannot sign.
    pub fn sign(&self, claims: &JwtClaims) -> Result<String, BadKeys> {
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &self.0).map_err(|_| BadKeys)
    }
}
