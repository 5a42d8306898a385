//! The published vectors of suite 1 (design 11): every intermediate value of all eight cases, and
//! the key for every quorum. They were made by an implementation that shares no code with this one.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use keysherd_base::{AccountId, Rng, RngFailed, Timestamp, Uid};
use keysherd_crypto::sign::SigningKey;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::combine::{combine, extract};
use crate::context::{Class, Context, ContextFields};
use crate::derive::Mode;
use crate::interpolation::{Interpolation, is_sharing_of};
use crate::leg_c::CustomerFragment;
use crate::leg_g::{self, ShareG};
use crate::leg_s::{self, ShareS};
use crate::manager_set::{ManagerIndex, ManagerSet, Threshold};
use crate::manager_side::{Checked, CheckedEntry, CheckedKey, derive};
use crate::manifest::KeyVersion;
use crate::permit::Op;
use crate::share::KeyShares;

const FILE: &str = include_str!("../tests/data/fragment-vectors.json");

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    value.as_u64().and_then(|number| T::try_from(number).ok()).unwrap()
}

fn context(case: &Value) -> Context {
    Context::new(&ContextFields {
        class: Class::from_number(number(&case["class"])).unwrap(),
        account: AccountId(Uid(bytes(&case["account_id"]))),
        key_id: Uid(bytes(&case["key_id"])),
        key_version: number(&case["key_version"]),
        item_id: Uid(bytes(&case["item_id"])),
        item_version: number(&case["item_version"]),
        salt: bytes(&case["salt"]),
    })
}

fn fragment(case: &Value) -> Option<CustomerFragment> {
    let leg = &case["leg_c"];
    let value = leg["customer_fragment"].as_str()?;
    let id = Uid(bytes(&leg["customer_fragment_id"]));
    Some(CustomerFragment::new(id, &hex::decode(value).unwrap()).unwrap())
}

fn check_leg_s(case: &Value, threshold: Threshold, context: &Context) -> [u8; 32] {
    let leg = &case["leg_s"];
    assert_eq!(leg["keys"].as_object().unwrap().len(), threshold.sets().count());
    let mut sum = [0; 32];
    for set in threshold.sets() {
        let bits = set.bits().to_string();
        let partial = leg_s::partial(&bytes(&leg["keys"][&bits]), set, context);
        assert_eq!(partial, bytes(&leg["partials"][&bits]), "set {set}");
        leg_s::add(&mut sum, &partial);
    }
    assert_eq!(sum, bytes(&leg["value"]));
    sum
}

fn check_leg_g(case: &Value, threshold: Threshold, context: &Context) -> [u8; 32] {
    let leg = &case["leg_g"];
    let hashed = leg_g::hash_context(context);
    assert_eq!(hashed.compress().0, bytes(&leg["hashed_point"]));
    let index = |manager: ManagerIndex| manager.to_string();
    let shares: Vec<ShareG> = threshold
        .managers()
        .iter()
        .map(|manager| ShareG::new(manager, &bytes(&leg["shares"][index(manager)])).unwrap())
        .collect();
    let halves: Vec<RistrettoPoint> =
        shares.iter().map(|share| share.evaluate_half(&hashed)).collect();
    let partials = leg_g::compress_doubled(&halves);
    for (manager, partial) in threshold.managers().iter().zip(&partials) {
        assert_eq!(partial.0, bytes(&leg["partial_points"][index(manager)]));
    }
    // A key with one share, the whole secret, on a line of slope zero: its public key.
    let whole = ShareG::new(ManagerIndex::new(1).unwrap(), &bytes(&leg["secret_scalar"]));
    let whole = leg_g::decode_point(whole.unwrap().public()).unwrap();
    let public: Vec<_> =
        shares.iter().map(|share| leg_g::decode_point(share.public()).unwrap()).collect();
    assert!(is_sharing_of(threshold, &public, &whole));
    let point: [u8; 32] = bytes(&leg["point"]);
    for quorum in threshold.managers().subsets(threshold.t()) {
        let points: Vec<_> = quorum
            .iter()
            .map(|manager| leg_g::decode_point(&partials[manager.place()].0).unwrap())
            .collect();
        let combined = Interpolation::of(quorum).combine(&points);
        assert_eq!(combined, [CompressedRistretto(point)], "quorum {quorum}");
    }
    assert_eq!(*leg_g::finalize(context, &point), bytes(&leg["value"]));
    point
}

#[test]
fn every_value_of_every_case() {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let threshold =
            Threshold::new(number(&case["threshold"]), number(&case["managers"])).unwrap();
        let context = context(case);
        assert_eq!(*context.as_bytes(), bytes(&case["context"]), "{name}");
        let leg_s = check_leg_s(case, threshold, &context);
        let point = check_leg_g(case, threshold, &context);
        let fragment = fragment(case);
        let leg_c =
            fragment.as_ref().map_or(Zeroizing::new([0; 32]), |fragment| fragment.value(&context));
        assert_eq!(*leg_c, bytes(&case["leg_c"]["value"]), "{name}");
        let prk = extract(&leg_s, &leg_c, &leg_g::finalize(&context, &point));
        assert_eq!(*prk.expose(), bytes(&case["prk"]), "{name}");
        let key = combine(&context, &leg_s, &point, fragment.as_ref());
        assert_eq!(*key.kek.expose(), bytes(&case["kek"]), "{name}");
        assert_eq!(key.commitment, bytes(&case["commitment"]), "{name}");
    }
}

/// The fragments of `manager` in a case.
fn key_shares(case: &Value, threshold: Threshold, manager: ManagerIndex) -> KeyShares {
    let g = bytes(&case["leg_g"]["shares"][manager.to_string()]);
    let keys = threshold.sets_of(manager).map(|set| {
        let key = bytes(&case["leg_s"]["keys"][set.bits().to_string()]);
        (set, Zeroizing::new(key))
    });
    let key = KeyVersion {
        account: AccountId(Uid(bytes(&case["account_id"]))),
        id: Uid(bytes(&case["key_id"])),
        version: number(&case["key_version"]),
    };
    let s = ShareS::new(threshold, manager, keys.collect()).unwrap();
    KeyShares::new(key, threshold, 0, ShareG::new(manager, &g).unwrap(), s)
}

struct NoRng;

impl Rng for NoRng {
    fn fill(&self, _: &mut [u8]) -> Result<(), RngFailed> {
        Err(RngFailed)
    }
}

#[test]
fn a_managers_answer_has_the_partials_in_their_places() {
    let file: Value = serde_json::from_str(FILE).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let threshold =
            Threshold::new(number(&case["threshold"]), number(&case["managers"])).unwrap();
        for manager in threshold.managers().iter() {
            let shares = key_shares(case, threshold, manager);
            // Through the record, as after a restart.
            let shares = KeyShares::from_record(&shares.to_record()).unwrap();
            let checked = checked(shares.key(), manager, context(case));
            // Without proofs a derivation needs no randomness.
            let derived = derive(&checked, &[&shares], &NoRng).unwrap();
            let identity = SigningKey::from_seed(&[1; 32].into());
            let answer = derived.seal(&checked, Vec::new(), &identity);
            let mut expected = vec![case["leg_g"]["partial_points"][manager.to_string()].clone()];
            for set in threshold.sets_of(manager) {
                expected.push(case["leg_s"]["partials"][set.bits().to_string()].clone());
            }
            let expected: Vec<[u8; 32]> = expected.iter().map(bytes).collect();
            assert_eq!(*answer.outputs.expose(), expected.concat());
        }
    }
}

fn checked(key: KeyVersion, manager: ManagerIndex, context: Context) -> Checked {
    Checked {
        cluster: Uid::default(),
        gateway_spki_sha256: [0; 32],
        account: key.account,
        op: Op::Read,
        mode: Mode::Read,
        manager,
        quorum: ManagerSet::EMPTY,
        request_sha256: [0; 32],
        request_id: Uid::default(),
        permit_sha256: [0; 32],
        permit_id: Uid::default(),
        permit_expires_at: Timestamp::default(),
        max_uses: 1,
        audit_seq: 0,
        keys: vec![CheckedKey { key, group: "default".to_owned(), epoch_hint: None }],
        entries: vec![CheckedEntry { slot: 0, index: 0, item_id: Uid::default(), context }],
    }
}

#[test]
fn the_cases_cover_both_thresholds_with_and_without_a_fragment() {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let mut seen: Vec<(u64, bool)> = file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["managers"].as_u64().unwrap(), fragment(case).is_some()))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [(3, false), (3, true), (5, false), (5, true)]);
    assert_eq!(ManagerSet::first(5).subsets(3).count(), 10);
}
