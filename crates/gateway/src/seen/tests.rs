//! Newer is taken, older is refused, and how a refusal is taken back.

use super::*;

const ITEM: Uid = Uid([1; 16]);

#[test]
fn what_is_older_is_refused() {
    let seen = Seen::new();
    seen.newest(ITEM, 2, &[2; 32]).unwrap();
    seen.newest(ITEM, 2, &[2; 32]).unwrap();
    seen.newest(ITEM, 3, &[3; 32]).unwrap();
    assert_eq!(seen.newest(ITEM, 2, &[2; 32]).unwrap_err().code(), ROLLED_BACK);
    seen.newest(ITEM, 3, &[3; 32]).unwrap();
    seen.newest(Uid([2; 16]), 1, &[1; 32]).unwrap();
}

#[test]
fn an_overwritten_value_does_not_come_back() {
    let seen = Seen::new();
    for value in 0..8 {
        seen.newest(ITEM, 1, &[value; 32]).unwrap();
    }
    for value in 3..7 {
        assert!(seen.newest(ITEM, 1, &[value; 32]).is_err(), "{value}");
    }
    seen.newest(ITEM, 1, &[7; 32]).unwrap();
}

#[test]
fn a_version_that_was_refused_is_accepted_by_its_number() {
    let seen = Seen::new();
    seen.newest(ITEM, 3, &[3; 32]).unwrap();
    // Reading an old version is nothing special.
    seen.by_number(ITEM, 2);
    assert!(seen.newest(ITEM, 2, &[2; 32]).is_err());
    seen.by_number(ITEM, 1);
    assert!(seen.newest(ITEM, 2, &[2; 32]).is_err());
    seen.by_number(ITEM, 2);
    seen.newest(ITEM, 2, &[2; 32]).unwrap();
    seen.forget(ITEM);
    seen.newest(ITEM, 1, &[1; 32]).unwrap();
}
