//! How long opened keys live, and what ends them.

use keysherd_base::{ManualClock, Timestamp};
use keysherd_crypto::random::SystemRng;

use super::*;

const ONE: [u8; 32] = [1; 32];

fn key(byte: u8) -> PayloadKey {
    PayloadKey::from_slice(&[byte; 96]).unwrap()
}

fn cache(ttl_seconds: i64) -> (Arc<ManualClock>, KeyCache) {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let cache = KeyCache::new(clock.clone(), &SystemRng, ttl_seconds).unwrap();
    (clock, cache)
}

fn put(cache: &KeyCache) {
    cache.put(ONE, &key(1), cache.asked());
}

#[test]
fn an_entry_lives_as_long_as_the_setting_says_and_never_longer_than_a_minute() {
    for (setting, lives) in [(10, 10), (60, 60), (3_600, 60)] {
        let (clock, cache) = cache(setting);
        put(&cache);
        assert_eq!(cache.get(&ONE).unwrap().as_bytes().expose(), &[1; 96]);
        assert!(cache.get(&[3; 32]).is_none());
        clock.advance_seconds(lives - 1);
        assert!(cache.get(&ONE).is_some());
        clock.advance_seconds(1);
        assert!(cache.get(&ONE).is_none(), "{setting}");
    }
}

#[test]
fn a_cache_that_is_off_keeps_nothing() {
    for setting in [0, -1] {
        let (_, cache) = cache(setting);
        put(&cache);
        assert!(cache.get(&ONE).is_none());
    }
}

#[test]
fn its_time_begins_before_the_managers_are_asked() {
    let (clock, cache) = cache(60);
    let asked = cache.asked();
    clock.advance_seconds(50);
    cache.put(ONE, &key(1), asked);
    assert!(cache.get(&ONE).is_some());
    clock.advance_seconds(10);
    assert!(cache.get(&ONE).is_none());
}

#[test]
fn the_owner_may_allow_less_at_any_time() {
    let (clock, cache) = cache(60);
    put(&cache);
    clock.advance_seconds(5);
    cache.bound(3_600);
    assert!(cache.get(&ONE).is_some());
    cache.bound(5);
    assert!(cache.get(&ONE).is_none());
    cache.bound(0);
    put(&cache);
    assert!(cache.get(&ONE).is_none());
    assert_eq!(cache.ttl_seconds(), 0);
}

#[test]
fn what_is_on_its_way_when_everything_is_forgotten_is_not_kept() {
    let (_, cache) = cache(60);
    put(&cache);
    let asked = cache.asked();
    cache.clear();
    assert!(cache.get(&ONE).is_none());
    cache.put(ONE, &key(1), asked);
    assert!(cache.get(&ONE).is_none());
    put(&cache);
    assert!(cache.get(&ONE).is_some());
}

#[test]
fn a_clock_that_is_set_back_prolongs_nothing() {
    let (clock, cache) = cache(60);
    put(&cache);
    clock.advance_seconds(-3_600);
    assert!(cache.get(&ONE).is_none());
    clock.advance_seconds(3_600);
    assert!(cache.get(&ONE).is_none());
}

#[test]
fn while_control_is_not_reached_the_owner_says_how_long() {
    let (clock, cache) = cache(30);
    cache.bound(600);
    put(&cache);
    clock.advance_seconds(599);
    assert!(cache.get(&ONE).is_none());
    assert!(cache.get_offline(&ONE).is_some());
    cache.bound(599);
    assert!(cache.get_offline(&ONE).is_none());
    cache.bound(600);
    put(&cache);
    cache.clear();
    assert!(cache.get_offline(&ONE).is_none());
    let (_, off) = self::cache(0);
    off.bound(600);
    put(&off);
    assert!(off.get_offline(&ONE).is_none());
}

#[test]
fn a_restored_key_is_as_old_as_it_was_and_opens_only_what_is_read_without_control() {
    let (clock, cache) = cache(60);
    cache.bound(600);
    let restore = |age| {
        let asked = cache.asked().before(Duration::from_secs(age)).unwrap();
        cache.put_restored(ONE, &key(1), asked);
    };
    restore(10);
    assert!(cache.get(&ONE).is_none(), "control is heard, and managers are to be asked");
    assert!(cache.get_offline(&ONE).is_some());
    clock.advance_seconds(589);
    let (aged, age) = cache.aged(&ONE).unwrap();
    assert_eq!((aged.as_bytes().expose(), age.as_secs()), (&[1; 96], 599));
    clock.advance_seconds(1);
    assert!(cache.get_offline(&ONE).is_none());
    assert!(cache.aged(&ONE).is_none());
    // Kept from one process to the next, it does not become younger.
    restore(600);
    assert!(cache.get_offline(&ONE).is_none());
    restore(599);
    cache.bound(599);
    assert!(cache.get_offline(&ONE).is_none(), "the owner allows less now");
    cache.bound(600);
    let asked = cache.asked().before(Duration::from_secs(1)).unwrap();
    cache.clear();
    cache.put_restored(ONE, &key(1), asked);
    assert!(!cache.has_offline(&ONE), "everything was forgotten in the meantime");
    // What managers gave to this process takes its place.
    restore(5);
    put(&cache);
    assert!(cache.get(&ONE).is_some());
}
