//! Sealing: what opens, and what must not.

use super::*;
use crate::random::SystemRng;

fn key(byte: u8) -> VaultKey {
    VaultKey::new(&Secret::new([byte; 32]))
}

fn sealed() -> Vec<u8> {
    key(7).seal("totp", b"acc|1", &Secret::new(b"seed".to_vec()), &SystemRng).unwrap()
}

#[test]
fn a_secret_opens_for_its_purpose_context_and_key_only() {
    let sealed = sealed();
    assert_eq!(key(7).open("totp", b"acc|1", &sealed).unwrap().expose(), b"seed");
    assert_eq!(key(7).open("oidc", b"acc|1", &sealed).unwrap_err(), OpenFailed);
    assert_eq!(key(7).open("totp", b"acc|2", &sealed).unwrap_err(), OpenFailed);
    assert_eq!(key(8).open("totp", b"acc|1", &sealed).unwrap_err(), OpenFailed);
}

#[test]
fn no_two_sealings_are_alike_and_none_shows_the_secret() {
    let (one, other) = (sealed(), sealed());
    assert_ne!(one, other);
    assert!(!one.windows(4).any(|bytes| bytes == b"seed"));
}

#[test]
fn every_changed_or_missing_byte_is_noticed() {
    let sealed = sealed();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(key(7).open("totp", b"acc|1", &changed).is_err(), "byte {at}");
        assert!(key(7).open("totp", b"acc|1", &sealed[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn the_longest_secret_opens_and_an_empty_one_too() {
    for length in [0, SECRET_BYTES_MAX] {
        let secret = Secret::new(vec![9; length]);
        let sealed = key(7).seal("totp", b"", &secret, &SystemRng).unwrap();
        assert_eq!(key(7).open("totp", b"", &sealed).unwrap().expose(), secret.expose());
    }
    let secret = Secret::new(vec![9; SECRET_BYTES_MAX + 1]);
    let sealed = key(7).seal("totp", b"", &secret, &SystemRng).unwrap();
    assert!(key(7).open("totp", b"", &sealed).is_err());
}
