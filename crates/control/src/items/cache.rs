//! Items and their newest values in memory: what most reads need, without the store.
//!
//! Bounded by bytes. What changes is forgotten as the store's change feed tells it (`follow`).

use std::hash::Hash;
use std::sync::Arc;

use keysherd_base::{AccountId, ItemPath};
use keysherd_domain::item::{Item, ItemVersion};
use keysherd_plane::grants::{GrantedItem, GrantedVersion, KeyRef, PermitSlot};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use crate::generations::{Generations, Ticket};

#[cfg(test)]
mod tests;

/// Bytes of all entries together.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Parts of the cache, each with its part of the bytes; the largest envelope must fit one.
const PARTS: usize = 8;
/// Entries the cache is laid out for: a small secret takes about 2 KiB.
const ITEMS_EXPECTED: usize = 32_768;
/// Bytes of an entry beside its texts and its ciphertext, roughly.
const ENTRY_BYTES: usize = 1_536;

/// An item with its newest version, and the grant of it that needs no permit.
#[derive(Debug)]
pub(crate) struct CachedItem {
    pub(crate) item: Item,
    /// The newest version; `None` when it has no value.
    pub(crate) current: Option<ItemVersion>,
    /// What is granted to whoever may read the newest version and has the key already.
    pub(crate) granted: Arc<GrantedItem>,
}

impl CachedItem {
    /// Puts an entry together.
    pub(crate) fn new(item: Item, current: Option<ItemVersion>) -> Self {
        let granted = GrantedItem {
            path: item.path.clone(),
            id: item.id,
            uid: item.uid,
            kind: item.kind,
            secret_kind: item.secret_kind,
            format: item.format,
            versions: current.iter().map(|version| granted_version(version, None)).collect(),
        };
        Self { item, current, granted: Arc::new(granted) }
    }
}

/// A version as it is granted.
pub(crate) fn granted_version(
    version: &ItemVersion,
    permit_slot: Option<PermitSlot>,
) -> GrantedVersion {
    GrantedVersion {
        version: version.version,
        ciphertext: Arc::clone(&version.ciphertext),
        key: key_of(version),
        permit_slot,
        name_tag: version.name_tag,
    }
}

/// The key that wraps a version.
pub(crate) fn key_of(version: &ItemVersion) -> KeyRef {
    KeyRef {
        key_id: version.key_id,
        version: version.key_version,
        customer_fragment: version.customer_fragment,
    }
}

/// The cache.
pub(crate) struct ItemCache {
    entries: Cache<Key, Arc<CachedItem>, ByBytes>,
    generations: Generations,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    account: AccountId,
    path: ItemPath,
}

/// A [`Key`] that borrows the path, so that looking up copies nothing.
#[derive(Clone, Copy, Hash)]
struct Lookup<'a> {
    account: AccountId,
    path: &'a ItemPath,
}

impl Equivalent<Key> for Lookup<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.account == key.account && *self.path == key.path
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<CachedItem>> for ByBytes {
    fn weight(&self, key: &Key, entry: &Arc<CachedItem>) -> u64 {
        let ciphertext = entry.current.as_ref().map_or(0, |version| version.ciphertext.len());
        let item = &entry.item;
        let texts = item.description.len()
            + item.tags.iter().chain(&item.websites).map(String::len).sum::<usize>()
            + item
                .custom_fields
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>();
        (ENTRY_BYTES + 3 * key.path.as_str().len() + texts + ciphertext) as u64
    }
}

impl Default for ItemCache {
    fn default() -> Self {
        Self::with_capacity(BYTES_MAX)
    }
}

impl ItemCache {
    fn with_capacity(bytes_max: u64) -> Self {
        let options = OptionsBuilder::new()
            .shards(PARTS)
            .estimated_items_capacity(ITEMS_EXPECTED)
            .weight_capacity(bytes_max)
            .build()
            .expect("invariant: the three sizes a cache needs are given");
        let entries = Cache::with_options(options, ByBytes, Default::default(), Default::default());
        Self { entries, generations: Generations::default() }
    }

    /// The entry of an item, if it is in memory.
    pub(crate) fn get(&self, account: AccountId, path: &ItemPath) -> Option<Arc<CachedItem>> {
        self.entries.get(&Lookup { account, path })
    }

    /// To be taken before the item is read from the store.
    pub(crate) fn ticket(&self, account: AccountId, path: &ItemPath) -> Ticket {
        self.generations.ticket(&Lookup { account, path })
    }

    /// Keeps what was read after `ticket` was taken, unless the item may have changed since.
    pub(crate) fn keep(&self, ticket: Ticket, entry: Arc<CachedItem>) {
        let key = Key { account: entry.item.account, path: entry.item.path.clone() };
        self.generations.keep(ticket, || self.entries.insert(key, entry));
    }

    /// Forgets an item that has changed.
    pub(crate) fn forget(&self, account: AccountId, path: &ItemPath) {
        let lookup = Lookup { account, path };
        self.generations.forget(&lookup, || drop(self.entries.remove(&lookup)));
    }

    /// Forgets all items of an account.
    pub(crate) fn forget_account(&self, account: AccountId) {
        self.generations.forget_all();
        self.entries.retain(|key, _| key.account != account);
    }

    /// Forgets all items.
    pub(crate) fn forget_all(&self) {
        self.generations.forget_all();
        self.entries.clear();
    }
}
