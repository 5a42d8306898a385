//! Wraps that are taken out and put back.

use super::*;

fn kek(byte: u8) -> Kek {
    Kek { kek: Secret::new([byte; 32]), com: [byte ^ 0xff; 32] }
}

fn sealed() -> (Vec<u8>, Kek, Kek) {
    let (one, two) = (kek(1), kek(2));
    let pending = WrapParams { kind: WrapKind::Pending, ..SECOND };
    let wraps = [NewWrap { params: FIRST, kek: &one }, NewWrap { params: pending, kek: &two }];
    (seal(&HEADER, &wraps, b"value", &SystemRng, PLAIN).unwrap(), one, two)
}

#[test]
fn a_wrap_is_taken_out_and_put_back() {
    let (both, one, two) = sealed();
    let (stored, pending) = detach(&both, 1).unwrap();
    assert_eq!(stored.len() + WRAP_BYTES, both.len());
    confirm(&stored, 0, &one, b"value").unwrap();
    assert!(confirm(&stored, 0, &two, b"value").is_err());
    let again = attach(&stored, &pending).unwrap();
    assert_eq!(again, both);
    confirm(&again, 1, &two, b"value").unwrap();
    // The other one out: what is left opens with the second key alone.
    let (left, _) = detach(&both, 0).unwrap();
    confirm(&left, 0, &two, b"value").unwrap();
    let parsed = [&both, &stored, &left].map(|bytes| Envelope::parse(bytes).unwrap());
    assert!(same_but_wraps(&parsed[0], &parsed[1]) && same_but_wraps(&parsed[1], &parsed[2]));
}

#[test]
fn the_last_wrap_stays_and_no_other_envelopes_wrap_opens() {
    let (both, _, two) = sealed();
    let (stored, pending) = detach(&both, 1).unwrap();
    assert!(detach(&stored, 0).is_err() && detach(&both, 2).is_err());
    assert!(detach(b"KSF1", 0).is_err() && attach(b"KSF1", &pending).is_err());
    let other = Header { item_version: 2, ..HEADER };
    let only = [NewWrap { params: FIRST, kek: &two }];
    let other = seal(&other, &only, b"value", &SystemRng, PLAIN).unwrap();
    let mixed = attach(&other, &pending).unwrap();
    assert!(confirm(&mixed, 1, &two, b"value").is_err(), "a wrap is bound to its envelope");
    let (one, other) = (Envelope::parse(&stored).unwrap(), Envelope::parse(&other).unwrap());
    assert!(!same_but_wraps(&one, &other));
    let mut full = stored;
    for _ in 1..WRAPS_MAX {
        full = attach(&full, &pending).unwrap();
    }
    assert!(attach(&full, &pending).is_err());
}
