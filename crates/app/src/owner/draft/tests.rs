//! Tests of the draft: nothing is lost between a bundle and its draft, and errors name the value.

use keysherd_base::{AccountId, Timestamp};
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::{Cluster, ControlEntry, KeyGroup, ManagerEntry, PermitKey};
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::permit::Op;

use super::*;
use crate::exit::Exit;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn bundle() -> Bundle {
    let caps = Caps { derivations_per_second: 5, items_per_hour: u32::MAX, items_per_day: 0 };
    let manager = |number: u8| ManagerEntry {
        index: ManagerIndex::new(number).unwrap(),
        key: PublicKey([number; 32]),
        // The first one's TLS key is not its identity's.
        tls_spki_sha256: match number {
            1 => [9; 32],
            _ => PublicKey([number; 32]).spki_sha256(),
        },
        former_keys: vec![PublicKey([number + 100; 32])],
        address: format!("m{number}.example:8450"),
    };
    Bundle {
        deployment: Uid([1; 16]),
        version: 7,
        issued_at: NOW,
        accounts: vec![AccountId(Uid([2; 16]))],
        managers: (1..=3).map(manager).collect(),
        permit_keys: vec![PermitKey {
            key: PublicKey([3; 32]),
            not_before: Timestamp(1_700_000_000_123),
            not_after: Timestamp(1_900_000_000_000),
        }],
        clusters: vec![Cluster {
            id: Uid([4; 16]),
            instances: vec![[5; 32]],
            cluster_key: Some(PublicKey([6; 32])),
            groups: vec!["a group".to_owned()],
            fragments: vec![Uid([7; 16])],
            ops: vec![Op::Read, Op::Generate],
            caps,
        }],
        groups: vec![KeyGroup {
            name: "a group".to_owned(),
            fragment_required: true,
            caps,
            key_caps: Caps::UNLIMITED,
        }],
        account_caps: caps,
        cache_ttl_seconds_max: 11,
        destroy_delay_seconds: 12,
        witnesses: vec![PublicKey([13; 32])],
        recovery_key: Some(vec![14; 1_216]),
        controls: vec![ControlEntry {
            tls_spki_sha256: [15; 32],
            address: "[fd00::1]:8444".to_owned(),
        }],
    }
}

#[test]
fn a_bundle_comes_back_from_its_draft_and_text() {
    let bundle = bundle();
    let draft = Draft::of_bundle(&bundle, None);
    let text = draft.to_text().unwrap();
    assert!(text.starts_with("# Whom the machines"), "{text}");
    let again = Draft::from_text(&text).unwrap();
    assert_eq!(again, draft);
    assert_eq!(again.to_bundle(7, NOW).unwrap(), bundle);
}

#[test]
fn names_survive_what_is_signed() {
    let mut draft = Draft::of_bundle(&bundle(), None);
    draft.managers[1].name = "frankfurt".to_owned();
    draft.clusters[0].name = "payments".to_owned();
    draft.clusters[0].gateways[0].name = "gw".to_owned();
    let names = draft.names();
    let again = Draft::of_bundle(&draft.to_bundle(8, NOW).unwrap(), Some(&names));
    assert_eq!(again, draft);
    assert!(names.machine(&[5; 32]).starts_with("gw (ks-"));
    assert_eq!(names.cluster(&Uid([4; 16])), "payments");
}

#[test]
fn what_is_wrong_is_named() {
    type Bend = fn(&mut Draft);
    let cases: [(Bend, &str); 16] = [
        (|draft| draft.managers[1].index = 8, "manager manager-2: index is '8'"),
        (|draft| drop(draft.managers.remove(1)), "manager 2 is missing"),
        (|draft| draft.managers[1].index = 1, "manager 2 is missing"),
        (|draft| draft.managers[1].key = "aa".to_owned(), "manager manager-2: key is 'aa'"),
        (|draft| draft.managers[1].address = "m2".to_owned(), "address is 'm2'"),
        (|draft| draft.managers[1].name = "a b".to_owned(), "a name is 'a b'"),
        (|draft| draft.managers[1].name = "manager-1".to_owned(), "have the name manager-1"),
        (|draft| draft.clusters[0].groups[0] = "b".to_owned(), "cluster cluster-1: group is 'b'"),
        (|draft| draft.clusters[0].ops[0] = "fly".to_owned(), "ops is 'fly'"),
        (|draft| draft.clusters[0].id = "1".to_owned(), "cluster cluster-1 is '1'"),
        (|draft| draft.controls[0].tls_spki_sha256 = "05".repeat(32), "is listed twice"),
        (|draft| draft.permit_keys[0].not_after = "soon".to_owned(), "permit-key is 'soon'"),
        (
            |draft| draft.permit_keys[0].not_after = "2020-01-01T00:00:00Z".to_owned(),
            "later than not_before",
        ),
        (|draft| draft.groups.push(draft.groups[0].clone()), "two groups are named 'a group'"),
        (|draft| draft.recovery_key = Some("xy".to_owned()), "recovery_key is 'xy'"),
        (|draft| draft.accounts[0] = "all".to_owned(), "accounts is 'all'"),
    ];
    for (number, (bend, expected)) in cases.into_iter().enumerate() {
        let mut draft = Draft::of_bundle(&bundle(), None);
        bend(&mut draft);
        let Err(Exit::Configuration(text)) = draft.to_bundle(8, NOW) else {
            panic!("case {number} was accepted or failed otherwise");
        };
        assert!(text.contains(expected), "case {number}: {text}");
    }
}

#[test]
fn unknown_keys_and_wrong_types_are_errors() {
    let good = Draft::of_bundle(&bundle(), None).to_text().unwrap();
    for (from, to) in [
        ("cache_ttl_seconds_max = 11", "cache_ttl_seconds_max = \"11\""),
        ("cache_ttl_seconds_max = 11", "cache_ttl_seconds_mx = 11"),
        ("items_per_day = 0", "items_per_day = -1"),
        ("[[manager]]", "[[manger]]"),
    ] {
        assert!(good.contains(from), "{good}");
        assert!(Draft::from_text(&good.replacen(from, to, 1)).is_err(), "{to}");
    }
}
