//! Private keys of users: their kinds, and how they are made, read, written and signed with.
//!
//! RSA is the cryptographic library's, not russh's, and signs with SHA-512 only.

use std::sync::Arc;

use keysherd_base::{Fault, Rng, Secret, SecretBytes, SecretString};
use keysherd_crypto::rsa::{KeySize, RsaKey, RsaNumbers};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData, RsaKeypair, RsaPrivateKey};
use russh::keys::ssh_key::public::RsaPublicKey;
use russh::keys::ssh_key::{EcdsaCurve, LineEnding, Mpint};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use russh::{SendError, Signer};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::sealed;

#[cfg(test)]
mod tests;

/// How RSA signatures are called that are made here (RFC 8332).
const SIGNATURE: &str = "rsa-sha2-512";
/// Draws of a number below the order of a curve: nearly every one is.
const DRAWS_MAX: usize = 16;

/// A kind of key, with its length where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Ed25519.
    Ed25519,
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
}

impl KeyKind {
    /// All of them, with the names that V2 has for them.
    pub const ALL: [(&'static str, Self); 7] = [
        ("ED25519", Self::Ed25519),
        ("ECDSA256", Self::EcdsaP256),
        ("ECDSA384", Self::EcdsaP384),
        ("ECDSA521", Self::EcdsaP521),
        ("RSA2048", Self::Rsa2048),
        ("RSA3072", Self::Rsa3072),
        ("RSA4096", Self::Rsa4096),
    ];

    /// The kind of this name, in capitals or not.
    pub fn by_name(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, kind)| *kind)
    }
}

/// Works for a while without keeping other tasks of this thread from going on.
fn beside<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A private key with its public one.
pub struct Key {
    private: Arc<PrivateKey>,
    /// The same where it is RSA.
    rsa: Option<Arc<RsaKey>>,
}

impl Key {
    /// Makes a key of this kind. One of RSA takes up to some seconds, and the library's own random
    /// source, because it takes no other.
    ///
    /// # Errors
    /// [`Fault::internal`] when a random source fails.
    pub fn fresh(kind: KeyKind, rng: &dyn Rng) -> Result<Self, Fault> {
        let rsa = |size| {
            let rsa = beside(|| RsaKey::generate(size)).map_err(Fault::internal)?;
            Self::of_rsa(rsa).ok_or_else(unwritten)
        };
        match kind {
            KeyKind::Ed25519 => Self::of_seed(&rng.array()?),
            KeyKind::EcdsaP256 => drawn::<32>(&P256, rng),
            KeyKind::EcdsaP384 => drawn::<48>(&P384, rng),
            KeyKind::EcdsaP521 => drawn::<66>(&P521, rng),
            KeyKind::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyKind::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyKind::Rsa4096 => rsa(KeySize::Rsa4096),
        }
    }

    /// Makes an Ed25519 key of this seed.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn of_seed(seed: &[u8; 32]) -> Result<Self, Fault> {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
        let private = PrivateKey::new(pair, "").map_err(Fault::internal)?;
        Ok(Self { private: Arc::new(private), rsa: None })
    }

    /// Reads a private key in PEM or OpenSSH's form.
    ///
    /// # Errors
    /// [`Fault::bad_request`] that says nothing of the key.
    pub fn read(text: &SecretString, passphrase: Option<&SecretString>) -> Result<Self, Fault> {
        let unread = || {
            Fault::bad_request(
                "the private key cannot be read: it must be an Ed25519, ECDSA or RSA key (of 2048 \
                 to 8192 bits) in PEM or OpenSSH's form, with its passphrase if it has one (of at \
                 most 128 rounds; of PEM, a million of PBKDF2); RSA keys in PEM have none",
            )
        };
        let opened = match passphrase {
            // A passphrase is made slow to try.
            Some(_) => beside(|| sealed::opened(text, passphrase)),
            None => sealed::opened(text, None),
        };
        let Some(private) = opened else {
            let der = sealed::in_pem(text).ok_or_else(unread)?;
            return RsaKey::from_der(&der).and_then(Self::of_rsa).ok_or_else(unread);
        };
        let rsa = match private.key_data() {
            KeypairData::Rsa(pair) => Some(Arc::new(rsa_of(pair).ok_or_else(unread)?)),
            _ if private.algorithm().is_ed25519() || private.algorithm().is_ecdsa() => None,
            _ => return Err(unread()),
        };
        Ok(Self { private: Arc::new(private), rsa })
    }

    fn of_rsa(rsa: RsaKey) -> Option<Self> {
        let RsaNumbers { n, e, d, p, q, q_inverse } = rsa.numbers()?;
        let number = |bytes: &[u8]| Mpint::from_positive_bytes(bytes);
        let secret = |bytes: &SecretBytes| number(bytes.expose());
        let public = RsaPublicKey::new(number(&e), number(&n)).ok()?;
        let (d, p, q) = (secret(&d), secret(&p), secret(&q));
        let private = RsaPrivateKey::new(d, secret(&q_inverse), p, q).ok()?;
        let pair = KeypairData::Rsa(RsaKeypair::new(public, private).ok()?);
        let private = PrivateKey::new(pair, "").ok()?;
        Some(Self { private: Arc::new(private), rsa: Some(Arc::new(rsa)) })
    }

    /// What kind of key takes the place of this one: the same, and of RSA the next length that new
    /// ones have.
    pub fn kind(&self) -> KeyKind {
        match (self.private.algorithm(), &self.rsa) {
            (_, Some(rsa)) => match rsa.bits() {
                ..=2048 => KeyKind::Rsa2048,
                2049..=3072 => KeyKind::Rsa3072,
                _ => KeyKind::Rsa4096,
            },
            (Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }, None) => KeyKind::EcdsaP256,
            (Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }, None) => KeyKind::EcdsaP384,
            (Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }, None) => KeyKind::EcdsaP521,
            _ => KeyKind::Ed25519,
        }
    }

    /// The private key in OpenSSH's form.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn private(&self) -> Result<SecretString, Fault> {
        let text = self.private.to_openssh(LineEnding::LF).map_err(Fault::internal)?;
        Ok(SecretString::new(text.to_string()))
    }

    /// The public key as lines of `authorized_keys` have it: its type and its value in base64.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn public(&self) -> Result<(String, String), Fault> {
        let line = PublicKey::new(self.private.public_key().key_data().clone(), "");
        let line = line.to_openssh().map_err(Fault::internal)?;
        let mut parts = line.split_ascii_whitespace();
        match (parts.next(), parts.next()) {
            (Some(kind), Some(value)) => Ok((kind.to_owned(), value.to_owned())),
            _ => Err(Fault::internal("a public key has no type or no value")),
        }
    }

    /// What signs with it where it is RSA, and its public half.
    pub(super) fn signer(&self) -> Option<(RsaSigner, PublicKey)> {
        let rsa = Arc::clone(self.rsa.as_ref()?);
        Some((RsaSigner(rsa), self.private.public_key().clone()))
    }

    /// What russh signs with.
    pub(super) fn plain(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.private)
    }
}

fn unwritten() -> Fault {
    Fault::internal("a key that was made cannot be written")
}

fn rsa_of(pair: &RsaKeypair) -> Option<RsaKey> {
    let (public, private) = (pair.public(), pair.private());
    let number = |number: &Mpint| number.as_positive_bytes().map(<[u8]>::to_vec);
    let secret = |of: &Mpint| number(of).map(Secret::new);
    RsaKey::of_numbers(&RsaNumbers {
        n: number(public.n())?,
        e: number(public.e())?,
        d: secret(private.d())?,
        p: secret(private.p())?,
        q: secret(private.q())?,
        q_inverse: secret(private.iqmp())?,
    })
}

/// How an ECDSA key begins in PKCS #8 (RFC 5958, RFC 5915): all but its number, which ends it.
struct Curve {
    begins: &'static [u8],
    /// Bits of the first byte of the number.
    mask: u8,
}

const P256: Curve = Curve {
    begins: b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\
              \xce\x3d\x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20",
    mask: 0xff,
};
const P384: Curve = Curve {
    begins: b"\x30\x4e\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\
              \x00\x22\x04\x37\x30\x35\x02\x01\x01\x04\x30",
    mask: 0xff,
};
const P521: Curve = Curve {
    begins: b"\x30\x60\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\
              \x00\x23\x04\x49\x30\x47\x02\x01\x01\x04\x42",
    mask: 0x01,
};

/// An ECDSA key whose number is drawn; one that is no number of the curve is drawn again.
fn drawn<const N: usize>(curve: &Curve, rng: &dyn Rng) -> Result<Key, Fault> {
    for _ in 0..DRAWS_MAX {
        let mut number = Secret::new(rng.array::<N>()?);
        if let Some(first) = number.expose_mut().first_mut() {
            *first &= curve.mask;
        }
        let mut der = Secret::new(Vec::with_capacity(curve.begins.len() + N));
        der.expose_mut().extend_from_slice(curve.begins);
        der.expose_mut().extend_from_slice(number.expose());
        let pem = sealed::written(&der);
        if let Ok(private) = decode_secret_key(pem.expose(), None) {
            return Ok(Key { private: Arc::new(private), rsa: None });
        }
    }
    Err(unwritten())
}

/// Signs in the place of russh.
pub(super) struct RsaSigner(Arc<RsaKey>);

/// Why nothing was signed.
pub(super) enum Unsigned {
    /// The session has ended.
    Lost,
    /// The key cannot, which is a defect.
    Defect,
}

impl From<SendError> for Unsigned {
    fn from(_: SendError) -> Self {
        Self::Lost
    }
}

impl RsaSigner {
    /// The algorithm that the machine is told.
    pub(super) const HASH: HashAlg = HashAlg::Sha512;
}

impl Signer for RsaSigner {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        mut request: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let signature = self.0.sign_sha512(&request).ok_or(Unsigned::Defect)?;
        // What was signed, and after it the signature with its name, each with its length.
        let length = |bytes: usize| u32::try_from(bytes).map_err(|_| Unsigned::Defect);
        let whole = length(SIGNATURE.len() + signature.len() + 8)?;
        request.extend(whole.to_be_bytes());
        for part in [SIGNATURE.as_bytes(), &signature] {
            request.extend(length(part.len())?.to_be_bytes());
            request.extend(part);
        }
        Ok(request)
    }
}
