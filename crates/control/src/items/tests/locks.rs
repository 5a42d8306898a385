//! Locks keep others out, end by themselves, and are lifted by who holds them.

use keysherd_base::{Fault, FaultKind};
use keysherd_plane::items::{ItemLockSet, ItemUnlock, ItemUpdate};

use crate::items::testing::rules;
use crate::testing::{World, item, kind};

fn lock(read: bool, update: bool, ttl_minutes: u32) -> ItemLockSet {
    ItemLockSet { path: item("/a/b"), read, update, ttl_minutes }
}

fn unlock() -> ItemUnlock {
    ItemUnlock { path: item("/a/b") }
}

async fn metadata(world: &World, token: &str) -> Result<(), Fault> {
    let message = ItemUpdate { path: item("/a/b"), parts: Default::default() };
    world.ask(token, message).await.map(drop)
}

#[tokio::test]
async fn a_lock_keeps_others_from_what_it_says() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let everything = rules(&["/a/* read,update,list"]);
    let holder = world.user("holder", &everything).await;
    let other = world.user("other", &everything).await;
    for (read, update) in [(true, false), (false, true), (true, true)] {
        world.ask(&holder, lock(read, update, 5)).await.unwrap();
        for (token, read_refused, update_refused) in
            [(&holder, false, false), (&other, read, update), (&world.admin, read, update)]
        {
            assert_eq!(world.newest(token, "/a/b").await.is_err(), read_refused);
            assert_eq!(world.put(token, "/a/b", None).await.is_err(), update_refused);
            assert_eq!(metadata(&world, token).await.is_err(), update_refused);
        }
    }
    let fault = world.newest(&other, "/a/b").await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
    let until = world.now().plus_seconds(300).to_string();
    assert!(fault.public().contains("p-") && fault.public().contains(&until), "{fault}");
    world.clock.advance_seconds(299);
    assert!(world.newest(&other, "/a/b").await.is_err());
    world.clock.advance_seconds(1);
    assert!(world.newest(&other, "/a/b").await.is_ok());
}

#[tokio::test]
async fn the_holder_or_an_administrator_unlocks() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let everything = rules(&["/a/* read,update,list"]);
    let holder = world.user("holder", &everything).await;
    let other = world.user("other", &everything).await;
    world.ask(&holder, lock(true, true, 5)).await.unwrap();
    assert_eq!(kind(world.ask(&other, unlock()).await), FaultKind::Forbidden);
    assert_eq!(kind(world.ask(&other, lock(true, true, 5)).await), FaultKind::Forbidden);
    assert_eq!(kind(world.ask(&world.admin, lock(true, true, 5)).await), FaultKind::Forbidden);
    world.ask(&holder, unlock()).await.unwrap();
    assert!(world.newest(&other, "/a/b").await.is_ok());
    world.ask(&holder, lock(true, true, 5)).await.unwrap();
    world.ask(&world.admin, unlock()).await.unwrap();
    assert!(world.newest(&other, "/a/b").await.is_ok());
    // Unlocking what is not locked changes nothing.
    world.ask(&other, unlock()).await.unwrap();
}

#[tokio::test]
async fn a_lock_must_say_what_and_how_long() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    for bad in [lock(false, false, 5), lock(true, true, 0), lock(true, true, u32::MAX)] {
        assert_eq!(kind(world.ask(&world.admin, bad).await), FaultKind::BadRequest);
    }
    world.settings(None, |settings| settings.item_locking_disabled = true).await;
    let outcome = world.ask(&world.admin, lock(true, true, 5)).await;
    assert_eq!(kind(outcome), FaultKind::Forbidden);
}
