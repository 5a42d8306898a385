//! Moving folders.

use keysherd_base::{FaultKind, FolderPath};
use keysherd_plane::items::{
    FolderCreate, FolderGet, ItemLockSet, ItemUpdate, ItemUpdateParts, MovedObjects, ObjectsMove,
};

use crate::items::testing::{everything, rules};
use crate::testing::{World, item, kind};

fn folder(path: &str) -> FolderPath {
    FolderPath::parse(path).unwrap()
}

fn shift(source: &str, target: &str) -> ObjectsMove {
    ObjectsMove { objects: MovedObjects::Items, source: folder(source), target: folder(target) }
}

async fn names(world: &World) -> Vec<String> {
    let listed = world.list(&world.admin, everything()).await;
    listed.items.iter().map(|view| view.item.path.to_string()).collect()
}

#[tokio::test]
async fn a_folder_moves_with_everything_in_it() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/sub/two", "/ab/other"]).await;
    let create = FolderCreate {
        path: folder("/a/empty"),
        description: String::new(),
        tags: Vec::new(),
        delete_protection: None,
    };
    world.ask(&world.admin, create).await.unwrap();
    world.newest(&world.admin, "/a/one").await.unwrap();
    let moved = world.ask(&world.admin, shift("/a", "/c/d")).await.unwrap();
    assert_eq!(moved.moved, 3);
    assert_eq!(names(&world).await, ["/ab/other", "/c/d/one", "/c/d/sub/two"]);
    world.ask(&world.admin, FolderGet { path: folder("/c/d/empty") }).await.unwrap();
    assert_eq!(kind(world.newest(&world.admin, "/a/one").await), FaultKind::NotFound);
    world.newest(&world.admin, "/c/d/one").await.unwrap();
    let again = world.ask(&world.admin, shift("/a", "/c/d")).await;
    assert_eq!(kind(again), FaultKind::NotFound);
}

#[tokio::test]
async fn all_moves_or_nothing() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/two", "/b/two"]).await;
    let before = names(&world).await;
    assert_eq!(kind(world.ask(&world.admin, shift("/a", "/b")).await), FaultKind::Conflict);
    let partly = ["/a/* read,update,create", "/c/* read,update,create", "/a/two deny"];
    let partly = world.user("partly", &rules(&partly)).await;
    assert_eq!(kind(world.ask(&partly, shift("/a", "/c")).await), FaultKind::Unauthorized);
    let gains = world.user("gains", &rules(&["/a/* update", "/c/* update,create,read"])).await;
    assert_eq!(kind(world.ask(&gains, shift("/a", "/c")).await), FaultKind::Forbidden);
    let lock = ItemLockSet { path: item("/a/two"), read: false, update: true, ttl_minutes: 5 };
    world.ask(&partly_all(&world).await, lock).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, shift("/a", "/c")).await), FaultKind::Forbidden);
    assert_eq!(names(&world).await, before);
}

/// Who may not read a value must not bring it to where somebody else may.
#[tokio::test]
async fn moving_a_value_takes_the_right_to_read_it() {
    let world = World::new().await;
    world.secrets(&["/prod/pw", "/prod/sub/pw"]).await;
    let mover = world.user("mover", &rules(&["/prod/* update", "/drop/* create"])).await;
    let parts = ItemUpdateParts { new_path: Some(item("/drop/pw")), ..Default::default() };
    let rename = ItemUpdate { path: item("/prod/pw"), parts };
    assert_eq!(kind(world.ask(&mover, rename.clone()).await), FaultKind::Forbidden);
    assert_eq!(kind(world.ask(&mover, shift("/prod", "/drop")).await), FaultKind::Forbidden);
    let rights = ["/prod/* read,update", "/drop/* read,create,update"];
    let reader = world.user("reader", &rules(&rights)).await;
    assert!(world.ask(&reader, rename).await.is_ok());
}

async fn partly_all(world: &World) -> String {
    world.user("locker", &rules(&["/a/* update"])).await
}

#[tokio::test]
async fn roles_and_methods_move_too() {
    let world = World::new().await;
    world.user("someone", &[]).await;
    for objects in [MovedObjects::Roles, MovedObjects::AuthMethods] {
        let source = if objects == MovedObjects::Roles { "/roles" } else { "/users" };
        let message = ObjectsMove { objects, source: folder(source), target: folder("/elsewhere") };
        assert_eq!(world.ask(&world.admin, message).await.unwrap().moved, 1);
    }
}
