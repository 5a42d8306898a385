//! The permit: what the control plane allows one gateway to derive (design 5.8).
//!
//! A permit carries a list of *entries*, each with its own subject (the hash of an access id and
//! the hash of a token). So control can sign one permit for all requests that are in flight at one
//! moment, and the signature and its verification are paid once for up to 1000 derivations.
//!
//! Control builds and signs permits and must not depend on the fragment protocol (it could combine
//! answers otherwise). The format is therefore here, where control and the protocol both see it,
//! and a golden test of `fragments` fixes it. All of it is CBOR with definite lengths and shortest
//! integers:
//!
//! ```text
//! permit = [ 1, permit_id b16, iat_ms uint, exp_ms uint, account b16, gateway_spki b32, op uint,
//!            [* entry], max_uses uint, cache_ttl_seconds uint, audit_seq uint,
//!            bundle_version uint ]
//! entry  = [ key_id b16, key_version uint, class uint, item_id b16, item_version uint, salt b32,
//!            access_id_sha256 b32, token_sha256 b32 ]
//! ```
//!
//! The permit key signs it under the label `KSF1-sig/permit`. This file uses the types of
//! `keysherd-base` and minicbor, nothing else.

use keysherd_base::{AccountId, KeyId, Timestamp, Uid};
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder, decode};

/// Most entries of one permit.
pub const PERMIT_ENTRIES_MAX: usize = 1_000;
/// Longest life of a permit in milliseconds.
pub const PERMIT_LIFE_MS_MAX: i64 = 60_000;
/// How far clocks may differ, in milliseconds, both ways.
pub const CLOCK_SKEW_MS: i64 = 30_000;
/// Most uses of one permit at one manager; control gives 3 (an answer can get lost).
pub const PERMIT_USES_MAX: u8 = 10;
/// Longest encoding of a permit: 1000 entries of at most 190 bytes, and the head.
pub const PERMIT_BYTES_MAX: usize = 192 * 1_000 + 256;

const FORMAT: u8 = 1;

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// A version of a secret item.
    SecretItem = 1,
    /// A window of the transit cipher.
    TransitWindow = 2,
    /// A sealed private key.
    SealedKey = 3,
    /// A gateway's own cache or spool.
    Pending = 4,
    /// A descriptor that binds a name to an item.
    Descriptor = 5,
    /// The self-test of a fresh key; never a real item.
    SelfTest = 0x7f,
}

impl Class {
    /// The class with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::SecretItem,
            2 => Self::TransitWindow,
            3 => Self::SealedKey,
            4 => Self::Pending,
            5 => Self::Descriptor,
            0x7f => Self::SelfTest,
            _ => return None,
        })
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// What a permit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// Read items.
    Read = 1,
    /// Write items.
    Write = 2,
    /// Wrap data keys under a newer key version.
    Rewrap = 3,
    /// Open a transit window.
    Transit = 4,
    /// Use a sealed private key.
    Sign = 5,
    /// Generate a key version and test it.
    Generate = 6,
    /// Give a key version other fragments of the same key.
    Refresh = 7,
}

impl Op {
    /// Every operation.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Write,
        Self::Rewrap,
        Self::Transit,
        Self::Sign,
        Self::Generate,
        Self::Refresh,
    ];

    /// The operation with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Read,
            2 => Self::Write,
            3 => Self::Rewrap,
            4 => Self::Transit,
            5 => Self::Sign,
            6 => Self::Generate,
            7 => Self::Refresh,
            _ => return None,
        })
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether the operation derives keys of `class`. The self-test class belongs to generation and
    /// refresh alone, and both to it, so none can stand in for a real item.
    pub const fn allows(self, class: Class) -> bool {
        match class {
            Class::SelfTest => matches!(self, Self::Generate | Self::Refresh),
            Class::TransitWindow => matches!(self, Self::Transit),
            Class::SealedKey => {
                matches!(self, Self::Read | Self::Write | Self::Rewrap | Self::Sign)
            }
            Class::SecretItem | Class::Pending | Class::Descriptor => {
                matches!(self, Self::Read | Self::Write | Self::Rewrap)
            }
        }
    }
}

/// On whose behalf a derivation is made. Hashes, so that a manager learns no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Subject {
    /// SHA-256 of the access id's text.
    pub access_id_sha256: [u8; 32],
    /// SHA-256 of the client's token or of the proof it was admitted by.
    pub token_sha256: [u8; 32],
}

/// One derivation a permit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermitEntry {
    /// The protection key.
    pub key_id: KeyId,
    /// Its version.
    pub key_version: u32,
    /// What the derived key is for.
    pub class: Class,
    /// The item's random id.
    pub item_id: Uid,
    /// The item's version.
    pub item_version: u64,
    /// The gateway's salt.
    pub salt: [u8; 32],
    /// On whose behalf.
    pub subject: Subject,
}

/// What the control plane allows one gateway to derive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Random; uses are counted by it.
    pub permit_id: Uid,
    /// When it begins.
    pub issued_at: Timestamp,
    /// When it ends: at most [`PERMIT_LIFE_MS_MAX`] after it begins.
    pub expires_at: Timestamp,
    /// The account of every entry.
    pub account: AccountId,
    /// SHA-256 of the `SubjectPublicKeyInfo` of the one gateway that may use it.
    pub gateway_spki_sha256: [u8; 32],
    /// What may be done.
    pub op: Op,
    /// What may be derived, 1 to [`PERMIT_ENTRIES_MAX`].
    pub entries: Vec<PermitEntry>,
    /// How often each manager may be asked with it, 1 to [`PERMIT_USES_MAX`].
    pub max_uses: u8,
    /// How long the gateway may keep what it opened, in seconds.
    pub cache_ttl_seconds: u32,
    /// The audit record that explains it.
    pub audit_seq: u64,
    /// The trust bundle the control plane had when it signed.
    pub bundle_version: u64,
}

/// Bytes that are not a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPermit;

impl std::fmt::Display for BadPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a permit: another format, or a field out of range")
    }
}

impl std::error::Error for BadPermit {}

impl From<decode::Error> for BadPermit {
    fn from(_: decode::Error) -> Self {
        Self
    }
}

impl Permit {
    /// The encoding that is signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::with_capacity(256 + 192 * self.entries.len()));
        self.encode(&mut encoder).expect("invariant: writing to memory does not fail");
        encoder.into_writer()
    }

    /// Reads a permit, strictly: the bytes must be exactly what [`Self::to_bytes`] gives.
    ///
    /// # Errors
    /// [`BadPermit`] for everything else and for fields out of range. The signature, the times and
    /// the gateway are the business of whoever uses the permit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadPermit> {
        if bytes.len() > PERMIT_BYTES_MAX {
            return Err(BadPermit);
        }
        let permit = Self::decode(&mut Decoder::new(bytes))?;
        let in_range = !permit.entries.is_empty()
            && (1..=PERMIT_USES_MAX).contains(&permit.max_uses)
            && permit.issued_at < permit.expires_at;
        if in_range && permit.to_bytes() == bytes { Ok(permit) } else { Err(BadPermit) }
    }

    fn encode(
        &self,
        to: &mut Encoder<Vec<u8>>,
    ) -> Result<(), EncodeError<std::convert::Infallible>> {
        to.array(12)?.u8(FORMAT)?.bytes(self.permit_id.as_bytes())?;
        to.u64(millis(self.issued_at))?.u64(millis(self.expires_at))?;
        to.bytes(self.account.0.as_bytes())?.bytes(&self.gateway_spki_sha256)?;
        to.u8(self.op.number())?.array(self.entries.len() as u64)?;
        for entry in &self.entries {
            to.array(8)?.bytes(entry.key_id.as_bytes())?.u32(entry.key_version)?;
            to.u8(entry.class.number())?;
            to.bytes(entry.item_id.as_bytes())?.u64(entry.item_version)?.bytes(&entry.salt)?;
            to.bytes(&entry.subject.access_id_sha256)?.bytes(&entry.subject.token_sha256)?;
        }
        to.u8(self.max_uses)?.u32(self.cache_ttl_seconds)?;
        to.u64(self.audit_seq)?.u64(self.bundle_version)?;
        Ok(())
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, BadPermit> {
        head(from, 12)?;
        if from.u8()? != FORMAT {
            return Err(BadPermit);
        }
        Ok(Self {
            permit_id: Uid(fixed(from)?),
            issued_at: time(from)?,
            expires_at: time(from)?,
            account: AccountId(Uid(fixed(from)?)),
            gateway_spki_sha256: fixed(from)?,
            op: Op::from_number(from.u8()?).ok_or(BadPermit)?,
            entries: entries(from)?,
            max_uses: from.u8()?,
            cache_ttl_seconds: from.u32()?,
            audit_seq: from.u64()?,
            bundle_version: from.u64()?,
        })
    }
}

fn entries(from: &mut Decoder<'_>) -> Result<Vec<PermitEntry>, BadPermit> {
    let length = from.array()?.and_then(|length| usize::try_from(length).ok()).ok_or(BadPermit)?;
    if length > PERMIT_ENTRIES_MAX {
        return Err(BadPermit);
    }
    let mut entries = Vec::with_capacity(length);
    for _ in 0..length {
        head(from, 8)?;
        entries.push(PermitEntry {
            key_id: Uid(fixed(from)?),
            key_version: from.u32()?,
            class: Class::from_number(from.u8()?).ok_or(BadPermit)?,
            item_id: Uid(fixed(from)?),
            item_version: from.u64()?,
            salt: fixed(from)?,
            subject: Subject { access_id_sha256: fixed(from)?, token_sha256: fixed(from)? },
        });
    }
    Ok(entries)
}

fn head(from: &mut Decoder<'_>, length: u64) -> Result<(), BadPermit> {
    if from.array()? == Some(length) { Ok(()) } else { Err(BadPermit) }
}

fn fixed<const N: usize>(from: &mut Decoder<'_>) -> Result<[u8; N], BadPermit> {
    from.bytes()?.try_into().map_err(|_| BadPermit)
}

fn time(from: &mut Decoder<'_>) -> Result<Timestamp, BadPermit> {
    i64::try_from(from.u64()?).map(Timestamp).map_err(|_| BadPermit)
}

/// Times before 1970 are written as 1970: no permit is from then.
fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.0).unwrap_or(0)
}
