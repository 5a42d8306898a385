//! Tokens that a gateway signs.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use keysherd_base::SecretString;

use super::{BadKeys, JwtClaims};

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

    /// The signature of other bytes by the same key (RSASSA-PKCS1-v1_5 with SHA-256), in base64
    /// (RFC 4648 section 5) without padding.
    ///
    /// # Errors
    /// [`BadKeys`] when the key cannot sign.
    pub fn signature(&self, bytes: &[u8]) -> Result<String, BadKeys> {
        jsonwebtoken::crypto::sign(bytes, &self.0, Algorithm::RS256).map_err(|_| BadKeys)
    }

    /// A signed token with the name of the key (`kid`), for those who know several of its holder.
    ///
    /// # Errors
    /// [`BadKeys`] when the key cannot sign.
    pub fn sign_as(&self, claims: &JwtClaims, key_id: &str) -> Result<String, BadKeys> {
        let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.0).map_err(|_| BadKeys)
    }
}
