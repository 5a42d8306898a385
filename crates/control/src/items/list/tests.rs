//! Listings of a large account, by callers who see all, some and next to nothing of it.

use keysherd_base::{FolderPath, ItemPath};
use keysherd_domain::item::KeyAlgorithm;
use keysherd_plane::items::{FolderCreate, ItemList};
use keysherd_store::Tx;

use crate::items::testing::{everything, rules, secret};
use crate::testing::{World, item};

/// Items of the large account.
const ITEMS: usize = 2_500;

fn names(reply: &keysherd_plane::items::ItemListReply) -> Vec<&str> {
    reply.items.iter().map(|view| view.item.path.as_str()).collect()
}

/// `/teams/t0/s0000` to `/teams/t24/s2499`, a hundred for each team. Written past the use cases,
/// in one commit.
async fn large(world: &World) -> Vec<String> {
    world.secrets(&["/template"]).await;
    let version = keysherd_plane::grants::VersionWish::Latest;
    world.read(&world.admin, "/template", version).await.unwrap();
    let account = world.first.id;
    let (paths, all): (Vec<ItemPath>, Vec<String>) = (0..ITEMS)
        .map(|n| format!("/teams/t{}/s{n:04}", n / 100))
        .map(|path| (item(&path), path))
        .unzip();
    let job = move |tx: &Tx| {
        let template = item("/template");
        let template = keysherd_store::items::by_path(tx, account, &template)?.unwrap();
        for (number, path) in paths.into_iter().enumerate() {
            let mut copy = template.clone();
            copy.display_id = keysherd_base::DisplayId(format!("d-{number}").into());
            copy.path = path;
            keysherd_store::items::insert(tx, &copy)?;
        }
        keysherd_store::items::delete(tx, template.id)?;
        Ok(())
    };
    world.control.store.commit(Vec::new(), job).await.unwrap();
    let mut all = all;
    all.sort_unstable();
    all
}

/// Walks the pages of a listing; checks that each but the last is full.
async fn walk(world: &World, token: &str, limit: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let page = ItemList { after: found.last().cloned(), limit: Some(limit), ..everything() };
        let reply = world.list(token, page).await;
        assert!(reply.items.len() == limit || !reply.more);
        found.extend(names(&reply).into_iter().map(str::to_owned));
        if !reply.more {
            return found;
        }
    }
}

#[tokio::test]
async fn pages_of_a_large_account() {
    let world = World::new().await;
    let all = large(&world).await;
    assert_eq!(names(&world.list(&world.admin, everything()).await), all);
    for limit in [1_000, 500, 2_500, 2_499] {
        assert_eq!(walk(&world, &world.admin, limit).await, all, "{limit}");
    }
    let some =
        ["/teams/t3/* read", "/teams/t3/s0350 deny", "/teams/t17/+ list", "/teams/t9/s0999 list"];
    let some = world.user("some", &rules(&some)).await;
    let sees = |path: &&String| {
        let team = |name: &str| path.starts_with(&format!("/teams/{name}/"));
        (team("t3") && *path != "/teams/t3/s0350") || team("t17") || path.ends_with("s0999")
    };
    let expect: Vec<_> = all.iter().filter(sees).cloned().collect();
    assert_eq!(expect.len(), 200);
    assert_eq!(names(&world.list(&some, everything()).await), expect);
    for limit in [1, 7, 100, 199, 200, 1_000] {
        assert_eq!(walk(&world, &some, limit).await, expect, "{limit}");
    }
    let nobody = world.user("nobody", &[]).await;
    let reply = world.list(&nobody, everything()).await;
    assert!(reply.items.is_empty() && !reply.more);
}

#[tokio::test]
async fn a_folder_shows_its_items_and_the_folders_in_it() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/two", "/a/sub/x", "/a/sub/deep/y", "/a/other/z", "/b/w"]).await;
    let create = FolderCreate {
        path: FolderPath::parse("/a/empty").unwrap(),
        description: String::new(),
        tags: Vec::new(),
        delete_protection: None,
    };
    world.ask(&world.admin, create).await.unwrap();
    let in_a = || ItemList { folder: Some(FolderPath::parse("/a").unwrap()), ..everything() };
    let folders = |reply: &keysherd_plane::items::ItemListReply| {
        reply.folders.iter().map(|folder| folder.to_string()).collect::<Vec<_>>()
    };
    let reply = world.list(&world.admin, in_a()).await;
    assert_eq!(names(&reply), ["/a/one", "/a/two"]);
    assert_eq!(folders(&reply), ["/a/empty/", "/a/other/", "/a/sub/"]);
    // Folders come with the first page.
    let page = ItemList { limit: Some(1), ..in_a() };
    let first = world.list(&world.admin, page.clone()).await;
    assert_eq!((names(&first), first.more, first.folders.len()), (vec!["/a/one"], true, 3));
    let page = ItemList { after: Some("/a/one".to_owned()), ..page };
    let second = world.list(&world.admin, page).await;
    assert_eq!((names(&second), second.more, second.folders.len()), (vec!["/a/two"], false, 0));
    let some = world.user("some", &rules(&["/a/two read", "/a/sub/deep/* read"])).await;
    let reply = world.list(&some, in_a()).await;
    assert_eq!((names(&reply), folders(&reply)), (vec!["/a/two"], vec!["/a/sub/".to_owned()]));
    let none = world.user("none", &rules(&["/b/* read"])).await;
    let reply = world.list(&none, in_a()).await;
    assert!(reply.items.is_empty() && reply.folders.is_empty());
    let root = ItemList { folder: Some(FolderPath::parse("/").unwrap()), ..everything() };
    assert_eq!(folders(&world.list(&none, root).await), ["/b/"]);
}

#[tokio::test]
async fn filters_apply_to_what_is_visible() {
    let world = World::new().await;
    let mut tagged = secret("/a/tagged");
    tagged.tags = vec!["blue".to_owned()];
    tagged.secret_kind = keysherd_domain::item::SecretKind::Password;
    world.create(&world.admin, tagged).await.unwrap();
    world.clock.advance_seconds(10);
    world.secrets(&["/a/plain"]).await;
    world.key(&world.admin, "/a/zkey", KeyAlgorithm::Aes128Gcm).await.unwrap();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let filter = |text: &str| ItemList { filter: Some(text.to_owned()), ..everything() };
    for (list, expect) in [
        (everything(), vec!["/a/plain", "/a/tagged", "/a/zkey"]),
        (filter("a/t"), vec!["/a/tagged"]),
        (filter("%"), vec![]),
        (ItemList { tag: Some("blue".to_owned()), ..everything() }, vec!["/a/tagged"]),
        (ItemList { tag: Some("blu".to_owned()), ..everything() }, vec![]),
        (ItemList { kinds: words(&["key"]), ..everything() }, vec!["/a/zkey"]),
        (
            ItemList { kinds: words(&["key", "static-secret"]), limit: Some(2), ..everything() },
            vec!["/a/plain", "/a/tagged"],
        ),
        (ItemList { secret_kinds: words(&["password"]), ..everything() }, vec!["/a/tagged"]),
        (
            ItemList { modified_after: Some(crate::testing::START), ..everything() },
            vec!["/a/plain", "/a/zkey"],
        ),
    ] {
        assert_eq!(names(&world.list(&world.admin, list.clone()).await), expect, "{list:?}");
    }
}

#[tokio::test]
async fn a_view_says_what_the_caller_may_do() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let user = world.user("user", &rules(&["/a/* update"])).await;
    let reply = world.list(&user, everything()).await;
    let held: Vec<_> =
        reply.items[0].permissions.iter().map(|capability| capability.name()).collect();
    assert_eq!(held, ["update", "list"]);
}
