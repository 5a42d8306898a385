//! Reading the bytes of an envelope into views, without copies and without any key.

use std::fmt;

use keysherd_base::limits::ENVELOPE_BYTES_MAX;

use super::{CHUNK_LOG2, Header, Malformed, WRAPS_MAX, WrapKind, WrapParams};
use crate::aead::{NONCE_BYTES, TAG_BYTES};
use crate::hash::sha256;

/// `magic`, `fmt` and `suite`.
pub(super) const FORMAT: [u8; 7] = *b"KSF1\x01\x00\x01";
/// Bytes of `magic` to `flags`.
pub(super) const PREFIX_BYTES: usize = 8;
/// The one flag: the plaintext is padded.
pub(super) const FLAG_PADDED: u8 = 1;
/// Bytes of `account` to `type`.
pub(super) const IDENTITY_BYTES: usize = 42;
/// Bytes of the immutable header.
pub(super) const IMMUTABLE_BYTES: usize = PREFIX_BYTES + IDENTITY_BYTES + 1;
/// Bytes of a wrap from `kind` to `COM`: what its associated data covers.
pub(super) const WRAP_AAD_BYTES: usize = 101;
/// Bytes of a wrap's `ct` and `tag`.
pub(super) const WRAP_SEALED_BYTES: usize = 32 + TAG_BYTES;
/// Bytes of a wrap.
pub const WRAP_BYTES: usize = WRAP_AAD_BYTES + NONCE_BYTES + WRAP_SEALED_BYTES;
/// Where the wraps begin.
pub(super) const WRAPS_OFFSET: usize = PREFIX_BYTES + 4 + IDENTITY_BYTES + 1;

/// Bytes of `chunk_log2`, `nonce_prefix` and `PCOM`.
pub(super) const PAYLOAD_HEADER_BYTES: usize = 1 + 7 + 32;
/// Longest head: everything before the chunks.
pub const HEAD_BYTES_MAX: usize = WRAPS_OFFSET + WRAPS_MAX * WRAP_BYTES + PAYLOAD_HEADER_BYTES;

/// `hdr_len` for `n_wraps` wraps.
pub(super) const fn header_bytes(n_wraps: usize) -> usize {
    IDENTITY_BYTES + 1 + n_wraps * WRAP_BYTES
}

/// An envelope whose structure has been checked. Nothing in it has been authenticated.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    prefix: &'a [u8; PREFIX_BYTES],
    identity: &'a [u8; IDENTITY_BYTES],
    wraps: &'a [[u8; WRAP_BYTES]],
    chunk_log2: u8,
    pub(super) nonce_prefix: &'a [u8; 7],
    pub(super) pcom: &'a [u8; 32],
    pub(super) chunks: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads an envelope, strictly: known format and flags only, counts and lengths in bounds, no
    /// byte left over.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(bytes).ok_or(Malformed)
    }

    /// Reads the head of an envelope: everything before the chunks, and nothing else. It has all
    /// that re-wrapping needs, and nothing that opens.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse_head(head: &'a [u8]) -> Result<Self, Malformed> {
        let (envelope, rest) = Self::read_head(head).ok_or(Malformed)?;
        if rest.is_empty() { Ok(envelope) } else { Err(Malformed) }
    }

    /// The head of the envelope that `bytes` begin with, and the rest, which need not be complete.
    ///
    /// # Errors
    /// [`Malformed`] when the head is not one, or not complete.
    pub fn split_head(bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let (_, rest) = Self::read_head(bytes).ok_or(Malformed)?;
        bytes.split_at_checked(bytes.len() - rest.len()).ok_or(Malformed)
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return None;
        }
        let (head, chunks) = Self::read_head(bytes)?;
        let envelope = Self { chunks, ..head };
        envelope.chunks_are_well_formed().then_some(envelope)
    }

    /// The head with no chunks, and what follows it.
    fn read_head(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
        let [format @ .., flags] = prefix;
        if *format != FORMAT || flags & !FLAG_PADDED != 0 {
            return None;
        }
        let (hdr_len, rest) = rest.split_first_chunk::<4>()?;
        let (identity, rest) = rest.split_first_chunk::<IDENTITY_BYTES>()?;
        let (&n_wraps, rest) = rest.split_first()?;
        let n_wraps = usize::from(n_wraps);
        if !(1..=WRAPS_MAX).contains(&n_wraps)
            || usize::try_from(u32::from_be_bytes(*hdr_len)) != Ok(header_bytes(n_wraps))
        {
            return None;
        }
        let (wraps, payload) = rest.split_at_checked(n_wraps * WRAP_BYTES)?;
        let (wraps, _) = wraps.as_chunks::<WRAP_BYTES>();
        if wraps.iter().any(|wrap| WrapKind::from_byte(wrap[0]).is_none()) {
            return None;
        }
        let (&chunk_log2, payload) = payload.split_first()?;
        let (nonce_prefix, payload) = payload.split_first_chunk::<7>()?;
        let (pcom, chunks) = payload.split_first_chunk::<32>()?;
        let head = Self { prefix, identity, wraps, chunk_log2, nonce_prefix, pcom, chunks: &[] };
        CHUNK_LOG2.contains(&chunk_log2).then_some((head, chunks))
    }

    /// One chunk at least; the last one holds a tag, and more than that if there are others.
    fn chunks_are_well_formed(&self) -> bool {
        let full = self.sealed_chunk_bytes();
        match self.chunks.len() % full {
            0 => !self.chunks.is_empty(),
            TAG_BYTES => self.chunks.len() == TAG_BYTES,
            last => last > TAG_BYTES,
        }
    }

    /// What the envelope claims to be for.
    pub fn header(&self) -> Header {
        let id = |at: usize| std::array::from_fn(|i| self.identity[at + i]);
        Header {
            account: id(0),
            item_id: id(16),
            item_version: u64::from_be_bytes(std::array::from_fn(|i| self.identity[32 + i])),
            class: self.identity[40],
            type_: self.identity[41],
        }
    }

    /// The commitment of the data-encryption key: the same for as long as the value is the same,
    /// however often it is wrapped again, and different for every other sealing.
    pub fn payload_commitment(&self) -> &'a [u8; 32] {
        self.pcom
    }

    /// Whether the value's exact length is hidden.
    pub fn padded(&self) -> bool {
        self.prefix[PREFIX_BYTES - 1] & FLAG_PADDED != 0
    }

    /// The wraps, in order; there is at least one.
    pub fn wraps(&self) -> impl ExactSizeIterator<Item = Wrap<'a>> + use<'a> {
        self.wraps.iter().map(Wrap)
    }

    /// The wrap at `index`.
    pub fn wrap(&self, index: usize) -> Option<Wrap<'a>> {
        self.wraps.get(index).map(Wrap)
    }

    /// The 51 bytes every ciphertext of this envelope is bound to.
    pub(super) fn immutable_header(&self) -> [u8; IMMUTABLE_BYTES] {
        immutable_header(self.prefix, self.identity, self.chunk_log2)
    }

    /// Bytes of a full chunk of plaintext and its tag.
    pub(super) fn sealed_chunk_bytes(&self) -> usize {
        (1 << self.chunk_log2) + TAG_BYTES
    }

    /// Bytes of the plaintext of all chunks, padding included.
    pub(super) fn plaintext_bytes(&self) -> usize {
        let count = self.chunks.len().div_ceil(self.sealed_chunk_bytes());
        self.chunks.len() - count * TAG_BYTES
    }
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("header", &self.header())
            .field("wraps", &self.wraps.len())
            .field("plaintext_bytes", &self.plaintext_bytes())
            .finish()
    }
}

/// One wrap of an envelope.
#[derive(Clone, Copy)]
pub struct Wrap<'a>(&'a [u8; WRAP_BYTES]);

impl<'a> Wrap<'a> {
    /// A wrap that was taken out of an envelope; `None` when it is of no known kind.
    pub fn of(bytes: &'a [u8; WRAP_BYTES]) -> Option<Self> {
        WrapKind::from_byte(bytes[0]).map(|_| Self(bytes))
    }

    /// Which key the wrap claims to be under.
    pub fn params(&self) -> WrapParams {
        let id = |at: usize| std::array::from_fn(|i| self.0[at + i]);
        WrapParams {
            kind: WrapKind::from_byte(self.0[0]).expect("invariant: checked when it was parsed"),
            key_id: id(1),
            key_version: u32::from_be_bytes(std::array::from_fn(|i| self.0[17 + i])),
            cf_id: id(21),
            salt: std::array::from_fn(|i| self.0[37 + i]),
        }
    }

    /// What stands for this very wrap: a hash of all its bytes.
    pub fn identity(&self) -> [u8; 32] {
        sha256(&[self.0])
    }

    /// The key's commitment: the key derived for [`Self::params`] must have the same.
    pub fn com(&self) -> &'a [u8] {
        &self.0[WRAP_AAD_BYTES - 32..WRAP_AAD_BYTES]
    }

    pub(super) fn aad_fields(&self) -> &'a [u8] {
        &self.0[..WRAP_AAD_BYTES]
    }

    pub(super) fn nonce(&self) -> [u8; NONCE_BYTES] {
        std::array::from_fn(|i| self.0[WRAP_AAD_BYTES + i])
    }

    pub(super) fn sealed(&self) -> &'a [u8] {
        &self.0[WRAP_AAD_BYTES + NONCE_BYTES..]
    }
}

impl fmt::Debug for Wrap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wrap").field(&self.params()).finish()
    }
}

/// Puts the immutable header together; see the module's description.
pub(super) fn immutable_header(
    prefix: &[u8; PREFIX_BYTES],
    identity: &[u8; IDENTITY_BYTES],
    chunk_log2: u8,
) -> [u8; IMMUTABLE_BYTES] {
    let mut bytes = [chunk_log2; IMMUTABLE_BYTES];
    bytes[..PREFIX_BYTES].copy_from_slice(prefix);
    bytes[PREFIX_BYTES..IMMUTABLE_BYTES - 1].copy_from_slice(identity);
    bytes
}
