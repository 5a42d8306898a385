//! Which version a new value becomes, which versions are kept, and reading them.

use keysherd_base::FaultKind;
use keysherd_domain::item::ItemState;
use keysherd_plane::grants::{ItemRef, VersionWish};
use keysherd_plane::items::{DeleteVersions, ItemDelete, ItemDescribe, ItemStateSet, ItemUpdate};

use crate::items::testing::{new_value, secret};
use crate::testing::{World, item, kind};

fn delete(path: &str, versions: DeleteVersions) -> ItemDelete {
    ItemDelete { path: item(path), versions, in_days: 7, immediately: false, force: false }
}

async fn numbers(world: &World, path: &str) -> Vec<u32> {
    let message = ItemDescribe { item: ItemRef::Path(item(path)), with_versions: true };
    let view = world.ask(&world.admin, message).await.unwrap();
    view.versions.iter().map(|version| version.version).collect()
}

#[tokio::test]
async fn a_new_value_follows_or_replaces_by_wish_and_settings() {
    let world = World::new().await;
    // default-versioning, force-new-versions, keep-prev-version: a version of its own?
    let rows = [
        (false, false, None, false),
        (false, false, Some(false), false),
        (false, false, Some(true), true),
        (true, false, None, true),
        (true, false, Some(false), false),
        (true, false, Some(true), true),
        (false, true, None, true),
        (false, true, Some(false), true),
        (true, true, Some(false), true),
    ];
    for (number, (default, force, keep, follows)) in rows.into_iter().enumerate() {
        world
            .settings(None, |settings| {
                settings.versions.default_versioning = default;
                settings.versions.force_new_versions = force;
            })
            .await;
        let path = format!("/table/{number}");
        world.secrets(&[&path]).await;
        let before = world.read(&world.admin, &path, VersionWish::Latest).await.unwrap();
        let changed = world.put(&world.admin, &path, keep).await.unwrap();
        let row = format!("{default} {force} {keep:?}");
        assert_eq!(changed.last_version, if follows { 2 } else { 1 }, "{row}");
        let expect = if follows { vec![2, 1] } else { vec![1] };
        assert_eq!(numbers(&world, &path).await, expect, "{row}");
        let after = world.read(&world.admin, &path, VersionWish::Latest).await.unwrap();
        assert_ne!(after.versions[0].ciphertext, before.versions[0].ciphertext, "{row}");
    }
}

#[tokio::test]
async fn an_expected_version_must_be_the_newest() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let outcome = world.place(&world.admin, new_value("/a/b", Some(true), Some(2))).await;
    assert_eq!(kind(outcome), FaultKind::Conflict);
    let place = world.place(&world.admin, new_value("/a/b", Some(true), Some(1))).await.unwrap();
    assert_eq!((place.version, place.overwrite), (2, false));
}

#[tokio::test]
async fn of_two_writes_at_the_same_time_one_is_refused() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let wish = || new_value("/a/b", Some(true), None);
    let one = world.place(&world.admin, wish()).await.unwrap();
    let other = world.place(&world.admin, wish()).await.unwrap();
    assert_eq!(one.version, other.version);
    world.record(&world.admin, "/a/b", &one).await.unwrap();
    assert_eq!(kind(world.record(&world.admin, "/a/b", &other).await), FaultKind::Conflict);
    assert_eq!(numbers(&world, "/a/b").await, [2, 1]);
}

#[tokio::test]
async fn a_value_of_an_item_that_was_made_anew_is_refused() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let place = world.place(&world.admin, new_value("/a/b", Some(false), None)).await.unwrap();
    world.ask(&world.admin, delete("/a/b", DeleteVersions::All)).await.unwrap();
    world.secrets(&["/a/b"]).await;
    assert_eq!(kind(world.record(&world.admin, "/a/b", &place).await), FaultKind::Conflict);
}

#[tokio::test]
async fn a_value_sealed_for_something_else_is_refused() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let place = world.place(&world.admin, new_value("/a/b", Some(true), None)).await.unwrap();
    let mut moved = place;
    moved.version = 3;
    let mut put = keysherd_plane::items::ValuePut {
        made: None,
        moved: false,
        path: item("/a/b"),
        version: place.version,
        uid: place.uid,
        overwrite: false,
        format: None,
        websites: None,
        value: world.seal(&moved, keysherd_crypto::permit::Class::SecretItem),
    };
    assert_eq!(kind(world.ask(&world.admin, put.clone()).await), FaultKind::BadRequest);
    put.value.ciphertext = b"plaintext".as_slice().into();
    assert_eq!(kind(world.ask(&world.admin, put).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn old_versions_go_when_there_are_too_many() {
    let world = World::new().await;
    let mut message = secret("/a/b");
    message.max_versions = Some(2);
    world.create(&world.admin, message).await.unwrap();
    for _ in 0..3 {
        world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
    }
    assert_eq!(numbers(&world, "/a/b").await, [4, 3]);
    // The account's number for the type counts where the item has none.
    world
        .settings(None, |settings| {
            settings.versions.max_versions.insert("static-secret".to_owned(), 1);
        })
        .await;
    world.secrets(&["/a/c"]).await;
    world.put(&world.admin, "/a/c", Some(true)).await.unwrap();
    assert_eq!(numbers(&world, "/a/c").await, [2]);
    let parts =
        keysherd_plane::items::ItemUpdateParts { max_versions: Some(0), ..Default::default() };
    let outcome = world.ask(&world.admin, ItemUpdate { path: item("/a/c"), parts }).await;
    assert_eq!(kind(outcome), FaultKind::BadRequest);
}

#[tokio::test]
async fn versions_are_read_by_number_and_from_the_end() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    for _ in 0..24 {
        world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
    }
    let read = async |wish| {
        let granted = world.read(&world.admin, "/a/b", wish).await?;
        Ok::<_, keysherd_base::Fault>(
            granted.versions.iter().map(|v| v.version).collect::<Vec<_>>(),
        )
    };
    assert_eq!(read(VersionWish::Latest).await.unwrap(), [25]);
    assert_eq!(read(VersionWish::Exactly(25)).await.unwrap(), [25]);
    assert_eq!(read(VersionWish::Exactly(3)).await.unwrap(), [3]);
    assert_eq!(read(VersionWish::Last(2)).await.unwrap(), [25, 24]);
    // At most 20, whatever was asked.
    assert_eq!(read(VersionWish::Last(100)).await.unwrap().len(), 20);
    assert_eq!(kind(read(VersionWish::Exactly(26)).await), FaultKind::NotFound);
    // A disabled version is not read, and left out of the last ones.
    let state = ItemState::Disabled;
    let disable = ItemStateSet { path: item("/a/b"), version: Some(25), state };
    world.ask(&world.admin, disable).await.unwrap();
    assert_eq!(kind(read(VersionWish::Latest).await), FaultKind::Forbidden);
    assert_eq!(read(VersionWish::Last(2)).await.unwrap(), [24]);
    assert_eq!(kind(read(VersionWish::Last(1)).await), FaultKind::Forbidden);
}

#[tokio::test]
async fn deleted_versions_leave_a_gap_and_the_last_one_stays() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    for _ in 0..3 {
        world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
    }
    let ask = |versions| world.ask(&world.admin, delete("/a/b", versions));
    assert_eq!(ask(DeleteVersions::Exactly(2)).await.unwrap().version, Some(2));
    assert_eq!(numbers(&world, "/a/b").await, [4, 3, 1]);
    assert_eq!(kind(ask(DeleteVersions::Exactly(2)).await), FaultKind::NotFound);
    assert_eq!(ask(DeleteVersions::Latest).await.unwrap().version, Some(4));
    assert_eq!(world.newest(&world.admin, "/a/b").await.unwrap(), 3);
    ask(DeleteVersions::Latest).await.unwrap();
    assert_eq!(world.newest(&world.admin, "/a/b").await.unwrap(), 1);
    assert_eq!(kind(ask(DeleteVersions::Latest).await), FaultKind::Forbidden);
    assert_eq!(numbers(&world, "/a/b").await, [1]);
}
