//! Protection keys: their manifests, and making a new one.

use std::sync::Arc;

use crate::grants::SignedPermit;
use keysherd_base::{ItemPath, KeyId, Uid};
use keysherd_domain::item::{Item, KeyAlgorithm};
use serde::{Deserialize, Serialize};

/// Reads the signed manifest of a key version. Writes no audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ManifestGet {
    /// The key.
    pub key_id: KeyId,
    /// Its version.
    pub version: u32,
}

/// A signed manifest, opaque to control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestGetReply {
    /// Manifest and signatures, as the managers made them.
    #[serde(with = "crate::octets")]
    pub manifest: Arc<[u8]>,
}

/// Asks to make a key. Checks everything that can be checked before the managers start; the audit
/// record is written by [`KeyCreate`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyBegin {
    /// Its path.
    pub path: ItemPath,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Number of managers.
    pub managers: u8,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
    /// Salt of the self-test derivation, drawn by the gateway.
    pub self_test_salt: [u8; 32],
    /// As in [`KeyCreate`], so that it is refused before the managers make anything.
    pub description: String,
    /// As in [`KeyCreate`].
    pub tags: Vec<String>,
}

/// Permission to make a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyBeginReply {
    /// The account the key belongs to.
    pub account: Uid,
    /// The identity it will have.
    pub key_id: KeyId,
    /// The key group fixed in its manifest.
    pub group: String,
    /// A permit for generation and its self-test (one entry of the self-test class: key version 1,
    /// the key's id as item id, item version 0, the gateway's salt).
    pub permit: SignedPermit,
}

/// Records a key whose managers have all signed its manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyCreate {
    /// The item, with `uid` and `key.key_id` as [`KeyBeginReply`] gave them; ids, times and
    /// state are set by control.
    pub path: ItemPath,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// The identity.
    pub key_id: KeyId,
    /// Manifest and signatures.
    #[serde(with = "crate::octets")]
    pub manifest: Arc<[u8]>,
    /// Number of managers.
    pub managers: u8,
    /// How many are needed.
    pub threshold: u8,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
    /// Free text.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether it refuses deletion; `None`: the account's default.
    pub delete_protection: Option<bool>,
    /// Sealed key material (class 3) for algorithms that need one fixed key (SIV, CBC).
    pub sealed: Option<Arc<[u8]>>,
}

/// The recorded key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyCreateReply {
    /// The key item.
    pub item: Item,
    /// What deserves attention, such as that the key lies at `/`.
    pub warnings: Vec<String>,
}
