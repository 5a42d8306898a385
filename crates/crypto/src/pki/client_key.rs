//! A client's private key, which answers a challenge where the client is: at its gateway.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use keysherd_base::{SecretBytes, SecretString};

use super::{PEM_BYTES_MAX, PkiFailed};

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key that signs for a certificate.
pub struct ClientKey(Pair);

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientKey([secret])")
    }
}

impl ClientKey {
    /// Reads the first private key of a PEM text: RSA, P-256, P-384, P-521 or Ed25519, in PKCS #8
    /// or the older form of its kind, without a passphrase.
    ///
    /// # Errors
    /// [`PkiFailed::Pem`].
    pub fn from_pem(pem: &SecretString) -> Result<Self, PkiFailed> {
        if pem.expose().len() > PEM_BYTES_MAX {
            return Err(PkiFailed::Pem);
        }
        for block in x509_parser::pem::Pem::iter_from_buffer(pem.expose().as_bytes()) {
            let block = block.map_err(|_| PkiFailed::Pem)?;
            let der = SecretBytes::new(block.contents);
            if block.label.ends_with("PRIVATE KEY") {
                let pair = pair(&block.label, der.expose());
                return pair.map(Self).ok_or(PkiFailed::Pem);
            }
        }
        Err(PkiFailed::Pem)
    }

    /// Signs `message`: RSA with PKCS #1 v1.5 over SHA-256, ECDSA (ASN.1) over the hash of the
    /// curve's size, Ed25519.
    ///
    /// # Errors
    /// [`PkiFailed::Library`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PkiFailed> {
        let rng = SystemRandom::new();
        let failed = |_| PkiFailed::Library;
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair) => {
                pair.sign(&rng, message).map(|made| made.as_ref().to_vec()).map_err(failed)
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

fn pair(label: &str, der: &[u8]) -> Option<Pair> {
    let curves = [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ];
    let ecdsa = |read: &dyn Fn(_) -> Option<EcdsaKeyPair>| {
        curves.into_iter().find_map(read).map(Pair::Ecdsa)
    };
    match label {
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(der).ok().map(Pair::Rsa),
        "EC PRIVATE KEY" => ecdsa(&|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok()),
        "PRIVATE KEY" => ecdsa(&|curve| EcdsaKeyPair::from_pkcs8(curve, der).ok())
            .or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(Pair::Rsa))
            .or_else(|| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Pair::Ed25519)),
        _ => None,
    }
}
