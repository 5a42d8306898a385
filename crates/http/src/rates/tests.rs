//! Who gets how much, by a clock that the tests move.

use proptest::prelude::*;

use super::*;

fn second(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_minutes_worth_at_once_and_then_as_much_as_flows_in() {
    let start = Instant::now();
    let buckets = Buckets::new(60).unwrap();
    for _ in 0..60 {
        assert_eq!(buckets.take(1, start), Ok(()));
    }
    assert_eq!(buckets.take(1, start), Err(second(1)));
    assert_eq!(buckets.take(2, start), Ok(()), "another client has its own");
    assert_eq!(buckets.take(1, start + second(1)), Ok(()));
    assert_eq!(buckets.take(1, start + second(1)), Err(second(1)));
    for _ in 0..60 {
        assert_eq!(buckets.take(1, start + second(1_000)), Ok(()));
    }
    assert!(buckets.take(1, start + second(1_000)).is_err(), "no more than a bucket was saved");
}

#[test]
fn no_limit_means_none() {
    assert!(Buckets::<u8>::new(0).is_none());
    let rates = Rates::new(&Limits::default());
    for _ in 0..100_000 {
        assert!(rates.of_address([192, 0, 2, 1].into(), Instant::now()).is_ok());
    }
}

#[test]
fn what_ran_at_the_same_time_is_paid_within_a_minute() {
    let start = Instant::now();
    let buckets = Buckets::new(60).unwrap();
    for _ in 0..100_000 {
        buckets.charge(1, start);
    }
    assert_eq!(buckets.look(1, start), Err(second(61)));
    assert_eq!(buckets.look(1, start + second(61)), Ok(()));
}

#[test]
fn an_identity_pays_for_what_it_is_charged_with_and_for_nothing_else() {
    let limits = Limits { identity_requests_per_minute: 5, ..Limits::default() };
    let rates = Rates::new(&limits);
    let (victim, now) = (Some([7; IDENTITY_BYTES]), Instant::now());
    for _ in 0..1_000 {
        rates.of_identity(victim, now).unwrap();
    }
    for _ in 0..5 {
        rates.of_identity(victim, now).unwrap();
        rates.charge(victim, now);
    }
    let fault = rates.of_identity(victim, now).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::RateLimited);
    assert_eq!(fault.retry_after_seconds(), Some(13), "{fault}");
    assert!(rates.of_identity(Some([8; IDENTITY_BYTES]), now).is_ok());
    assert!(rates.of_identity(None, now).is_ok());
}

#[test]
fn the_table_is_bounded_and_forgets_whom_it_owes_nothing() {
    let start = Instant::now();
    let buckets = Buckets::new(2).unwrap();
    for client in 0..2 * CLIENTS_MAX {
        let _shared_in_the_end = buckets.take(client, start);
    }
    assert_eq!(buckets.table().full_at.len(), CLIENTS_MAX);
    assert_eq!(buckets.take(0, start), Ok(()), "who was there first keeps a bucket");
    assert!(buckets.take(5 * CLIENTS_MAX, start).is_err(), "the others share one");
    let later = start + second(61);
    assert_eq!(buckets.take(5 * CLIENTS_MAX, later), Ok(()));
    assert!(buckets.table().full_at.len() < 10, "{}", buckets.table().full_at.len());
}

proptest! {
    #[test]
    fn within_any_minute_at_most_two_buckets_flow(
        per_minute in 1_u32..200,
        pauses in prop::collection::vec(0_u64..3_000, 1..600),
    ) {
        let buckets = Buckets::new(per_minute).unwrap();
        let mut now = Instant::now();
        let mut granted: Vec<Instant> = Vec::new();
        for pause in pauses {
            now += Duration::from_millis(pause);
            if buckets.take(0, now).is_ok() {
                granted.push(now);
            }
        }
        for (at, first) in granted.iter().enumerate() {
            let within = granted[at..].iter().take_while(|later| **later <= *first + CAPACITY);
            prop_assert!(within.count() <= 2 * per_minute as usize + 1);
        }
        prop_assert!(!granted.is_empty());
    }
}
