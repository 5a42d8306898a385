//! The public keys that tokens are verified with: key sets (RFC 7517), keys and certificates.

use std::fmt;

use base64::Engine as _;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize as _;
use serde_json::Value;

use super::strict::object;
use super::{KEY_SET_BYTES_MAX, KEYS_MAX, RSA_BITS_MIN};
use crate::pki;

/// A text that holds no usable keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKeys;

/// The public keys an issuer signs with.
#[derive(Clone)]
pub struct JwtKeys(pub(super) Vec<Key>);

#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
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
        let set = object(text.as_bytes()).ok_or(BadKeys)?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or(BadKeys)?;
        if listed.len() > KEYS_MAX {
            return Err(BadKeys);
        }
        // One key nobody here understands does not spoil the others.
        let read = |key: &Value| signing_key(&Jwk::deserialize(key).ok()?);
        let keys: Vec<_> = listed.iter().filter_map(read).collect();
        if keys.is_empty() { Err(BadKeys) } else { Ok(Self(keys)) }
    }

    /// The key of one certificate in PEM, whoever issued it and however long it is valid.
    ///
    /// # Errors
    /// [`BadKeys`] when it is no certificate, or its key cannot be used.
    pub fn from_certificate_pem(pem: &str) -> Result<Self, BadKeys> {
        let der = pki::certificate_der(pem).ok_or(BadKeys)?;
        let spki = pki::certificate_spki(&der).ok_or(BadKeys)?;
        let body = base64::engine::general_purpose::STANDARD.encode(spki);
        Self::from_public_pem(&format!(
            "-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
        ))
    }

    /// One public key in PEM (`PUBLIC KEY`): RSA, elliptic curve or Ed25519.
    ///
    /// # Errors
    /// [`BadKeys`] when it is none of these, or a short RSA key.
    pub fn from_public_pem(pem: &str) -> Result<Self, BadKeys> {
        let bytes = pem.as_bytes();
        let kinds: [(ReadPem, &[Algorithm]); 3] = [
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

/// How one kind of key is read from PEM.
type ReadPem = fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>;

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
