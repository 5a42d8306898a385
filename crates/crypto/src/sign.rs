//! Ed25519 signatures (RFC 8032) with a label that says what a signature is for.
//!
//! The signed bytes are `label | 00 | body`. Labels are constants of the program without a zero
//! byte, so a signature made for one purpose never verifies for another.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Rng, RngFailed, Secret, SecretString};
use zeroize::Zeroizing;

use crate::hash::sha256;

#[cfg(test)]
mod tests;

/// The DER of an Ed25519 `SubjectPublicKeyInfo` up to the key itself (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The DER of an Ed25519 PKCS#8 private key up to the seed (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// A signing key: the 32-byte seed of RFC 8032 and what is derived from it.
pub struct SigningKey {
    seed: Secret<[u8; 32]>,
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn generate(rng: &dyn Rng) -> Result<Self, RngFailed> {
        let mut seed = Secret::new([0; 32]);
        rng.fill(seed.expose_mut())?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that grows from `seed`.
    pub fn from_seed(seed: &Secret<[u8; 32]>) -> Self {
        use aws_lc_rs::signature::KeyPair;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())
            .expect("invariant: every 32-byte seed is a key");
        let public = pair.public_key().as_ref();
        let public = PublicKey::from_slice(public).expect("invariant: public keys have 32 bytes");
        Self { seed: Secret::new(*seed.expose()), pair, public }
    }

    /// The seed: the whole private key.
    pub fn seed(&self) -> &Secret<[u8; 32]> {
        &self.seed
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The key as one PEM block of PKCS#8 version 1 (RFC 8410 section 7).
    pub fn pkcs8_pem(&self) -> SecretString {
        let mut der = Zeroizing::new([0; 48]);
        der[..16].copy_from_slice(&PKCS8_PREFIX);
        der[16..].copy_from_slice(self.seed.expose());
        let body = Zeroizing::new(STANDARD.encode(der.as_slice()));
        Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body))
    }

    /// Signs a text as it is, for [`crate::note`] alone, which keeps zero bytes out.
    pub(crate) fn sign_text(&self, text: &str) -> Signature {
        let signature = self.pair.sign(text.as_bytes());
        Signature::from_slice(signature.as_ref()).expect("invariant: signatures have 64 bytes")
    }

    /// Signs `label | 00 | body`.
    pub fn sign(&self, label: &str, body: &[u8]) -> Signature {
        let signature = self.pair.sign(&labeled(label, body));
        Signature::from_slice(signature.as_ref()).expect("invariant: signatures have 64 bytes")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public)
    }
}

/// An Ed25519 public key, compressed point. Not checked to be on the curve: a key that is not
/// verifies nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Reads 32 bytes; `None` when there are not exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads the DER `SubjectPublicKeyInfo` of an Ed25519 key (RFC 8410); `None` for all else.
    pub fn from_spki_der(der: &[u8]) -> Option<Self> {
        der.strip_prefix(SPKI_PREFIX.as_slice()).and_then(Self::from_slice)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` was made over `label | 00 | body` by this key.
    ///
    /// The library decodes the point anew each time, so keeping a parsed key would save nothing.
    pub fn verify(&self, label: &str, body: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(&labeled(label, body), &signature.0)
            .is_ok()
    }

    /// Whether this key signed the text of a note as it is.
    pub(crate) fn verify_text(&self, text: &str, signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(text.as_bytes(), &signature.0).is_ok()
    }

    /// The DER `SubjectPublicKeyInfo` (RFC 8410), 44 bytes.
    pub fn spki_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.0].concat()
    }

    /// SHA-256 of [`Self::spki_der`]: the pin of a certificate with this key.
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&[&SPKI_PREFIX, &self.0])
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// An Ed25519 signature, `R | S`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Reads 64 bytes; `None` when there are not exactly 64.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

pub(crate) fn labeled(label: &str, body: &[u8]) -> Vec<u8> {
    debug_assert!(!label.as_bytes().contains(&0), "a label may not contain a zero byte");
    [label.as_bytes(), &[0], body].concat()
}
