//! Deleting one item and many.

use keysherd_base::{FaultKind, FolderPath};
use keysherd_domain::item::KeyAlgorithm;
use keysherd_plane::items::{
    DeleteVersions, ItemDelete, ItemLockSet, ItemUpdate, ItemUpdateParts, ItemsDelete,
};

use crate::items::testing::{everything, rules};
use crate::testing::{World, item, kind};

fn delete(path: &str) -> ItemDelete {
    ItemDelete {
        path: item(path),
        versions: DeleteVersions::All,
        in_days: 7,
        immediately: false,
        force: false,
    }
}

fn below(folder: &str) -> ItemsDelete {
    ItemsDelete::Below(FolderPath::parse(folder).unwrap())
}

async fn names(world: &World) -> Vec<String> {
    let listed = world.list(&world.admin, everything()).await;
    listed.items.iter().map(|view| view.item.path.to_string()).collect()
}

#[tokio::test]
async fn delete_protection_and_locks_stand_in_the_way() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let protect = |on| {
        let parts = ItemUpdateParts { delete_protection: Some(on), ..Default::default() };
        world.ask(&world.admin, ItemUpdate { path: item("/a/b"), parts })
    };
    protect(true).await.unwrap();
    for versions in [DeleteVersions::All, DeleteVersions::Latest] {
        let message = ItemDelete { versions, ..delete("/a/b") };
        let fault = world.ask(&world.admin, message).await.unwrap_err();
        assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "DeleteProtection"));
    }
    protect(false).await.unwrap();
    let user = world.user("user", &rules(&["/a/* update"])).await;
    let lock = ItemLockSet { path: item("/a/b"), read: false, update: true, ttl_minutes: 5 };
    world.ask(&user, lock).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, delete("/a/b")).await), FaultKind::Forbidden);
    world.clock.advance_seconds(300);
    let reply = world.ask(&world.admin, delete("/a/b")).await.unwrap();
    assert_eq!((reply.deletion_at, reply.version), (None, None));
    assert_eq!(kind(world.ask(&world.admin, delete("/a/b")).await), FaultKind::NotFound);
    assert!(names(&world).await.is_empty());
}

#[tokio::test]
async fn below_a_folder_everything_that_may_be_deleted_goes() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/sub/two", "/a/kept", "/a/hidden/x", "/b/other"]).await;
    let parts = ItemUpdateParts { delete_protection: Some(true), ..Default::default() };
    let protect = ItemUpdate { path: item("/a/kept"), parts };
    world.ask(&world.admin, protect).await.unwrap();
    let user = world.user("user", &rules(&["/a/* delete", "/a/hidden/* deny"])).await;
    world.newest(&world.admin, "/a/one").await.unwrap();
    let reply = world.ask(&user, below("/a")).await.unwrap();
    assert_eq!(reply.deleted, [item("/a/one"), item("/a/sub/two")]);
    assert_eq!(kind(world.newest(&world.admin, "/a/one").await), FaultKind::NotFound);
    assert_eq!(reply.failed.keys().collect::<Vec<_>>(), ["/a/kept"]);
    assert_eq!(names(&world).await, ["/a/hidden/x", "/a/kept", "/b/other"]);
}

#[tokio::test]
async fn what_is_hidden_below_a_folder_does_not_show() {
    let world = World::new().await;
    world.secrets(&["/a/x"]).await;
    let nobody = world.user("nobody", &[]).await;
    let mut texts = Vec::new();
    for folder in ["/a/", "/c/"] {
        let fault = world.ask(&nobody, below(folder)).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unauthorized);
        texts.push(fault.public().replace(folder, "FOLDER"));
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(kind(world.ask(&world.admin, below("/c")).await), FaultKind::NotFound);
}

#[tokio::test]
async fn what_lies_around_many_hidden_items_is_found() {
    let world = World::new().await;
    let mut paths: Vec<_> = (0..300).map(|n| format!("/a/m/{n}")).collect();
    let around = ["/a/b", "/a/m-", "/a/n/x", "/a/z"];
    paths.extend(around.map(str::to_owned));
    world.secrets(&paths.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // One who sees some items of the folder, and one who sees none of it.
    let some = world.user("some", &rules(&["/a/m/150 delete", "/a/m/299 delete"])).await;
    let reply = world.ask(&some, below("/a")).await.unwrap();
    assert_eq!(reply.deleted, ["/a/m/150", "/a/m/299"].map(item));
    let none = world.user("none", &rules(&["/a/* delete", "/a/m/* deny"])).await;
    let reply = world.ask(&none, below("/a")).await.unwrap();
    assert_eq!(reply.deleted, around.map(item));
    assert!(reply.failed.is_empty());
    assert_eq!(names(&world).await.len(), 298);
}

#[tokio::test]
async fn keys_are_never_deleted_in_bulk() {
    let world = World::new().await;
    world.secrets(&["/a/secret"]).await;
    world.key(&world.admin, "/a/z/key", KeyAlgorithm::Aes128Gcm).await.unwrap();
    let fault = world.ask(&world.admin, below("/a")).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "ForbiddenTypesDeletion"));
    assert_eq!(names(&world).await, ["/a/secret", "/a/z/key"]);
    // For somebody who does not see the key it is not there.
    let user = world.user("user", &rules(&["/a/* delete", "/a/z/* deny"])).await;
    let reply = world.ask(&user, below("/a")).await.unwrap();
    assert_eq!(reply.deleted, [item("/a/secret")]);
    let misplaced = ItemsDelete::Targets { below: FolderPath::parse("/a").unwrap(), force: true };
    assert_eq!(kind(world.ask(&world.admin, misplaced).await), FaultKind::BadRequest);
    let named = ItemsDelete::Items(vec![item("/a/z/key"), item("/a/absent")]);
    let reply = world.ask(&world.admin, named).await.unwrap();
    assert!(reply.deleted.is_empty());
    assert_eq!(reply.failed.keys().collect::<Vec<_>>(), ["/a/absent", "/a/z/key"]);
}

#[tokio::test]
async fn items_that_are_named_go_one_by_one() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/two", "/b/three"]).await;
    let user = world.user("user", &rules(&["/a/* delete", "/b/* list"])).await;
    let paths = ["/a/one", "/b/three", "/a/absent", "/a/two", "/a/two"].map(item).to_vec();
    let reply = world.ask(&user, ItemsDelete::Items(paths)).await.unwrap();
    assert_eq!(reply.deleted, [item("/a/one"), item("/a/two")]);
    assert_eq!(reply.failed.keys().collect::<Vec<_>>(), ["/a/absent", "/a/two", "/b/three"]);
    let too_many = ItemsDelete::Items(vec![item("/a/x"); 1_001]);
    assert_eq!(kind(world.ask(&user, too_many).await), FaultKind::BadRequest);
}
