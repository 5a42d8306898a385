//! A carried document opens for its recipient only, and only as its signer made it.

use super::*;
use crate::random::SystemRng;

const PURPOSE: &str = "test";

fn seed(byte: u8) -> Secret<[u8; 32]> {
    Secret::new([byte; 32])
}

fn carried(signer: &SigningKey) -> Vec<u8> {
    let text = SecretBytes::new(b"a secret".to_vec());
    seal(&text, PURPOSE, &hpke::public_key(&seed(1)), signer, &SystemRng).unwrap()
}

#[test]
fn it_opens_for_its_recipient_and_purpose_only() {
    let signer = SigningKey::from_seed(&seed(7));
    let bytes = carried(&signer);
    assert_eq!(bytes.len(), OVERHEAD_BYTES + 8);
    let parsed = Carried::parse(&bytes).unwrap();
    assert_eq!(parsed.signer(), signer.public());
    assert_eq!(parsed.open(&seed(1), PURPOSE).unwrap().expose(), b"a secret");
    assert!(parsed.open(&seed(2), PURPOSE).is_err());
    assert!(parsed.open(&seed(1), "another").is_err());
    assert!(!bytes.windows(8).any(|window| window == b"a secret"));
}

#[test]
fn no_changed_byte_and_no_cut_is_taken() {
    let bytes = carried(&SigningKey::from_seed(&seed(7)));
    let opens =
        |bytes: &[u8]| Carried::parse(bytes).is_some_and(|it| it.open(&seed(1), PURPOSE).is_ok());
    assert!(opens(&bytes));
    for at in (0..bytes.len()).step_by(17).chain([0, 7, 8, 39, 40, 103, 104, bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(!opens(&changed), "byte {at}");
    }
    for end in [0, 7, 40, 104, bytes.len() - 1] {
        assert!(!opens(&bytes[..end]), "cut at {end}");
    }
}

/// Somebody who sees the file signs it in their own name, or puts their own document in its place.
#[test]
fn nobody_passes_on_what_another_sealed_as_their_own() {
    let bytes = carried(&SigningKey::from_seed(&seed(7)));
    let thief = SigningKey::from_seed(&seed(8));
    let parsed = Carried::parse(&bytes).unwrap();
    let recipient = hpke::public_key(&seed(1));
    let signature = thief.sign(labels::CARRIED_BY, &signed(&recipient, parsed.sealed));
    let head = head(&thief.public());
    let passed = [head.as_slice(), signature.as_bytes(), parsed.sealed].concat();
    assert!(Carried::parse(&passed).unwrap().open(&seed(1), PURPOSE).is_err());
    // What they seal themselves opens, and says who they are.
    let own = carried(&thief);
    let own = Carried::parse(&own).unwrap();
    assert!(own.open(&seed(1), PURPOSE).is_ok());
    assert_eq!(own.signer(), thief.public());
    // A signature for one recipient is none for another.
    let other = Carried { signer: parsed.signer, signature: parsed.signature, sealed: own.sealed };
    assert!(other.open(&seed(1), PURPOSE).is_err());
}
