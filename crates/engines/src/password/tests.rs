//! What passwords are made of, and that none is likelier than another.

use std::sync::atomic::{AtomicU64, Ordering};

use keysherd_base::RngFailed;
use keysherd_crypto::random::SystemRng;

use super::*;
use crate::engines::by_name;
use crate::testing::settings;

fn policy(given: &[(&'static str, &str)]) -> Result<Policy, Fault> {
    Policy::of(&settings(by_name("postgresql").unwrap(), given))
}

#[test]
fn a_password_has_what_its_policy_says_and_nothing_else() {
    let classes = ["use-capital-letters", "use-lower-letters", "use-numbers"];
    let special = "use-special-characters";
    for (given, length, wanted) in [
        (vec![], 24, [true, true, true, false]),
        (vec![(special, "true")], 24, [true, true, true, true]),
        (vec![("password-length", "8"), (special, "True")], 8, [true, true, true, true]),
        (vec![(classes[0], "false"), ("password-length", "128")], 128, [false, true, true, false]),
        (vec![(classes[0], "false"), (classes[1], "false")], 24, [false, false, true, false]),
    ] {
        let policy = policy(&given).unwrap();
        for _ in 0..50 {
            let drawn = policy.draw(&SystemRng).unwrap();
            let bytes = drawn.expose().as_bytes();
            assert_eq!(bytes.len(), length);
            for (alphabet, wanted) in ALPHABETS.iter().zip(wanted) {
                let has = bytes.iter().any(|byte| alphabet.contains(byte));
                assert_eq!(has, wanted, "{given:?}");
            }
            assert!(!bytes.iter().any(|byte| b"'\"`\\;$ {}".contains(byte)));
        }
    }
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    for length in ["7", "129", "-1", "", "x"] {
        let refused = policy(&[("password-length", length)]);
        // An empty text is none.
        assert_eq!(refused.is_err(), !length.is_empty(), "{length}");
    }
    assert!(policy(&[("use-numbers", "perhaps")]).is_err());
    let none: Vec<_> = CLASSES.iter().map(|(_, field)| (field.name(), "false")).collect();
    assert!(policy(&none).is_err());
}

/// Counts up, byte by byte, so that each byte is as frequent as any other.
struct Counting(AtomicU64);

impl Rng for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for byte in buffer {
            *byte = u8::try_from(self.0.fetch_add(1, Ordering::Relaxed) % 256).unwrap();
        }
        Ok(())
    }
}

#[test]
fn no_character_is_likelier_than_another() {
    for size in [2_usize, 10, 26, 62, 78, 200, 255, 256] {
        let alphabet: Vec<u8> = (0..size).map(|n| u8::try_from(n % 128).unwrap()).collect();
        // As many as whole rounds of all 256 bytes give.
        let fair = 256 - 256 % size;
        let drawn = draw(&Counting(AtomicU64::new(0)), &alphabet, fair * 4).unwrap();
        let mut counts = [0_usize; 128];
        for byte in drawn.expose().bytes() {
            counts[usize::from(byte)] += 1;
        }
        for (byte, count) in counts.iter().enumerate() {
            let places = alphabet.iter().filter(|other| usize::from(**other) == byte).count();
            assert_eq!(*count, places * (fair / size) * 4, "{size} {byte}");
        }
    }
}

struct Stuck;

impl Rng for Stuck {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        buffer.fill(255);
        Ok(())
    }
}

#[test]
fn a_random_source_that_is_stuck_makes_no_password() {
    assert!(draw(&Stuck, b"0123456789", 8).is_err());
    assert!(policy(&[]).unwrap().draw(&Stuck).is_err());
}
