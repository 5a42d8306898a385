//! Opening: from a key-encryption key to the data-encryption key, the payload key, the value.

use keysherd_base::{Rng, RngFailed, Secret, SecretBytes};

use super::parse::{IMMUTABLE_BYTES, WRAP_AAD_BYTES};
use super::{Envelope, Kek, padding};
use crate::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use crate::hash::{constant_time_eq, hkdf_expand, hkdf_extract, hmac_sha256, sha256};
use crate::{OpenFailed, labels};

/// A data-encryption key: random, one per envelope, held by its wraps.
#[derive(Debug)]
pub struct Dek(Secret<[u8; 32]>);

impl Dek {
    pub(super) fn generate(rng: &dyn Rng) -> Result<Self, RngFailed> {
        let mut key = Secret::new([0; 32]);
        rng.fill(key.expose_mut())?;
        Ok(Self(key))
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The key of `envelope`'s payload; another envelope's header gives another key.
    pub fn payload_key(&self, envelope: &Envelope<'_>) -> PayloadKey {
        self.payload_key_of(&envelope.immutable_header())
    }

    pub(super) fn payload_key_of(&self, immutable: &[u8; IMMUTABLE_BYTES]) -> PayloadKey {
        let prk = hkdf_extract(labels::PAYLOAD.as_bytes(), &[self.0.expose()]);
        let info: [&[u8]; 3] = [labels::PAYLOAD_KEY.as_bytes(), &[0], &sha256(&[immutable])];
        let mut key = Secret::new([0; PAYLOAD_KEY_BYTES]);
        let (payload, name) = key.expose_mut().split_at_mut(64);
        hkdf_expand(prk.expose(), &info, payload);
        let [_, zero, header] = info;
        hkdf_expand(prk.expose(), &[labels::NAME_KEY.as_bytes(), zero, header], name);
        PayloadKey(key)
    }
}

/// Bytes of a [`PayloadKey`].
pub const PAYLOAD_KEY_BYTES: usize = 96;

/// What opens one payload: an AES-256 key and the payload's commitment; and the key under which the
/// name of what it belongs to is attested. This is what a cache keeps.
#[derive(Debug)]
pub struct PayloadKey(Secret<[u8; PAYLOAD_KEY_BYTES]>);

impl PayloadKey {
    /// Takes back what [`Self::as_bytes`] gave; `None` for other lengths than 96 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Secret::new(bytes)))
    }

    /// The keys and the commitment, as a cache keeps them (encrypted, see [`crate::memory`]).
    pub fn as_bytes(&self) -> &Secret<[u8; PAYLOAD_KEY_BYTES]> {
        &self.0
    }

    /// The tag that attests that the item of this very version has this path. It is an HMAC under
    /// a key that is derived from the data-encryption key and the envelope's immutable header, so
    /// account, item, version and type are bound too.
    pub fn name_tag(&self, path: &str) -> [u8; 32] {
        hmac_sha256(&self.0.expose()[64..], &[path.as_bytes()])
    }

    pub(super) fn pcom(&self) -> &[u8] {
        &self.0.expose()[32..64]
    }

    pub(super) fn gcm(&self) -> GcmKey {
        GcmKey::new(&self.0.expose()[..32]).expect("invariant: 32 bytes are an AES-256 key")
    }
}

impl Envelope<'_> {
    /// Opens the wrap at `wrap_index`. The commitment is compared first, in constant time, so a key
    /// for other parameters never touches the ciphertext.
    ///
    /// # Errors
    /// [`OpenFailed`], also when there is no such wrap.
    pub fn unwrap_dek(&self, wrap_index: usize, kek: &Kek) -> Result<Dek, OpenFailed> {
        let wrap = self.wrap(wrap_index).ok_or(OpenFailed)?;
        if !constant_time_eq(wrap.com(), &kek.com) {
            return Err(OpenFailed);
        }
        let aad = wrap_aad(&self.immutable_header(), wrap.aad_fields());
        let mut dek = Secret::new([0; 32]);
        GcmKey::aes256(kek.kek.expose()).open_into(
            &wrap.nonce(),
            &aad,
            wrap.sealed(),
            dek.expose_mut(),
        )?;
        Ok(Dek(dek))
    }

    /// Opens the payload. Nothing is returned before the tag of the last chunk was checked.
    ///
    /// # Errors
    /// [`OpenFailed`] for a key of another envelope, and for any changed, missing, added or moved
    /// chunk.
    pub fn open(&self, key: &PayloadKey) -> Result<SecretBytes, OpenFailed> {
        if !constant_time_eq(self.pcom, key.pcom()) {
            return Err(OpenFailed);
        }
        let gcm = key.gcm();
        let aad = self.immutable_header();
        let mut plaintext = Secret::new(vec![0; self.plaintext_bytes()]);
        let mut rest = plaintext.expose_mut().as_mut_slice();
        // Led by the sealed chunks: an empty plaintext has one too, and its tag counts.
        let mut chunks = self.chunks.chunks(self.sealed_chunk_bytes()).enumerate().peekable();
        while let Some((index, sealed)) = chunks.next() {
            let length = sealed.len().checked_sub(TAG_BYTES).ok_or(OpenFailed)?;
            let (out, after) = rest.split_at_mut_checked(length).ok_or(OpenFailed)?;
            let nonce = chunk_nonce(self.nonce_prefix, index, chunks.peek().is_none());
            gcm.open_into(&nonce, &aad, sealed, out)?;
            rest = after;
        }
        if self.padded() { padding::remove(plaintext) } else { Ok(plaintext) }
    }
}

/// The associated data of a wrap: the immutable header and the wrap's fields up to `COM`.
pub(super) fn wrap_aad(
    immutable: &[u8; IMMUTABLE_BYTES],
    fields: &[u8],
) -> [u8; IMMUTABLE_BYTES + WRAP_AAD_BYTES] {
    let mut aad = [0; IMMUTABLE_BYTES + WRAP_AAD_BYTES];
    aad[..IMMUTABLE_BYTES].copy_from_slice(immutable);
    aad[IMMUTABLE_BYTES..].copy_from_slice(fields);
    aad
}

/// The nonce of the chunk at `index` (STREAM: chunks cannot be moved, dropped or cut off).
pub(super) fn chunk_nonce(prefix: &[u8; 7], index: usize, last: bool) -> [u8; NONCE_BYTES] {
    let counter = u32::try_from(index).expect("invariant: an envelope has fewer than 2^32 bytes");
    let mut nonce = [u8::from(last); NONCE_BYTES];
    nonce[..7].copy_from_slice(prefix);
    nonce[7..11].copy_from_slice(&counter.to_be_bytes());
    nonce
}
