//! Files under a passphrase: what opens, and what does not.

use super::*;
use crate::random::SystemRng;

/// The cheapest that is allowed.
const CHEAP: PasswordParams = PasswordParams { memory_kib: 19_456, iterations: 2, parallelism: 1 };

fn text(text: &str) -> SecretString {
    SecretString::new(text.to_owned())
}

fn sealed(secret: &[u8]) -> Vec<u8> {
    let secret = SecretBytes::new(secret.to_vec());
    seal_with(&secret, &text("open sesame"), "test", &SystemRng, CHEAP).unwrap()
}

#[test]
fn what_was_sealed_opens_and_nothing_of_it_shows() {
    for secret in [&b""[..], b"k", &[7; 4_096]] {
        let sealed = sealed(secret);
        assert!(is_sealed(&sealed));
        let opened = open(&sealed, &text("open sesame"), "test").unwrap();
        assert_eq!(opened.expose(), secret);
        assert!(secret.len() < 8 || !sealed.windows(secret.len()).any(|part| part == secret));
    }
}

#[test]
fn another_passphrase_or_use_is_told_from_damage() {
    let sealed = sealed(b"seed");
    let wrong = open(&sealed, &text("open barley"), "test").unwrap_err();
    assert_eq!(wrong, PassphraseFailed::WrongPassphrase);
    let other_use = open(&sealed, &text("open sesame"), "other").unwrap_err();
    assert_eq!(other_use, PassphraseFailed::WrongPassphrase);
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let refused = open(&damaged, &text("open sesame"), "test").unwrap_err();
    assert_eq!(refused, PassphraseFailed::Damaged);
}

#[test]
fn no_changed_or_cut_file_opens() {
    let sealed = sealed(b"seed");
    let passphrase = text("open sesame");
    // The numbers that set the price are left out: each would take its own time.
    for at in (0..8).chain(20..sealed.len()).step_by(7) {
        let mut changed = sealed.clone();
        changed[at] ^= 0x40;
        assert!(open(&changed, &passphrase, "test").is_err(), "byte {at}");
    }
    for length in [0, 7, 8, 40, sealed.len() - 17, sealed.len() - 1] {
        assert!(open(&sealed[..length], &passphrase, "test").is_err(), "{length} bytes");
    }
}

#[test]
fn nobody_makes_a_reader_spend_more_than_the_bound() {
    let mut dear = sealed(b"seed");
    dear[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    let refused = open(&dear, &text("open sesame"), "test").unwrap_err();
    assert_eq!(refused, PassphraseFailed::Derive(DeriveFailed::Params));
    let long = SecretBytes::new(vec![0; SECRET_BYTES_MAX + 1]);
    let refused = seal(&long, &text("x"), "test", &SystemRng).unwrap_err();
    assert_eq!(refused, PassphraseFailed::TooLong);
}
