//! So many at one time, of each target its own.

use super::*;

const TARGET: ItemId = ItemId(7);

#[tokio::test(start_paused = true)]
async fn a_target_has_so_many_turns_and_others_have_their_own() {
    let creations = Arc::new(Creations::default());
    let path = ItemPath::parse("/dyn/one").unwrap();
    let mut taken = Vec::new();
    for _ in 0..AT_ONCE {
        taken.push(creations.take(TARGET, &path).await.unwrap());
    }
    let refused = creations.take(TARGET, &path).await.err().unwrap();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::RateLimited, "TooManyAtOnce"));
    assert!(refused.public().contains("/dyn/one"), "{refused}");
    assert_eq!(refused.retry_after_seconds(), Some(5));
    creations.take(ItemId(8), &path).await.unwrap();

    // Who waits comes to their turn, and only so many wait.
    let waiting: Vec<_> = (0..WAITING_MAX)
        .map(|_| {
            let (creations, path) = (creations.clone(), path.clone());
            tokio::spawn(async move { creations.take(TARGET, &path).await.map(drop) })
        })
        .collect();
    let turns = creations.of(TARGET);
    while turns.waiting.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let began = tokio::time::Instant::now();
    assert!(creations.take(TARGET, &path).await.is_err());
    assert_eq!(began.elapsed(), Duration::ZERO, "refused at once");
    drop(taken);
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(turns.running.available_permits(), AT_ONCE);
    drop(turns);
    creations.of(ItemId(9));
    assert_eq!(creations.0.lock().unwrap().len(), 1, "what nobody uses is forgotten");
}
