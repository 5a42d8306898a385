//! Sealing to a public key whose private half is far away: HPKE (RFC 9180) in base mode with the
//! hybrid KEM X-Wing (ML-KEM-768 and X25519, KEM id 0x647a), HKDF-SHA-256 and AES-256-GCM.
//!
//! ```text
//! public key 1216 | sealed = encapsulated key 1120 | ciphertext | tag 16
//! ```
//! The private key is the 32-byte seed of X-Wing. Base mode says nothing about who sealed: whoever
//! cares signs what is sealed. The library brings its own arithmetic of curve25519.

use std::convert::Infallible;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem as _, XWing};
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal_with_rng,
};
use keysherd_base::{Rng, RngFailed, Secret, SecretBytes};
use zeroize::Zeroizing;

use crate::OpenFailed;

#[cfg(test)]
mod tests;

/// Length of a public key, in bytes.
pub const PUBLIC_KEY_BYTES: usize = 1_216;
/// How much longer what is sealed is than the plaintext, in bytes.
pub const SEALED_OVERHEAD: usize = ENCAPSULATED_BYTES + 16;
const ENCAPSULATED_BYTES: usize = 1_120;
/// What X-Wing draws for one encapsulation.
const DRAWN_BYTES: usize = 64;

type PublicKey = <XWing as hpke::kem::Kem>::PublicKey;
type PrivateKey = <XWing as hpke::kem::Kem>::PrivateKey;
type Encapsulated = <XWing as hpke::kem::Kem>::EncappedKey;

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealFailed {
    /// The bytes are no public key.
    PublicKey,
    /// The random source failed.
    Random,
}

impl std::fmt::Display for SealFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PublicKey => "the recovery key is no X-Wing public key of 1216 bytes",
            Self::Random => "the random source failed; nothing was sealed",
        })
    }
}

impl std::error::Error for SealFailed {}

impl From<RngFailed> for SealFailed {
    fn from(_: RngFailed) -> Self {
        Self::Random
    }
}

/// The public key of the private key with this seed.
pub fn public_key(seed: &Secret<[u8; 32]>) -> Vec<u8> {
    XWing::sk_to_pk(&private_key(seed)).to_bytes().to_vec()
}

/// Whether the bytes are a public key.
pub fn is_public_key(bytes: &[u8]) -> bool {
    PublicKey::from_bytes(bytes).is_ok()
}

/// Seals `plaintext` to `public`. `info` and `associated` must be the same when it is opened.
///
/// # Errors
/// [`SealFailed`].
pub fn seal(
    public: &[u8],
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
    rng: &dyn Rng,
) -> Result<Vec<u8>, SealFailed> {
    let public = PublicKey::from_bytes(public).map_err(|_| SealFailed::PublicKey)?;
    let mut drawn = Drawn { bytes: Zeroizing::new([0; DRAWN_BYTES]), used: 0, short: false };
    rng.fill(&mut *drawn.bytes)?;
    let sealed = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &public,
        info,
        plaintext,
        associated,
        &mut drawn,
    );
    match sealed {
        Ok((encapsulated, ciphertext)) if !drawn.short => {
            Ok([encapsulated.to_bytes().as_slice(), &ciphertext].concat())
        }
        _ => Err(SealFailed::Random),
    }
}

/// Opens what was sealed to the public key of `seed`.
///
/// # Errors
/// [`OpenFailed`] for another key, info or associated data, and for changed bytes.
pub fn open(
    seed: &Secret<[u8; 32]>,
    info: &[u8],
    associated: &[u8],
    sealed: &[u8],
) -> Result<SecretBytes, OpenFailed> {
    let (encapsulated, ciphertext) =
        sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(OpenFailed)?;
    let encapsulated = Encapsulated::from_bytes(encapsulated).map_err(|_| OpenFailed)?;
    let opened = single_shot_open::<AesGcm256, HkdfSha256, XWing>(
        &OpModeR::Base,
        &private_key(seed),
        &encapsulated,
        info,
        ciphertext,
        associated,
    );
    opened.map(SecretBytes::new).map_err(|_| OpenFailed)
}

fn private_key(seed: &Secret<[u8; 32]>) -> PrivateKey {
    PrivateKey::from_bytes(seed.expose()).expect("invariant: every 32 bytes are a seed of X-Wing")
}

/// Random bytes that were drawn before, because our source can fail and the library's cannot.
struct Drawn {
    bytes: Zeroizing<[u8; DRAWN_BYTES]>,
    used: usize,
    /// More was asked for than was drawn: nothing that came of it may be used.
    short: bool,
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let end = self.used.saturating_add(out.len());
        match self.bytes.get(self.used..end) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => self.short = true,
        }
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}
