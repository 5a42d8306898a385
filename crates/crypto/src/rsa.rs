//! RSA key pairs that this program makes, for auth methods whose gateway signs what it has checked
//! and for machines; and those that it is given.

mod numbers;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{RngFailed, Secret, SecretString};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// Characters of base64 in a line of PEM (RFC 7468 section 2).
const LINE_CHARS: usize = 64;

pub use numbers::{RsaKey, RsaNumbers};

/// How long a key is.
pub use aws_lc_rs::rsa::KeySize;

/// The public half of an RSA private key in PEM (PKCS #8 or PKCS #1), as an X.509 public key in
/// DER. `None`: it is none, or is encrypted.
pub fn public_der(private_pem: &SecretString) -> Option<Vec<u8>> {
    let key = PrivateKeyDer::from_pem_slice(private_pem.expose().as_bytes()).ok()?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?,
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()).ok()?,
        _ => return None,
    };
    let public: PublicKeyX509Der<'_> =
        aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().ok()?;
    Some(public.as_ref().to_vec())
}

/// A fresh RSA key pair in PEM.
#[derive(Debug)]
pub struct RsaPair {
    /// `PRIVATE KEY` (PKCS #8).
    pub private_pem: SecretString,
    /// `PUBLIC KEY` (X.509).
    pub public_pem: String,
}

impl RsaPair {
    /// Makes one of 2048 bits; takes up to a second. See [`RsaPair::of_size`].
    ///
    /// # Errors
    /// [`RngFailed`] when the library's random source fails.
    pub fn generate() -> Result<Self, RngFailed> {
        Self::of_size(KeySize::Rsa2048)
    }

    /// Makes one; takes up to some seconds where it is long. The primes come from the library's own
    /// random source, because it takes no other.
    ///
    /// # Errors
    /// [`RngFailed`] when that source fails.
    pub fn of_size(size: KeySize) -> Result<Self, RngFailed> {
        let pair = KeyPair::generate(size).map_err(|_| RngFailed)?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| RngFailed)?;
        let public: PublicKeyX509Der<'_> =
            aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().map_err(|_| RngFailed)?;
        Ok(Self {
            private_pem: Secret::new(pem("PRIVATE KEY", private.as_ref())),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
        })
    }
}

/// One PEM block. Room is reserved first, so that a private key leaves no copies behind.
fn pem(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let lines = body.len() / LINE_CHARS + 1;
    let mut text = String::with_capacity(body.len() + lines + 2 * label.len() + 40);
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE_CHARS));
        text.extend([line, "\n"]);
        rest = after;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use keysherd_base::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::jwt::{Expected, JwtKeys, JwtRefused, JwtSigner, verify};

    #[test]
    fn what_one_half_signs_the_other_verifies_and_no_other_does() {
        let (pair, other) = (RsaPair::generate().unwrap(), RsaPair::generate().unwrap());
        let signer = JwtSigner::from_rsa_pem(&pair.private_pem).unwrap();
        let claims = json!({"exp": 1_000, "sub": "it"});
        let token = signer.sign(claims.as_object().unwrap()).unwrap();
        let expected = Expected {
            issuers: &[],
            audiences: &[],
            now: Timestamp::from_seconds(900),
            skew_seconds: 0,
        };
        let keys = |pem: &str| JwtKeys::from_public_pem(pem).unwrap();
        let read = verify(&token, &keys(&pair.public_pem), &expected).unwrap();
        assert_eq!(read["sub"], "it");
        let refused = verify(&token, &keys(&other.public_pem), &expected);
        assert_eq!(refused, Err(JwtRefused::UnknownKey));
        let public = pem("PUBLIC KEY", &public_der(&pair.private_pem).unwrap());
        assert_eq!(public, pair.public_pem);
        assert!(public_der(&Secret::new(pair.public_pem.clone())).is_none());
        assert!(pair.private_pem.expose().lines().all(|line| line.len() <= LINE_CHARS));
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }
}
