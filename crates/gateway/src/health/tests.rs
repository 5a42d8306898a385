//! Who goes last, for how long, and when the rest is asked.

use super::*;

fn index(number: u8) -> ManagerIndex {
    ManagerIndex::new(number).unwrap()
}

fn set(numbers: &[u8]) -> ManagerSet {
    numbers.iter().map(|number| index(*number)).collect()
}

fn two_of_three() -> Threshold {
    Threshold::new(2, 3).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_failed_goes_last_for_a_while_that_grows() {
    let health = Health::default();
    assert_eq!(health.first(two_of_three(), 0), set(&[1, 2]));
    assert_eq!(health.first(two_of_three(), 1), set(&[2, 3]));
    health.record(index(2), Attempt::Failed, Duration::ZERO);
    for turn in 0..4 {
        assert_eq!(health.first(two_of_three(), turn), set(&[1, 3]));
    }
    tokio::time::advance(PASSED_OVER_MIN).await;
    assert_eq!(health.first(two_of_three(), 0), set(&[1, 2]), "it is tried again");
    health.record(index(2), Attempt::Failed, Duration::ZERO);
    tokio::time::advance(PASSED_OVER_MIN).await;
    assert!(health.snapshot(index(2)).passed_over, "the second time takes longer");
    tokio::time::advance(PASSED_OVER_MIN).await;
    assert!(!health.snapshot(index(2)).passed_over);
    for _ in 0..100 {
        health.record(index(2), Attempt::Failed, Duration::ZERO);
    }
    tokio::time::advance(PASSED_OVER_MAX).await;
    assert!(!health.snapshot(index(2)).passed_over, "never for longer than a minute");
    health.record(index(2), Attempt::Failed, Duration::ZERO);
    health.record(index(2), Attempt::Answered, Duration::from_millis(1));
    assert!(!health.snapshot(index(2)).passed_over, "a timely answer makes up for it");
}

#[tokio::test(start_paused = true)]
async fn when_too_few_are_well_the_others_are_asked_all_the_same() {
    let health = Health::default();
    health.lied(set(&[3]));
    tokio::time::advance(Duration::from_millis(1)).await;
    health.overtaken(set(&[1]));
    assert_eq!(health.first(two_of_three(), 0), set(&[2, 3]), "3 has to wait less");
    health.record(index(2), Attempt::Failed, Duration::ZERO);
    assert_eq!(health.first(two_of_three(), 1).len(), 2);
}

#[tokio::test]
async fn the_hedge_delay_follows_the_fast_managers_within_bounds() {
    let health = Health::default();
    assert_eq!(health.hedge_delay(two_of_three()), HEDGE_UNKNOWN);
    let teach = |manager, millis| {
        for _ in 0..TIMES_MAX {
            health.record(index(manager), Attempt::Answered, Duration::from_millis(millis));
        }
    };
    teach(1, 20);
    teach(3, 2_000);
    assert_eq!(health.hedge_delay(two_of_three()), HEDGE_MAX, "only one fast one is known");
    teach(2, 30);
    assert_eq!(health.hedge_delay(two_of_three()), Duration::from_millis(60));
    teach(1, 0);
    teach(2, 0);
    assert_eq!(health.hedge_delay(two_of_three()), HEDGE_MIN);
}
