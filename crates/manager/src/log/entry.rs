//! What the log says: entries and their encoding, CBOR arrays of definite length.
//!
//! A derivation lists each key it touched and each subject it was made for once, and each item with
//! the numbers of its key and subject, so that a batch of 1000 items of a few subjects takes about
//! 35 kB. The context tag pins the salt without storing it.

use keysherd_base::{AccountId, KeyId, Timestamp, Uid};
use keysherd_fragments::context::Class;
use keysherd_fragments::order::ORDER_BYTES_MAX;
use keysherd_fragments::permit::{Op, Subject};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder};

use super::epochs::EpochEvent;

/// Longest encoding of one entry: 1000 items of at most 50 bytes, 1000 keys of at most 24, 1000
/// subjects of 69, a head.
pub(crate) const ENTRY_BYTES_MAX: usize = 160 * 1024;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the manager wrote it, by its own clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A segment file begins. The first entry of each file.
    Segment {
        /// The random id of this manager's store.
        manager: Uid,
        /// The manager's index.
        index: u8,
        /// The number of the file, from 1.
        segment: u64,
        /// How many entries the files before it hold.
        size_before: u64,
        /// The chained hash of the last of them.
        head_before: [u8; 32],
    },
    /// The process started.
    Opened {
        /// The trust bundle it started with; 0 for none.
        bundle_version: u64,
        /// Its public identity key.
        identity: [u8; 32],
    },
    /// A trust bundle was accepted.
    Bundle {
        /// Its version.
        version: u64,
        /// SHA-256 of its signed body.
        sha256: [u8; 32],
    },
    /// Partials of derived keys are about to be handed out.
    Derive(DeriveEvent),
    /// A step of a refresh or a repair.
    Epochs(EpochEvent),
    /// A step of a key generation is about to be answered.
    Generation(GenerationEvent),
    /// An order of the owner is about to be obeyed.
    Order(OrderEvent),
    /// The fragments of a key version are about to be erased on the owner's order.
    Destroyed(DestroyedEvent),
}

/// Which partials are about to be handed out, on whose word and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeriveEvent {
    /// SHA-256 of the signed permit.
    pub permit_sha256: [u8; 32],
    /// The permit's id.
    pub permit_id: Uid,
    /// When the permit ends.
    pub permit_expires_at: Timestamp,
    /// The control plane's audit record that should explain it.
    pub audit_seq: u64,
    /// The request's id.
    pub request_id: Uid,
    /// SHA-256 of the `SubjectPublicKeyInfo` of the gateway.
    pub gateway: [u8; 32],
    /// The gateway's cluster.
    pub cluster: Uid,
    /// The account of every item.
    pub account: AccountId,
    /// The operation.
    pub op: Op,
    /// Whether proofs were asked for.
    pub with_proofs: bool,
    /// The trust bundle the manager decided by.
    pub bundle_version: u64,
    /// The key versions of the items.
    pub keys: Vec<KeyRef>,
    /// On whose behalf, each subject once.
    pub subjects: Vec<Subject>,
    /// The items, in the order of the request.
    pub items: Vec<DerivedItem>,
}

/// A version of a protection key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyRef {
    /// The key.
    pub key_id: KeyId,
    /// Its version.
    pub version: u32,
}

/// One derived key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DerivedItem {
    /// The place of its key version in [`DeriveEvent::keys`].
    pub key: u16,
    /// The place of its subject in [`DeriveEvent::subjects`].
    pub subject: u16,
    /// What the derived key is for.
    pub class: Class,
    /// The item.
    pub item_id: Uid,
    /// The item's version.
    pub item_version: u64,
    /// The first 8 bytes of SHA-256 of the context (big-endian): with the salt, which stands in the
    /// permit and in the ciphertext, the exact context can be told.
    pub context_tag: u64,
}

/// A step of a key generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationEvent {
    /// Which step.
    pub step: GenerationStep,
    /// The session.
    pub session: Uid,
    /// SHA-256 of the signed permit.
    pub permit_sha256: [u8; 32],
    /// The control plane's audit record that should explain it.
    pub audit_seq: u64,
    /// The gateway that asked.
    pub gateway: [u8; 32],
    /// The account.
    pub account: AccountId,
    /// The key version.
    pub key: KeyRef,
    /// SHA-256 of the manifest; zeros before there is one.
    pub manifest_sha256: [u8; 32],
}

/// An order of the owner, whole: the log proves by itself that the owner gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// The bytes of the [`OwnerOrder`](keysherd_fragments::order::OwnerOrder).
    pub body: Vec<u8>,
    /// The owner's signature over it.
    pub signature: [u8; 64],
}

/// An erased key version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestroyedEvent {
    /// The account.
    pub account: AccountId,
    /// The key version.
    pub key: KeyRef,
    /// The order.
    pub order_id: Uid,
    /// SHA-256 of the manifest.
    pub manifest_sha256: [u8; 32],
}

/// Which step of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GenerationStep {
    /// The session began.
    Begun = 1,
    /// The fragments are stored and the manifest is about to be signed.
    Signed = 2,
    /// All managers signed: the key version is usable.
    Enabled = 3,
    /// The manifest was never completed: the fragments are erased.
    Discarded = 4,
}

impl GenerationStep {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Begun,
            2 => Self::Signed,
            3 => Self::Enabled,
            4 => Self::Discarded,
            _ => return None,
        })
    }
}

type Encoded = Result<(), EncodeError<std::convert::Infallible>>;

impl Entry {
    /// The encoding that is chained.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Encoder::new(Vec::with_capacity(self.size_hint()));
        self.encode(&mut to).expect("invariant: writing to memory does not fail");
        to.into_writer()
    }

    /// Reads an entry; `None` for bytes that are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return None;
        }
        let mut from = Decoder::new(bytes);
        let entry = Self::decode(&mut from).ok()?;
        (from.position() == bytes.len()).then_some(entry)
    }

    fn size_hint(&self) -> usize {
        match &self.event {
            Event::Derive(derive) => {
                256 + 24 * derive.keys.len() + 70 * derive.subjects.len() + 40 * derive.items.len()
            }
            _ => 512,
        }
    }

    fn encode(&self, to: &mut Encoder<Vec<u8>>) -> Encoded {
        to.array(3)?.i64(self.at.0)?;
        match &self.event {
            Event::Segment { manager, index, segment, size_before, head_before } => {
                to.u8(1)?.array(5)?.bytes(manager.as_bytes())?.u8(*index)?;
                to.u64(*segment)?.u64(*size_before)?.bytes(head_before)?;
            }
            Event::Opened { bundle_version, identity } => {
                to.u8(2)?.array(2)?.u64(*bundle_version)?.bytes(identity)?;
            }
            Event::Bundle { version, sha256 } => {
                to.u8(3)?.array(2)?.u64(*version)?.bytes(sha256)?;
            }
            Event::Epochs(epochs) => {
                to.u8(10)?;
                epochs.encode(to)?;
            }
            Event::Derive(derive) => {
                to.u8(4)?;
                derive.encode(to)?;
            }
            Event::Generation(generation) => {
                to.u8(5)?;
                generation.encode(to)?;
            }
            Event::Order(order) => {
                to.u8(20)?.array(2)?.bytes(&order.body)?.bytes(&order.signature)?;
            }
            Event::Destroyed(destroyed) => {
                to.u8(21)?.array(4)?.bytes(destroyed.account.0.as_bytes())?;
                destroyed.key.encode(to)?;
                to.bytes(destroyed.order_id.as_bytes())?.bytes(&destroyed.manifest_sha256)?;
            }
        }
        Ok(())
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        head(from, 3)?;
        let at = Timestamp(from.i64()?);
        let event = match from.u8()? {
            1 => {
                head(from, 5)?;
                Event::Segment {
                    manager: Uid(fixed(from)?),
                    index: from.u8()?,
                    segment: from.u64()?,
                    size_before: from.u64()?,
                    head_before: fixed(from)?,
                }
            }
            2 => {
                head(from, 2)?;
                Event::Opened { bundle_version: from.u64()?, identity: fixed(from)? }
            }
            3 => {
                head(from, 2)?;
                Event::Bundle { version: from.u64()?, sha256: fixed(from)? }
            }
            4 => Event::Derive(DeriveEvent::decode(from)?),
            5 => Event::Generation(GenerationEvent::decode(from)?),
            10 => Event::Epochs(EpochEvent::decode(from)?),
            20 => {
                head(from, 2)?;
                let body = from.bytes()?;
                if body.len() > ORDER_BYTES_MAX {
                    return Err(DecodeError::message("an order that is too long"));
                }
                Event::Order(OrderEvent { body: body.to_vec(), signature: fixed(from)? })
            }
            21 => {
                head(from, 4)?;
                Event::Destroyed(DestroyedEvent {
                    account: AccountId(Uid(fixed(from)?)),
                    key: KeyRef::decode(from)?,
                    order_id: Uid(fixed(from)?),
                    manifest_sha256: fixed(from)?,
                })
            }
            _ => return Err(DecodeError::message("unknown event")),
        };
        Ok(Self { at, event })
    }
}

impl DeriveEvent {
    /// The items with their key versions.
    pub fn derived(&self) -> impl Iterator<Item = (KeyRef, &DerivedItem)> {
        self.items.iter().filter_map(|item| Some((*self.keys.get(usize::from(item.key))?, item)))
    }

    fn encode(&self, to: &mut Encoder<Vec<u8>>) -> Encoded {
        to.array(14)?.bytes(&self.permit_sha256)?.bytes(self.permit_id.as_bytes())?;
        to.i64(self.permit_expires_at.0)?.u64(self.audit_seq)?.bytes(self.request_id.as_bytes())?;
        to.bytes(&self.gateway)?.bytes(self.cluster.as_bytes())?;
        to.bytes(self.account.0.as_bytes())?.u8(self.op.number())?;
        to.bool(self.with_proofs)?.u64(self.bundle_version)?;
        to.array(self.keys.len() as u64)?;
        for key in &self.keys {
            key.encode(to)?;
        }
        to.array(self.subjects.len() as u64)?;
        for subject in &self.subjects {
            to.array(2)?.bytes(&subject.access_id_sha256)?.bytes(&subject.token_sha256)?;
        }
        to.array(self.items.len() as u64)?;
        for item in &self.items {
            to.array(6)?.u16(item.key)?.u16(item.subject)?.u8(item.class.number())?;
            to.bytes(item.item_id.as_bytes())?.u64(item.item_version)?.u64(item.context_tag)?;
        }
        Ok(())
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        head(from, 14)?;
        Ok(Self {
            permit_sha256: fixed(from)?,
            permit_id: Uid(fixed(from)?),
            permit_expires_at: Timestamp(from.i64()?),
            audit_seq: from.u64()?,
            request_id: Uid(fixed(from)?),
            gateway: fixed(from)?,
            cluster: Uid(fixed(from)?),
            account: AccountId(Uid(fixed(from)?)),
            op: Op::from_number(from.u8()?).ok_or_else(|| DecodeError::message("unknown op"))?,
            with_proofs: from.bool()?,
            bundle_version: from.u64()?,
            keys: list(from, KeyRef::decode)?,
            subjects: list(from, |from| {
                head(from, 2)?;
                Ok(Subject { access_id_sha256: fixed(from)?, token_sha256: fixed(from)? })
            })?,
            items: list(from, DerivedItem::decode)?,
        })
    }
}

impl KeyRef {
    pub(super) fn encode(self, to: &mut Encoder<Vec<u8>>) -> Encoded {
        to.array(2)?.bytes(self.key_id.as_bytes())?.u32(self.version)?;
        Ok(())
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        head(from, 2)?;
        Ok(Self { key_id: Uid(fixed(from)?), version: from.u32()? })
    }
}

impl DerivedItem {
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        head(from, 6)?;
        Ok(Self {
            key: from.u16()?,
            subject: from.u16()?,
            class: Class::from_number(from.u8()?)
                .ok_or_else(|| DecodeError::message("unknown class"))?,
            item_id: Uid(fixed(from)?),
            item_version: from.u64()?,
            context_tag: from.u64()?,
        })
    }
}

impl GenerationEvent {
    fn encode(&self, to: &mut Encoder<Vec<u8>>) -> Encoded {
        to.array(8)?.u8(self.step as u8)?.bytes(self.session.as_bytes())?;
        to.bytes(&self.permit_sha256)?.u64(self.audit_seq)?.bytes(&self.gateway)?;
        to.bytes(self.account.0.as_bytes())?;
        self.key.encode(to)?;
        to.bytes(&self.manifest_sha256)?;
        Ok(())
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        head(from, 8)?;
        Ok(Self {
            step: GenerationStep::from_number(from.u8()?)
                .ok_or_else(|| DecodeError::message("unknown step"))?,
            session: Uid(fixed(from)?),
            permit_sha256: fixed(from)?,
            audit_seq: from.u64()?,
            gateway: fixed(from)?,
            account: AccountId(Uid(fixed(from)?)),
            key: KeyRef::decode(from)?,
            manifest_sha256: fixed(from)?,
        })
    }
}

pub(super) fn head(from: &mut Decoder<'_>, length: u64) -> Result<(), DecodeError> {
    if from.array()? == Some(length) { Ok(()) } else { Err(DecodeError::message("wrong length")) }
}

pub(super) fn fixed<const N: usize>(from: &mut Decoder<'_>) -> Result<[u8; N], DecodeError> {
    from.bytes()?.try_into().map_err(|_| DecodeError::message("wrong length"))
}

pub(super) fn list<T>(
    from: &mut Decoder<'_>,
    each: impl Fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let length = from.array()?.ok_or_else(|| DecodeError::message("indefinite length"))?;
    // The bytes are at most ENTRY_BYTES_MAX and every element takes some of them.
    (0..length).map(|_| each(from)).collect()
}
