//! Keys of an issuer and the tokens it signs, good and forged, for the tests of every crate that
//! takes tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};
use serde_json::{Value, json};

/// A signing key of an issuer.
pub(crate) struct TokenKey {
    algorithm: Algorithm,
    id: String,
    private: EncodingKey,
    pair: KeyPair,
}

impl TokenKey {
    /// A fresh key for an algorithm such as `ES256`, with the id `id`.
    pub(crate) fn new(algorithm: &str, id: &str) -> Self {
        let algorithm: Algorithm = algorithm.parse().unwrap();
        let kind = match algorithm {
            Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &PKCS_ECDSA_P384_SHA384,
            Algorithm::EdDSA => &PKCS_ED25519,
            _ => &PKCS_RSA_SHA256,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let private = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self { algorithm, id: id.to_owned(), private: private.unwrap(), pair }
    }

    /// The public key as an entry of a key set.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = match self.algorithm {
            Algorithm::EdDSA => {
                let x = URL_SAFE_NO_PAD.encode(self.pair.public_key_raw());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA"})
            }
            algorithm => {
                let jwk = Jwk::from_encoding_key(&self.private, algorithm).unwrap();
                serde_json::to_value(jwk).unwrap()
            }
        };
        let Value::Object(mut jwk) = jwk else { panic!("{jwk}") };
        jwk.insert("kid".to_owned(), self.id.as_str().into());
        jwk.insert("use".to_owned(), "sig".into());
        Value::Object(jwk)
    }

    /// The public key in PEM.
    pub(crate) fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The key itself, for certificates.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// A token that says `claims`.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.id});
        self.sign_as(&header.to_string(), &claims.to_string())
    }

    /// A token with this header and these claims, as they are, signed by this key in its own way,
    /// whatever the header says.
    pub(crate) fn sign_as(&self, header: &str, claims: &str) -> String {
        signed(header, claims, &self.private, self.algorithm)
    }
}

/// A token signed with HS256 under `secret`.
pub(crate) fn sign_hs256(header: &str, claims: &str, secret: &[u8]) -> String {
    signed(header, claims, &EncodingKey::from_secret(secret), Algorithm::HS256)
}

fn signed(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let signed = unsigned(header, claims);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

/// The part of a token that is signed.
pub(crate) fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

/// A key set.
pub(crate) fn key_set(keys: &[&TokenKey]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}
