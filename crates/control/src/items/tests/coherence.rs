//! What was answered as changed is never read as it was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use keysherd_base::FaultKind;
use keysherd_domain::item::ItemState;
use keysherd_plane::items::{
    DeleteVersions, ItemDelete, ItemStateSet, ItemUpdate, ItemUpdateParts,
};

use crate::testing::{World, item, kind};

/// Writes of the test, and readers beside them.
const WRITES: u32 = 60;
const READERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_reads_never_go_back() {
    let world = Arc::new(World::new().await);
    world.secrets(&["/a/b"]).await;
    let answered = Arc::new(AtomicU32::new(1));
    let finished = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let (world, answered, finished) = (world.clone(), answered.clone(), finished.clone());
        readers.push(tokio::spawn(async move {
            let mut reads = 0_u32;
            while !finished.load(Ordering::Acquire) {
                let least = answered.load(Ordering::Acquire);
                let newest = world.newest(&world.admin, "/a/b").await.unwrap();
                assert!(newest >= least, "read {newest} after {least} was answered");
                reads += 1;
            }
            reads
        }));
    }
    for _ in 0..WRITES {
        let changed = world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
        answered.store(changed.last_version, Ordering::Release);
        assert_eq!(world.newest(&world.admin, "/a/b").await.unwrap(), changed.last_version);
    }
    finished.store(true, Ordering::Release);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    assert_eq!(world.newest(&world.admin, "/a/b").await.unwrap(), WRITES + 1);
}

#[tokio::test]
async fn a_read_is_answered_from_memory_until_something_changes() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    let loaded = || world.control.grant_stats().loaded;
    let read = || world.newest(&world.admin, "/a/b");
    read().await.unwrap();
    let before = loaded();
    for _ in 0..5 {
        read().await.unwrap();
    }
    assert_eq!(loaded(), before);
    world.put(&world.admin, "/a/b", Some(false)).await.unwrap();
    read().await.unwrap();
    assert_eq!(loaded(), before + 1);
}

#[tokio::test]
async fn every_kind_of_change_is_seen_at_the_next_read() {
    let world = World::new().await;
    let read = async |path: &str| world.newest(&world.admin, path).await.map_err(|f| f.kind());
    let path = || item("/a/b");
    world.secrets(&["/a/b"]).await;
    assert_eq!(read("/a/b").await, Ok(1));
    let state = |state| ItemStateSet { path: path(), version: None, state };
    world.ask(&world.admin, state(ItemState::Disabled)).await.unwrap();
    assert_eq!(read("/a/b").await, Err(FaultKind::Forbidden));
    world.ask(&world.admin, state(ItemState::Enabled)).await.unwrap();
    assert_eq!(read("/a/b").await, Ok(1));
    let parts = ItemUpdateParts { new_path: Some(item("/a/c")), ..Default::default() };
    world.ask(&world.admin, ItemUpdate { path: path(), parts }).await.unwrap();
    assert_eq!(read("/a/b").await, Err(FaultKind::NotFound));
    assert_eq!(read("/a/c").await, Ok(1));
    // A new item under the old name is the new one.
    world.secrets(&["/a/b"]).await;
    world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
    assert_eq!(read("/a/b").await, Ok(2));
    let delete = ItemDelete {
        path: path(),
        versions: DeleteVersions::All,
        in_days: 7,
        immediately: false,
        force: false,
    };
    world.ask(&world.admin, delete).await.unwrap();
    assert_eq!(read("/a/b").await, Err(FaultKind::NotFound));
}

#[tokio::test]
async fn a_change_whose_caller_went_away_is_seen_all_the_same() {
    let world = World::new().await;
    world.secrets(&["/a/b"]).await;
    assert_eq!(world.newest(&world.admin, "/a/b").await.unwrap(), 1);
    let parts = ItemUpdateParts { new_path: Some(item("/a/c")), ..Default::default() };
    let rename = ItemUpdate { path: item("/a/b"), parts };
    // The writer is busy, so that nobody is answered at once.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let busy = world.control.store.commit(Vec::new(), move |_| {
        // It ends with an error, when the other end is dropped.
        let _ = held.recv();
        Ok(())
    });
    {
        let mut asking = Box::pin(world.ask(&world.admin, rename));
        // Polled once, so that the change is on its way, and dropped.
        let polled = futures_poll_once(asking.as_mut()).await;
        assert!(polled.is_none());
    }
    drop(release);
    busy.await.unwrap();
    // Queued behind the rename, so that its commit is over; its task may still have to run.
    world.secrets(&["/a/d"]).await;
    for _ in 0..1_000 {
        if kind_of(&world).await == Some(FaultKind::NotFound) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the old name still reads");
}

async fn kind_of(world: &World) -> Option<FaultKind> {
    match world.newest(&world.admin, "/a/b").await {
        Ok(_) => None,
        outcome => Some(kind(outcome)),
    }
}

/// Polls a future once.
async fn futures_poll_once<T>(
    mut future: std::pin::Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
