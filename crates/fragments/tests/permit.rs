//! The golden vector of the permit, and what is no permit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_crypto::sign::{Signature, SigningKey};
use keysherd_fragments::context::Class;
use keysherd_fragments::permit::{
    BadPermit, Op, PERMIT_BYTES_MAX, PERMIT_ENTRIES_MAX, PERMIT_USES_MAX, Permit, PermitEntry,
    Subject,
};
use serde_json::Value;

const GOLDEN: &str = include_str!("data/permit-golden.json");

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    value.as_u64().and_then(|number| T::try_from(number).ok()).unwrap()
}

fn time(value: &Value) -> Timestamp {
    Timestamp(value.as_i64().unwrap())
}

fn entry(value: &Value) -> PermitEntry {
    PermitEntry {
        key_id: Uid(bytes(&value["key_id"])),
        key_version: number(&value["key_version"]),
        class: Class::from_number(number(&value["class"])).unwrap(),
        item_id: Uid(bytes(&value["item_id"])),
        item_version: number(&value["item_version"]),
        salt: bytes(&value["salt"]),
        subject: Subject {
            access_id_sha256: bytes(&value["access_id_sha256"]),
            token_sha256: bytes(&value["token_sha256"]),
        },
    }
}

/// The permit that the fields of the golden file describe.
fn golden(file: &Value) -> Permit {
    let fields = &file["permit"];
    Permit {
        permit_id: Uid(bytes(&fields["permit_id"])),
        issued_at: time(&fields["issued_at_ms"]),
        expires_at: time(&fields["expires_at_ms"]),
        account: AccountId(Uid(bytes(&fields["account"]))),
        gateway_spki_sha256: bytes(&fields["gateway_spki_sha256"]),
        op: Op::from_number(number(&fields["op"])).unwrap(),
        entries: fields["entries"].as_array().unwrap().iter().map(entry).collect(),
        max_uses: number(&fields["max_uses"]),
        cache_ttl_seconds: number(&fields["cache_ttl_seconds"]),
        audit_seq: number(&fields["audit_seq"]),
        bundle_version: number(&fields["bundle_version"]),
    }
}

#[test]
fn the_golden_permit_has_exactly_these_bytes_and_this_signature() {
    let file: Value = serde_json::from_str(GOLDEN).unwrap();
    let permit = golden(&file);
    let encoded = permit.to_bytes();
    assert_eq!(hex::encode(&encoded), file["encoded"].as_str().unwrap());
    assert_eq!(Permit::from_bytes(&encoded), Ok(permit));
    let key = SigningKey::from_seed(&bytes(&file["signing_seed"]).into());
    let signature = key.sign("KSF1-sig/permit", &encoded);
    assert_eq!(signature, Signature(bytes(&file["signature"])));
    assert_eq!(key.public().0, bytes(&file["public_key"]));
}

fn a_permit() -> Permit {
    golden(&serde_json::from_str(GOLDEN).unwrap())
}

#[test]
fn what_is_out_of_range_is_no_permit() {
    let changes: [fn(&mut Permit); 6] = [
        |permit| permit.entries.clear(),
        |permit| permit.entries = vec![permit.entries[0]; PERMIT_ENTRIES_MAX + 1],
        |permit| permit.max_uses = 0,
        |permit| permit.max_uses = PERMIT_USES_MAX + 1,
        |permit| permit.expires_at = permit.issued_at,
        |permit| permit.expires_at = permit.issued_at.plus_seconds(-1),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut permit = a_permit();
        change(&mut permit);
        assert_eq!(Permit::from_bytes(&permit.to_bytes()), Err(BadPermit), "change {number}");
    }
}

#[test]
fn a_full_permit_with_the_largest_numbers_fits() {
    let mut permit = a_permit();
    let largest = PermitEntry {
        key_version: u32::MAX,
        class: Class::SelfTest,
        item_version: u64::MAX,
        ..permit.entries[0]
    };
    permit.entries = vec![largest; PERMIT_ENTRIES_MAX];
    permit.audit_seq = u64::MAX;
    let encoded = permit.to_bytes();
    assert!(encoded.len() <= PERMIT_BYTES_MAX, "{}", encoded.len());
    assert_eq!(Permit::from_bytes(&encoded), Ok(permit));
}

#[test]
fn every_other_spelling_is_refused() {
    let good = a_permit().to_bytes();
    for cut in 0..good.len() {
        assert_eq!(Permit::from_bytes(&good[..cut]), Err(BadPermit), "cut at {cut}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(Permit::from_bytes(&longer), Err(BadPermit));
    // The format number 1, spelled in two bytes.
    let mut spelled = good.clone();
    spelled.splice(1..2, [0x18, 0x01]);
    assert_eq!(Permit::from_bytes(&spelled), Err(BadPermit));
    // An array of indefinite length.
    let mut indefinite = good.clone();
    indefinite[0] = 0x9f;
    indefinite.push(0xff);
    assert_eq!(Permit::from_bytes(&indefinite), Err(BadPermit));
    // Another format.
    let mut other = good;
    other[1] = 2;
    assert_eq!(Permit::from_bytes(&other), Err(BadPermit));
}

#[test]
fn classes_and_operations_come_back_from_their_numbers() {
    for op in Op::ALL {
        assert_eq!(Op::from_number(op.number()), Some(op));
    }
    assert_eq!((Op::from_number(0), Op::from_number(8)), (None, None));
    let known = (0..=255).filter_map(Class::from_number).map(Class::number);
    assert_eq!(known.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 0x7f]);
}
