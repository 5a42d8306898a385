//! Tests of the cache without a store: who may put what in, and what goes out.

use std::collections::BTreeMap;

use keysherd_base::{DisplayId, ItemId, Timestamp, Uid};
use keysherd_domain::item::{ItemKind, ItemState};

use super::*;

const ACCOUNT: AccountId = AccountId(Uid([1; 16]));
const OTHER: AccountId = AccountId(Uid([2; 16]));

fn path(text: &str) -> ItemPath {
    ItemPath::parse(text).unwrap()
}

fn entry(account: AccountId, text: &str, size: usize) -> Arc<CachedItem> {
    let item = Item {
        id: ItemId(1),
        uid: Uid([3; 16]),
        display_id: DisplayId("a-b".into()),
        account,
        path: path(text),
        kind: ItemKind::StaticSecret,
        secret_kind: Default::default(),
        format: Default::default(),
        description: String::new(),
        tags: Vec::new(),
        state: ItemState::Enabled,
        deletion_at: None,
        personal: None,
        last_version: 1,
        max_versions: None,
        delete_protection: false,
        protection_key: None,
        size_bytes: 0,
        key: None,
        websites: Vec::new(),
        custom_fields: BTreeMap::new(),
        change_event: false,
        lock: None,
        engine: None,
        target: None,
        rotation: None,
        created: Timestamp(0),
        modified: Timestamp(0),
    };
    let version = ItemVersion {
        version: 1,
        state: ItemState::Enabled,
        key_id: Uid([4; 16]),
        key_version: 1,
        protection_key: None,
        customer_fragment: None,
        ciphertext: vec![0; size].into(),
        unconfirmed: false,
        name_tag: None,
        by: None,
        created: Timestamp(0),
    };
    Arc::new(CachedItem::new(item, Some(version)))
}

#[test]
fn what_was_loaded_before_a_change_is_not_kept() {
    let cache = ItemCache::default();
    let (name, item) = (path("/a"), entry(ACCOUNT, "/a", 10));
    let early = cache.ticket(ACCOUNT, &name);
    cache.forget(ACCOUNT, &name);
    cache.keep(early, item.clone());
    assert!(cache.get(ACCOUNT, &name).is_none());
    cache.keep(cache.ticket(ACCOUNT, &name), item);
    assert!(cache.get(ACCOUNT, &name).is_some());
    cache.forget(ACCOUNT, &name);
    assert!(cache.get(ACCOUNT, &name).is_none());
}

#[test]
fn forgetting_an_account_leaves_the_others() {
    let cache = ItemCache::default();
    for account in [ACCOUNT, OTHER] {
        for name in ["/a", "/b"] {
            let ticket = cache.ticket(account, &path(name));
            cache.keep(ticket, entry(account, name, 10));
        }
    }
    let early = cache.ticket(ACCOUNT, &path("/c"));
    cache.forget_account(ACCOUNT);
    cache.keep(early, entry(ACCOUNT, "/c", 10));
    for name in ["/a", "/b", "/c"] {
        assert!(cache.get(ACCOUNT, &path(name)).is_none(), "{name}");
    }
    assert!(cache.get(OTHER, &path("/a")).is_some());
}

#[test]
fn bytes_are_bounded() {
    let cache = ItemCache::with_capacity(1024 * 1024);
    for number in 0..500 {
        let name = format!("/item-{number}");
        cache.keep(cache.ticket(ACCOUNT, &path(&name)), entry(ACCOUNT, &name, 8 * 1024));
    }
    assert!(cache.entries.weight() <= 1024 * 1024);
    assert!(cache.entries.len() > 10);
}

#[test]
fn the_largest_envelope_fits() {
    let cache = ItemCache::default();
    let name = path("/large");
    let size = keysherd_base::limits::ENVELOPE_BYTES_MAX;
    cache.keep(cache.ticket(ACCOUNT, &name), entry(ACCOUNT, "/large", size));
    assert!(cache.get(ACCOUNT, &name).is_some());
}
