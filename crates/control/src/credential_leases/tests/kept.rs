//! What a restart of control, and a change of names, leave of credentials: all of it.

use keysherd_base::FolderPath;
use keysherd_plane::items::{ItemUpdate, ItemUpdateParts, MovedObjects, ObjectsMove};

use super::*;

#[tokio::test]
async fn a_restart_loses_no_credential_and_no_end() {
    let world = World::new().await;
    let ids = world.database().await;
    let lives = world.lease(ids).await;
    let (intended, _) = world.intend(&world.admin, ids).await;
    let world = world.restarted();
    world.clock.advance_seconds(INTENT_SECONDS);
    let taken = world.take_leases().await;
    assert_eq!(taken.work.iter().map(|work| work.lease).collect::<Vec<_>>(), [intended]);
    let world = world.restarted();
    // What was taken is known to be.
    assert!(world.take_leases().await.work.is_empty());
    world.report(&taken, None).await;
    world.clock.advance_seconds(LIFE);
    let mut due: Vec<_> = world.take_leases().await.work.iter().map(|work| work.lease).collect();
    due.sort();
    let mut expected = vec![lives, intended];
    expected.sort();
    assert_eq!(due, expected);
}

#[tokio::test]
async fn names_change_and_credentials_stay() {
    let world = World::new().await;
    let ids = world.database().await;
    let lease = world.lease(ids).await;
    let rename = |path: &str, new: &str| ItemUpdate {
        path: item(path),
        parts: ItemUpdateParts { new_path: Some(item(new)), ..ItemUpdateParts::default() },
    };
    world.ask(&world.admin, rename(SECRET, "/team/sub/renamed")).await.unwrap();
    world.ask(&world.admin, rename(TARGET, "/.targets/db/new")).await.unwrap();
    for (from, to) in [
        ("/.targets/db/new", "/db/new"),
        ("/team/sub/renamed", "/.targets/x"),
        ("/team/sub/renamed", "/.targets"),
    ] {
        assert_eq!(kind(world.ask(&world.admin, rename(from, to)).await), FaultKind::BadRequest);
    }
    let folder = |path: &str| FolderPath::parse(path).unwrap();
    let moved = |source: &str, target: &str| ObjectsMove {
        objects: MovedObjects::Items,
        source: folder(source),
        target: folder(target),
    };
    world.ask(&world.admin, moved("/team/sub", "/elsewhere")).await.unwrap();
    world.ask(&world.admin, moved("/.targets/db", "/.targets/databases")).await.unwrap();
    for (from, to) in
        [("/.targets/databases", "/items"), ("/elsewhere", "/.targets/e"), ("/", "/all")]
    {
        let refused = world.ask(&world.admin, moved(from, to)).await;
        assert_eq!(kind(refused), FaultKind::BadRequest, "{from} {to}");
    }
    let list = LeaseList { item: item("/elsewhere/renamed"), after: None, limit: 10 };
    assert_eq!(world.ask(&world.admin, list).await.unwrap().leases[0].id, lease);
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    let paths: Vec<_> = taken.opened[0].items.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths, ["/elsewhere/renamed", "/.targets/databases/new"]);
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let world = World::new().await;
    let ids = world.database().await;
    for _ in 0..7 {
        world.lease(ids).await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let list = LeaseList { item: item(SECRET), after, limit: 3 };
        let page = world.ask(&world.admin, list).await.unwrap();
        assert!(page.leases.len() <= 3);
        seen.extend(page.leases.iter().map(|lease| lease.id));
        after = seen.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted());
}
