//! Silent targets hold their part of the places and no more; what answers goes on.

use super::*;

fn id(number: i64) -> ItemId {
    ItemId(number)
}

fn places() -> Arc<Places> {
    Arc::new(Places::default())
}

/// As many as there are, of a secret with this number on a target with the next one.
fn all(places: &Arc<Places>, secret: i64) -> Vec<Taken> {
    std::iter::from_fn(|| places.take(id(secret), Some(id(secret + 1)))).collect()
}

fn left(places: &Places, place: i64) -> Option<usize> {
    places.room().into_iter().find(|room| room.place == id(place)).map(|room| room.left)
}

#[tokio::test(start_paused = true)]
async fn who_answers_gets_more_and_who_is_silent_nothing_for_a_while() {
    let places = places();
    let first = all(&places, 1);
    assert_eq!((first.len(), left(&places, 2)), (SHARE_UNKNOWN, Some(0)));
    first[0].became(Became::Answered);
    assert_eq!(all(&places, 1).len(), SHARE - SHARE_UNKNOWN);
    // Another one is silent: it is left alone, then tried once at a time.
    let silent = all(&places, 11);
    silent[0].became(Became::NotReached);
    drop(silent);
    assert_eq!((all(&places, 11).len(), left(&places, 12)), (0, Some(0)));
    assert!(places.take(id(13), Some(id(12))).is_none(), "whatever is on that target");
    assert_eq!(all(&places, 21).len(), SHARE_UNKNOWN, "others are not");
    tokio::time::advance(ALONE).await;
    let tried = all(&places, 11);
    assert_eq!((tried.len(), left(&places, 12)), (1, Some(0)));
    tried[0].became(Became::Answered);
    drop(tried);
    assert_eq!(all(&places, 11).len(), SHARE);
}

#[tokio::test(start_paused = true)]
async fn silent_targets_never_have_all_places() {
    let places = places();
    for target in 0..200 {
        let taken = places.take(id(1_000 + 2 * target), Some(id(1_001 + 2 * target))).unwrap();
        taken.became(Became::NotReached);
    }
    tokio::time::advance(ALONE).await;
    let tried: Vec<_> = (0..200).flat_map(|target| all(&places, 1_000 + 2 * target)).collect();
    assert_eq!(tried.len(), SHARE_SILENT);
    const { assert!(SHARE_SILENT < PLACES / 2) };
    // Control is told of all of them.
    let room: Vec<_> = places.room().into_iter().filter(|room| room.place.0 % 2 == 1).collect();
    assert_eq!((room.len(), room.iter().any(|room| room.left > 0)), (200, false));
    drop(tried);
    assert!(places.room().iter().any(|room| room.left > 0));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_slow_keeps_others_on_its_target_going() {
    let places = places();
    let slow = all(&places, 1);
    slow[0].became(Became::Late);
    drop(slow);
    assert_eq!(all(&places, 1).len(), 0);
    let other = places.take(id(5), Some(id(2))).unwrap();
    other.became(Became::Answered);
    // And without a target a secret is its own.
    places.take(id(7), None).unwrap().became(Became::Late);
    assert!(places.take(id(7), None).is_none());
    tokio::time::advance(ALONE).await;
    let tried = places.take(id(7), None).unwrap();
    assert!(places.take(id(7), None).is_none());
    tried.became(Became::Answered);
    assert!(places.take(id(7), None).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_is_tried_less_and_less_often() {
    let places = places();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let taken = places.take(id(1), Some(id(2))).expect("a place");
        taken.became(Became::Closed);
        drop(taken);
        let began = Instant::now();
        while left(&places, 1) == Some(0) {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        pauses.push(began.elapsed().as_secs());
        assert!(places.take(id(3), Some(id(2))).is_some(), "others on that target are opened");
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 120, 120]);
    places.take(id(1), Some(id(2))).unwrap().became(Became::Answered);
    assert_ne!(left(&places, 1), Some(0));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_remembered_than_there_is_room_for() {
    let places = places();
    let kept = places.take(id(1), None).unwrap();
    for number in 0..6_000 {
        places.take(id(10 + number), None).unwrap().became(Became::NotReached);
    }
    assert!(places.known().len() <= KNOWN_MAX);
    assert_eq!(places.room().len(), LEASE_PLACES_MAX);
    assert_eq!(places.known()[&id(1)].working, 1, "who works is not forgotten");
    drop(kept);
}
