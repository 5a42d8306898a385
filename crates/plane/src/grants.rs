//! Grants: the requests that end in a derivation. Many callers' wishes share one batch, one audit
//! commit and one permit.

use std::sync::Arc;

use keysherd_base::{AccessId, Fault, ItemId, ItemPath, KeyId, Uid};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::engine::EngineFacts;
use keysherd_domain::item::{ItemKind, KeyAlgorithm, NameTag, SecretKind, ValueFormat};
use keysherd_domain::rotated_secret::RotationFacts;
use keysherd_domain::target::TargetFacts;
use serde::{Deserialize, Serialize};

use crate::cache::Keep;
use crate::caller::Caller;

/// Code of the refusal to read an item that is no static secret.
pub const NOT_STATIC: &str = "NotAStaticSecret";

/// How an item is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ItemRef {
    /// By path.
    Path(ItemPath),
    /// By integer id.
    Id(ItemId),
    /// By display id.
    Display(String),
    /// The configuration of a gateway cluster, by the cluster's number. It is no item; only the
    /// cluster's own access id reads it.
    GatewayCluster(i64),
}

/// Which versions of an item are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VersionWish {
    /// The newest.
    Latest,
    /// This one.
    Exactly(u32),
    /// The newest `n`, at most 20.
    Last(u32),
}

/// What a caller wants to do with the derivation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// Read values. Granted with an audit record, durable when the reply is given.
    Read {
        /// The items, at most `limits::NAMES_PER_READ_MAX`.
        items: Vec<ItemRef>,
        /// Which versions of each.
        version: VersionWish,
    },
    /// Derive the key of the newest value for attesting a new path. Grants [`Granted::Read`] with
    /// that one version, or with none where nothing can be attested: another kind of item, no
    /// value, or a caller who may not read it. It is recorded as what permits a derivation.
    Attest {
        /// The item.
        item: ItemRef,
    },
    /// Open the settings of a dynamic or rotated secret or a target, for the gateway itself to work
    /// with. Grants [`Granted::Read`] with their newest version, and [`GrantedTo::opened`]. Never
    /// kept by gateways.
    Open {
        /// The dynamic or rotated secret or target.
        item: ItemRef,
        /// What for.
        purpose: Purpose,
    },
    /// Write a new value to be recorded afterwards by `ItemCreate` or `ItemPutValue`, which write
    /// the audit record.
    Write {
        /// What is written.
        target: WriteTarget,
        /// Drawn by the gateway.
        salt: [u8; 32],
    },
    /// Use a key on messages. Granted with an audit record, as [`Granted::Transit`] for GCM keys
    /// (class 2, the key's id as item id, item version 0) and as [`Granted::SealedKey`] for keys
    /// with fixed material (class 3, the key's id as item id, its version as item version).
    Transit {
        /// The key item.
        key: ItemRef,
        /// A key version; `None`: the newest.
        version: Option<u32>,
        /// The window's salt.
        salt: [u8; 32],
        /// Whether messages are encrypted (fresh salt) or decrypted.
        encrypt: bool,
    },
}

/// What the settings of a dynamic or rotated secret or a target are opened for, which says what it
/// takes, and how it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// To make a temporary credential: `read` on the dynamic secret, which must be enabled, at a
    /// gateway of the cluster that owns it. Its target comes with it, without any right on that.
    /// Recorded as what permits the derivation; [`crate::credential_leases::LeaseIntend`] is the
    /// record of the request.
    Produce,
    /// To show them to who asks: `read` on the dynamic or rotated secret or the target, which comes
    /// alone.
    Settings,
    /// To change them: `update` on the dynamic or rotated secret, which comes with its target, or
    /// on the target. Recorded as what permits the derivation.
    Change,
    /// To try out a dynamic or rotated secret that is made or changed to use this target: `list` on
    /// the target. Recorded as what permits the derivation.
    UseTarget,
    /// To show the credentials of a rotated secret to who asks: `read` on it. Its target comes with
    /// it where the credentials are the target's own. Refused with the code `CheckOutFirst` where
    /// [`crate::credential_rotations::RotatedCheckOut`] is to be asked before.
    Credentials {
        /// Those of this version; `None`: of the newest.
        version: Option<u32>,
    },
    /// To try out on its target whether the credentials of a rotated secret are in force: `read` on
    /// it, at a gateway of the cluster that owns it, also while somebody else has it alone. Its
    /// target comes with it, without any right on that. Nobody is shown anything.
    Check,
}

/// Where a value is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteTarget {
    /// A new static secret.
    NewSecret {
        /// Its path, which must be free.
        path: ItemPath,
        /// Its identity, drawn by the gateway.
        uid: Uid,
        /// The protection key by path; `None`: the default.
        protection_key: Option<ItemPath>,
        /// The default key of the cluster that the gateway is in, where it has one; without a
        /// named key it goes before the account's.
        cluster_key: Option<ItemId>,
    },
    /// A new value of an existing static secret.
    NewValue {
        /// The item.
        path: ItemPath,
        /// The protection key by path; `None`: the one it has.
        protection_key: Option<ItemPath>,
        /// Whether the previous version is kept; `None`: as the account says.
        keep_previous: Option<bool>,
        /// Refused with a conflict unless this is the newest version.
        expected_version: Option<u32>,
    },
    /// Sealed material of a key that is being made (after its manifest exists, before it is
    /// recorded).
    NewSealedKey {
        /// The key's path, which must be free.
        path: ItemPath,
        /// The key's identity.
        key_id: KeyId,
        /// The customer fragment it is bound to.
        customer_fragment: Option<Uid>,
    },
    /// Sealed material of a further version of a key (after its manifest exists, before it is
    /// recorded).
    RotatedSealedKey {
        /// The key's path.
        path: ItemPath,
        /// The version, as the rotation was permitted.
        key: KeyRef,
    },
    /// The next configuration of a gateway cluster, for the cluster's own access id.
    GatewayCluster {
        /// The cluster's number.
        cluster: i64,
        /// Stands for it in audit records.
        path: ItemPath,
        /// The version it takes the place of; refused with a conflict unless that is the newest.
        replaces: u32,
        /// The key that it and all later ones are sealed under; `None`: the one there is.
        key: Option<ItemPath>,
    },
    /// The value an existing version of a static secret has, sealed again with a fresh key.
    SameValue {
        /// The item.
        path: ItemPath,
        /// The version.
        version: u32,
    },
}

/// A protection key version a derivation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRef {
    /// The key.
    pub key_id: KeyId,
    /// Its version.
    pub version: u32,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
}

/// Where a derivation is allowed: which permit of the batch, and which of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PermitSlot {
    /// Index in [`GrantReply::permits`].
    pub permit: u16,
    /// Index of the permit's entry.
    pub entry: u16,
}

/// A version's ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedVersion {
    /// Its number.
    pub version: u32,
    /// The envelope.
    #[serde(with = "crate::octets")]
    pub ciphertext: Arc<[u8]>,
    /// The key that wraps it.
    pub key: KeyRef,
    /// Its place in the batch's permits, when there is one.
    pub permit_slot: Option<PermitSlot>,
    /// What attests the item's path.
    pub name_tag: Option<NameTag>,
}

/// An item whose value may be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedItem {
    /// Its path.
    pub path: ItemPath,
    /// Its integer id.
    pub id: ItemId,
    /// Its identity.
    pub uid: Uid,
    /// What it is.
    pub kind: ItemKind,
    /// Sub-type of a static secret.
    pub secret_kind: SecretKind,
    /// Format of a static secret.
    pub format: ValueFormat,
    /// Newest first.
    pub versions: Vec<GrantedVersion>,
}

/// What was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granted {
    /// For [`Wish::Read`], in the order of its items. Shared with control's cache in process.
    Read(Vec<Arc<GrantedItem>>),
    /// For [`Wish::Write`].
    Write {
        /// The item's identity.
        uid: Uid,
        /// The version number the value will have.
        version: u32,
        /// Whether it replaces the newest version instead of following it.
        overwrite: bool,
        /// The format the item has so far, which a value without one must have too.
        format: ValueFormat,
        /// Class byte of the derivation (`fragments.md` 5.1): 1 secret item, 3 sealed key.
        class: u8,
        /// The key that wraps it.
        key: KeyRef,
        /// Its place in the batch's permits.
        permit_slot: PermitSlot,
    },
    /// For [`Wish::Transit`] with a GCM key.
    Transit {
        /// The key item's integer id.
        item_id: ItemId,
        /// The key.
        key: KeyRef,
        /// Its algorithm.
        algorithm: KeyAlgorithm,
        /// Its place in the batch's permits, when there is one.
        permit_slot: Option<PermitSlot>,
    },
    /// For [`Wish::Transit`] with a SIV or CBC key.
    SealedKey {
        /// The key item's integer id.
        item_id: ItemId,
        /// The key's identity.
        uid: Uid,
        /// The version of the material, which messages name.
        version: u32,
        /// The key version that wraps it: the same, or a later one after a rotation.
        key: KeyRef,
        /// Its algorithm.
        algorithm: KeyAlgorithm,
        /// The envelope of the key material.
        #[serde(with = "crate::octets")]
        ciphertext: Arc<[u8]>,
        /// Its place in the batch's permits, when there is one.
        permit_slot: Option<PermitSlot>,
    },
}

/// Wishes of several callers at once. The caller of the message itself is not used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Each caller with its wish.
    pub wishes: Vec<(Caller, Wish)>,
    /// Whether a permit is wanted: `false` when the gateway has the keys in its cache.
    pub with_permit: bool,
    /// Whether the gateway would keep what is granted to read.
    pub keep: Keeping,
}

/// Whether a gateway would keep what it is granted to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeping {
    /// It would not.
    No,
    /// It would, and somebody waits for it now.
    Answered,
    /// It would, and nobody waits for it: it was read before, and the gateway wants to have it
    /// when it is asked for again. Recorded as such.
    Ahead,
}

/// A permit as control signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPermit {
    /// The encoded permit, followed by its 64-byte signature.
    #[serde(with = "crate::octets")]
    pub bytes: Arc<[u8]>,
}

/// The answer to a [`Grant`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantReply {
    /// In the order of the wishes.
    pub outcomes: Vec<Outcome>,
    /// The permits that cover every granted derivation; empty when there is nothing to derive.
    /// A permit is for one account and one kind of operation and has at most 1000 entries.
    pub permits: Vec<SignedPermit>,
}

/// What became of one wish; a refusal is audited.
pub type Outcome = Result<GrantedTo, Fault>;

/// What was granted, and to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantedTo {
    /// The caller's account.
    pub account: Uid,
    /// What was granted.
    pub granted: Granted,
    /// How long that may be repeated without asking; `None`: not at all.
    pub keep: Option<Keep>,
    /// For [`Wish::Open`]: what a gateway knows of it besides.
    pub opened: Option<Box<Opened>>,
}

/// What is known of what was opened, and who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// In the order of the granted items.
    pub facts: Vec<ItemFacts>,
    /// The caller.
    pub access_id: AccessId,
    /// Their sub-claims.
    pub sub_claims: SubClaims,
}

/// What is known of an item without opening it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFacts {
    /// Of a dynamic secret.
    pub engine: Option<EngineFacts>,
    /// Of a target.
    pub target: Option<TargetFacts>,
    /// Of a rotated secret.
    pub rotation: Option<RotationFacts>,
}
