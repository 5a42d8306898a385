//! The account's policies on new items: the root path, the default key, delete protection.

use keysherd_base::FaultKind;
use keysherd_domain::guard_rails::Policy;
use keysherd_domain::item::{ItemState, KeyAlgorithm};
use keysherd_plane::grants::WriteTarget;
use keysherd_plane::items::{ItemStateSet, ItemUpdate, ItemUpdateParts};

use crate::items::testing::{rules, secret};
use crate::testing::{World, item, kind};

const GCM: KeyAlgorithm = KeyAlgorithm::Aes256Gcm;

#[tokio::test]
async fn items_at_the_root_are_warned_of_or_refused() {
    let world = World::new().await;
    let created = world.create(&world.admin, secret("/top")).await.unwrap();
    assert!(created.warnings[0].contains("/top"));
    assert_eq!(world.create(&world.admin, secret("/a/b")).await.unwrap().warnings, [""; 0]);
    world.settings(None, |settings| settings.root_path = Policy::Refuse).await;
    let outcome = world.create(&world.admin, secret("/other")).await;
    assert_eq!(kind(outcome), FaultKind::Forbidden);
    assert_eq!(kind(world.key(&world.admin, "/key", GCM).await), FaultKind::Forbidden);
    let parts = ItemUpdateParts { new_path: Some(item("/b")), ..Default::default() };
    let rename = ItemUpdate { path: item("/a/b"), parts };
    assert_eq!(kind(world.ask(&world.admin, rename).await), FaultKind::Forbidden);
    world.create(&world.admin, secret("/a/c")).await.unwrap();
}

#[tokio::test]
async fn the_protection_key_is_the_named_one_or_the_default() {
    let world = World::new().await;
    let original = world.control.store.read(|reader| {
        crate::items::account_now(reader, world.first.id).map(|account| account.original_key)
    });
    let original = original.unwrap();
    let named = world.key(&world.admin, "/keys/named", GCM).await.unwrap();
    let chosen = world.key(&world.admin, "/keys/default", GCM).await.unwrap();
    let key_of = async |path: &str| {
        let version = keysherd_plane::grants::VersionWish::Latest;
        world.read(&world.admin, path, version).await.unwrap().versions[0].key.key_id
    };
    world.secrets(&["/a/original"]).await;
    assert_eq!(key_of("/a/original").await, original);
    let mut message = secret("/a/named");
    message.protection_key = Some(item("/keys/named"));
    let created = world.create(&world.admin, message).await.unwrap().item;
    assert_eq!(created.protection_key, Some(named.id));
    assert_eq!(key_of("/a/named").await, named.uid);
    world.settings(Some(Some("/keys/default")), |_| ()).await;
    world.secrets(&["/a/default"]).await;
    assert_eq!(key_of("/a/default").await, chosen.uid);
    // A new value is protected by the key the item has: its own, or what is the default now.
    for (path, key) in [("/a/named", named.uid), ("/a/original", chosen.uid)] {
        world.put(&world.admin, path, Some(true)).await.unwrap();
        assert_eq!(key_of(path).await, key, "{path}");
    }
    // Another key for a new value only.
    let target = WriteTarget::NewValue {
        path: item("/a/original"),
        protection_key: Some(item("/keys/named")),
        keep_previous: Some(true),
        expected_version: None,
    };
    let place = world.place(&world.admin, target).await.unwrap();
    let changed = world.record(&world.admin, "/a/original", &place).await.unwrap();
    assert_eq!(changed.protection_key, Some(named.id));
}

#[tokio::test]
async fn a_prescribed_default_key_excludes_others() {
    let world = World::new().await;
    world.key(&world.admin, "/keys/a", GCM).await.unwrap();
    world.key(&world.admin, "/keys/b", GCM).await.unwrap();
    let mut before = secret("/a/before");
    before.protection_key = Some(item("/keys/b"));
    world.create(&world.admin, before).await.unwrap();
    world.settings(Some(Some("/keys/a")), |settings| settings.lock_default_key = true).await;
    for (key, allowed) in [(Some("/keys/a"), true), (Some("/keys/b"), false), (None, true)] {
        let mut message = secret(&format!("/a/x{}", key.unwrap_or_default()));
        message.protection_key = key.map(item);
        let outcome = world.create(&world.admin, message).await;
        assert_eq!(outcome.is_ok(), allowed, "{key:?}");
    }
    // What has another key already keeps it.
    world.put(&world.admin, "/a/before", Some(true)).await.unwrap();
}

#[tokio::test]
async fn a_key_must_be_one_the_caller_may_use_and_that_protects() {
    let world = World::new().await;
    world.key(&world.admin, "/keys/gcm", GCM).await.unwrap();
    world.key(&world.admin, "/keys/off", GCM).await.unwrap();
    world.key(&world.admin, "/keys/cbc", KeyAlgorithm::Aes256Cbc).await.unwrap();
    world.secrets(&["/keys/secret"]).await;
    let off = ItemStateSet { path: item("/keys/off"), version: None, state: ItemState::Disabled };
    world.ask(&world.admin, off).await.unwrap();
    let creator = world.user("creator", &rules(&["/a/* create", "/keys/+ list"])).await;
    for (token, key, expect) in [
        (&world.admin, "/keys/cbc", FaultKind::BadRequest),
        (&world.admin, "/keys/secret", FaultKind::BadRequest),
        (&world.admin, "/keys/off", FaultKind::Forbidden),
        (&world.admin, "/keys/none", FaultKind::NotFound),
        (&creator, "/keys/gcm", FaultKind::Unauthorized),
    ] {
        let mut message = secret("/a/b");
        message.protection_key = Some(item(key));
        assert_eq!(kind(world.create(token, message).await), expect, "{key}");
    }
    // The default key takes no right to it.
    world.settings(Some(Some("/keys/gcm")), |_| ()).await;
    world.create(&creator, secret("/a/b")).await.unwrap();
}

#[tokio::test]
async fn the_key_of_a_write_is_checked_again_when_it_is_recorded() {
    let world = World::new().await;
    world.key(&world.admin, "/keys/new", GCM).await.unwrap();
    world.secrets(&["/a/b"]).await;
    let target = crate::items::testing::new_value("/a/b", Some(true), None);
    let place = world.place(&world.admin, target).await.unwrap();
    let mut create = secret("/a/c");
    let target = WriteTarget::NewSecret {
        path: create.path.clone(),
        uid: create.uid,
        protection_key: None,
        cluster_key: None,
    };
    let new = world.place(&world.admin, target).await.unwrap();
    create.value = world.seal(&new, keysherd_crypto::permit::Class::SecretItem);
    world.settings(Some(Some("/keys/new")), |_| ()).await;
    assert_eq!(kind(world.record(&world.admin, "/a/b", &place).await), FaultKind::Conflict);
    assert_eq!(kind(world.ask(&world.admin, create).await), FaultKind::Conflict);
}

#[tokio::test]
async fn new_items_are_protected_as_the_account_says() {
    let world = World::new().await;
    world.settings(None, |settings| settings.protect_items_by_default = true).await;
    for (number, (wish, expect)) in
        [(None, true), (Some(false), false), (Some(true), true)].into_iter().enumerate()
    {
        let mut message = secret(&format!("/a/{number}"));
        message.delete_protection = wish;
        let created = world.create(&world.admin, message).await.unwrap();
        assert_eq!(created.item.delete_protection, expect);
    }
}
