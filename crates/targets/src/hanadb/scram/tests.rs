//! What SAP's own clients say to the same challenges.

use super::*;
use crate::hanadb::frames::fields;

fn password() -> SecretString {
    SecretString::new("manager".to_owned())
}

fn bytes(begin: u8, count: u8) -> Vec<u8> {
    (begin..begin + count).collect()
}

/// A challenge by which to sign in slowly.
fn challenge(iterations: u32, salt: &[u8], random: &[u8]) -> Vec<u8> {
    let data = fields(&[salt, random, &iterations.to_be_bytes()]).unwrap();
    fields(&[SLOW, &data]).unwrap()
}

#[test]
fn the_plain_way_is_that_of_other_clients() {
    // Of the tests of hdbconnect.
    let ours = "b5ab3a90c5adb8041527376654d75c3194d861503fe08dff8bead51bc35a07cc63edbfa95d0362f56f\
                1a482e4c3fb832e41c8974f902ef8738cc74b6ef992e8e";
    let data = "0200101241e58f39234eeb773e909033e5cb6e301acedcdd05c190b0f0d07d811adb0d6feda88759c2\
                94060daeab3f62ea4b166ac97efc9a6bde4fe9e5daccb50acfce56";
    let proof = "010020172625ab2971d85874325d21bc3d683771805c9afe38d0951dad4653009cc921";
    let scram = Scram { challenge: hex(ours).try_into().unwrap(), strict: false };
    let answer = scram.answer(&fields(&[PLAIN, &hex(data)]).unwrap(), &password()).unwrap();
    assert_eq!((answer.method(), answer.proof()), (PLAIN, hex(proof).as_slice()));
    // By this way a server has nothing to prove.
    assert!(answer.is_proven_by(b""));
}

#[test]
fn the_slow_way_is_that_of_other_clients_and_the_server_has_to_prove_itself() {
    // Made with SAP's client for Node.js.
    let proof = "204d124b53187daa4b7083d678457f68ecfbbc16d6e2adad50e1021156025abdbb";
    let theirs = "a5a913be7eda74cd7e9bf80f5f533e091118b8005d7dbf3a85981540ceb1d717";
    let scram = Scram { challenge: [7; 64], strict: false };
    let asked = challenge(15_000, &bytes(0, 16), &bytes(100, 48));
    let answer = scram.answer(&asked, &password()).unwrap();
    assert_eq!(answer.method(), SLOW);
    assert_eq!(answer.proof(), [&[1, 0][..], &hex(proof)].concat());
    let last = |method: &[u8], proof: &[u8]| fields(&[method, &fields(&[proof]).unwrap()]).unwrap();
    assert!(answer.is_proven_by(&last(SLOW, &hex(theirs))));
    let mut other = hex(theirs);
    other[31] ^= 1;
    for wrong in [
        last(SLOW, &other),
        last(SLOW, &hex(theirs)[..31]),
        last(SLOW, b""),
        // Nobody gets around it by another way at last.
        last(PLAIN, &hex(theirs)),
        last(PLAIN, b""),
        fields(&[SLOW]).unwrap(),
        Vec::new(),
    ] {
        assert!(!answer.is_proven_by(&wrong), "{wrong:?}");
    }
}

#[test]
fn a_challenge_that_is_none_or_too_cheap_or_too_dear_is_not_answered() {
    let scram = Scram { challenge: [7; 64], strict: false };
    let (salt, random) = (bytes(0, 16), bytes(100, 48));
    let plain = |salt: &[u8]| fields(&[PLAIN, &fields(&[salt, &random]).unwrap()]).unwrap();
    for wrong in [
        challenge(14_999, &salt, &random),
        challenge(200_001, &salt, &random),
        challenge(u32::MAX, &salt, &random),
        challenge(15_000, &salt[..15], &random),
        challenge(15_000, &salt, &random[..15]),
        challenge(15_000, &[1; 257], &random),
        plain(&salt[..15]),
        plain(b""),
        fields(&[b"LDAP", &fields(&[&salt, &random]).unwrap()]).unwrap(),
        fields(&[SLOW, &fields(&[&salt, &random]).unwrap()]).unwrap(),
        fields(&[SLOW]).unwrap(),
        b"\xff\xff".to_vec(),
        b"\x01".to_vec(),
        Vec::new(),
    ] {
        assert!(scram.answer(&wrong, &password()).is_none(), "{wrong:?}");
    }
    assert!(scram.answer(&plain(&salt), &password()).is_some());
    // Where somebody on the way could choose it, the way without a proof is not there.
    let strict = Scram { strict: true, ..scram };
    assert!(strict.answer(&plain(&salt), &password()).is_none());
    assert!(strict.answer(&challenge(15_000, &salt, &random), &password()).is_some());
    assert_eq!(strict.offers(), [SLOW, &[7; 64]]);
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}
