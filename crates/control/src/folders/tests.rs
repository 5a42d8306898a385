//! Folders through the plane.

use keysherd_base::{FaultKind, FolderPath};
use keysherd_plane::items::{FolderCreate, FolderDelete, FolderGet, FolderUpdate};

use crate::items::testing::rules;
use crate::testing::{World, kind};

fn folder(path: &str) -> FolderPath {
    FolderPath::parse(path).unwrap()
}

fn create(path: &str) -> FolderCreate {
    FolderCreate {
        path: folder(path),
        description: "why".to_owned(),
        tags: vec!["t".to_owned()],
        delete_protection: None,
    }
}

fn get(path: &str) -> FolderGet {
    FolderGet { path: folder(path) }
}

fn delete(path: &str) -> FolderDelete {
    FolderDelete { path: folder(path) }
}

fn update(path: &str, delete_protection: Option<bool>) -> FolderUpdate {
    FolderUpdate {
        path: folder(path),
        description: None,
        add_tags: vec!["u".to_owned()],
        remove_tags: vec!["t".to_owned()],
        delete_protection,
    }
}

#[tokio::test]
async fn a_folder_is_made_read_changed_and_deleted() {
    let world = World::new().await;
    let admin = &world.admin;
    let made = world.ask(admin, create("/a/b")).await.unwrap().folder;
    assert_eq!(world.ask(admin, get("/a/b")).await.unwrap().folder, made);
    assert_eq!(kind(world.ask(admin, create("/a/b")).await), FaultKind::Conflict);
    assert_eq!(kind(world.ask(admin, create("/")).await), FaultKind::BadRequest);
    // Implied, not made.
    assert_eq!(kind(world.ask(admin, get("/a")).await), FaultKind::NotFound);
    world.ask(admin, update("/a/b", Some(true))).await.unwrap();
    let changed = world.ask(admin, get("/a/b")).await.unwrap().folder;
    assert_eq!((changed.tags, changed.delete_protection), (vec!["u".to_owned()], true));
    let fault = world.ask(admin, delete("/a/b")).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "DeleteProtection"));
    world.ask(admin, update("/a/b", Some(false))).await.unwrap();
    world.ask(admin, delete("/a/b")).await.unwrap();
    assert_eq!(kind(world.ask(admin, delete("/a/b")).await), FaultKind::NotFound);
}

#[tokio::test]
async fn a_folder_with_something_in_it_stays() {
    let world = World::new().await;
    let admin = &world.admin;
    world.ask(admin, create("/a")).await.unwrap();
    world.ask(admin, create("/a/sub")).await.unwrap();
    assert_eq!(kind(world.ask(admin, delete("/a")).await), FaultKind::Conflict);
    world.ask(admin, delete("/a/sub")).await.unwrap();
    world.secrets(&["/a/deep/item", "/ab"]).await;
    assert_eq!(kind(world.ask(admin, delete("/a")).await), FaultKind::Conflict);
    let all = keysherd_plane::items::ItemsDelete::Below(folder("/a"));
    world.ask(admin, all).await.unwrap();
    world.ask(admin, delete("/a")).await.unwrap();
}

#[tokio::test]
async fn an_item_and_a_folder_may_have_one_name() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    world.ask(&world.admin, create("/a/b")).await.unwrap();
    world.secrets(&["/a/b/c"]).await;
    assert_eq!(world.newest(&world.admin, "/a/b").await.unwrap(), 1);
}

#[tokio::test]
async fn rights_on_folders_follow_the_rules_of_items() {
    let world = World::new().await;
    world.ask(&world.admin, create("/a/b")).await.unwrap();
    let nobody = world.user("nobody", &[]).await;
    let lister = world.user("lister", &rules(&["/a/* list"])).await;
    let owner = world.user("owner", &rules(&["/a/* create,update,delete"])).await;
    let mut hidden = Vec::new();
    for path in ["/a/b/", "/a/c/"] {
        let fault = world.ask(&nobody, get(path)).await.unwrap_err();
        hidden.push((fault.kind(), fault.public().replace(path, "FOLDER")));
    }
    assert_eq!(hidden[0], hidden[1]);
    world.ask(&lister, get("/a/b")).await.unwrap();
    assert_eq!(kind(world.ask(&lister, update("/a/b", None)).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&lister, delete("/a/b")).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&lister, delete("/a/c")).await), FaultKind::NotFound);
    assert_eq!(kind(world.ask(&lister, create("/a/c")).await), FaultKind::Unauthorized);
    world.ask(&owner, create("/a/c")).await.unwrap();
    world.ask(&owner, update("/a/b", None)).await.unwrap();
    world.ask(&owner, delete("/a/b")).await.unwrap();
}
