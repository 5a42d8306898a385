//! Rotating keys: making a further version of one, and wrapping anew what older versions wrap.
//!
//! A gateway works on re-wrapping by itself, without a caller: it asks for a batch with
//! [`RewrapTake`], and hands back new wraps with [`RewrapPut`]. Both can be repeated and given up
//! at any point; what was not put is found again.

use std::sync::Arc;

use keysherd_base::{ItemId, ItemPath, KeyId, Timestamp, Uid};
use keysherd_domain::item::{Item, ItemState, KeyAlgorithm};
use serde::{Deserialize, Serialize};

use crate::grants::{ItemRef, KeyRef, PermitSlot, SignedPermit};
use crate::items::SealedValue;

/// Values of one batch at most; each takes two entries of a permit.
pub const REWRAP_BATCH_MAX: usize = 500;

/// A key that is rotated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RotatedKey {
    /// A key item.
    Named(ItemPath),
    /// The account's original key, which is no item.
    Original,
}

/// Asks to make a further version of a key. Takes the version's number for good and checks
/// everything that can be checked before the managers start; the audit record of a success is
/// written by [`KeyRotate`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRotateBegin {
    /// The key.
    pub key: RotatedKey,
    /// Salt of the self-test derivation, drawn by the gateway.
    pub self_test_salt: [u8; 32],
    /// Another number of managers; `None`: as many as the version before has.
    pub managers: Option<u8>,
    /// Another customer fragment; `None`: the one of the version before.
    pub customer_fragment: Option<Uid>,
}

/// Permission to make a further version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRotateBeginReply {
    /// The account the key belongs to.
    pub account: Uid,
    /// The version to make.
    pub to: KeyRef,
    /// The version in use.
    pub from: KeyRef,
    /// The key group fixed in its manifest.
    pub group: String,
    /// Number of managers.
    pub managers: u8,
    /// The algorithm; `None` for the original key, which encrypts no messages.
    pub algorithm: Option<KeyAlgorithm>,
    /// A permit for generation and its self-test.
    pub permit: SignedPermit,
}

/// Records a further version that its managers have all signed and completed. From then on new
/// values are wrapped by it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRotate {
    /// The key.
    pub key: RotatedKey,
    /// The version, as [`KeyRotateBeginReply`] gave it.
    pub to: KeyRef,
    /// Manifest and signatures.
    pub manifest: Arc<[u8]>,
    /// Number of managers.
    pub managers: u8,
    /// How many are needed.
    pub threshold: u8,
    /// Sealed key material for algorithms that need some.
    pub sealed: Option<Arc<[u8]>>,
}

/// The recorded version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRotateReply {
    /// The key item; `None` for the original key.
    pub item: Option<Item>,
    /// The version.
    pub version: u32,
    /// Values that older versions wrap.
    pub values: u64,
}

/// A place in the work on one key version, opaque to gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewrapPlace {
    /// The key version that wraps the value.
    pub key_version: u32,
    /// The item.
    pub item: ItemId,
    /// Its version.
    pub version: u32,
}

/// Asks for work. Needs no caller; recorded when something is handed out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RewrapTake {
    /// One for each value the gateway is ready to re-wrap, at most [`REWRAP_BATCH_MAX`].
    pub salts: Vec<[u8; 32]>,
    /// Where to go on with a key.
    pub after: Option<(KeyId, RewrapPlace)>,
    /// Keys this gateway cannot work on at the moment.
    pub except: Vec<KeyId>,
}

/// Work on one key version, or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RewrapTakeReply {
    /// The work.
    pub batch: Option<RewrapBatch>,
    /// Op rewrap: old and new context of each value.
    pub permits: Vec<SignedPermit>,
}

/// Work on one key version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RewrapBatch {
    /// The account.
    pub account: Uid,
    /// The key version that shall wrap.
    pub to: KeyRef,
    /// The signed manifests of `to` and of every version that wraps one of the values.
    pub manifests: Vec<(u32, Arc<[u8]>)>,
    /// Values to re-wrap, in the order of the salts.
    pub values: Vec<RewrapValue>,
    /// Where to go on; `None`: nothing follows.
    pub next: Option<RewrapPlace>,
}

/// A value to be wrapped anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RewrapValue {
    /// Its item.
    pub item: ItemId,
    /// The item's identity.
    pub uid: Uid,
    /// Its version.
    pub version: u32,
    /// The envelope without its chunks.
    pub head: Arc<[u8]>,
    /// The key version that wraps it.
    pub from: KeyRef,
    /// Where the derivation that opens the wrap is allowed.
    pub old_slot: PermitSlot,
    /// Where the derivation of the new wrap is allowed.
    pub new_slot: PermitSlot,
}

/// Hands back what became of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RewrapPut {
    /// The account.
    pub account: Uid,
    /// The key version that wraps now.
    pub to: KeyRef,
    /// The new wraps.
    pub values: Vec<RewrappedValue>,
    /// Why others have none.
    pub problem: Option<String>,
}

/// A new wrap, stored only if the envelope is still the one it was made for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RewrappedValue {
    /// The item.
    pub item: ItemId,
    /// Its version.
    pub version: u32,
    /// Which version wrapped it.
    pub from: KeyRef,
    /// SHA-256 of the head the gateway was given.
    pub head_sha256: [u8; 32],
    /// The new wrap.
    pub wrap: Arc<[u8]>,
}

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewrapPutReply {
    /// Wraps that are stored now.
    pub stored: u32,
    /// Wraps that were not needed any more: the value changed or is gone.
    pub outdated: u32,
    /// Whether nothing is wrapped by older versions any more.
    pub finished: bool,
}

/// Asks which key versions wrap what, and how far a rotation is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RewrapStatus {
    /// An item, key or not; `None`: the account's original key, for administrators.
    pub item: Option<ItemRef>,
}

/// The state of a key's versions, or the versions that wrap the values of an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RewrapStatusReply {
    /// Of a key.
    Key(Box<KeyStatus>),
    /// Of an item that is no key: its versions with what wraps them, newest first.
    Item {
        /// The item.
        item: Box<Item>,
        /// Its versions.
        values: Vec<WrappedBy>,
    },
}

/// A version of an item and what wraps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WrappedBy {
    /// The item's version.
    pub version: u32,
    /// Path of the key, for those who may list it.
    pub key_name: Option<String>,
    /// The key version.
    pub key: KeyRef,
}

/// The state of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyStatus {
    /// The key item; `None` for the original key.
    pub item: Option<Item>,
    /// The key.
    pub key_id: KeyId,
    /// Its versions, newest first.
    pub versions: Vec<KeyVersionStatus>,
    /// The newest rotation, if there was one.
    pub rotation: Option<RotationStatus>,
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVersionStatus {
    /// Its number.
    pub version: u32,
    /// Whether it may be used.
    pub state: ItemState,
    /// When it was recorded.
    pub created: Timestamp,
    /// Number of managers.
    pub managers: u8,
    /// How many are needed.
    pub threshold: u8,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
    /// Values it wraps.
    pub values: u64,
    /// Configurations of gateway clusters that are sealed under it. They are not wrapped anew by
    /// themselves: their gateways seal them, when they change or are told to.
    pub configurations: u64,
    /// Whether nothing that is stored needs it: the owner may order its destruction. Messages that
    /// were encrypted with it are not stored here and would be lost.
    pub ready_to_destroy: bool,
}

/// How far a rotation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationStatus {
    /// The version it leads to.
    pub to: u32,
    /// When it was recorded.
    pub started: Timestamp,
    /// When nothing was left to do.
    pub finished: Option<Timestamp>,
    /// Values that older versions wrapped at its start.
    pub found: u64,
    /// Values that older versions still wrap.
    pub left: u64,
    /// Why it does not get on; empty when it does.
    pub problem: String,
}

/// Values of one page of [`KeyValues`] at most.
pub const RESEAL_MAX: usize = 1_000;

/// Lists values that a key wraps and the caller may read and change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyValues {
    /// The key.
    pub key: ItemPath,
    /// Only values after this one.
    pub after: Option<(ItemId, u32)>,
    /// At most this many, 1 to [`RESEAL_MAX`].
    pub limit: usize,
}

/// A page of values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyValuesReply {
    /// Items and versions.
    pub values: Vec<(ItemPath, u32)>,
    /// How many the caller may not read and change.
    pub hidden: u64,
    /// Where the next page starts; `None`: this is the last one.
    pub next: Option<(ItemId, u32)>,
}

/// Stores a version's value again, sealed with a fresh data key under the newest version of its
/// key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValueReseal {
    /// The item.
    pub path: ItemPath,
    /// The identity the grant was given for.
    pub uid: Uid,
    /// The version.
    pub version: u32,
    /// SHA-256 of the envelope that was read; refused with a conflict when another one is stored.
    pub read_sha256: [u8; 32],
    /// The value.
    pub value: SealedValue,
}
