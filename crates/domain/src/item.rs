//! Items: secrets and keys, and their versions. Values are ciphertext here, always.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{AccessId, AccountId, DisplayId, ItemId, ItemPath, KeyId, Timestamp, Uid};
use serde::{Deserialize, Serialize};

use crate::engine::EngineFacts;
use crate::rotated_secret::RotationFacts;
use crate::target::{self, TargetFacts};

/// Algorithm of a protection key (a key whose fragments the managers hold).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    /// AES-GCM with a 128-bit key.
    Aes128Gcm,
    /// AES-GCM with a 256-bit key.
    Aes256Gcm,
    /// AES-SIV with two 128-bit keys (RFC 5297).
    Aes128Siv,
    /// AES-SIV with two 256-bit keys (RFC 5297).
    Aes256Siv,
    /// AES-CBC with a 128-bit key; not authenticated.
    Aes128Cbc,
    /// AES-CBC with a 256-bit key; not authenticated.
    Aes256Cbc,
}

impl KeyAlgorithm {
    /// Every algorithm, in the order help texts show them.
    pub const ALL: [Self; 6] = [
        Self::Aes128Gcm,
        Self::Aes256Gcm,
        Self::Aes128Siv,
        Self::Aes256Siv,
        Self::Aes128Cbc,
        Self::Aes256Cbc,
    ];

    /// The name used as `alg` and as item type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES128GCM",
            Self::Aes256Gcm => "AES256GCM",
            Self::Aes128Siv => "AES128SIV",
            Self::Aes256Siv => "AES256SIV",
            Self::Aes128Cbc => "AES128CBC",
            Self::Aes256Cbc => "AES256CBC",
        }
    }

    /// Finds an algorithm by its name in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name().eq_ignore_ascii_case(name))
    }

    /// Whether a key of this algorithm may protect items: only authenticated ciphers may.
    pub const fn protects_items(self) -> bool {
        !matches!(self, Self::Aes128Cbc | Self::Aes256Cbc)
    }
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ItemKind {
    /// A static secret.
    StaticSecret,
    /// A protection key.
    Key(KeyAlgorithm),
    /// What makes temporary credentials.
    DynamicSecret,
    /// A system that dynamic secrets make users on.
    Target,
    /// Credentials that are changed on their target from time to time.
    RotatedSecret,
}

impl ItemKind {
    /// The `item_type` of the V2 API.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::StaticSecret => "STATIC_SECRET",
            Self::Key(algorithm) => algorithm.name(),
            Self::DynamicSecret => "DYNAMIC_SECRET",
            Self::Target => "TARGET",
            Self::RotatedSecret => "ROTATED_SECRET",
        }
    }

    /// The word a list filter uses for this kind.
    pub const fn filter_name(self) -> &'static str {
        match self {
            Self::StaticSecret => "static-secret",
            Self::Key(_) => "key",
            Self::DynamicSecret => "dynamic-secret",
            Self::Target => "target",
            Self::RotatedSecret => "rotated-secret",
        }
    }

    /// Reads back [`ItemKind::type_name`].
    pub fn from_type_name(name: &str) -> Option<Self> {
        match name {
            "STATIC_SECRET" => Some(Self::StaticSecret),
            "DYNAMIC_SECRET" => Some(Self::DynamicSecret),
            "TARGET" => Some(Self::Target),
            "ROTATED_SECRET" => Some(Self::RotatedSecret),
            other => KeyAlgorithm::from_name(other).map(Self::Key),
        }
    }

    /// Whether this is a key.
    pub const fn is_key(self) -> bool {
        matches!(self, Self::Key(_))
    }
}

/// The sub-type of a static secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretKind {
    /// Any value.
    #[default]
    Generic,
    /// A user name and a password (with custom fields), stored as one JSON value.
    Password,
}

impl SecretKind {
    /// The `item_sub_type` of the V2 API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Password => "password",
        }
    }
}

/// How the text of a static secret is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueFormat {
    /// Any text.
    #[default]
    Text,
    /// Valid JSON.
    Json,
    /// A JSON object of strings.
    KeyValue,
}

impl ValueFormat {
    /// The `format` of the V2 API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::KeyValue => "key-value",
        }
    }
}

/// Whether an item or a version may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemState {
    /// Usable.
    #[default]
    Enabled,
    /// Kept, not usable.
    Disabled,
    /// To be deleted at its deletion date unless its state is set again.
    PendingDeletion,
}

impl ItemState {
    /// The `item_state` of the V2 API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingDeletion => "PendingDeletion",
        }
    }
}

/// Who holds a personal item or did something: an access id and the bearer's unique id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The auth method's access id.
    pub access_id: AccessId,
    /// The claim `client_unique_id`.
    pub unique_id: String,
}

/// A time-limited lock on an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemLock {
    /// Who locked it.
    pub by: Actor,
    /// Reading is refused to everyone else.
    pub read: bool,
    /// Updating is refused to everyone else.
    pub update: bool,
    /// When the lock ends by itself.
    pub expires: Timestamp,
}

/// What is specific to a key item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The identity bound into derivations; equals the item's uid.
    pub key_id: KeyId,
    /// The newest key version.
    pub version: u32,
    /// Number of fragment managers (the V2 `split-level`).
    pub managers: u8,
    /// How many of them are needed.
    pub threshold: u8,
    /// The customer fragment the key is bound to, all zero for none.
    pub customer_fragment: Option<Uid>,
}

/// An item without its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The integer id of the V2 API.
    pub id: ItemId,
    /// The identity bound into derivations.
    pub uid: Uid,
    /// The second public id.
    pub display_id: DisplayId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path.
    pub path: ItemPath,
    /// What it is.
    pub kind: ItemKind,
    /// Sub-type of a static secret.
    pub secret_kind: SecretKind,
    /// Format of a static secret.
    pub format: ValueFormat,
    /// Free text.
    pub description: String,
    /// Tags, in the order they were added.
    pub tags: Vec<String>,
    /// Whether it may be used.
    pub state: ItemState,
    /// When a pending deletion takes place.
    pub deletion_at: Option<Timestamp>,
    /// The holder of a personal item; `None` for a regular one.
    pub personal: Option<Actor>,
    /// The newest version number; 0 before the first value.
    pub last_version: u32,
    /// Versions kept; `None` for the account's default.
    pub max_versions: Option<u32>,
    /// Refuses deletion while set.
    pub delete_protection: bool,
    /// The key item that protects it; `None` for the account's default key.
    pub protection_key: Option<ItemId>,
    /// Length of the current ciphertext in bytes.
    pub size_bytes: u64,
    /// The key's own facts, for keys.
    pub key: Option<KeyInfo>,
    /// Sites a password is meant for.
    pub websites: Vec<String>,
    /// Account-defined fields.
    pub custom_fields: BTreeMap<String, String>,
    /// Whether a change of the value raises an event.
    pub change_event: bool,
    /// The lock in force, if any.
    pub lock: Option<ItemLock>,
    /// A dynamic secret's own facts.
    #[serde(default)]
    pub engine: Option<EngineFacts>,
    /// A target's own facts.
    #[serde(default)]
    pub target: Option<TargetFacts>,
    /// A rotated secret's own facts.
    #[serde(default)]
    pub rotation: Option<RotationFacts>,
    /// When it was created.
    pub created: Timestamp,
    /// When its metadata or value last changed.
    pub modified: Timestamp,
}

impl Item {
    /// What people call it, with what it is: `item /a/b`, `target /db/prod`.
    pub fn called(&self) -> String {
        match target::shown(self.path.as_str()) {
            Some(shown) => format!("target {shown}"),
            None => format!("item {}", self.path),
        }
    }
}

/// What a gateway attests with when it writes a value: that the item has this path. Only gateways
/// can make or check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameTag(pub [u8; 32]);

/// One version of an item's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemVersion {
    /// Version number, from 1.
    pub version: u32,
    /// Whether it may be used.
    pub state: ItemState,
    /// The protection key that wraps it.
    pub key_id: KeyId,
    /// The protection key's version.
    pub key_version: u32,
    /// The key item, `None` for the account's default key.
    pub protection_key: Option<ItemId>,
    /// The customer fragment the key is bound to.
    pub customer_fragment: Option<Uid>,
    /// The envelope of `fragments.md` 5.6.
    pub ciphertext: Arc<[u8]>,
    /// Whether a manager has still to confirm the derivation it was written with.
    pub unconfirmed: bool,
    /// What attests the item's path; `None` for values that were written without.
    #[serde(default)]
    pub name_tag: Option<NameTag>,
    /// Who wrote it.
    pub by: Option<Actor>,
    /// When it was written.
    pub created: Timestamp,
}

/// An item with its current version: what a read needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemWithValue {
    /// The item.
    pub item: Item,
    /// Its newest version; `None` when it has no value.
    pub current: Option<ItemVersion>,
}
