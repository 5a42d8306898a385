//! What opens, and what does not.

use super::*;
use crate::random::SystemRng;

#[test]
fn only_the_right_key_info_and_context_open() {
    let seed = Secret::new([7; 32]);
    let public = public_key(&seed);
    assert_eq!(public.len(), PUBLIC_KEY_BYTES);
    assert!(is_public_key(&public) && !is_public_key(&public[1..]));
    let sealed = seal(&public, b"info", b"context", b"plaintext", &SystemRng).unwrap();
    assert_eq!(sealed.len(), b"plaintext".len() + SEALED_OVERHEAD);
    let opened = open(&seed, b"info", b"context", &sealed).unwrap();
    assert_eq!(opened.expose(), b"plaintext");
    assert!(open(&Secret::new([8; 32]), b"info", b"context", &sealed).is_err());
    assert!(open(&seed, b"inf0", b"context", &sealed).is_err());
    assert!(open(&seed, b"info", b"c0ntext", &sealed).is_err());
    for place in [0, 1_087, 1_088, 1_119, 1_120, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert!(open(&seed, b"info", b"context", &changed).is_err(), "byte {place}");
    }
    for length in [0, 100, ENCAPSULATED_BYTES, sealed.len() - 1] {
        assert!(open(&seed, b"info", b"context", &sealed[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn two_sealings_of_one_plaintext_differ_and_a_broken_key_seals_nothing() {
    let public = public_key(&Secret::new([7; 32]));
    let one = seal(&public, b"", b"", b"same", &SystemRng).unwrap();
    let other = seal(&public, b"", b"", b"same", &SystemRng).unwrap();
    assert_ne!(one[..ENCAPSULATED_BYTES], other[..ENCAPSULATED_BYTES]);
    let short = seal(&public[1..], b"", b"", b"same", &SystemRng);
    assert_eq!(short, Err(SealFailed::PublicKey));
}

#[test]
fn the_seed_is_that_of_the_x_wing_specification() {
    // Test vector 1 of draft-connolly-cfrg-xwing-kem: the secret key, and how its public key ends.
    let seed = "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26";
    let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
    let public = hex::encode(public_key(&Secret::new(seed)));
    assert!(public.starts_with("e2236b35a8c24b39b10aa1323a96a919"), "{}", &public[..32]);
}
