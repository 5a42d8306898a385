//! The life of a credential, step by step, and what nobody may do about it.

use super::*;

const NOW: Timestamp = Timestamp(1_767_600_000_000);
const OWN: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn intended_one() -> CredentialLease {
    let intent = Intent {
        handle: "tmp.one".to_owned(),
        target: None,
        ttl_seconds: 3_600,
        access_id: AccessId::parse("p-0123456789ab").unwrap(),
        sub_claims: BTreeMap::new(),
        gateway: OWN,
    };
    CredentialLease::intend(intent, NOW)
}

fn active() -> CredentialLease {
    let mut lease = intended_one();
    assert_eq!(lease.activate(&OWN, None, None), Activation::Done);
    lease
}

#[test]
fn a_life_as_it_should_be() {
    let mut lease = intended_one();
    assert_eq!((lease.state, lease.due), (LeaseState::Intended, Some(at(INTENT_SECONDS))));
    assert_eq!(lease.activate(&OWN, Some("tmp.two".to_owned()), None), Activation::Done);
    assert_eq!((lease.due, lease.handle.as_str()), (Some(at(3_600)), "tmp.two"));
    assert_eq!(lease.take(&OTHER, at(3_599)), None);
    assert_eq!(lease.take(&OTHER, at(3_600)), Some(1));
    assert!(lease.is_attempt_of(&OTHER, 1) && !lease.is_attempt_of(&OWN, 1));
    assert_eq!(lease.removed(at(3_601)), Removal::Gone);
}

#[test]
fn only_who_intended_it_activates_it_and_only_in_time() {
    let mut lease = intended_one();
    assert_eq!(lease.activate(&OTHER, None, None), Activation::Refused);
    assert_eq!(lease.activate(&OWN, None, Some(at(60))), Activation::Done);
    assert_eq!((lease.ends, lease.due), (at(60), Some(at(60))));
    assert_eq!(lease.activate(&OWN, None, None), Activation::Already);
    assert_eq!(lease.ends, at(60));

    let mut late = intended_one();
    assert_eq!(late.take(&OTHER, at(INTENT_SECONDS)), Some(1));
    assert_eq!(late.activate(&OWN, None, None), Activation::Refused);
}

#[test]
fn what_an_unheard_gateway_may_have_made_is_removed_twice() {
    let mut lease = intended_one();
    lease.take(&OTHER, at(INTENT_SECONDS)).unwrap();
    assert_eq!(lease.removed(at(121)), Removal::Again);
    assert_eq!(lease.due, Some(at(121 + AGAIN_SECONDS)));
    assert!(!lease.is_attempt_of(&OTHER, 1), "what was reported is over");
    assert_eq!(lease.take(&OTHER, at(121 + AGAIN_SECONDS)), Some(1));
    assert_eq!(lease.removed(at(800)), Removal::Gone);

    let mut given_up = intended_one();
    assert!(!given_up.abandon(&OTHER, false, at(1)));
    assert!(given_up.abandon(&OWN, false, at(1)) && !given_up.abandon(&OWN, false, at(1)));
    assert_eq!(given_up.take(&OTHER, at(1)), Some(1));
    assert_eq!(given_up.removed(at(2)), Removal::Gone);

    // Made, and the answer could not be given.
    assert!(active().abandon(&OWN, false, at(INTENT_SECONDS - 1)));
    assert!(!active().abandon(&OWN, false, at(INTENT_SECONDS)));
}

#[test]
fn what_may_come_late_is_removed_twice_and_at_once_the_first_time() {
    let mut late = intended_one();
    assert!(late.abandon(&OWN, true, at(1)));
    assert!(!late.is_forgettable(), "nobody knows yet whether it comes");
    late.revoke(at(1));
    assert_eq!(late.take(&OTHER, at(1)), Some(1));
    assert_eq!(late.removed(at(2)), Removal::Again);
    // Nobody makes it shorter: it may still come.
    late.revoke(at(3));
    assert_eq!((late.due, late.is_forgettable()), (Some(at(2 + AGAIN_SECONDS)), false));
    assert_eq!(late.take(&OTHER, at(1 + AGAIN_SECONDS)), None);
    assert_eq!(late.take(&OTHER, at(2 + AGAIN_SECONDS)), Some(1));
    assert_eq!(late.removed(at(3 + AGAIN_SECONDS)), Removal::Gone);
    // What lives has come.
    let mut lives = active();
    assert!(lives.abandon(&OWN, true, at(1)) && lives.settled);
}

#[test]
fn what_nobody_tried_is_no_attempt() {
    let (mut lease, mut now) = (active(), at(3_600));
    for _ in 0..3 * ATTEMPTS_MAX {
        assert_eq!(lease.take(&OWN, now), Some(1));
        lease.hand_back("the keys are another cluster's", now);
        assert!(!lease.is_attempt_of(&OWN, 1));
        assert_eq!((lease.attempts, lease.last_error.is_empty()), (0, false));
        assert_eq!(lease.take(&OTHER, now), None);
        now = now.plus_seconds(HAND_BACK_SECONDS);
    }
    assert_eq!(lease.state, LeaseState::Revoking);
}

#[test]
fn revoking_waits_for_who_is_still_making_it() {
    let mut lease = intended_one();
    lease.revoke(at(5));
    assert_eq!((lease.state, lease.due), (LeaseState::Revoking, Some(at(INTENT_SECONDS))));
    assert_eq!(lease.activate(&OWN, None, None), Activation::Refused);
    lease.revoke(at(6));
    assert_eq!(lease.due, Some(at(INTENT_SECONDS)));

    let mut lives = active();
    lives.revoke(at(5));
    assert_eq!(lives.due, Some(at(5)));
    assert!(!lives.extend(60, at(5)), "what is revoked does not come back");
}

#[test]
fn it_lives_longer_only_while_it_lives() {
    let mut lease = active();
    assert!(lease.extend(7_200, at(3_599)));
    assert_eq!((lease.ends, lease.ttl_seconds), (at(3_599 + 7_200), 7_200));
    assert!(!lease.extend(60, at(3_599 + 7_200)));
    assert!(!intended_one().extend(60, at(1)));
}

#[test]
fn attempts_come_later_and_later_and_end() {
    let (mut lease, mut now) = (active(), at(3_600));
    let mut pauses = Vec::new();
    loop {
        let attempt = lease.take(&OWN, now).unwrap();
        if lease.failed("refused", now) == Removal::GivenUp {
            assert_eq!(attempt, ATTEMPTS_MAX);
            break;
        }
        let due = lease.due.unwrap();
        pauses.push(due.millis_since(now) / 1_000);
        now = due;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    assert_eq!((lease.state, lease.due), (LeaseState::Quarantined, None));
    assert_eq!(lease.take(&OWN, at(1_000_000)), None);
    // By hand it begins anew.
    lease.revoke(at(1_000_000));
    assert_eq!(lease.take(&OWN, at(1_000_000)), Some(1));
}

#[test]
fn who_takes_and_is_never_heard_of_does_not_take_for_ever() {
    let (mut lease, mut now) = (active(), at(3_600));
    for attempt in 1..=ATTEMPTS_MAX {
        assert_eq!(lease.take(&OWN, now), Some(attempt));
        assert_eq!(lease.take(&OTHER, now.plus_seconds(work_seconds(attempt) - 1)), None);
        now = now.plus_seconds(work_seconds(attempt));
    }
    assert_eq!(lease.take(&OTHER, now), None);
    assert_eq!(lease.state, LeaseState::Quarantined);
}

#[test]
fn long_errors_are_cut_between_characters() {
    let mut lease = active();
    lease.take(&OWN, at(3_600)).unwrap();
    lease.failed(&"\u{e4}".repeat(1_000), at(3_600));
    assert_eq!(lease.last_error.len(), ERROR_BYTES_MAX);
    assert_eq!(pause_seconds(u32::MAX), PAUSE_SECONDS_MAX);
}

#[test]
fn whoever_asks_for_its_removal_is_not_told_of_failures_before() {
    let mut lease = active();
    lease.take(&OTHER, at(3_600)).unwrap();
    assert_eq!(lease.failed("connection refused", at(3_601)), Removal::Later);
    lease.revoke(at(3_602));
    assert_eq!(lease.take(&OTHER, at(3_602)), Some(1));
    assert_eq!(lease.last_error, "");
    assert_eq!(lease.failed("permission denied", at(3_603)), Removal::Later);
    assert_eq!(lease.take(&OTHER, at(3_605)), Some(2));
    assert_eq!(lease.last_error, "permission denied", "it stays to be seen");
}

#[test]
fn a_dead_gateway_is_followed_within_ten_seconds_and_a_slow_target_gets_more_time() {
    assert_eq!((1..=5).map(work_seconds).collect::<Vec<_>>(), [10, 18, 27, 27, 27]);
}

#[test]
fn what_somebody_may_be_making_is_not_forgotten() {
    assert!(!intended_one().is_forgettable());
    let mut revoked = intended_one();
    revoked.revoke(at(1));
    assert!(!revoked.is_forgettable());
    assert!(active().is_forgettable());
}
