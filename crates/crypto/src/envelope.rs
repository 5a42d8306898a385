//! The sealed form of a stored value: an envelope of format 1, suite 1.
//!
//! ```text
//! magic "KSF1" | fmt u8 = 1 | suite u16 = 1 | flags u8 | hdr_len u32
//! account 16 | item_id 16 | item_version u64 | class u8 | type u8 | n_wraps u8
//! n_wraps times:
//!   kind u8 | key_id 16 | key_version u32 | cf_id 16 | salt 32 | COM 32
//!   nonce 12 | ct 32 | tag 16
//! chunk_log2 u8 | nonce_prefix 7 | PCOM 32 | chunks, each with its 16-byte tag
//! ```
//!
//! Integers are big-endian. `hdr_len` counts the bytes from `account` to the end of the last wrap.
//!
//! **The immutable header** is what every ciphertext of the envelope is bound to (as associated
//! data), exactly these 51 bytes, in this order: the first 8 bytes (`magic`, `fmt`, `suite`,
//! `flags`), the 42 bytes `account`, `item_id`, `item_version`, `class`, `type`, and the one byte
//! `chunk_log2`. `hdr_len` and `n_wraps` are not in it, so that a wrap can be replaced without
//! touching the payload; for given wraps they have only one value that parses. A store can drop a
//! wrap unnoticed, but not make or move one to another envelope. `nonce_prefix` is bound as a part
//! of the nonces, `PCOM` because the payload key it is derived with decides it.
//!
//! **Wraps.** Each holds the data-encryption key (DEK) under one key-encryption key (KEK), with
//! AES-256-GCM, a random nonce, and as associated data the immutable header and the wrap's own
//! 101 bytes from `kind` to `COM`. `COM` is derived with the KEK and compared first.
//!
//! **Payload.** `PK[32] | PCOM[32] = HKDF-Expand(HKDF-Extract("KSF1/payload", DEK),
//! "KSF1/pk" | 00 | SHA-256(immutable header), 64)`. Chunks of `2^chunk_log2` bytes (the last may
//! be shorter, and empty only when it is the only one) are encrypted with AES-256-GCM under `PK`,
//! nonce `nonce_prefix | chunk number u32 | 1 for the last chunk, else 0`, and the immutable header
//! as associated data.
//!
//! The two commitments make an envelope open to one plaintext at most: GCM alone does not commit to
//! its key.
//!
//! **Padding** (flag bit 0). The plaintext of the chunks is then the value, zeros, and the value's
//! length as u32; its whole length is PADME of the value's length plus 4, which hides the length
//! but for its leading bits (at most 12 % are added). Only this one padded form opens.

use std::fmt;

use keysherd_base::{RngFailed, Secret};

use crate::OpenFailed;

mod open;
mod padding;
mod parse;
mod seal;
mod wraps;

#[cfg(test)]
mod tests;

pub use open::{Dek, PAYLOAD_KEY_BYTES, PayloadKey};
pub use parse::{Envelope, HEAD_BYTES_MAX, WRAP_BYTES, Wrap};
pub use seal::{confirm, replace_wrap, rewrap, rewrap_head, seal};
pub use wraps::{WrapBytes, attach, detach, same_but_wraps};

/// Most wraps of one envelope: the current and the next key version, and a recovery key each.
pub const WRAPS_MAX: usize = 8;
/// Exponent of the chunk size that [`seal`] uses: chunks of 1 MiB.
pub const CHUNK_LOG2_DEFAULT: u8 = 20;
/// Exponents of the chunk size that [`Envelope::parse`] reads: 16 bytes to 4 MiB.
pub const CHUNK_LOG2: std::ops::RangeInclusive<u8> = 4..=22;

/// What an envelope is for; bound to everything in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The account's id.
    pub account: [u8; 16],
    /// The item's random id (not the number the API shows).
    pub item_id: [u8; 16],
    /// The item's version.
    pub item_version: u64,
    /// The class of the derivation (section 5.1 of the design); not interpreted here.
    pub class: u8,
    /// The type of the item; not interpreted here.
    pub type_: u8,
}

/// What kind of key a wrap is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WrapKind {
    /// A key derived from fragments.
    Fragments = 1,
    /// The owner's recovery key.
    Recovery = 2,
    /// A key of one gateway, until the derivation is confirmed.
    Pending = 3,
}

impl WrapKind {
    /// Reads the byte of the format.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Fragments),
            2 => Some(Self::Recovery),
            3 => Some(Self::Pending),
            _ => None,
        }
    }
}

/// Which key a wrap is under, and the salt the key was derived with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WrapParams {
    /// The kind of key.
    pub kind: WrapKind,
    /// The protection key's id.
    pub key_id: [u8; 16],
    /// The protection key's version.
    pub key_version: u32,
    /// The customer fragment's id, or zeros when there is none.
    pub cf_id: [u8; 16],
    /// The salt the writer drew for this wrap.
    pub salt: [u8; 32],
}

/// A derived key-encryption key and its commitment. It lives as long as one function call.
#[derive(Debug)]
pub struct Kek {
    /// The AES-256 key.
    pub kek: Secret<[u8; 32]>,
    /// The commitment `COM`, derived beside the key; it is public.
    pub com: [u8; 32],
}

/// A wrap to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewWrap<'a> {
    /// Which key it will be under.
    pub params: WrapParams,
    /// The key derived for these parameters.
    pub kek: &'a Kek,
}

/// How to seal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealOptions {
    /// Whether to hide the exact length of the value.
    pub pad: bool,
}

/// Bytes that are not an envelope of this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ciphertext is not an envelope of a known format")
    }
}

impl std::error::Error for Malformed {}

/// Why a value was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealFailed {
    /// The random source failed.
    Rng,
    /// The envelope would be longer than [`keysherd_base::limits::ENVELOPE_BYTES_MAX`].
    TooLong,
    /// No wrap, or more than [`WRAPS_MAX`].
    Wraps,
}

impl fmt::Display for SealFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rng => RngFailed.fmt(f),
            Self::TooLong => f.write_str("the value is too long to be sealed"),
            Self::Wraps => write!(f, "an envelope has 1 to {WRAPS_MAX} wraps"),
        }
    }
}

impl std::error::Error for SealFailed {}

impl From<RngFailed> for SealFailed {
    fn from(_: RngFailed) -> Self {
        Self::Rng
    }
}

/// Why a wrap was not replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewrapFailed {
    /// The bytes are not an envelope.
    Malformed,
    /// The old key does not open the wrap, or there is no such wrap.
    OpenFailed,
    /// The random source failed.
    Rng,
}

impl fmt::Display for RewrapFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => Malformed.fmt(f),
            Self::OpenFailed => OpenFailed.fmt(f),
            Self::Rng => RngFailed.fmt(f),
        }
    }
}

impl std::error::Error for RewrapFailed {}

impl From<Malformed> for RewrapFailed {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<OpenFailed> for RewrapFailed {
    fn from(_: OpenFailed) -> Self {
        Self::OpenFailed
    }
}

impl From<RngFailed> for RewrapFailed {
    fn from(_: RngFailed) -> Self {
        Self::Rng
    }
}
