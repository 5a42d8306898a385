//! Grants as a whole: many callers, their audit records, and what is refused.

use keysherd_base::FaultKind;
use keysherd_base::limits::NAMES_PER_READ_MAX;
use keysherd_domain::item::KeyAlgorithm;
use keysherd_plane::grants::{Grant, Granted, ItemRef, Keeping, VersionWish, Wish, WriteTarget};
use keysherd_store::audit;

use crate::items::testing::{fresh_salt, new_value, rules};
use crate::testing::{World, item, kind};

fn read(paths: &[&str]) -> Wish {
    let items = paths.iter().map(|path| ItemRef::Path(item(path))).collect();
    Wish::Read { items, version: VersionWish::Latest }
}

fn transit(path: &str, version: Option<u32>) -> Wish {
    Wish::Transit { key: ItemRef::Path(item(path)), version, salt: fresh_salt(), encrypt: false }
}

/// A record as far as these tests look at it: status, action, item type, parameters.
type Seen = (u16, String, String, Vec<(String, String)>);

/// The records of the first account after the number `after`.
fn records(world: &World, after: u64) -> Vec<Seen> {
    let records = world.records();
    let seen = records.iter().filter(|record| record.seq > after).map(|record| {
        let params = record.draft.params.iter().map(|param| {
            let value = param.value().unwrap_or_default();
            // The ids of permits are random.
            let value = value.split_once('*').map_or(value, |(_, count)| count);
            (param.name().to_owned(), value.to_owned())
        });
        let draft = &record.draft;
        (record.status, draft.action.to_string(), draft.item_type.to_string(), params.collect())
    });
    seen.collect()
}

fn last_seq(world: &World) -> u64 {
    world.records().last().unwrap().seq
}

fn names(paths: &[&str]) -> Vec<(String, String)> {
    paths.iter().map(|path| ("item_name".to_owned(), (*path).to_owned())).collect()
}

#[tokio::test]
async fn each_wish_has_its_record_and_all_share_one_commit() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/two"]).await;
    world.key(&world.admin, "/keys/k", KeyAlgorithm::Aes128Gcm).await.unwrap();
    let user = world.user("user", &rules(&["/a/one read"])).await;
    let (seq, commits) = (last_seq(&world), world.control.store.stats().commits);
    let write =
        |path: &str| Wish::Write { target: new_value(path, Some(true), None), salt: fresh_salt() };
    let wishes = vec![
        (&*world.admin, read(&["/a/one", "/a/two"])),
        (&*user, read(&["/a/two"])),
        (&*world.admin, write("/a/one")),
        (&*user, write("/a/one")),
        (&*world.admin, transit("/keys/k", None)),
        ("not-a-token", read(&["/a/one"])),
    ];
    let reply = world.wishes(wishes, true).await;
    let granted: Vec<_> = reply.outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(granted, [true, false, true, false, true, false]);
    let secret = "STATIC_SECRET".to_owned();
    let mut used = names(&["/keys/k"]);
    used.push(("operation".to_owned(), "decrypt".to_owned()));
    let permitted = |mut params: Vec<(String, String)>, count: &str| {
        params.push(("permits".to_owned(), count.to_owned()));
        params
    };
    let creds = "get_item_derivation_creds".to_owned();
    let both = permitted(names(&["/a/one", "/a/two"]), "2");
    let written = permitted(names(&["/a/one"]), "1");
    assert_eq!(
        records(&world, seq),
        [
            (200, "get_secret_value".to_owned(), secret.clone(), both),
            (401, "get_secret_value".to_owned(), String::new(), names(&["/a/two"])),
            (200, creds.clone(), secret, written),
            (401, "update_item".to_owned(), String::new(), names(&["/a/one"])),
            (200, creds, "AES128GCM".to_owned(), permitted(used, "1")),
        ]
    );
    assert_eq!(world.control.store.stats().commits, commits + 1);
}

#[tokio::test]
async fn accounts_in_one_batch_stay_apart() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    let other = world.another_account("other@example.com").await;
    let login = world.login(&other.created.admin_access_id, &other.admin_key).await.unwrap();
    let wishes = vec![(&*world.admin, read(&["/a/one"])), (&*login.token, read(&["/a/one"]))];
    let reply = world.wishes(wishes, true).await;
    assert_eq!(reply.outcomes[0].as_ref().unwrap().account, world.first.id.0);
    let fault = reply.outcomes[1].as_ref().unwrap_err();
    assert_eq!((fault.kind(), reply.permits.len()), (FaultKind::NotFound, 1));
    let found = world.control.store.read(|reader| audit::records(reader, other.id, 0, 100));
    let last = found.unwrap().last().unwrap().parse().unwrap();
    assert_eq!((last.status, last.draft.action.as_ref()), (404, "get_secret_value"));
}

#[tokio::test]
async fn all_items_of_a_wish_are_read_or_none() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    world.key(&world.admin, "/keys/k", KeyAlgorithm::Aes128Gcm).await.unwrap();
    for (paths, expect) in [
        (vec!["/a/one", "/a/absent"], FaultKind::NotFound),
        (vec!["/a/one", "/keys/k"], FaultKind::BadRequest),
        (vec![], FaultKind::BadRequest),
        (vec!["/a/one"; NAMES_PER_READ_MAX + 1], FaultKind::BadRequest),
    ] {
        let outcome = world.wish(&world.admin, read(&paths), true).await.0;
        assert_eq!(kind(outcome), expect);
    }
    let paths = vec!["/a/one"; NAMES_PER_READ_MAX];
    let Granted::Read(items) = world.wish(&world.admin, read(&paths), false).await.0.unwrap()
    else {
        panic!("something else was granted")
    };
    assert_eq!(items.len(), NAMES_PER_READ_MAX);
}

#[tokio::test]
async fn too_many_wishes_are_refused_as_a_whole() {
    let world = World::new().await;
    let wish = (world.caller(&world.admin), read(&["/a/one"]));
    let message =
        Grant { wishes: vec![wish; super::WISHES_MAX + 1], with_permit: false, keep: Keeping::No };
    assert_eq!(kind(world.ask("", message).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn items_are_found_by_id_and_display_id() {
    let world = World::new().await;
    let created = world.create(&world.admin, crate::items::testing::secret("/a/one")).await;
    let created = created.unwrap().item;
    for reference in [ItemRef::Id(created.id), ItemRef::Display(created.display_id.0.to_string())] {
        let wish = Wish::Read { items: vec![reference], version: VersionWish::Latest };
        let Granted::Read(items) = world.wish(&world.admin, wish, true).await.0.unwrap() else {
            panic!("something else was granted")
        };
        assert_eq!((&items[0].path, items[0].uid), (&created.path, created.uid));
    }
}

#[tokio::test]
async fn a_key_is_used_in_a_version_it_has() {
    let world = World::new().await;
    world.secrets(&["/a/secret"]).await;
    for algorithm in [KeyAlgorithm::Aes256Gcm, KeyAlgorithm::Aes256Siv] {
        let path = format!("/keys/{}", algorithm.name());
        world.key(&world.admin, &path, algorithm).await.unwrap();
        assert!(world.wish(&world.admin, transit(&path, Some(1)), true).await.0.is_ok());
        for version in [0, 2] {
            let outcome = world.wish(&world.admin, transit(&path, Some(version)), true).await.0;
            assert_eq!(kind(outcome), FaultKind::NotFound, "{algorithm:?} {version}");
        }
        let lister = world.user(algorithm.name(), &rules(&["/keys/* list,update"])).await;
        let outcome = world.wish(&lister, transit(&path, None), true).await.0;
        assert_eq!(kind(outcome), FaultKind::Unauthorized);
    }
    let outcome = world.wish(&world.admin, transit("/a/secret", None), true).await.0;
    assert_eq!(kind(outcome), FaultKind::BadRequest);
}

#[tokio::test]
async fn a_write_takes_create_or_update_and_a_free_path() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    let creator = world.user("creator", &rules(&["/a/* create"])).await;
    let updater = world.user("updater", &rules(&["/a/* update"])).await;
    let new = |path: &str| WriteTarget::NewSecret {
        path: item(path),
        uid: keysherd_base::Uid(fresh_salt()[..16].try_into().unwrap()),
        protection_key: None,
        cluster_key: None,
    };
    for (token, target, expect) in [
        (&creator, new("/a/two"), None),
        (&creator, new("/a/one"), Some(FaultKind::Conflict)),
        (&creator, new("/b/two"), Some(FaultKind::Unauthorized)),
        (&creator, new_value("/a/one", None, None), Some(FaultKind::Unauthorized)),
        (&updater, new_value("/a/one", None, None), None),
        (&updater, new_value("/a/absent", None, None), Some(FaultKind::NotFound)),
        (&updater, new("/a/two"), Some(FaultKind::Unauthorized)),
    ] {
        let outcome = world.place(token, target.clone()).await;
        assert_eq!(outcome.err().map(|fault| fault.kind()), expect, "{target:?}");
    }
}

/// A new path is attested with the newest value's key: only by somebody who may read it, and for
/// nothing that has no value.
#[tokio::test]
async fn only_readers_attest_and_nothing_is_refused() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    world.key(&world.admin, "/keys/k", KeyAlgorithm::Aes128Gcm).await.unwrap();
    let user = world.user("user", &rules(&["/a/one update,list"])).await;
    let attest = |path: &str| Wish::Attest { item: ItemRef::Path(item(path)) };
    for (who, path, versions) in [
        (&world.admin, "/a/one", 1),
        (&user, "/a/one", 0),
        (&world.admin, "/keys/k", 0),
        (&world.admin, "/a/none", 0),
    ] {
        let (granted, permits) = world.wish(who, attest(path), true).await;
        let Granted::Read(items) = granted.unwrap() else { panic!("{path}") };
        assert_eq!(items.iter().map(|item| item.versions.len()).sum::<usize>(), versions, "{path}");
        assert_eq!(permits.len(), versions, "{path}");
    }
}
