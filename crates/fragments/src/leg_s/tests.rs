//! Leg S against plain HMAC over the bytes of SP 800-108, and the joining of contributions.

use keysherd_base::{AccountId, Uid};
use keysherd_crypto::hash::hmac_sha256;

use super::*;
use crate::context::{Class, ContextFields};

fn context() -> Context {
    Context::new(&ContextFields {
        class: Class::SecretItem,
        account: AccountId(Uid([1; 16])),
        key_id: Uid([2; 16]),
        key_version: 3,
        item_id: Uid([4; 16]),
        item_version: 5,
        salt: [6; 32],
    })
}

fn key_version() -> KeyVersion {
    KeyVersion { account: AccountId(Uid([1; 16])), id: Uid([2; 16]), version: 3 }
}

#[test]
fn a_partial_is_counter_label_bitmap_context_and_length() {
    let set = ManagerSet::from_bits(0b101).unwrap();
    let mut message = vec![0, 0, 0, 1];
    message.extend_from_slice(b"KSF1/S\0");
    message.extend_from_slice(&[0, 5]);
    message.extend_from_slice(context().as_bytes());
    message.extend_from_slice(&[0, 0, 1, 0]);
    assert_eq!(message.len(), 117);
    assert_eq!(partial(&[7; 32], set, &context()), hmac_sha256(&[7; 32], &[&message]));
}

#[test]
fn a_check_value_has_its_own_label_and_no_context() {
    let set = ManagerSet::from_bits(0b011).unwrap();
    let mut message = vec![0, 0, 0, 1];
    message.extend_from_slice(b"KSF1/S-kcv\0");
    message.extend_from_slice(&[0, 3]);
    message.extend_from_slice(&[0; 100]);
    message.extend_from_slice(&[0, 0, 1, 0]);
    assert_eq!(check_value(&[7; 32], set), hmac_sha256(&[7; 32], &[&message])[..16]);
}

#[test]
fn contributions_join_in_any_order_and_bind_set_and_key() {
    let set = ManagerSet::from_bits(0b011).unwrap();
    let (a, b) = (Zeroizing::new([1; 32]), Zeroizing::new([2; 32]));
    let join = |contributions: &mut [Zeroizing<[u8; 32]>], set, key: &KeyVersion| {
        *join_contributions(contributions, set, key)
    };
    let first = join(&mut [a.clone(), b.clone()], set, &key_version());
    assert_eq!(first, join(&mut [b.clone(), a.clone()], set, &key_version()));
    let other_set = ManagerSet::from_bits(0b101).unwrap();
    assert_ne!(first, join(&mut [a.clone(), b.clone()], other_set, &key_version()));
    let newer = KeyVersion { version: 4, ..key_version() };
    assert_ne!(first, join(&mut [a.clone(), b.clone()], set, &newer));
    let mut message = [1_u8; 32].to_vec();
    message.extend_from_slice(&[2; 32]);
    message.extend_from_slice(&[0, 3]);
    message.extend_from_slice(&[2; 16]);
    message.extend_from_slice(&[0, 0, 0, 3]);
    assert_eq!(first, hmac_sha256(b"KSF1/S-gen", &[&message]));
}

#[test]
fn a_share_has_exactly_the_keys_of_its_manager() {
    let threshold = Threshold::new(2, 3).unwrap();
    let manager = ManagerIndex::new(1).unwrap();
    let key =
        |bits: u16, byte: u8| (ManagerSet::from_bits(bits).unwrap(), Zeroizing::new([byte; 32]));
    assert!(ShareS::new(threshold, manager, vec![key(3, 1), key(5, 2)]).is_ok());
    let wrong = [
        vec![],
        vec![key(3, 1)],
        vec![key(5, 2), key(3, 1)],
        vec![key(3, 1), key(6, 2)],
        vec![key(3, 1), key(3, 1)],
        vec![key(3, 1), key(5, 0)],
    ];
    for keys in wrong {
        assert!(ShareS::new(threshold, manager, keys).is_err());
    }
}

#[test]
fn prepared_partials_are_the_partials() {
    let threshold = Threshold::new(3, 5).unwrap();
    let manager = ManagerIndex::new(4).unwrap();
    let keys = (1..).zip(threshold.sets_of(manager));
    let keys: Vec<_> = keys.map(|(n, set)| (set, Zeroizing::new([n; 32]))).collect();
    let share = ShareS::new(threshold, manager, keys.clone()).unwrap();
    let mut out = vec![0; 32 * keys.len()];
    share.prepare().partials(&context(), &mut out);
    for ((set, key), out) in keys.iter().zip(out.chunks_exact(32)) {
        assert_eq!(out, partial(key, *set, &context()));
    }
    assert_eq!(share.checks().len(), keys.len());
}
