//! A secret document that is carried from one machine to another: sealed to whoever shall open it,
//! signed by whoever sealed it.
//!
//! ```text
//! "KSF1-CA\n" | signer's key 32 | signature 64 | sealed (HPKE, `crate::hpke`)
//! info = "KSF1/carried" 00 purpose
//! associated data = "KSF1-CA\n" | signer's key
//! signature over "KSF1/sealed-by" 00 | SHA-256(recipient's public key) | SHA-256(sealed)
//! ```
//! HPKE in base mode does not say who sealed, and anybody may know a recipient's public key; so
//! the signature is checked first, and whose key it is decides whether the document is believed.
//! As the signer is in the associated data, nobody can pass on another's ciphertext as their own.

use keysherd_base::{Rng, Secret, SecretBytes};

use crate::hash::sha256;
use crate::hpke::{self, SealFailed};
use crate::sign::{PublicKey, Signature, SigningKey};
use crate::{OpenFailed, labels};

#[cfg(test)]
mod tests;

const MAGIC: &[u8; 8] = b"KSF1-CA\n";
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// How much longer a carried document is than what is in it, in bytes.
pub const OVERHEAD_BYTES: usize = MAGIC.len() + KEY_BYTES + SIGNATURE_BYTES + hpke::SEALED_OVERHEAD;

/// Seals `plaintext` to the public key `recipient`, signed by `signer`. `purpose` keeps a document
/// that was made for one use from being taken for another.
///
/// # Errors
/// [`SealFailed`].
pub fn seal(
    plaintext: &SecretBytes,
    purpose: &str,
    recipient: &[u8],
    signer: &SigningKey,
    rng: &dyn Rng,
) -> Result<Vec<u8>, SealFailed> {
    let head = head(&signer.public());
    let sealed = hpke::seal(recipient, &info(purpose), &head, plaintext.expose(), rng)?;
    let signature = signer.sign(labels::CARRIED_BY, &signed(recipient, &sealed));
    Ok([head.as_slice(), signature.as_bytes(), &sealed].concat())
}

/// A carried document that was not opened yet.
#[derive(Debug)]
pub struct Carried<'a> {
    signer: PublicKey,
    signature: Signature,
    sealed: &'a [u8],
}

impl<'a> Carried<'a> {
    /// Takes it apart; `None` for anything else. Nothing of it is verified.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (key, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
        let (signature, sealed) = rest.split_first_chunk::<SIGNATURE_BYTES>()?;
        if sealed.len() < hpke::SEALED_OVERHEAD {
            return None;
        }
        Some(Self { signer: PublicKey(*key), signature: Signature(*signature), sealed })
    }

    /// Whose signature it claims to have. It is theirs only if [`Self::open`] opens it.
    pub fn signer(&self) -> PublicKey {
        self.signer
    }

    /// Opens it with the seed of the recipient's private key, if its signer signed just this for
    /// just this recipient.
    ///
    /// # Errors
    /// [`OpenFailed`].
    pub fn open(&self, seed: &Secret<[u8; 32]>, purpose: &str) -> Result<SecretBytes, OpenFailed> {
        let recipient = hpke::public_key(seed);
        let signed = signed(&recipient, self.sealed);
        if !self.signer.verify(labels::CARRIED_BY, &signed, &self.signature) {
            return Err(OpenFailed);
        }
        hpke::open(seed, &info(purpose), &head(&self.signer), self.sealed)
    }
}

fn head(signer: &PublicKey) -> Vec<u8> {
    [MAGIC.as_slice(), signer.as_bytes()].concat()
}

fn info(purpose: &str) -> Vec<u8> {
    [labels::CARRIED.as_bytes(), &[0], purpose.as_bytes()].concat()
}

fn signed(recipient: &[u8], sealed: &[u8]) -> Vec<u8> {
    [sha256(&[recipient]), sha256(&[sealed])].concat()
}
