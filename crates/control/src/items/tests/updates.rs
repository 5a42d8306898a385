//! Changing metadata, and what a new name must not bring.

use keysherd_base::FaultKind;
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::{ItemDescribe, ItemUpdate, ItemUpdateParts};

use crate::items::testing::rules;
use crate::testing::{World, item, kind};

fn rename(from: &str, to: &str) -> ItemUpdate {
    let parts = ItemUpdateParts { new_path: Some(item(to)), ..Default::default() };
    ItemUpdate { path: item(from), parts }
}

#[tokio::test]
async fn metadata_changes_make_no_version() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let parts = ItemUpdateParts {
        new_path: Some(item("/a/b")),
        description: Some("new".to_owned()),
        add_tags: vec!["x".to_owned(), "y".to_owned()],
        remove_tags: vec!["z".to_owned()],
        max_versions: Some(5),
        delete_protection: Some(true),
        custom_fields: [("f".to_owned(), "v".to_owned())].into(),
        change_event: Some(true),
        name_tag: None,
    };
    world.clock.advance_seconds(1);
    world.ask(&world.admin, ItemUpdate { path: item("/a/b"), parts }).await.unwrap();
    let parts = ItemUpdateParts {
        remove_tags: vec!["x".to_owned()],
        custom_fields: [("f".to_owned(), String::new())].into(),
        ..Default::default()
    };
    world.ask(&world.admin, ItemUpdate { path: item("/a/b"), parts }).await.unwrap();
    let describe = ItemDescribe { item: ItemRef::Path(item("/a/b")), with_versions: true };
    let view = world.ask(&world.admin, describe).await.unwrap();
    assert_eq!((view.item.description.as_str(), view.item.last_version), ("new", 1));
    assert_eq!((view.item.tags, view.item.max_versions), (vec!["y".to_owned()], Some(5)));
    assert!(view.item.delete_protection && view.item.change_event);
    assert!(view.item.custom_fields.is_empty());
    assert_eq!(view.item.modified, world.now());
    assert_eq!(view.versions.len(), 1);
    assert!(view.versions[0].ciphertext.is_empty());
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_and_the_own_one_is_not() {
    let world = World::new().await;
    world.secrets(&["/a/b", "/a/c"]).await;
    let taken = world.ask(&world.admin, rename("/a/b", "/a/c")).await;
    assert_eq!(kind(taken), FaultKind::Conflict);
    world.ask(&world.admin, rename("/a/b", "/a/b")).await.unwrap();
    let again = world.create(&world.admin, crate::items::testing::secret("/a/b")).await;
    let fault = again.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Conflict, "AlreadyExists"));
}

#[tokio::test]
async fn nobody_gains_a_right_by_renaming() {
    let world = World::new().await;
    world.secrets(&["/prod/db", "/prod/own"]).await;
    let user = world
        .user("user", &rules(&["/prod/* update", "/prod/own read", "/mine/* create,read"]))
        .await;
    let fault = world.ask(&user, rename("/prod/db", "/mine/db")).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "PrivilegeEscalation"));
    // Who may read it already gains nothing; who may not create there may not move it there.
    world.ask(&user, rename("/prod/own", "/mine/own")).await.unwrap();
    let elsewhere = world.ask(&user, rename("/prod/db", "/else/db")).await;
    assert_eq!(kind(elsewhere), FaultKind::Unauthorized);
}
