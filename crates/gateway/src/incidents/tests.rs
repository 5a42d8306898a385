//! How many files of evidence there are, told without waiting for a disk.

use keysherd_base::{Fault, ManualClock};
use keysherd_plane::{BoxFuture, Plane, Reply, Request};

use super::*;

struct Silent;

impl Plane for Silent {
    fn call(&self, _: Caller, _: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async { Err(Fault::unavailable("nobody is there")) })
    }
}

#[tokio::test]
async fn files_are_counted_at_the_start_and_now_and_then_and_never_while_somebody_waits() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(DIRECTORY);
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("one.txt"), "evidence").unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000)));
    let incidents = Arc::new(Incidents::new(Some(home.path()), Arc::new(Silent), clock.clone()));
    assert_eq!(incidents.evidence(), 1);
    // Somebody moves it away. Within seconds nobody looks, whoever asks how often.
    std::fs::remove_file(dir.join("one.txt")).unwrap();
    for _ in 0..1_000 {
        assert_eq!(incidents.evidence(), 1);
    }
    clock.advance_seconds(COUNTED_SECONDS);
    // The first one who asks then has it counted, and does not wait for that.
    let told = incidents.evidence();
    assert!(told <= 1);
    let counted = async {
        // Until whoever counted has said, too, that it counts no more.
        while incidents.evidence() != 0 || incidents.counted.now.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), counted).await.unwrap();
    // One counts at a time, however long that takes.
    incidents.counted.now.store(true, Ordering::Release);
    std::fs::write(dir.join("two.txt"), "evidence").unwrap();
    clock.advance_seconds(COUNTED_SECONDS);
    for _ in 0..1_000 {
        assert_eq!(incidents.evidence(), 0);
        tokio::task::yield_now().await;
    }
}
