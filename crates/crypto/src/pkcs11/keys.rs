//! What a token does with its keys: Ed25519 signatures, HMAC-SHA-256, AES-256-GCM.

use cryptoki::error::{Error as Raw, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, KeyType, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use keysherd_base::{Rng, Secret, SecretBytes};

use super::{Failure, KeyClass, Token, TokenError, demand_free, ec_point, find};
use crate::aead::{NONCE_BYTES, TAG_BYTES};
use crate::sign::{PublicKey, Signature, labeled};

/// Most bytes that are sealed in one call: keys, not data.
pub const SEALED_BYTES_MAX: usize = 4_096;

/// The curve by name, as PKCS#11 2.40 tokens want it: `PrintableString` edwards25519.
const CURVE_BY_NAME: &[u8] = b"\x13\x0cedwards25519";
/// The curve by object identifier 1.3.101.112 (RFC 8410), as PKCS#11 3 tokens want it.
const CURVE_BY_OID: &[u8] = b"\x06\x03\x2b\x65\x70";
/// Bytes of every secret key that is made here.
const SECRET_KEY_BYTES: u64 = 32;
const GCM_TAG_BITS: u64 = 128;

impl Token {
    /// Makes an Ed25519 key pair on the token.
    ///
    /// # Errors
    /// [`TokenError::KeyExists`] for a label in use; [`TokenError::Operation`].
    pub fn generate_ed25519(&self, label: &str) -> Result<PublicKey, TokenError> {
        self.run("making an Ed25519 key", |session| {
            demand_free(session, &[KeyClass::Private, KeyClass::Public], label)?;
            let made = match generate_pair(session, label, CURVE_BY_NAME) {
                Err(Raw::Pkcs11(
                    RvError::AttributeValueInvalid
                    | RvError::CurveNotSupported
                    | RvError::DomainParamsInvalid
                    | RvError::TemplateInconsistent,
                    _,
                )) => generate_pair(session, label, CURVE_BY_OID)?,
                other => other?,
            };
            public_of_point(&ec_point(session, made)?)
        })
    }

    /// The public key with this label.
    ///
    /// # Errors
    /// [`TokenError::NoKey`], [`TokenError::SeveralKeys`], [`TokenError::NotEd25519`],
    /// [`TokenError::Operation`].
    pub fn ed25519_public(&self, label: &str) -> Result<PublicKey, TokenError> {
        self.run("reading a public key", |session| {
            let key = find(session, KeyClass::Public, label)?;
            public_of_point(&ec_point(session, key)?)
        })
    }

    /// Signs `purpose | 00 | body`, as [`crate::sign::SigningKey::sign`] does, with the private
    /// key with this label. The signature is verified before it is returned: a token that signs
    /// something else is found here, not where it matters.
    ///
    /// # Errors
    /// [`TokenError::NoKey`], [`TokenError::SeveralKeys`], [`TokenError::NotEd25519`],
    /// [`TokenError::Operation`].
    pub fn sign_ed25519(
        &self,
        label: &str,
        purpose: &str,
        body: &[u8],
    ) -> Result<Signature, TokenError> {
        let message = labeled(purpose, body);
        self.run("signing", |session| {
            let key = find(session, KeyClass::Private, label)?;
            let public = find(session, KeyClass::Public, label)?;
            let public = public_of_point(&ec_point(session, public)?)?;
            let scheme = EddsaParams::new(EddsaSignatureScheme::Ed25519);
            let signature = session.sign(&Mechanism::Eddsa(scheme), key, &message)?;
            let signature = Signature::from_slice(&signature).ok_or(TokenError::NotEd25519)?;
            if !public.verify(purpose, body, &signature) {
                return Err(TokenError::NotEd25519.into());
            }
            Ok(signature)
        })
    }

    /// Makes a 32-byte key for HMAC-SHA-256 on the token.
    ///
    /// # Errors
    /// [`TokenError::KeyExists`] for a label in use; [`TokenError::Operation`].
    pub fn generate_hmac(&self, label: &str) -> Result<(), TokenError> {
        self.run("making an HMAC key", |session| {
            demand_free(session, &[KeyClass::Secret], label)?;
            let mut template = secret_template(label, KeyType::GENERIC_SECRET);
            template.extend([Attribute::Sign(true), Attribute::Verify(true)]);
            session.generate_key(&Mechanism::GenericSecretKeyGen, &template)?;
            Ok(())
        })
    }

    /// HMAC-SHA-256 of `data` under the secret key with this label.
    ///
    /// # Errors
    /// [`TokenError::NoKey`], [`TokenError::SeveralKeys`], [`TokenError::Operation`].
    pub fn hmac_sha256(&self, label: &str, data: &[u8]) -> Result<Secret<[u8; 32]>, TokenError> {
        self.run("computing an HMAC", |session| {
            let key = find(session, KeyClass::Secret, label)?;
            let mac = Secret::new(session.sign(&Mechanism::Sha256Hmac, key, data)?);
            let mac: [u8; 32] =
                mac.expose().as_slice().try_into().map_err(|_| TokenError::Operation {
                    what: "computing an HMAC",
                    why: format!("the token returned {} bytes, not 32", mac.expose().len()),
                    unsupported: false,
                })?;
            Ok(Secret::new(mac))
        })
    }

    /// Makes an AES-256 key for sealing on the token.
    ///
    /// # Errors
    /// [`TokenError::KeyExists`] for a label in use; [`TokenError::Operation`].
    pub fn generate_aes(&self, label: &str) -> Result<(), TokenError> {
        self.run("making an AES key", |session| {
            demand_free(session, &[KeyClass::Secret], label)?;
            let mut template = secret_template(label, KeyType::AES);
            template.extend([Attribute::Encrypt(true), Attribute::Decrypt(true)]);
            session.generate_key(&Mechanism::AesKeyGen, &template)?;
            Ok(())
        })
    }

    /// Seals `plaintext` with AES-256-GCM under the secret key with this label, bound to
    /// `context`: nonce, ciphertext, tag.
    ///
    /// # Errors
    /// [`TokenError::NoKey`], [`TokenError::SeveralKeys`], [`TokenError::Operation`], also for more
    /// than [`SEALED_BYTES_MAX`]; [`TokenError::Random`].
    pub fn seal(
        &self,
        label: &str,
        context: &[u8],
        plaintext: &SecretBytes,
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, TokenError> {
        const WHAT: &str = "sealing";
        if plaintext.expose().len() > SEALED_BYTES_MAX {
            let why = format!("more than {SEALED_BYTES_MAX} bytes");
            return Err(TokenError::Operation { what: WHAT, why, unsupported: false });
        }
        let nonce: [u8; NONCE_BYTES] = rng.array().map_err(|_| TokenError::Random)?;
        self.run(WHAT, |session| {
            let key = find(session, KeyClass::Secret, label)?;
            // Some tokens choose the nonce themselves and write it here.
            let mut used = nonce;
            let params = GcmParams::new(&mut used, context, Ulong::new(GCM_TAG_BITS))?;
            let sealed = session.encrypt(&Mechanism::AesGcm(params), key, plaintext.expose())?;
            Ok([used.as_slice(), &sealed].concat())
        })
    }

    /// Opens what [`Self::seal`] sealed under the same label and context.
    ///
    /// # Errors
    /// [`TokenError::OpenFailed`]; [`TokenError::NoKey`], [`TokenError::SeveralKeys`],
    /// [`TokenError::Operation`].
    pub fn unseal(
        &self,
        label: &str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<SecretBytes, TokenError> {
        let (nonce, ciphertext) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or(TokenError::OpenFailed)?;
        if !(TAG_BYTES..=SEALED_BYTES_MAX + TAG_BYTES).contains(&ciphertext.len()) {
            return Err(TokenError::OpenFailed);
        }
        self.run("opening", |session| {
            let key = find(session, KeyClass::Secret, label)?;
            let mut nonce = *nonce;
            let params = GcmParams::new(&mut nonce, context, Ulong::new(GCM_TAG_BITS))?;
            match session.decrypt(&Mechanism::AesGcm(params), key, ciphertext) {
                Ok(plaintext) => Ok(Secret::new(plaintext)),
                // Tokens do not agree on the code for a wrong tag.
                Err(Raw::Pkcs11(
                    RvError::EncryptedDataInvalid
                    | RvError::EncryptedDataLenRange
                    | RvError::DataInvalid
                    | RvError::GeneralError
                    | RvError::FunctionFailed,
                    _,
                )) => Err(TokenError::OpenFailed.into()),
                Err(error) => Err(error.into()),
            }
        })
    }
}

fn generate_pair(session: &Session, label: &str, curve: &[u8]) -> Result<ObjectHandle, Raw> {
    let label = label.as_bytes().to_vec();
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Label(label.clone()),
        Attribute::Id(label.clone()),
        Attribute::Verify(true),
        Attribute::EcParams(curve.to_vec()),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Label(label.clone()),
        Attribute::Id(label),
        Attribute::Sign(true),
    ];
    let (public, _) =
        session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private)?;
    Ok(public)
}

fn secret_template(label: &str, kind: KeyType) -> Vec<Attribute> {
    vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::KeyType(kind),
        Attribute::ValueLen(Ulong::new(SECRET_KEY_BYTES)),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(label.as_bytes().to_vec()),
    ]
}

/// The key in `CKA_EC_POINT`: DER `OCTET STRING` (2.40), DER `BIT STRING`, or the bytes themselves.
fn public_of_point(point: &[u8]) -> Result<PublicKey, Failure> {
    let key = match point {
        [0x04, 0x20, key @ ..] | [0x03, 0x21, 0x00, key @ ..] if key.len() == 32 => key,
        key => key,
    };
    PublicKey::from_slice(key).ok_or(Failure::Token(TokenError::NotEd25519))
}
