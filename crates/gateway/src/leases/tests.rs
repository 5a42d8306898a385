//! When a lease counts, on a clock that is moved.

use std::sync::Arc;

use keysherd_base::{ManualClock, Timestamp};

use super::*;

const NAME: &str = "log-forwarding";

fn told(fence: u64, millis: u32) -> Vec<LeaseHeld> {
    vec![LeaseHeld { name: NAME.to_owned(), fence, millis }]
}

/// Leases by a wall clock that is moved as well.
fn leases() -> (Leases, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp(1_767_607_200_000)));
    (Leases::new(clock.clone(), Duty::new(true)), clock)
}

async fn pass(millis: u64) {
    tokio::time::advance(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_by_itself_counted_from_the_question() {
    let (leases, _) = leases();
    let mut news = leases.news();
    leases.want(NAME);
    assert_eq!(leases.held(NAME), None);
    assert_eq!(leases.wishes(), [LeaseWish { name: NAME.to_owned(), fence: None }]);
    let sent = leases.moment();
    pass(2_000).await;
    leases.heard(sent, &told(7, 6_000));
    assert!(news.has_changed().unwrap());
    news.mark_unchanged();
    pass(3_999).await;
    assert_eq!(leases.held(NAME), Some(7));
    pass(1).await;
    assert_eq!(leases.held(NAME), None);
    // It says which one it had, and is told when it has it again.
    assert_eq!(leases.wishes()[0].fence, Some(7));
    leases.heard(leases.moment(), &told(7, 6_000));
    assert!(news.has_changed().unwrap());
    news.mark_unchanged();
    // Renewals are no news.
    pass(1_000).await;
    leases.heard(leases.moment(), &told(7, 6_000));
    assert!(!news.has_changed().unwrap());
    // Whatever took longer than the lease lasts gives none.
    let sent = leases.moment();
    pass(6_000).await;
    leases.heard(sent, &told(7, 6_000));
    assert_eq!(leases.held(NAME), None);
    leases.heard(leases.moment(), &[]);
    assert_eq!(leases.wishes()[0].fence, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_is_not_taken() {
    let (leases, _) = leases();
    leases.heard(leases.moment(), &told(1, 6_000));
    assert_eq!((leases.held(NAME), leases.wishes()), (None, Vec::new()));
    leases.want(NAME);
    leases.heard(leases.moment(), &told(2, 6_000));
    leases.want(NAME);
    assert_eq!((leases.held(NAME), leases.all_held()), (Some(2), vec![(NAME, 2)]));
    assert_eq!((leases.give_up(NAME), leases.give_up(NAME)), (Some(2), None));
    assert_eq!(leases.held(NAME), None);
    leases.want(NAME);
    leases.heard(leases.moment(), &told(3, 6_000));
    assert_eq!(leases.rest(), [(NAME, 3)]);
    assert!(leases.wishes().is_empty());
}

/// While a machine sleeps the clock that nobody sets stands still on Linux; the other one tells.
#[tokio::test(start_paused = true)]
async fn a_lease_ends_while_the_machine_sleeps() {
    let (leases, clock) = leases();
    leases.want(NAME);
    leases.heard(leases.moment(), &told(7, 6_000));
    clock.advance_seconds(5);
    assert_eq!((leases.held(NAME), leases.all_held().len()), (Some(7), 1));
    clock.advance_seconds(1);
    assert_eq!((leases.held(NAME), leases.all_held().len()), (None, 0));
    // An answer to what was asked before the sleep gives none either.
    let sent = leases.moment();
    clock.advance_seconds(60);
    leases.heard(sent, &told(7, 6_000));
    assert_eq!(leases.held(NAME), None);
    // A clock that is set back says nothing of the time that passed, until the next answer.
    leases.heard(leases.moment(), &told(7, 6_000));
    assert_eq!(leases.held(NAME), Some(7));
    clock.advance_seconds(-1);
    assert_eq!(leases.held(NAME), None);
    leases.heard(leases.moment(), &told(7, 6_000));
    assert_eq!(leases.held(NAME), Some(7));
}
