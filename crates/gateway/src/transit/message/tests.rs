//! Tests of messages under a window key.

use keysherd_base::Secret;
use keysherd_crypto::envelope::Kek;
use keysherd_crypto::random::SystemRng;

use super::*;

const SALT: [u8; 32] = [7; 32];

fn kek(byte: u8) -> Kek {
    Kek { kek: Secret::new([byte; 32]), com: [byte ^ 0xff; 32] }
}

fn sealed(kek: &Kek, key_bytes: usize, context: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let head = WindowHead { version: 3, salt: SALT, key_bytes };
    let sealed = seal_window(kek, &head, context, plaintext, &SystemRng).unwrap();
    sealed.expose().clone()
}

#[test]
fn a_message_opens_with_its_window_key_and_context_only() {
    for key_bytes in [16, 32] {
        for plaintext in [&b""[..], b"x", &[9; 5_000]] {
            let message = sealed(&kek(1), key_bytes, b"ctx", plaintext);
            let opened = open_window(&kek(1), key_bytes, b"ctx", &message).unwrap();
            assert_eq!(opened.expose(), plaintext);
            assert!(open_window(&kek(1), key_bytes, b"other", &message).is_err());
            assert!(open_window(&kek(2), key_bytes, b"ctx", &message).is_err());
        }
    }
}

#[test]
fn the_header_tells_version_salt_and_commitment() {
    let message = sealed(&kek(1), 32, b"", b"hello");
    let Ok(Message::Window { version, salt, com, bytes }) = Message::parse(&message) else {
        panic!("not a window message");
    };
    assert_eq!((version, salt, com, bytes), (3, SALT, kek(1).com, message.as_slice()));
}

#[test]
fn no_flipped_bit_and_no_truncation_opens() {
    let message = sealed(&kek(1), 32, b"ctx", b"hello");
    for bit in 0..message.len() * 8 {
        let mut wrong = message.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(open_window(&kek(1), 32, b"ctx", &wrong).is_err(), "bit {bit}");
    }
    for length in 0..message.len() {
        assert!(open_window(&kek(1), 32, b"ctx", &message[..length]).is_err(), "length {length}");
    }
}

#[test]
fn every_message_has_its_own_key() {
    let (one, two) = (sealed(&kek(1), 32, b"", b"same"), sealed(&kek(1), 32, b"", b"same"));
    assert_ne!(one[WINDOW_HEAD_BYTES..], two[WINDOW_HEAD_BYTES..]);
}

#[test]
fn foreign_bytes_are_a_bad_request() {
    for foreign in [&b""[..], b"hello", &[1, 0, 0, 0, 1, 9, 0], &[1, 0, 0, 0, 1, 1], &[2; 200]] {
        let fault = Message::parse(foreign).unwrap_err();
        assert_eq!(fault.kind(), keysherd_base::FaultKind::BadRequest);
    }
}
