//! Items and folders: metadata, and recording what a gateway encrypted.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{AssocId, FolderPath, ItemId, ItemPath, Timestamp, Uid};
use keysherd_domain::engine::EngineFacts;
use keysherd_domain::folder::Folder;
use keysherd_domain::item::{
    Item, ItemKind, ItemState, ItemVersion, NameTag, SecretKind, ValueFormat,
};
use keysherd_domain::role::Capabilities;
use keysherd_domain::rotated_secret::{CheckOut, Grace, RotationFacts, Schedule};
use keysherd_domain::target::TargetFacts;
use serde::{Deserialize, Serialize};

use crate::credential_rotations::RotationView;
use crate::grants::{ItemRef, KeyRef};

/// A value as the gateway sealed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedValue {
    /// The envelope.
    #[serde(with = "crate::octets")]
    pub ciphertext: Arc<[u8]>,
    /// The key that wraps it.
    pub key: KeyRef,
    /// Whether a manager has still to confirm the derivation.
    pub unconfirmed: bool,
    /// What attests the item's path.
    pub name_tag: Option<NameTag>,
}

/// What an item is made as. Targets are named by the paths they are stored at
/// (`keysherd_domain::target`), here and in every other message about items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Made {
    /// A static secret.
    Static,
    /// A dynamic secret, whose value is all its settings.
    Dynamic {
        /// The member of the family.
        engine: String,
        /// How long its credentials live, in seconds.
        user_ttl_seconds: i64,
        /// The target that it makes them on.
        target: TargetChoice,
    },
    /// A target, whose value is all its settings.
    Target {
        /// The member of the family.
        kind: String,
        /// The V2 `target_type`.
        type_name: String,
        /// The target whose credentials it uses, if it uses any. A new one has none unless it is
        /// named, which takes `read` on it: it can be had sent anywhere then.
        #[serde(default)]
        parent: TargetChoice,
    },
    /// A rotated secret, whose value is all its settings, with the credentials where they are not
    /// the target's own.
    Rotated(Box<MadeRotated>),
}

/// What a rotated secret is made as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeRotated {
    /// The member of the family.
    pub rotator: String,
    /// What of it changes: V2's `rotator-type`.
    pub rotator_type: String,
    /// The target that the credentials are on.
    pub target: TargetChoice,
    /// Whether they are those of the target itself, which takes `read` and `update` on it. Cannot
    /// be changed later, nor can the target then.
    pub of_target: bool,
    /// When they change by themselves.
    pub schedule: Schedule,
    /// Whether the old ones stay for a while.
    pub grace: Option<Grace>,
    /// Whether reading locks.
    pub check_out: Option<CheckOut>,
    /// Whether they change when a session that used them has ended.
    pub after_disconnect: bool,
    /// Whether whom the target signs in changes them, not their owner.
    #[serde(default)]
    pub by_target: bool,
    /// How many days before they change by themselves people are told of it.
    #[serde(default)]
    pub notices: Vec<u32>,
}

/// Which target a dynamic or rotated secret uses, or another target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetChoice {
    /// None: its own settings say all that is needed.
    Without,
    /// The one it has, for changes only. Needs no right to it.
    #[default]
    Same,
    /// This one. Needs `list` on it.
    Named(ItemPath),
}

/// Records a new secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretCreate {
    /// Its path.
    pub path: ItemPath,
    /// What it is; the path must be one for that.
    pub made: Made,
    /// The identity the grant was given for.
    pub uid: Uid,
    /// Sub-type.
    pub secret_kind: SecretKind,
    /// Format.
    pub format: ValueFormat,
    /// Free text.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// The protection key by path; `None`: the default.
    pub protection_key: Option<ItemPath>,
    /// As the grant was asked for with it.
    pub cluster_key: Option<ItemId>,
    /// Versions kept.
    pub max_versions: Option<u32>,
    /// Whether it refuses deletion; `None`: the account's default.
    pub delete_protection: Option<bool>,
    /// Sites a password is meant for.
    pub websites: Vec<String>,
    /// Account-defined fields.
    pub custom_fields: BTreeMap<String, String>,
    /// Whether a change raises an event.
    pub change_event: bool,
    /// Version 1.
    pub value: SealedValue,
}

/// The recorded secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretCreateReply {
    /// The item.
    pub item: Item,
    /// What the caller should be told, such as that the item lies at `/`.
    pub warnings: Vec<String>,
}

/// Records a new value of a secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValuePut {
    /// The item.
    pub path: ItemPath,
    /// What is known of it from now on; must be there for all but static secrets, and of the same
    /// kind and engine as before.
    pub made: Option<Made>,
    /// Whether it is about another place than before, such as another host; refused with a
    /// conflict while temporary credentials are left at that one.
    #[serde(default)]
    pub moved: bool,
    /// The version the grant was given for; refused with a conflict when another write was faster.
    pub version: u32,
    /// The identity the grant was given for.
    pub uid: Uid,
    /// Whether this overwrites the newest version instead of adding one.
    pub overwrite: bool,
    /// New format; `None`: unchanged.
    pub format: Option<ValueFormat>,
    /// New sites; `None`: unchanged.
    pub websites: Option<Vec<String>>,
    /// The value.
    pub value: SealedValue,
}

/// The item after the write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValuePutReply {
    /// The item.
    pub item: Item,
}

/// Changes metadata; `None` leaves a part as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ItemUpdateParts {
    /// A new path.
    pub new_path: Option<ItemPath>,
    /// New free text.
    pub description: Option<String>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Tags to remove.
    pub remove_tags: Vec<String>,
    /// Versions kept.
    pub max_versions: Option<u32>,
    /// Delete protection.
    pub delete_protection: Option<bool>,
    /// Account-defined fields to set; an empty value removes one.
    pub custom_fields: BTreeMap<String, String>,
    /// Whether a change raises an event.
    pub change_event: Option<bool>,
    /// What attests the new path, and for which version.
    pub name_tag: Option<(u32, NameTag)>,
}

/// Changes an item's metadata.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemUpdate {
    /// The item.
    pub path: ItemPath,
    /// What changes.
    pub parts: ItemUpdateParts,
}

/// Reads an item's metadata.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemDescribe {
    /// The item.
    pub item: ItemRef,
    /// Whether its versions are wanted.
    pub with_versions: bool,
}

/// An item as a caller may see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemView {
    /// The item.
    pub item: Item,
    /// Path of its protection key; `None` for the account's default.
    pub protection_key_name: Option<String>,
    /// The customer fragment that the item's key is bound to.
    pub customer_fragment: Option<Uid>,
    /// What the caller may do with it.
    pub permissions: Capabilities,
    /// Its versions, newest first, without ciphertext, when they were asked for.
    pub versions: Vec<ItemVersion>,
    /// When its value was last used, as far as that is known.
    pub last_used: Option<Timestamp>,
    /// Of a dynamic or rotated secret its target, of a target the items and targets that use it;
    /// of both what is associated for remote access. Those that the caller may list, at most
    /// [`ASSOCIATED_MAX`].
    pub associated: Vec<AssociatedItem>,
    /// Of a target, the one whose credentials it uses, if the caller may list it.
    #[serde(default)]
    pub parent: Option<Box<AssociatedItem>>,
    /// Of a rotated secret, how its rotations stand.
    pub rotation: Option<RotationView>,
}

/// Associated items that are looked at for one, at most.
pub const ASSOCIATED_MAX: usize = 1_000;

/// An item or target at the other end of an association.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssociatedItem {
    /// Its id.
    pub id: ItemId,
    /// Its path.
    pub path: ItemPath,
    /// What it is.
    pub kind: ItemKind,
    /// What is known of a dynamic secret.
    pub engine: Option<EngineFacts>,
    /// What is known of a target.
    pub target: Option<TargetFacts>,
    /// What is known of a rotated secret.
    pub rotation: Option<RotationFacts>,
    /// Of an association for remote access its id; none where one uses the other.
    #[serde(default)]
    pub assoc: Option<AssocId>,
}

/// Lists items the caller may see.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemList {
    /// Only items directly in this folder, and its sub-folders' names; `None`: all items.
    pub folder: Option<FolderPath>,
    /// Substring of the path.
    pub filter: Option<String>,
    /// Filter names of item kinds (`static-secret`, `key`, ...); empty: all but targets. `target`
    /// lists targets and nothing else; `folder` is then one of the place where they are stored.
    pub kinds: Vec<String>,
    /// Sub-types of static secrets, and types of targets; empty: all.
    pub secret_kinds: Vec<String>,
    /// An exact tag.
    pub tag: Option<String>,
    /// Only items changed after this time.
    pub modified_after: Option<Timestamp>,
    /// Only paths after this one.
    pub after: Option<String>,
    /// At most this many; `None`: all.
    pub limit: Option<usize>,
}

/// A page of items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemListReply {
    /// By path.
    pub items: Vec<ItemView>,
    /// Sub-folders of the folder, with both slashes, by path.
    pub folders: Vec<FolderPath>,
    /// Whether there are more items.
    pub more: bool,
}

/// Which versions are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeleteVersions {
    /// The item with all its versions.
    All,
    /// The newest.
    Latest,
    /// This one.
    Exactly(u32),
}

/// Deletes an item or one of its versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemDelete {
    /// The item.
    pub path: ItemPath,
    /// What of it.
    pub versions: DeleteVersions,
    /// Days until a key is gone: 1 to 365, or -1 together with `immediately`. Ignored for others.
    pub in_days: i64,
    /// Whether a key is deleted at once.
    pub immediately: bool,
    /// Whether a target goes that items use, which stop working, or a rotated secret of which
    /// nobody knows what credentials its target takes.
    pub force: bool,
}

/// What was deleted, or will be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemDeleteReply {
    /// The item's path.
    pub path: ItemPath,
    /// The item's id.
    pub id: ItemId,
    /// The item's identity.
    pub uid: Uid,
    /// When a scheduled deletion takes place.
    pub deletion_at: Option<Timestamp>,
    /// The deleted version; `None` for the whole item.
    pub version: Option<u32>,
}

/// Deletes many items at once; refused as a whole when a key is among those of a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ItemsDelete {
    /// Everything below a folder.
    Below(FolderPath),
    /// All targets below a folder of the place where they are stored.
    Targets {
        /// The folder.
        below: FolderPath,
        /// Also those that items use, which cannot work any more.
        force: bool,
    },
    /// These items.
    Items(Vec<ItemPath>),
}

/// What became of each item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemsDeleteReply {
    /// Deleted.
    pub deleted: Vec<ItemPath>,
    /// Not deleted, and why.
    pub failed: BTreeMap<String, String>,
}

/// What kind of objects are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MovedObjects {
    /// Items and folders.
    Items,
    /// Auth methods.
    AuthMethods,
    /// Roles.
    Roles,
}

/// Moves a folder with everything below it. All or nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectsMove {
    /// What kind of objects.
    pub objects: MovedObjects,
    /// From.
    pub source: FolderPath,
    /// To.
    pub target: FolderPath,
}

/// How many objects moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectsMoveReply {
    /// Objects.
    pub moved: usize,
    /// What deserves attention.
    pub warnings: Vec<String>,
}

/// Sets the state of an item or a version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemStateSet {
    /// The item.
    pub path: ItemPath,
    /// `None`: the item; otherwise this version.
    pub version: Option<u32>,
    /// The new state.
    pub state: ItemState,
}

/// Locks an item for everyone but the caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemLockSet {
    /// The item.
    pub path: ItemPath,
    /// Locks reading.
    pub read: bool,
    /// Locks updating.
    pub update: bool,
    /// Minutes until the lock ends by itself.
    pub ttl_minutes: u32,
}

/// Unlocks an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ItemUnlock {
    /// The item.
    pub path: ItemPath,
}

/// Creates an empty folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FolderCreate {
    /// Its path.
    pub path: FolderPath,
    /// Free text.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Delete protection; `None`: the account's default.
    pub delete_protection: Option<bool>,
}

/// Reads a folder that was created as such.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FolderGet {
    /// Its path.
    pub path: FolderPath,
}

/// A folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FolderView {
    /// The folder.
    pub folder: Folder,
}

/// Changes a folder's metadata.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FolderUpdate {
    /// Its path.
    pub path: FolderPath,
    /// New free text.
    pub description: Option<String>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Tags to remove.
    pub remove_tags: Vec<String>,
    /// Delete protection.
    pub delete_protection: Option<bool>,
}

/// Deletes a folder; refused while something lies in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FolderDelete {
    /// Its path.
    pub path: FolderPath,
}
