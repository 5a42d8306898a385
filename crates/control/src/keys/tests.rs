//! Making keys, keys in use, and keys that go.

use keysherd_base::{AccountId, Fault, FaultKind, Uid};
use keysherd_domain::item::{Item, ItemState, KeyAlgorithm};
use keysherd_plane::grants::{Granted, ItemRef, Wish, WriteTarget};
use keysherd_plane::items::{DeleteVersions, ItemDelete, ItemStateSet};
use keysherd_plane::keys::{KeyBegin, ManifestGet};

use crate::items::testing::{fresh_salt, rules, secret};
use crate::testing::{World, item, kind};

const GCM: KeyAlgorithm = KeyAlgorithm::Aes256Gcm;
const DAY: i64 = 86_400;

async fn delete(world: &World, path: &str, in_days: i64, immediately: bool) -> Result<(), Fault> {
    let versions = DeleteVersions::All;
    let message = ItemDelete { path: item(path), versions, in_days, immediately, force: false };
    world.ask(&world.admin, message).await.map(drop)
}

async fn set_state(world: &World, path: &str, state: ItemState) -> Result<(), Fault> {
    let message = ItemStateSet { path: item(path), version: None, state };
    world.ask(&world.admin, message).await.map(drop)
}

async fn encrypt(world: &World, token: &str, path: &str) -> Result<Granted, Fault> {
    let key = ItemRef::Path(item(path));
    let wish = Wish::Transit { key, version: None, salt: fresh_salt(), encrypt: true };
    world.wish(token, wish, true).await.0
}

async fn protected(world: &World, path: &str, key: &str) -> Item {
    let mut message = secret(path);
    message.protection_key = Some(item(key));
    world.create(&world.admin, message).await.unwrap().item
}

#[tokio::test]
async fn every_algorithm_is_made_and_used() {
    let world = World::new().await;
    for algorithm in KeyAlgorithm::ALL {
        let path = format!("/keys/{}", algorithm.name());
        let key = world.key(&world.admin, &path, algorithm).await.unwrap();
        assert_eq!(key.key.as_ref().map(|info| info.key_id), Some(key.uid));
        let granted = encrypt(&world, &world.admin, &path).await.unwrap();
        let is_sealed = matches!(granted, Granted::SealedKey { .. });
        assert_eq!(is_sealed, crate::keys::has_fixed_material(algorithm), "{algorithm:?}");
        let message = ManifestGet { key_id: key.uid, version: 1 };
        let reply = world.ask(&world.admin, message).await.unwrap();
        assert_eq!(&*reply.manifest, b"signed manifest");
    }
}

#[tokio::test]
async fn a_key_is_refused_before_and_when_it_is_recorded() {
    let world = World::new().await;
    world.secrets(&["/keys/taken"]).await;
    let begin = |path: &str, managers| KeyBegin {
        description: String::new(),
        tags: Vec::new(),
        path: item(path),
        algorithm: GCM,
        managers,
        customer_fragment: None,
        self_test_salt: [1; 32],
    };
    for managers in [0, 1, 8] {
        let outcome = world.ask(&world.admin, begin("/keys/k", managers)).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest);
    }
    let taken = world.ask(&world.admin, begin("/keys/taken", 3)).await;
    assert_eq!(kind(taken), FaultKind::Conflict);
    let reader = world.user("reader", &rules(&["/keys/* read"])).await;
    let outcome = world.ask(&reader, begin("/keys/k", 3)).await;
    assert_eq!(kind(outcome), FaultKind::Unauthorized);
    let begun = world.begun_key(&world.admin, "/keys/k", KeyAlgorithm::Aes256Siv).await.unwrap();
    let ask = |change: fn(&mut keysherd_plane::keys::KeyCreate)| {
        let mut create = begun.clone();
        change(&mut create);
        world.ask(&world.admin, create)
    };
    for bad in [
        ask(|m| m.threshold = 1),
        ask(|m| m.threshold = 4),
        ask(|m| m.manifest = Vec::new().into()),
        ask(|m| m.manifest = vec![0; 5_000].into()),
        ask(|m| m.sealed = None),
        ask(|m| m.algorithm = GCM),
        ask(|m| m.sealed = Some(b"material".as_slice().into())),
        ask(|m| m.key_id = Uid([5; 16])),
    ] {
        assert_eq!(kind(bad.await), FaultKind::BadRequest);
    }
    ask(|_| ()).await.unwrap();
    assert_eq!(kind(ask(|_| ()).await), FaultKind::Conflict);
    assert_eq!(kind(ask(|m| m.path = item("/keys/other")).await), FaultKind::Conflict);
}

#[tokio::test]
async fn a_manifest_is_for_the_keys_own_account() {
    let world = World::new().await;
    let key = world.key(&world.admin, "/keys/k", GCM).await.unwrap();
    let nobody = world.user("nobody", &[]).await;
    let message = ManifestGet { key_id: key.uid, version: 1 };
    world.ask(&nobody, message).await.unwrap();
    assert_eq!(kind(world.ask("", message).await), FaultKind::Unauthorized);
    for (key_id, version) in [(key.uid, 2), (Uid([1; 16]), 1)] {
        let outcome = world.ask(&nobody, ManifestGet { key_id, version }).await;
        assert_eq!(kind(outcome), FaultKind::NotFound);
    }
    let other = world.another_account("other@example.com").await;
    let login = world.login(&other.created.admin_access_id, &other.admin_key).await.unwrap();
    assert_eq!(kind(world.ask(&login.token, message).await), FaultKind::NotFound);
    assert_ne!(other.id, AccountId::default());
}

#[tokio::test]
async fn a_key_in_use_is_neither_disabled_nor_deleted() {
    let world = World::new().await;
    world.key(&world.admin, "/keys/k", GCM).await.unwrap();
    protected(&world, "/a/b", "/keys/k").await;
    let refused = async || {
        let disabled = set_state(&world, "/keys/k", ItemState::Disabled).await.unwrap_err();
        assert_eq!((disabled.kind(), disabled.code()), (FaultKind::Forbidden, "KeyInUse"));
        for (days, at_once) in [(7, false), (-1, true)] {
            let deleted = delete(&world, "/keys/k", days, at_once).await.unwrap_err();
            assert_eq!((deleted.kind(), deleted.code()), (FaultKind::Forbidden, "KeyInUse"));
        }
    };
    refused().await;
    // An old version is enough.
    world.key(&world.admin, "/keys/next", GCM).await.unwrap();
    let target = WriteTarget::NewValue {
        path: item("/a/b"),
        protection_key: Some(item("/keys/next")),
        keep_previous: Some(true),
        expected_version: None,
    };
    let place = world.place(&world.admin, target).await.unwrap();
    world.record(&world.admin, "/a/b", &place).await.unwrap();
    refused().await;
    let versions = DeleteVersions::Exactly(1);
    let old =
        ItemDelete { path: item("/a/b"), versions, in_days: 7, immediately: false, force: false };
    world.ask(&world.admin, old).await.unwrap();
    set_state(&world, "/keys/k", ItemState::Disabled).await.unwrap();
    // Being the default is enough, too.
    set_state(&world, "/keys/k", ItemState::Enabled).await.unwrap();
    world.settings(Some(Some("/keys/k")), |_| ()).await;
    refused().await;
    world.settings(Some(None), |_| ()).await;
    delete(&world, "/keys/k", -1, true).await.unwrap();
}

#[tokio::test]
async fn a_key_goes_after_its_days_unless_that_is_canceled() {
    let mut world = World::new().await;
    let key = world.key(&world.admin, "/keys/k", GCM).await.unwrap();
    for (days, at_once) in [(0, false), (366, false), (-1, false), (-2, true), (0, true)] {
        let outcome = delete(&world, "/keys/k", days, at_once).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest, "{days} {at_once}");
    }
    delete(&world, "/keys/k", 7, false).await.unwrap();
    let fault = encrypt(&world, &world.admin, "/keys/k").await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "ItemPendingDeletion"));
    assert!(fault.public().contains(&world.now().plus_seconds(7 * DAY).to_string()), "{fault}");
    world.clock.advance_seconds(7 * DAY - 1);
    assert_eq!(world.control.purge_due(world.now()).await.unwrap(), 0);
    // Tokens live an hour.
    let admin = &world.first.created.admin_access_id;
    world.admin = world.login(admin, &world.first.admin_key).await.unwrap().token;
    set_state(&world, "/keys/k", ItemState::Enabled).await.unwrap();
    world.clock.advance_seconds(60);
    assert_eq!(world.control.purge_due(world.now()).await.unwrap(), 0);
    let token = world.admin.clone();
    encrypt(&world, &token, "/keys/k").await.unwrap();
    let versions = DeleteVersions::All;
    let message =
        ItemDelete { path: item("/keys/k"), versions, in_days: 1, immediately: true, force: false };
    world.ask(&token, message).await.unwrap();
    world.clock.advance_seconds(DAY);
    assert_eq!(world.control.purge_due(world.now()).await.unwrap(), 1);
    let last = world.records().pop().unwrap();
    assert_eq!((last.status, last.draft.action.as_ref()), (200, "delete_item"));
    assert_eq!(last.draft.access_id, None);
    let token = world.login(admin, &world.first.admin_key).await.unwrap().token;
    assert_eq!(kind(encrypt(&world, &token, "/keys/k").await), FaultKind::NotFound);
    let manifest = ManifestGet { key_id: key.uid, version: 1 };
    assert_eq!(kind(world.ask(&token, manifest).await), FaultKind::NotFound);
    assert_eq!(world.control.purge_due(world.now()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_disabled_key_is_not_used_and_no_single_version_of_one_goes() {
    let world = World::new().await;
    world.key(&world.admin, "/keys/k", GCM).await.unwrap();
    encrypt(&world, &world.admin, "/keys/k").await.unwrap();
    set_state(&world, "/keys/k", ItemState::Disabled).await.unwrap();
    assert_eq!(kind(encrypt(&world, &world.admin, "/keys/k").await), FaultKind::Forbidden);
    let versions = DeleteVersions::Latest;
    let message = ItemDelete {
        path: item("/keys/k"),
        versions,
        in_days: 7,
        immediately: false,
        force: false,
    };
    assert_eq!(kind(world.ask(&world.admin, message).await), FaultKind::BadRequest);
}
