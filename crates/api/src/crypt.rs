//! What commands ask of the gateway's cryptography: read, seal, make a key, use a key.
//!
//! Implementations obtain the control plane's grant themselves (many requests share one batch),
//! verify what managers answer, and check what they are about to store by opening it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{AccessId, AccountId, Fault, ItemPath, KeyId, SecretBytes, Timestamp, Uid};
use keysherd_domain::item::{KeyAlgorithm, NameTag, ValueFormat};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::order::KeyReport;
use keysherd_plane::BoxFuture;
use keysherd_plane::credential_rotations::Reason;
use keysherd_plane::grants::{GrantedItem, ItemRef, Purpose, VersionWish, WriteTarget};
use keysherd_plane::items::SealedValue;
use keysherd_plane::rotation::{KeyRotateReply, RotatedKey};

use crate::caching::CachePolicy;
use crate::ctx::Ctx;

/// How fresh an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Control is asked.
    Asked,
    /// What control said before is as good, as long as the gateway knows that nothing has changed.
    Coherent,
}

/// A value that was opened.
#[derive(Debug)]
pub struct OpenedValue {
    /// Its version.
    pub version: u32,
    /// The plaintext.
    pub value: SecretBytes,
    /// Whether a gateway attested that the item has the path it was asked for by; `None` when it
    /// was not asked for by path. Of a cluster's configuration: that it is called as `item` says.
    pub name_attested: Option<bool>,
}

/// An item whose values were opened.
#[derive(Debug)]
pub struct OpenedItem {
    /// What control granted.
    pub item: Arc<GrantedItem>,
    /// The values, newest first.
    pub values: Vec<OpenedValue>,
}

/// The settings of a dynamic secret or a target, opened for the gateway to work with.
#[derive(Debug)]
pub struct OpenedForUse {
    /// What was asked for; then its target, where it has one and that was granted with it. Each has
    /// its newest value.
    pub items: Vec<OpenedItem>,
    /// The account.
    pub account: Uid,
    /// Who asked.
    pub access_id: AccessId,
    /// Their sub-claims.
    pub sub_claims: BTreeMap<String, Vec<String>>,
}

/// A value that was sealed and opened again for proof, ready to be recorded.
#[derive(Debug)]
pub struct SealedWrite {
    /// The item's identity.
    pub uid: Uid,
    /// The version number it was sealed for.
    pub version: u32,
    /// Whether it replaces the newest version.
    pub overwrite: bool,
    /// The format the item has so far.
    pub format: ValueFormat,
    /// The sealed value.
    pub value: SealedValue,
}

/// A protection key to be made.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// Its path.
    pub path: ItemPath,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Number of managers.
    pub managers: u8,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
    /// Free text.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// A key all managers have signed, tested by two quorums, not yet recorded.
#[derive(Debug)]
pub struct GeneratedKey {
    /// Its identity.
    pub key_id: KeyId,
    /// Manifest and signatures.
    pub manifest: Arc<[u8]>,
    /// How many managers are needed.
    pub threshold: u8,
    /// Milliseconds each manager took, in their order.
    pub manager_millis: Vec<i64>,
    /// Sealed key material for algorithms with one fixed key.
    pub sealed: Option<Arc<[u8]>>,
}

/// A further version of a key to be made.
#[derive(Clone, Debug)]
pub struct RotateWish {
    /// The key.
    pub key: RotatedKey,
    /// Another number of managers.
    pub managers: Option<u8>,
    /// Another customer fragment.
    pub customer_fragment: Option<Uid>,
}

/// A message to encrypt or decrypt with a key.
#[derive(Debug)]
pub struct TransitMessage {
    /// The key.
    pub key: ItemRef,
    /// A key version; `None`: the newest when encrypting, the message's own when decrypting.
    pub version: Option<u32>,
    /// What is bound to the message: the encryption context in canonical form.
    pub context: Vec<u8>,
    /// Initialization vector of CBC keys, 16 bytes.
    pub iv: Option<[u8; 16]>,
    /// Plaintext or ciphertext.
    pub data: SecretBytes,
}

/// A customer fragment of this gateway as listings show it; nothing of its value.
#[derive(Clone, Debug)]
pub struct HeldFragment {
    /// Its id.
    pub id: Uid,
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `standard`, `hsm_wrapped` or `hsm_secured`; empty when the entry is damaged.
    pub kind: &'static str,
    /// The label of its hardware key.
    pub key_label: Option<String>,
    /// By which people compare it; `None` until a hardware module has made it.
    pub fingerprint: Option<String>,
    /// When recovery shares were last shown to restore it, in seconds since 1970.
    pub backup_verified_at: Option<i64>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// What one fragment manager said.
#[derive(Debug)]
pub struct ManagerSaid<T> {
    /// Its index.
    pub manager: u8,
    /// What it said; a fault names it and says what to do.
    pub said: Result<T, Fault>,
}

/// An order of the owner that a manager obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOrder {
    /// The order.
    pub order_id: Uid,
    /// When what it destroys is erased.
    pub destroy_at: Option<Timestamp>,
}

/// What became of one message.
pub type TransitResult = Result<SecretBytes, Fault>;

/// The gateway's cryptography.
pub trait Crypt: Send + Sync {
    /// In how many trust domains the fragment managers are, by the owner's bundle.
    fn trust_domains(&self) -> usize;

    /// The customer fragments this gateway holds.
    fn customer_fragments(&self) -> Vec<HeldFragment>;

    /// Brings an order that the owner signed to every fragment manager. They verify it; whoever
    /// carries it can change nothing.
    fn bring_order<'a>(
        &'a self,
        order: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<ManagerSaid<TakenOrder>>, Fault>>;

    /// How key versions are at each fragment manager: at most
    /// [`REPORTS_MAX`](keysherd_fragments::order::REPORTS_MAX). Receipts were verified.
    fn key_reports(&self, keys: Vec<KeyVersion>)
    -> BoxFuture<'_, Vec<ManagerSaid<Vec<KeyReport>>>>;

    /// Reads items: all of them, or a fault. The audit record is durable when this returns.
    fn read<'a>(
        &'a self,
        ctx: &'a Ctx,
        items: Vec<ItemRef>,
        version: VersionWish,
        freshness: Freshness,
    ) -> BoxFuture<'a, Result<Vec<OpenedItem>, Fault>>;

    /// Opens the settings of a dynamic secret or a target for the gateway to work with.
    fn open<'a>(
        &'a self,
        ctx: &'a Ctx,
        item: ItemRef,
        purpose: Purpose,
    ) -> BoxFuture<'a, Result<OpenedForUse, Fault>>;

    /// Changes the credentials of a rotated secret, or brings to its end what was begun before;
    /// gives what the target warned of.
    fn rotate_credentials<'a>(
        &'a self,
        ctx: &'a Ctx,
        item: &'a ItemPath,
        reason: Reason,
    ) -> BoxFuture<'a, Result<Vec<String>, Fault>>;

    /// Says that there may be temporary credentials to remove.
    fn leases_due(&self);

    /// Seals a value for `target`. Nothing is recorded yet.
    fn seal<'a>(
        &'a self,
        ctx: &'a Ctx,
        target: WriteTarget,
        plaintext: SecretBytes,
    ) -> BoxFuture<'a, Result<SealedWrite, Fault>>;

    /// Notes that a sealed value was recorded: an older one must not be served as the newest.
    fn recorded(&self, sealed: &SealedWrite);

    /// How reads are kept unless administrators of their account set something else.
    fn cache_default(&self) -> CachePolicy;

    /// For how many seconds the owner's bundle lets what was read be repeated, at most.
    fn cache_seconds_max(&self) -> u32;

    /// Keeps reads of `account` as `policy` says, from now on.
    fn cache_as(&self, account: AccountId, policy: CachePolicy);

    /// Notes that a version of an item was deleted: an older one may be the newest now.
    fn version_deleted(&self, item: Uid);

    /// What attests that an item has the path `new`, for its newest version; `None` where nothing
    /// can be attested, which does not keep the item from being renamed.
    fn attest_name<'a>(
        &'a self,
        ctx: &'a Ctx,
        item: ItemPath,
        new: &'a ItemPath,
    ) -> BoxFuture<'a, Option<(u32, NameTag)>>;

    /// Makes a key. Nothing is recorded yet.
    fn generate_key<'a>(
        &'a self,
        ctx: &'a Ctx,
        wish: KeyWish,
    ) -> BoxFuture<'a, Result<GeneratedKey, Fault>>;

    /// Makes a further version of a key and has it recorded. What older versions wrap is wrapped
    /// anew in the background from then on.
    fn rotate_key<'a>(
        &'a self,
        ctx: &'a Ctx,
        wish: RotateWish,
    ) -> BoxFuture<'a, Result<KeyRotateReply, Fault>>;

    /// Has the managers of a key refresh its fragments. Permission is recorded.
    fn refresh_key<'a>(&'a self, ctx: &'a Ctx, key: RotatedKey)
    -> BoxFuture<'a, Result<(), Fault>>;

    /// Encrypts messages, in order. The audit record is durable when this returns.
    fn encrypt<'a>(
        &'a self,
        ctx: &'a Ctx,
        messages: Vec<TransitMessage>,
    ) -> BoxFuture<'a, Vec<TransitResult>>;

    /// Decrypts messages, in order. The audit record is durable when this returns.
    fn decrypt<'a>(
        &'a self,
        ctx: &'a Ctx,
        messages: Vec<TransitMessage>,
    ) -> BoxFuture<'a, Vec<TransitResult>>;
}
