//! Whose turn it is.

use std::sync::Mutex;

use keysherd_base::{ManualClock, Timestamp};

use super::turns::READS_PER_MINUTE_MAX;
use super::*;
use crate::moment::Clocks;

const A: Uid = Uid([0xa; 16]);
const B: Uid = Uid([0xb; 16]);

/// Goes round where calls of `B` come to this; the accounts of which calls were made.
async fn round(due: Vec<(Uid, u32)>, workers: usize, of_b: Came) -> Vec<Uid> {
    let made = Arc::new(Mutex::new(Vec::new()));
    let due: Vec<(Uid, (Uid, u32))> = due.into_iter().map(|(at, one)| (at, (at, one))).collect();
    let begin = |(account, _): (Uid, u32)| {
        let made = made.clone();
        Some(async move {
            made.lock().unwrap().push(account);
            tokio::task::yield_now().await;
            if account == B { of_b } else { Came::Answer }
        })
    };
    go_round(due, workers, (|_| true, begin)).await;
    let made = made.lock().unwrap();
    made.clone()
}

/// Somebody whose reads fail, for whatever reason, costs others nothing.
#[tokio::test]
async fn an_account_that_fails_is_left_out_and_others_have_their_turn() {
    let due: Vec<(Uid, u32)> = (0..2_000).map(|n| (B, n)).chain([(A, 1), (A, 2)]).collect();
    for workers in [1, 3] {
        let made = round(due.clone(), workers, Came::Nothing).await;
        assert_eq!(made.iter().filter(|one| **one == A).count(), 2);
        let of_b = made.iter().filter(|one| **one == B).count();
        assert!(of_b <= workers, "{of_b} calls that fail");
    }
    assert_eq!(round(due, 3, Came::Answer).await.len(), 2_002);
}

/// What is under way when it ends goes on to its end: it was granted and recorded.
#[tokio::test]
async fn silence_ends_a_round_but_not_what_is_under_way() {
    let due: Vec<(Uid, u32)> = [(B, 1), (A, 1), (A, 2), (A, 3), (A, 4)].into();
    let (begun, done) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let begin = |_: u32| {
        let is_first = std::mem::replace(&mut *begun.lock().unwrap(), 1) == 0;
        let done = done.clone();
        Some(async move {
            if is_first {
                return Came::Silence;
            }
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            *done.lock().unwrap() += 1;
            Came::Answer
        })
    };
    go_round(due, 2, (|_| true, begin)).await;
    assert_eq!(*done.lock().unwrap(), 1, "the one that was under way, and no other");
}

#[test]
fn an_account_has_an_eighth_of_the_room_and_its_reads_in_a_minute() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_767_607_872_000)));
    let clocks = Clocks::new(clock.clone());
    let turns = Turns::new(800);
    assert!((0..100).all(|_| turns.take_in(B)));
    assert!(!turns.take_in(B), "more than an eighth");
    assert!(turns.take_in(A));
    turns.count_anew([(B, 99)].into());
    assert!(turns.take_in(B), "one is gone");
    assert!(!turns.take_in(B));
    let may = |account| turns.may_read(account, clocks.now());
    assert!((0..READS_PER_MINUTE_MAX).all(|_| may(B)));
    assert!(!may(B));
    assert!(may(A), "another account");
    clock.advance_seconds(59);
    assert!(!may(B));
    clock.advance_seconds(1);
    assert!(may(B));
}
