//! Enabling and disabling.

use keysherd_base::FaultKind;
use keysherd_domain::item::ItemState;
use keysherd_plane::grants::{ItemRef, VersionWish};
use keysherd_plane::items::{ItemDescribe, ItemStateSet};

use crate::items::testing::rules;
use crate::testing::{World, item, kind};

fn state(version: Option<u32>, state: ItemState) -> ItemStateSet {
    ItemStateSet { path: item("/a/b"), version, state }
}

#[tokio::test]
async fn what_is_disabled_is_neither_read_nor_written() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    world.ask(&world.admin, state(None, ItemState::Disabled)).await.unwrap();
    let read = world.newest(&world.admin, "/a/b").await;
    assert_eq!(read.unwrap_err().code(), "ItemDisabled");
    assert_eq!(kind(world.put(&world.admin, "/a/b", None).await), FaultKind::Forbidden);
    let describe = ItemDescribe { item: ItemRef::Path(item("/a/b")), with_versions: false };
    let view = world.ask(&world.admin, describe).await.unwrap();
    assert_eq!(view.item.state, ItemState::Disabled);
    world.ask(&world.admin, state(None, ItemState::Enabled)).await.unwrap();
    world.newest(&world.admin, "/a/b").await.unwrap();
}

#[tokio::test]
async fn a_version_has_a_state_of_its_own() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
    world.ask(&world.admin, state(Some(1), ItemState::Disabled)).await.unwrap();
    world.newest(&world.admin, "/a/b").await.unwrap();
    let old = VersionWish::Exactly(1);
    assert_eq!(kind(world.read(&world.admin, "/a/b", old).await), FaultKind::Forbidden);
    let absent = state(Some(9), ItemState::Disabled);
    assert_eq!(kind(world.ask(&world.admin, absent).await), FaultKind::NotFound);
}

#[tokio::test]
async fn deletion_is_no_state_to_set_and_update_is_what_it_takes() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let pending = state(None, ItemState::PendingDeletion);
    assert_eq!(kind(world.ask(&world.admin, pending).await), FaultKind::BadRequest);
    let reader = world.user("reader", &rules(&["/a/* read"])).await;
    let disable = state(None, ItemState::Disabled);
    assert_eq!(kind(world.ask(&reader, disable).await), FaultKind::Unauthorized);
}
