//! The life of a rotation, step by step, with crashes between any two of them.

use super::*;
use crate::rotated_secret::{Grace, Interval, Schedule};

const NOW: Timestamp = Timestamp(1_767_600_000_000);
const OWN: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];
const HOUR: i64 = 3_600;

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn path() -> ItemPath {
    ItemPath::parse("/db/admin").unwrap()
}

/// Every hour.
fn facts() -> RotationFacts {
    RotationFacts {
        rotator: "custom".to_owned(),
        rotator_type: "custom".to_owned(),
        cluster: 0,
        of_target: false,
        schedule: Schedule { automatic: true, interval: Interval::Minutes(60), hour: 0 },
        grace: None,
        check_out: None,
        after_disconnect: false,
        by_target: false,
        notices: Vec::new(),
    }
}

fn new() -> CredentialRotation {
    CredentialRotation::new(&facts(), AccessId::parse("p-0123456789ab").unwrap(), NOW)
}

/// One that stored a candidate and was not heard of again.
fn unheard() -> CredentialRotation {
    let mut rotation = new();
    rotation.take(&facts(), &OWN, at(HOUR)).unwrap();
    assert!(rotation.keep(2, path()));
    rotation
}

#[test]
fn hosts_that_were_not_reached_are_tried_again_by_themselves_and_never_given_up() {
    let mut rotation = new();
    let took = rotation.take(&facts(), &OWN, at(HOUR)).unwrap();
    assert_eq!(took.task, Task::Change(Reason::Scheduled));
    assert!(rotation.keep(2, path()));
    rotation.promoted(&facts(), 1, Some("b:22: no route"), at(HOUR + 3));
    assert_eq!(rotation.outcome, Outcome::Partly);
    let mut due = rotation.due.unwrap();
    assert_eq!(due, at(HOUR + 3 + 10));
    // Again and again, at most an hour apart; and no rotation of all hosts is missed for it.
    let mut all = 0;
    for version in 3..40 {
        let attempt = rotation.take(&facts(), &OWN, due).unwrap();
        if attempt.task == Task::Change(Reason::Scheduled) {
            all += 1;
        } else {
            assert_eq!(attempt.task, Task::Change(Reason::Hosts));
        }
        let setback = rotation.failed(&facts(), Failure::Unchanged, "b:22: no route", due);
        assert!(!setback.given_up && setback.dropped.is_none(), "{version}");
        let next = rotation.due.unwrap();
        assert!(due < next && next <= due.plus_seconds(HOUR));
        due = next;
    }
    assert!(all > 0);
    // As soon as somebody changes something it is tried at once.
    rotation.reschedule(&facts(), due.plus_seconds(-60));
    assert!(rotation.due.unwrap() <= due.plus_seconds(-60));
    let attempt = rotation.begin(&facts(), Reason::Manual, &OWN, due).unwrap();
    assert_eq!(attempt.task, Task::Change(Reason::Manual));
    rotation.keep(2, path());
    rotation.promoted(&facts(), 1, None, due);
    assert_eq!((rotation.hosts, rotation.outcome), (None, Outcome::Succeeded));
    assert_eq!(rotation.due, Some(due.plus_seconds(HOUR)));
}

#[test]
fn a_failure_of_hosts_alone_says_that_the_others_have_theirs() {
    let mut rotation = new();
    rotation.take(&facts(), &OWN, at(HOUR)).unwrap();
    rotation.keep(2, path());
    rotation.promoted(&facts(), 1, Some("b"), at(HOUR));
    let attempt = rotation.take(&facts(), &OWN, at(HOUR + 10)).unwrap();
    assert_eq!(attempt.task, Task::Change(Reason::Hosts));
    rotation.keep(3, path());
    // Nobody knows: the same are set again.
    rotation.failed(&facts(), Failure::Unknown, "b", at(HOUR + 11));
    assert_eq!(rotation.outcome, Outcome::Partly);
    let due = rotation.due.unwrap();
    let attempt = rotation.take(&facts(), &OTHER, due).unwrap();
    assert_eq!((attempt.task, attempt.resumes), (Task::Change(Reason::Hosts), Some(3)));
}

#[test]
fn a_life_as_it_should_be() {
    let mut rotation = new();
    assert_eq!(rotation.due, Some(at(HOUR)));
    assert_eq!(rotation.take(&facts(), &OWN, at(HOUR - 1)), None);
    let attempt = rotation.take(&facts(), &OWN, at(HOUR)).unwrap();
    let task = Task::Change(Reason::Scheduled);
    assert_eq!(attempt, Attempt { number: 1, task, resumes: None });
    assert_eq!(rotation.take(&facts(), &OTHER, at(HOUR)), None, "once");
    assert_eq!(rotation.work_of(&OWN, 1), Some(task));
    assert!(rotation.work_of(&OTHER, 1).is_none() && rotation.work_of(&OWN, 2).is_none());
    assert!(rotation.keep(2, path()));
    rotation.promoted(&facts(), 1, None, at(HOUR + 3));
    assert_eq!((rotation.rotated, rotation.outcome), (Some(at(HOUR + 3)), Outcome::Succeeded));
    assert_eq!((rotation.due, rotation.taken), (Some(at(2 * HOUR + 3)), None));
    assert_eq!(rotation.work_of(&OWN, 1), None, "it is over");
}

#[test]
fn whoever_follows_a_dead_gateway_goes_on_with_the_same_candidate() {
    let mut rotation = unheard();
    assert_eq!(rotation.due, Some(at(HOUR + WORK_SECONDS)));
    let attempt = rotation.take(&facts(), &OTHER, at(HOUR + WORK_SECONDS)).unwrap();
    assert_eq!((attempt.number, attempt.resumes), (2, Some(2)));
    assert_eq!(rotation.work_of(&OWN, 1), None, "whoever comes late is not believed");
    assert!(!rotation.keep(3, path()), "no second one beside it");
    assert!(rotation.keep(2, path()));
    rotation.promoted(&facts(), 1, None, at(HOUR + 40));
    // The dead one might only have been frozen: nothing new is set until it has surely given up.
    assert_eq!(rotation.quiet_until, Some(at(HOUR + QUIET_SECONDS)));
    let late = rotation.begin(&facts(), Reason::Manual, &OWN, at(HOUR + 41));
    assert_eq!(late, Err(Busy::Quiet(at(HOUR + QUIET_SECONDS))));
    rotation.ask(Reason::Unlock, at(HOUR + 41));
    assert_eq!(rotation.due, Some(at(HOUR + QUIET_SECONDS)));
    let again = rotation.begin(&facts(), Reason::Manual, &OWN, at(HOUR + QUIET_SECONDS));
    assert_eq!(again.unwrap().resumes, None);
}

#[test]
fn a_candidate_is_dropped_only_when_nobody_can_set_it_any_more() {
    let mut refused = new();
    refused.take(&facts(), &OWN, at(HOUR)).unwrap();
    assert!(refused.keep(2, path()));
    let setback = refused.failed(&facts(), Failure::Unchanged, "too simple", at(HOUR + 1));
    assert_eq!(setback, Setback { dropped: Some(2), given_up: false });
    assert_eq!((refused.outcome, &*refused.last_error), (Outcome::Failed, "too simple"));
    assert_eq!(refused.due, Some(at(HOUR + 11)), "later");

    let mut unknown = new();
    unknown.take(&facts(), &OWN, at(HOUR)).unwrap();
    unknown.keep(2, path());
    assert_eq!(unknown.failed(&facts(), Failure::Unknown, "no answer", at(HOUR + 1)).dropped, None);
    assert_eq!(unknown.take(&facts(), &OTHER, at(HOUR + 11)).unwrap().resumes, Some(2));
    let refused = unknown.failed(&facts(), Failure::Unchanged, "refused", at(HOUR + 12));
    assert_eq!(refused.dropped, None, "what was sent before may still be on its way");

    let mut frozen = unheard();
    let mut now = HOUR + WORK_SECONDS;
    frozen.take(&facts(), &OTHER, at(now)).unwrap();
    assert_eq!(frozen.failed(&facts(), Failure::Unchanged, "refused", at(now + 1)).dropped, None);
    now = HOUR + QUIET_SECONDS;
    assert_eq!(frozen.take(&facts(), &OTHER, at(now)).unwrap().resumes, Some(2));
    assert_eq!(frozen.failed(&facts(), Failure::Unchanged, "refused", at(now)).dropped, Some(2));
}

#[test]
fn failures_come_later_and_later_and_end_for_this_date() {
    let mut rotation = new();
    let mut now = at(HOUR);
    let mut pauses = Vec::new();
    for attempt in 1..=TRIES_MAX {
        assert_eq!(rotation.take(&facts(), &OWN, now).unwrap().number, attempt);
        let setback = rotation.failed(&facts(), Failure::Unchanged, &"e".repeat(999), now);
        assert_eq!(setback.given_up, attempt == TRIES_MAX);
        let due = rotation.due.unwrap();
        pauses.push(due.millis_since(now) / 1_000);
        now = due;
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, HOUR]);
    assert_eq!(rotation.last_error.len(), ERROR_BYTES_MAX);
    assert_eq!(rotation.take(&facts(), &OWN, now).unwrap().task, Task::Change(Reason::Scheduled));
}

#[test]
fn whom_the_target_refuses_is_not_tried_until_the_account_is_locked() {
    let mut rotation = new();
    let mut now = at(HOUR);
    let mut refused = |rotation: &mut CredentialRotation| {
        rotation.take(&facts(), &OWN, now).unwrap();
        let setback = rotation.failed(&facts(), Failure::Refused, "wrong password", now);
        let pause = rotation.due.unwrap().millis_since(now) / 1_000;
        now = rotation.due.unwrap();
        (pause, setback.given_up)
    };
    assert_eq!(refused(&mut rotation), (HOUR, false));
    assert_eq!(refused(&mut rotation), (HOUR, false));
    assert!(refused(&mut rotation).1, "until somebody puts it right, or the next date");
    // By hand it is tried at once, and what was put right counts from the beginning.
    rotation.begin(&facts(), Reason::Manual, &OWN, now.plus_seconds(-9)).unwrap();
    rotation.failed(&facts(), Failure::Refused, "wrong password", now);
    rotation.reschedule(&facts(), now);
    assert_eq!((rotation.tries, rotation.pause_until), (0, None));
}

#[test]
fn what_may_have_been_set_is_kept_while_an_account_may_only_be_locked() {
    let mut rotation = unheard();
    let since = rotation.candidate.as_ref().unwrap().unheard.unwrap_or(at(HOUR));
    let (mut now, mut tries) = (rotation.due.unwrap(), 0);
    while rotation.candidate.is_some() {
        rotation.take(&facts(), &OWN, now).unwrap();
        let setback = rotation.failed(&facts(), Failure::Refused, "wrong password", now);
        let waited = now.millis_since(since) / 1_000;
        assert_eq!(setback.dropped.is_some(), waited >= LOCKED_SECONDS, "after {waited} s");
        (now, tries) = (rotation.due.unwrap(), tries + 1);
    }
    assert!((24..30).contains(&tries), "{tries}");
}

#[test]
fn a_target_that_is_silent_now_and_then_does_not_begin_that_day_anew() {
    let mut rotation = unheard();
    let since = rotation.due.unwrap();
    let mut now = since;
    while rotation.candidate.is_some() {
        for failure in [Failure::Unknown, Failure::Refused] {
            rotation.take(&facts(), &OWN, now).unwrap();
            rotation.failed(&facts(), failure, "no answer, or a wrong password", now);
            now = rotation.due.unwrap();
        }
        let waited = now.millis_since(since) / 1_000;
        assert!(waited < LOCKED_SECONDS + 4 * HOUR, "after {waited} s");
    }
}

#[test]
fn hosts_that_refuse_whom_is_signed_in_wait_an_hour() {
    let mut rotation = new();
    rotation.take(&facts(), &OWN, at(HOUR)).unwrap();
    assert!(rotation.keep(2, path()));
    rotation.promoted(&facts(), 1, Some("web1:22: wrong password"), at(HOUR));
    assert_eq!(rotation.hosts, Some(at(HOUR + 10)));
    rotation.rest_hosts(at(HOUR));
    assert_eq!((rotation.hosts, rotation.due), (Some(at(2 * HOUR)), Some(at(2 * HOUR))));
    // Where none is behind, none rests.
    rotation.take(&facts(), &OWN, at(2 * HOUR)).unwrap();
    assert!(rotation.keep(3, path()));
    rotation.promoted(&facts(), 2, None, at(2 * HOUR));
    rotation.rest_hosts(at(2 * HOUR));
    assert_eq!(rotation.hosts, None);
}

#[test]
fn gateways_that_die_again_and_again_are_failures_too() {
    let mut rotation = new();
    let mut handed_out = 0;
    for second in HOUR..2 * HOUR {
        handed_out += u32::from(rotation.take(&facts(), &OWN, at(second)).is_some());
    }
    assert!((5..=TRIES_MAX).contains(&handed_out), "{handed_out}");
    assert_eq!(rotation.outcome, Outcome::Failed);
    assert!(rotation.candidate.is_none());
}

#[test]
fn a_candidate_is_never_given_up() {
    let mut rotation = unheard();
    let mut now = rotation.due.unwrap();
    for _ in 0..100 {
        let attempt = rotation.take(&facts(), &OTHER, now).unwrap();
        assert_eq!(attempt.resumes, Some(2));
        let setback = rotation.failed(&facts(), Failure::Unknown, "no answer", now);
        assert_eq!(setback, Setback { dropped: None, given_up: false });
        let due = rotation.due.unwrap();
        assert!(due.millis_since(now) <= PAUSE_SECONDS_MAX * 1_000);
        now = due;
    }
    // Asking by hand does not wait for that, and nothing else is begun beside it.
    assert_eq!(
        rotation.begin(&facts(), Reason::Rollback(1), &OWN, at(9_999)),
        Err(Busy::Unfinished)
    );
    let by_hand = rotation.begin(&facts(), Reason::Manual, &OWN, now.plus_seconds(-10)).unwrap();
    assert_eq!((by_hand.resumes, by_hand.task), (Some(2), Task::Change(Reason::Scheduled)));
}

#[test]
fn by_hand_means_now_and_not_while_somebody_is_at_it() {
    let mut rotation = new();
    let attempt = rotation.begin(&facts(), Reason::Manual, &OWN, at(5)).unwrap();
    assert_eq!(attempt.task, Task::Change(Reason::Manual));
    let busy = rotation.begin(&facts(), Reason::Manual, &OTHER, at(6));
    assert_eq!(busy, Err(Busy::Working(at(5 + WORK_SECONDS))));
    // What fails by hand is not tried again by itself.
    rotation.failed(&facts(), Failure::Unchanged, "no", at(7));
    assert_eq!(rotation.due, Some(at(HOUR)));
    let attempt = rotation.begin(&facts(), Reason::Rollback(1), &OTHER, at(8)).unwrap();
    assert_eq!((attempt.number, attempt.task), (2, Task::Change(Reason::Rollback(1))));
}

#[test]
fn who_is_at_work_can_prolong_but_not_for_ever() {
    let mut rotation = new();
    assert_eq!(rotation.hold(NOW), None, "nobody is at work");
    rotation.take(&facts(), &OWN, at(HOUR)).unwrap();
    let mut now = HOUR + 5;
    assert_eq!(rotation.hold(at(now)), Some(at(now + WORK_SECONDS)));
    assert_eq!(rotation.take(&facts(), &OTHER, at(HOUR + WORK_SECONDS)), None);
    while let Some(until) = rotation.hold(at(now)) {
        assert!(until <= at(HOUR + HELD_SECONDS_MAX));
        now += 5;
    }
    assert_eq!(rotation.due, Some(at(HOUR + HELD_SECONDS_MAX)));
}

#[test]
fn what_is_asked_for_meanwhile_is_done_afterwards() {
    let mut rotation = new();
    rotation.ask(Reason::Disconnect, at(9));
    rotation.ask(Reason::Unlock, at(99));
    assert_eq!(rotation.due, Some(at(9)));
    let attempt = rotation.take(&facts(), &OWN, at(10)).unwrap();
    assert_eq!(attempt.task, Task::Change(Reason::Disconnect));
    rotation.keep(2, path());
    rotation.promoted(&facts(), 1, None, at(11));
    assert_eq!(rotation.asked, None, "it is done");
    rotation.ask(Reason::Disconnect, at(19));
    let attempt = rotation.begin(&facts(), Reason::Manual, &OWN, at(20)).unwrap();
    rotation.ask(Reason::Unlock, at(21));
    rotation.keep(3, path());
    rotation.promoted(&facts(), 2, Some("host b: no route"), at(22));
    assert_eq!((rotation.outcome, &*rotation.last_error), (Outcome::Partly, "host b: no route"));
    assert_eq!(rotation.due, Some(at(21)), "who read it meanwhile may know the new one");
    assert_eq!(attempt.number, 2);
    // What fails is still asked for.
    rotation.take(&facts(), &OWN, at(23)).unwrap();
    rotation.failed(&facts(), Failure::Unchanged, "no", at(24));
    assert_eq!(rotation.asked.unwrap().reason, Reason::Unlock);
}

#[test]
fn old_credentials_go_in_time_and_before_newer_ones_come() {
    let grace = Some(Grace { days: 2, before: false, hour: None });
    let schedule = Schedule { interval: Interval::Days(10), ..facts().schedule };
    let facts = RotationFacts { grace, schedule, ..facts() };
    let mut rotation = new();
    rotation.reschedule(&facts, NOW);
    rotation.begin(&facts, Reason::Manual, &OWN, at(0)).unwrap();
    rotation.keep(2, path());
    rotation.promoted(&facts, 1, None, at(1));
    assert_eq!(rotation.due, Some(at(1 + 2 * 24 * HOUR)));
    // By hand before that: they go first.
    let first = rotation.begin(&facts, Reason::Manual, &OWN, at(60)).unwrap();
    assert_eq!(first.task, Task::Retire(1));
    assert!(!rotation.keep(3, path()), "that is other work");
    rotation.failed(&facts, Failure::Unchanged, "busy", at(61));
    assert_eq!(rotation.retiring.unwrap().version, 1, "they are still there");
    let again = rotation.take(&facts, &OTHER, at(1 + 2 * 24 * HOUR)).unwrap();
    assert_eq!(again.task, Task::Retire(1));
    rotation.retired();
    assert_eq!((rotation.retiring, rotation.due), (None, facts.next(at(1))));
}

#[test]
fn people_are_told_once_before_each_date_and_nobody_rotates_for_that() {
    const DAY: i64 = 24 * HOUR;
    let schedule = Schedule { interval: Interval::Days(10), ..facts().schedule };
    let facts = RotationFacts { schedule, notices: vec![1, 3], ..facts() };
    let mut rotation =
        CredentialRotation::new(&facts, AccessId::parse("p-0123456789ab").unwrap(), NOW);
    let date = rotation.next.unwrap();
    assert_eq!(rotation.due, Some(date.plus_seconds(-3 * DAY)));
    let first = rotation.due.unwrap();
    assert!(!rotation.tell(first.plus_seconds(-1)));
    assert_eq!(rotation.take(&facts, &OWN, first), None, "that is not to rotate");
    assert!(rotation.tell(first) && !rotation.tell(first), "once");
    assert_eq!(rotation.due, Some(date.plus_seconds(-DAY)));
    // Nobody was there for days: they are told once, and it rotates.
    assert!(rotation.tell(date));
    assert_eq!(rotation.due, Some(date));
    assert!(rotation.take(&facts, &OWN, date).is_some() && rotation.keep(2, path()));
    rotation.promoted(&facts, 1, None, date);
    assert_eq!(rotation.notices.len(), 2, "of the next one");
    rotation.begin(&facts, Reason::Manual, &OWN, date.plus_seconds(8 * DAY)).unwrap();
    assert!(rotation.tell(date.plus_seconds(8 * DAY)));
    assert_eq!(rotation.due, Some(date.plus_seconds(8 * DAY + WORK_SECONDS)));
    let never = Schedule { automatic: false, ..facts.schedule };
    rotation.reschedule(&RotationFacts { schedule: never, ..facts }, date);
    assert_eq!(rotation.notices, []);
}

#[test]
fn nothing_is_begun_while_it_is_put_off_but_doubt_is_cleared_up() {
    let mut rotation = new();
    rotation.postpone(at(2 * HOUR));
    assert_eq!(rotation.due, Some(at(2 * HOUR)));
    rotation.unlocked(true, at(7));
    assert_eq!(rotation.due, Some(at(7)), "what waited for the lock does not any more");
    let mut rotation = unheard();
    assert!(rotation.is_under_way(at(9 * HOUR)) && !new().is_under_way(NOW));
    rotation.postpone(at(9 * HOUR));
    assert!(rotation.take(&facts(), &OTHER, at(HOUR + WORK_SECONDS)).is_some());
}

#[test]
fn a_clock_that_moves_makes_no_rotation_twice() {
    let mut rotation = new();
    let mut rotated = 0;
    // Forward, back, and far forward.
    for now in [HOUR, HOUR + 1, HOUR - 50, HOUR + 2, 9 * HOUR, 9 * HOUR, 8 * HOUR, 9 * HOUR + 7] {
        for gateway in [OWN, OTHER] {
            if rotation.take(&facts(), &gateway, at(now)).is_some() {
                rotated += 1;
                rotation.keep(rotated + 1, path());
                rotation.promoted(&facts(), rotated, None, at(now));
            }
        }
    }
    assert_eq!(rotated, 2);
}
