//! The counting itself, without a store: locks, places, budgets, floods, bounds.

use keysherd_crypto::random::SystemRng;

use super::floods::{NETWORKS_MAX, Named, WINDOW_SECONDS};
use super::people::{FIRST_LOCK_SECONDS, FORGET_SECONDS, FREE_TRIES, LONGEST_LOCK_SECONDS};
use super::*;

const NOW: Timestamp = Timestamp(1_767_600_000_000);
const HERE: &str = "192.0.2.1";
const ALICE: Tried<'_> = Tried::Person("alice@example.com");

fn guard() -> LoginGuard {
    LoginGuard::new(HmacKey::new(b"key"), Vec::new(), Vec::new(), NOW)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn try_wrong(guard: &LoginGuard, who: Tried<'_>, from: &str, now: Timestamp) -> Option<Counted> {
    guard.admit(who, address(from), false, now).ok().map(|attempt| attempt.wrong(now))
}

/// Wrong logins from addresses without an empty budget, until one is not tried.
fn lock(guard: &LoginGuard, who: Tried<'_>, from: &str, now: Timestamp) -> u32 {
    (0..100).find(|_| try_wrong(guard, who, from, now).is_none()).unwrap()
}

#[test]
fn the_sixth_wrong_password_is_not_tried_and_locks_double_to_an_hour() {
    let guard = guard();
    assert_eq!(lock(&guard, ALICE, HERE, NOW), FREE_TRIES);
    let (mut now, mut locks) = (NOW, Vec::new());
    for _ in 0..9 {
        let refused = guard.admit(ALICE, address(HERE), false, now).err().unwrap();
        locks.push(refused.until.millis_since(now) / 1_000);
        now = refused.until;
        assert!(guard.admit(ALICE, address(HERE), false, now.plus_seconds(-1)).is_err());
        assert!(try_wrong(&guard, ALICE, HERE, now).is_some());
    }
    assert_eq!(locks, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
    assert_eq!((locks[0], locks[8]), (FIRST_LOCK_SECONDS, LONGEST_LOCK_SECONDS));
}

#[test]
fn a_good_password_forgives_and_so_does_a_day() {
    let guard = guard();
    for _ in 0..4 {
        try_wrong(&guard, ALICE, HERE, NOW).unwrap();
    }
    let cleared = guard.admit(ALICE, address(HERE), false, NOW).ok().unwrap().good(NOW);
    assert!(cleared.forgiven.is_some());
    assert_eq!(lock(&guard, ALICE, HERE, NOW), FREE_TRIES);
    let later = NOW.plus_seconds(FORGET_SECONDS);
    assert_eq!(lock(&guard, ALICE, HERE, later), FREE_TRIES);
}

#[test]
fn a_good_login_forgives_and_makes_known_its_very_name_only() {
    let guard = guard();
    let id = AccessId::random(&SystemRng).unwrap();
    let named = |spelled| Tried::PersonOf { access_id: &id, name: "alice", spelled };
    let (alice, look_alike) = (named("alice"), named("álice"));
    let good = |who, from, now| {
        guard.admit(who, address(from), false, now).ok().map(|attempt| attempt.good(now))
    };
    // Whoever is called álice guesses at alice, and signs in with their own name in between.
    for round in 0..FREE_TRIES {
        assert!(try_wrong(&guard, alice, HERE, NOW).is_some(), "{round}");
        if round + 1 < FREE_TRIES {
            let cleared = good(look_alike, HERE, NOW).unwrap();
            assert_eq!((cleared.forgiven, cleared.spelled), (None, None), "{round}");
        }
    }
    assert!(try_wrong(&guard, alice, HERE, NOW).is_none(), "locked");
    // Where álice signs in from, alice's password has no tries of its own.
    let after = NOW.plus_seconds(FIRST_LOCK_SECONDS);
    assert!(good(look_alike, HERE, after).is_some(), "álice is at a place of theirs");
    assert!(try_wrong(&guard, alice, HERE, after).is_some());
    assert!(try_wrong(&guard, alice, HERE, after).is_none());
    // What was wrong under one's own name is forgiven, and only that.
    let later = NOW.plus_seconds(FORGET_SECONDS * 2);
    let (elsewhere, other) = ("198.51.100.9", "198.51.100.10");
    for _ in 0..2 {
        try_wrong(&guard, look_alike, elsewhere, later).unwrap();
        try_wrong(&guard, alice, elsewhere, later).unwrap();
    }
    let cleared = good(alice, elsewhere, later).unwrap();
    assert_eq!((cleared.forgiven, cleared.left.map(|row| row.failures)), (None, Some(2)));
    assert!(cleared.spelled.is_some());
    assert_eq!(lock(&guard, alice, other, later), FREE_TRIES - 2);
}

#[test]
fn many_at_once_are_not_more_guesses_than_many_in_a_row() {
    let guard = guard();
    let tried: Vec<_> =
        (0..50).filter_map(|_| guard.admit(ALICE, address(HERE), false, NOW).ok()).collect();
    assert_eq!(tried.len(), FREE_TRIES as usize);
    drop(tried);
    // What was not wrong counts for nothing.
    assert_eq!(lock(&guard, ALICE, HERE, NOW), FREE_TRIES);
    let after = NOW.plus_seconds(FIRST_LOCK_SECONDS);
    let tried: Vec<_> =
        (0..50).filter_map(|_| guard.admit(ALICE, address(HERE), false, after).ok()).collect();
    assert_eq!(tried.len(), 1);
}

#[test]
fn strangers_do_not_lock_a_person_out_of_where_they_usually_are() {
    let guard = guard();
    guard.admit(ALICE, address(HERE), false, NOW).ok().unwrap().good(NOW);
    lock(&guard, ALICE, "203.0.113.5", NOW);
    assert!(guard.admit(ALICE, address("203.0.113.77"), false, NOW).is_err());
    assert!(guard.admit(ALICE, address(HERE), false, NOW).is_ok());
    // The place has tries of its own, and not more.
    assert_eq!(lock(&guard, ALICE, HERE, NOW), FREE_TRIES);
    // After a month it is a place like any other.
    let guard = self::guard();
    guard.admit(ALICE, address(HERE), false, NOW).ok().unwrap().good(NOW);
    let later = NOW.plus_seconds(31 * 24 * 3_600);
    lock(&guard, ALICE, "203.0.113.5", later);
    assert!(guard.admit(ALICE, address(HERE), false, later).is_err());
}

#[test]
fn machines_are_never_locked_and_a_good_one_passes_a_flooded_address() {
    let guard = guard();
    let id = AccessId::random(&SystemRng).unwrap();
    let machine = Tried::Machine(&id);
    let mut spent = false;
    for _ in 0..5_000 {
        spent = try_wrong(&guard, machine, HERE, NOW).unwrap().spent;
    }
    assert!(spent, "the address has used its budget");
    assert!(guard.admit(machine, address(HERE), false, NOW).is_ok(), "a signature is looked at");
    assert!(guard.admit(machine, address(HERE), true, NOW).is_err(), "others are not asked");
    let elsewhere = address("198.51.100.1");
    assert!(guard.admit(machine, elsewhere, true, NOW).is_ok());
    let counted = try_wrong(&guard, machine, "198.51.100.1", NOW).unwrap();
    assert_eq!(counted, Counted { row: None, spelled: None, spent: false });
}

#[test]
fn an_address_has_a_budget_over_all_people() {
    let guard = guard();
    let person = |number: usize| format!("person-{number}@example.com");
    let tried = |now| {
        (0..1_000)
            .take_while(|n| try_wrong(&guard, Tried::Person(&person(*n)), HERE, now).is_some())
            .count()
    };
    assert_eq!(tried(NOW), 30);
    assert_eq!(tried(NOW.plus_seconds(60)), 9);
    // A /64 is one client.
    let guard = self::guard();
    let other = |n: usize| format!("2001:db8::{n:x}");
    let tried = (0..1_000)
        .take_while(|n| try_wrong(&guard, Tried::Person(&person(*n)), &other(*n), NOW).is_some());
    assert_eq!(tried.count(), 30);
}

#[test]
fn good_logins_use_no_budget_even_when_others_flood() {
    let guard = guard();
    for _ in 0..1_000 {
        guard.admit(ALICE, address(HERE), false, NOW).ok().unwrap().good(NOW);
    }
    let id = AccessId::random(&SystemRng).unwrap();
    for _ in 0..1_100 {
        try_wrong(&guard, Tried::Machine(&id), HERE, NOW).unwrap();
    }
    for _ in 0..1_000 {
        guard.admit(Tried::Machine(&id), address(HERE), false, NOW).ok().unwrap().good(NOW);
    }
    assert!(
        guard.admit(Tried::Machine(&id), address(HERE), true, NOW).is_err(),
        "a good login does not give back what it did not take"
    );
}

#[test]
fn what_is_remembered_is_bounded_and_locks_are_the_last_to_go() {
    let guard = guard();
    lock(&guard, ALICE, HERE, NOW);
    for number in 0..120_000_u32 {
        let from = IpAddr::from(number.to_be_bytes());
        let email = format!("{number}@example.com");
        let who = Tried::Person(&email);
        guard.admit(who, from, false, NOW).ok().unwrap().wrong(NOW);
    }
    assert!(guard.people.len() <= 100_000);
    // Nor those that other nodes count.
    for number in 0..300_000_u32 {
        let mut subject = [7; 32];
        subject[..4].copy_from_slice(&number.to_be_bytes());
        let (failures, last_failure) = (1, NOW);
        let row = GuardRow { subject, failures, locked_until: NOW, last_failure };
        guard.follow(subject, Some(row), &[], NOW);
        assert!(guard.people.len() <= 100_000);
    }
    assert!(guard.admit(ALICE, address("203.0.113.5"), false, NOW).is_err());
}

#[test]
fn a_flood_is_recorded_once_a_minute_with_its_count() {
    let floods = Floods::default();
    let named = Named {
        account: keysherd_base::AccountId::default(),
        access_id: AccessId::random(&SystemRng).unwrap(),
        kind: "api_key".to_owned(),
    };
    let count =
        |network: &str, now| floods.count([1; 32], address(network), || Some(named.clone()), now);
    let recorded = (0..10_000).filter(|_| count(HERE, NOW)).count();
    assert_eq!(recorded, 1);
    assert!(floods.take(NOW.plus_seconds(WINDOW_SECONDS - 1)).is_empty());
    let over = NOW.plus_seconds(WINDOW_SECONDS);
    let taken = floods.take(over);
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].network, taken[0].count), (Some(address(HERE)), 9_999));
    assert!(floods.take(over).is_empty());
    // From very many networks: as many records as networks are told apart, and one more.
    let recorded =
        (0..10_000_u32).filter(|n| count(&IpAddr::from(n.to_be_bytes()).to_string(), over));
    assert_eq!(recorded.count(), NETWORKS_MAX + 1);
    let taken = floods.take(over.plus_seconds(WINDOW_SECONDS));
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].network, taken[0].count), (None, 10_000 - NETWORKS_MAX as u64 - 1));
}

#[test]
fn a_flood_against_nobody_is_counted_the_same_and_recorded_nowhere() {
    let floods = Floods::default();
    let recorded = (0..100).filter(|_| floods.count([2; 32], address(HERE), || None, NOW)).count();
    assert_eq!(recorded, 1);
    assert!(floods.take(NOW.plus_seconds(WINDOW_SECONDS)).is_empty());
}
