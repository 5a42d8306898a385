//! The field, every quorum, and agreement with an independent implementation.

use super::*;
use crate::random::SystemRng;

#[test]
fn the_field_is_one() {
    for a in 1..=255 {
        assert_eq!(multiply(a, inverse(a)), 1, "{a}");
        assert_eq!(multiply(a, 1), a);
        assert_eq!(multiply(a, 0), 0);
        for b in 1..=255 {
            assert_eq!(multiply(a, b), multiply(b, a));
            assert_eq!(multiply(a, b ^ 0x53), multiply(a, b) ^ multiply(a, 0x53));
        }
    }
    // 2 generates the group: its powers meet every element once.
    let (mut power, mut seen) = (1, [false; 256]);
    for _ in 0..255 {
        assert!(!std::mem::replace(&mut seen[usize::from(power)], true));
        power = multiply(power, 2);
    }
    assert_eq!(power, 1);
}

fn copy(share: &Share) -> Share {
    Share { index: share.index, value: Secret::new(share.value.expose().clone()) }
}

#[test]
fn any_quorum_restores_and_fewer_are_refused() {
    let secret: Vec<u8> = (0..32).collect();
    for (k, m) in [(2, 2), (2, 3), (3, 5), (5, 5), (4, 7)] {
        let shares = split(&secret, k, m, &SystemRng).unwrap();
        assert_eq!(shares.len(), usize::from(m));
        for chosen in 0_u32..1 << m {
            let held: Vec<Share> = shares
                .iter()
                .filter(|share| chosen >> (share.index - 1) & 1 == 1)
                .map(copy)
                .collect();
            let restored = combine(k, &held);
            if held.len() < usize::from(k) {
                assert_eq!(restored.err(), Some(SharingFailed::TooFew));
            } else {
                assert_eq!(*restored.unwrap().expose(), secret, "{k} of {m}: {chosen:b}");
            }
        }
    }
}

#[test]
fn fewer_shares_fit_every_secret() {
    // With two shares of a 3-of-5 sharing, each value of a byte of the secret is as possible as any
    // other: one third share exists for each.
    let shares = split(&[42], 3, 5, &SystemRng).unwrap();
    let mut possible = [false; 256];
    for third in 0..=255 {
        let guess = Share { index: 3, value: Secret::new(vec![third]) };
        let held = [copy(&shares[0]), copy(&shares[1]), guess];
        possible[usize::from(combine(3, &held).unwrap().expose()[0])] = true;
    }
    assert!(possible.iter().all(|possible| *possible));
}

#[test]
fn wrong_shares_are_found_where_they_can_be() {
    let shares = split(b"secret", 3, 5, &SystemRng).unwrap();
    let mut held: Vec<Share> = shares.iter().take(4).map(copy).collect();
    held[1].value.expose_mut()[0] ^= 1;
    assert_eq!(combine(3, &held).err(), Some(SharingFailed::Contradiction));
    let twice = [copy(&shares[0]), copy(&shares[0]), copy(&shares[1])];
    assert_eq!(combine(3, &twice).err(), Some(SharingFailed::Mixed));
    let zero = [Share { index: 0, value: Secret::new(b"secret".to_vec()) }, copy(&shares[0])];
    assert_eq!(combine(2, &zero).err(), Some(SharingFailed::Mixed));
    let short = [Share { index: 9, value: Secret::new(b"secre".to_vec()) }, copy(&shares[0])];
    assert_eq!(combine(2, &short).err(), Some(SharingFailed::Mixed));
    for (k, m) in [(0, 3), (1, 3), (4, 3), (2, 1)] {
        let refused = split(b"secret", k, m, &SystemRng).err();
        assert_eq!(refused, Some(SharingFailed::Parameters), "{k} of {m}");
    }
    assert_eq!(split(b"", 2, 3, &SystemRng).err(), Some(SharingFailed::Parameters));
}

#[test]
fn an_independent_implementation_agrees() {
    let secret: Vec<u8> = (100..132).collect();
    let encoded = |share: &Share| [&[share.index], share.value.expose().as_slice()].concat();
    for (k, m) in [(2, 3), (3, 5), (10, 20)] {
        let theirs = blahaj::Sharks(k);
        let ours = split(&secret, k, m, &SystemRng).unwrap();
        let read: Vec<blahaj::Share> = ours
            .iter()
            .rev()
            .take(usize::from(k))
            .map(|share| blahaj::Share::try_from(encoded(share).as_slice()).unwrap())
            .collect();
        assert_eq!(theirs.recover(&read).unwrap(), secret);
        let dealt: Vec<Share> = theirs
            .dealer(&secret)
            .take(usize::from(m))
            .map(|share| {
                let bytes = Vec::from(&share);
                Share { index: bytes[0], value: Secret::new(bytes[1..].to_vec()) }
            })
            .collect();
        assert_eq!(*combine(k, &dealt).unwrap().expose(), secret);
    }
}
