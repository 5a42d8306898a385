//! Round trips, wraps and replacing them; the attacks are in the modules below.

use std::sync::atomic::{AtomicU8, Ordering};

use keysherd_base::limits::ENVELOPE_BYTES_MAX;
use proptest::prelude::*;

use super::parse::{WRAP_BYTES, WRAPS_OFFSET};
use super::seal::seal_chunked;
use super::*;
use crate::random::SystemRng;
use keysherd_base::Rng;

mod commitment;
mod hostile;
mod vectors;
mod wraps;

/// Chunks of 16 bytes.
const SMALL: u8 = 4;
const PLAIN: SealOptions = SealOptions { pad: false };
const PADDED: SealOptions = SealOptions { pad: true };

const HEADER: Header = Header {
    account: [0x11; 16],
    item_id: [0x22; 16],
    item_version: 0x0102_0304_0506_0708,
    class: 1,
    type_: 9,
};

const FIRST: WrapParams = WrapParams {
    kind: WrapKind::Fragments,
    key_id: [0x33; 16],
    key_version: 7,
    cf_id: [0; 16],
    salt: [0x44; 32],
};

const SECOND: WrapParams = WrapParams {
    kind: WrapKind::Recovery,
    key_id: [0x77; 16],
    key_version: 1,
    cf_id: [0x88; 16],
    salt: [0x99; 32],
};

/// Gives the bytes 0, 1, 2 and so on.
#[derive(Default)]
struct Counting(AtomicU8);

impl Rng for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for byte in buffer {
            *byte = self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Works the given number of times and then fails.
struct Failing(AtomicU8);

impl Rng for Failing {
    fn fill(&self, _: &mut [u8]) -> Result<(), RngFailed> {
        let left = self.0.load(Ordering::Relaxed).checked_sub(1).ok_or(RngFailed)?;
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

fn kek(byte: u8) -> Kek {
    Kek { kek: Secret::new([byte; 32]), com: [byte + 0x11; 32] }
}

fn sealed_with(plaintext: &[u8], options: SealOptions, chunk_log2: u8) -> Vec<u8> {
    let kek = kek(0x55);
    let wraps = [NewWrap { params: FIRST, kek: &kek }];
    seal_chunked(&HEADER, &wraps, plaintext, &SystemRng, options, chunk_log2).unwrap()
}

fn opened(sealed: &[u8]) -> Option<Vec<u8>> {
    let envelope = Envelope::parse(sealed).ok()?;
    let key = envelope.unwrap_dek(0, &kek(0x55)).ok()?.payload_key(&envelope);
    Some(envelope.open(&key).ok()?.expose().clone())
}

fn bytes(length: usize) -> Vec<u8> {
    (0_u8..=250).cycle().take(length).collect()
}

#[test]
fn every_size_around_a_chunk_comes_back() {
    for length in [0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 100] {
        for options in [PLAIN, PADDED] {
            let sealed = sealed_with(&bytes(length), options, SMALL);
            assert_eq!(opened(&sealed), Some(bytes(length)), "{length} {options:?}");
            assert_eq!(Envelope::parse(&sealed).unwrap().padded(), options.pad);
            confirm(&sealed, 0, &kek(0x55), &bytes(length)).unwrap();
        }
    }
}

#[test]
fn large_values_come_back_in_the_default_chunks() {
    let chunk = 1 << CHUNK_LOG2_DEFAULT;
    let kek = kek(0x55);
    let wraps = [NewWrap { params: FIRST, kek: &kek }];
    for length in [100, chunk - 1, chunk, chunk + 1, 3 * chunk] {
        let sealed = seal(&HEADER, &wraps, &bytes(length), &SystemRng, PLAIN).unwrap();
        assert!(opened(&sealed) == Some(bytes(length)), "{length}");
    }
}

#[test]
fn the_limit_is_on_the_whole_envelope() {
    let kek = kek(0x55);
    let wraps = [NewWrap { params: FIRST, kek: &kek }];
    let overhead = WRAPS_OFFSET + WRAP_BYTES + 40 + 4 * 16;
    let longest = vec![1; ENVELOPE_BYTES_MAX - overhead];
    let sealed = seal(&HEADER, &wraps, &longest, &SystemRng, PLAIN).unwrap();
    assert_eq!(sealed.len(), ENVELOPE_BYTES_MAX);
    assert!(opened(&sealed) == Some(longest.clone()));
    for (plaintext, options) in [
        (vec![1; longest.len() + 1], PLAIN),
        (longest, PADDED),
        (vec![1; ENVELOPE_BYTES_MAX + 1], PLAIN),
    ] {
        let result = seal(&HEADER, &wraps, &plaintext, &SystemRng, options);
        assert_eq!(result.unwrap_err(), SealFailed::TooLong);
    }
    assert_eq!(Envelope::parse(&vec![0; ENVELOPE_BYTES_MAX + 1]).unwrap_err(), Malformed);
}

#[test]
fn padding_hides_nearby_lengths() {
    let length = |value: usize| sealed_with(&bytes(value), PADDED, 20).len();
    assert_eq!(length(1021), length(1084));
    assert_ne!(length(1020), length(1021));
}

#[test]
fn header_and_wraps_are_read_back() {
    let (one, two) = (kek(0x55), kek(0xaa));
    let wraps = [NewWrap { params: FIRST, kek: &one }, NewWrap { params: SECOND, kek: &two }];
    let sealed = seal(&HEADER, &wraps, b"value", &SystemRng, PLAIN).unwrap();
    let envelope = Envelope::parse(&sealed).unwrap();
    assert_eq!(envelope.header(), HEADER);
    let params: Vec<_> = envelope.wraps().map(|wrap| wrap.params()).collect();
    assert_eq!(params, [FIRST, SECOND]);
    assert_eq!(envelope.wrap(1).unwrap().com(), two.com);
    assert!(envelope.wrap(2).is_none());

    // Each wrap opens with its own key only, to the same payload key.
    let first = envelope.unwrap_dek(0, &one).unwrap().payload_key(&envelope);
    let second = envelope.unwrap_dek(1, &two).unwrap().payload_key(&envelope);
    assert_eq!(first.as_bytes().expose(), second.as_bytes().expose());
    for (index, kek) in [(0, &two), (1, &one), (2, &one), (usize::MAX, &two)] {
        assert_eq!(envelope.unwrap_dek(index, kek).unwrap_err(), OpenFailed);
    }
}

#[test]
fn refuses_no_wraps_and_too_many() {
    let kek = kek(0x55);
    for count in [0, WRAPS_MAX + 1, 256, 257] {
        let wraps = vec![NewWrap { params: FIRST, kek: &kek }; count];
        let result = seal(&HEADER, &wraps, b"", &SystemRng, PLAIN);
        assert_eq!(result.unwrap_err(), SealFailed::Wraps, "{count}");
    }
    let wraps = vec![NewWrap { params: FIRST, kek: &kek }; WRAPS_MAX];
    let sealed = seal(&HEADER, &wraps, b"", &SystemRng, PLAIN).unwrap();
    assert_eq!(Envelope::parse(&sealed).unwrap().wraps().len(), WRAPS_MAX);
}

#[test]
fn a_failed_random_source_seals_nothing() {
    let kek = kek(0x55);
    let wraps = [NewWrap { params: FIRST, kek: &kek }];
    for working in 0..3 {
        let rng = Failing(AtomicU8::new(working));
        assert_eq!(seal(&HEADER, &wraps, b"", &rng, PLAIN).unwrap_err(), SealFailed::Rng);
    }
    assert!(seal(&HEADER, &wraps, b"", &Failing(AtomicU8::new(3)), PLAIN).is_ok());
    let sealed = sealed_with(b"", PLAIN, SMALL);
    let broken = Failing(AtomicU8::new(0));
    let result = rewrap(&sealed, 0, &kek, wraps[0], &broken);
    assert_eq!(result.unwrap_err(), RewrapFailed::Rng);
}

#[test]
fn a_payload_key_survives_a_cache() {
    let sealed = sealed_with(b"value", PLAIN, SMALL);
    let envelope = Envelope::parse(&sealed).unwrap();
    let key = envelope.unwrap_dek(0, &kek(0x55)).unwrap().payload_key(&envelope);
    let again = PayloadKey::from_slice(key.as_bytes().expose()).unwrap();
    assert_eq!(envelope.open(&again).unwrap().expose(), b"value");
    assert!(PayloadKey::from_slice(&[0; 63]).is_none());
    assert!(PayloadKey::from_slice(&[0; 65]).is_none());
}

#[test]
fn a_rewrap_changes_one_wrap_and_nothing_else() {
    let (one, two, three) = (kek(0x55), kek(0xaa), kek(0xcc));
    let wraps = [NewWrap { params: FIRST, kek: &one }, NewWrap { params: SECOND, kek: &two }];
    let old = seal(&HEADER, &wraps, b"value", &SystemRng, PADDED).unwrap();
    let params = WrapParams { key_version: 8, salt: [0xdd; 32], ..SECOND };
    let new = NewWrap { params, kek: &three };
    let new = rewrap(&old, 1, &two, new, &SystemRng).unwrap();

    let second = WRAPS_OFFSET + WRAP_BYTES..WRAPS_OFFSET + 2 * WRAP_BYTES;
    assert_eq!(new[..second.start], old[..second.start]);
    assert_eq!(new[second.end..], old[second.end..]);
    let envelope = Envelope::parse(&new).unwrap();
    assert_eq!(envelope.wrap(1).unwrap().params(), params);
    assert!(envelope.unwrap_dek(1, &two).is_err());
    for (index, kek) in [(0, &one), (1, &three)] {
        confirm(&new, index, kek, b"value").unwrap();
    }
}

#[test]
fn a_head_is_all_that_a_rewrap_needs() {
    let (one, two) = (kek(0x55), kek(0xaa));
    let old = sealed_with(b"value", PADDED, SMALL);
    let (head, rest) = Envelope::split_head(&old).unwrap();
    assert_eq!([head, rest].concat(), old);
    assert!(Envelope::parse_head(&old).is_err());
    let new = NewWrap { params: SECOND, kek: &two };
    let wrap = rewrap_head(head, 0, &one, new, &SystemRng).unwrap();
    let moved = replace_wrap(&old, 0, &wrap).unwrap();
    confirm(&moved, 0, &two, b"value").unwrap();
    assert!(confirm(&moved, 0, &one, b"value").is_err());
    // Whoever hands out the wrap of one value with the payload of another one is found out.
    let other = sealed_with(b"other", PADDED, SMALL);
    let (other_head, _) = Envelope::split_head(&other).unwrap();
    let payload = head.len() - 40;
    let mixed = [&head[..payload], &other_head[payload..]].concat();
    let result = rewrap_head(&mixed, 0, &one, new, &SystemRng);
    assert_eq!(result.unwrap_err(), RewrapFailed::OpenFailed);
    let no_wrap = [0; WRAP_BYTES];
    assert!(replace_wrap(&old, 1, &wrap).is_err() && replace_wrap(&old, 0, &no_wrap).is_err());
    for length in 0..head.len() {
        assert!(Envelope::split_head(&head[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_rewrap_needs_the_old_key() {
    let old = sealed_with(b"value", PLAIN, SMALL);
    let (right, wrong) = (kek(0x55), kek(0xaa));
    let new = NewWrap { params: SECOND, kek: &wrong };
    let result = |old: &[u8], index, kek| rewrap(old, index, kek, new, &SystemRng).unwrap_err();
    assert_eq!(result(&old, 0, &wrong), RewrapFailed::OpenFailed);
    assert_eq!(result(&old, 1, &right), RewrapFailed::OpenFailed);
    assert_eq!(result(&old[1..], 0, &right), RewrapFailed::Malformed);
}

#[test]
fn confirm_compares_the_value() {
    let sealed = sealed_with(b"value", PLAIN, SMALL);
    for other in [&b""[..], b"valuf", b"value\0", b"valu"] {
        assert_eq!(confirm(&sealed, 0, &kek(0x55), other), Err(OpenFailed));
    }
    assert_eq!(confirm(&sealed, 0, &kek(0xaa), b"value"), Err(OpenFailed));
    assert_eq!(confirm(&sealed[1..], 0, &kek(0x55), b"value"), Err(OpenFailed));
}

proptest! {
    #[test]
    fn every_value_comes_back(value: Vec<u8>, pad: bool, chunk_log2 in CHUNK_LOG2) {
        let sealed = sealed_with(&value, SealOptions { pad }, chunk_log2);
        prop_assert_eq!(opened(&sealed), Some(value));
    }
}
