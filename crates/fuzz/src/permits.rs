//! Permits: what control allows a gateway to derive.

use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_crypto::permit::{
    Class, Op, PERMIT_ENTRIES_MAX, PERMIT_USES_MAX, Permit, PermitEntry, Subject,
};

use crate::input::Input;

/// Reads the bytes as a permit, and makes one of them: a permit has one encoding, all of which
/// counts.
pub fn permits(data: &[u8]) {
    if let Ok(permit) = Permit::from_bytes(data) {
        check(&permit, data);
    }
    let made = permit(&mut Input::new(data));
    let bytes = made.to_bytes();
    assert_eq!(Permit::from_bytes(&bytes), Ok(made.clone()));
    check(&made, &bytes);
}

fn check(permit: &Permit, bytes: &[u8]) {
    assert_eq!(permit.to_bytes(), bytes, "a second encoding");
    assert!((1..=PERMIT_ENTRIES_MAX).contains(&permit.entries.len()));
    assert!((1..=PERMIT_USES_MAX).contains(&permit.max_uses));
    assert!(permit.issued_at < permit.expires_at);
    assert!(Permit::from_bytes(&bytes[..bytes.len() - 1]).is_err(), "cut");
    assert!(Permit::from_bytes(&[bytes, &[0]].concat()).is_err(), "lengthened");
}

fn permit(input: &mut Input<'_>) -> Permit {
    let issued_at = Timestamp(i64::from(input.short_number()));
    let entries = (0..1 + input.below(4)).map(|_| entry(input)).collect();
    Permit {
        permit_id: Uid(input.array()),
        issued_at,
        expires_at: Timestamp(issued_at.0 + 1 + i64::from(input.short_number())),
        account: AccountId(Uid(input.array())),
        gateway_spki_sha256: input.array(),
        op: Op::ALL[input.below(Op::ALL.len())],
        entries,
        max_uses: 1 + input.byte() % PERMIT_USES_MAX,
        cache_ttl_seconds: input.short_number(),
        audit_seq: input.number(),
        bundle_version: input.number(),
    }
}

fn entry(input: &mut Input<'_>) -> PermitEntry {
    PermitEntry {
        key_id: Uid(input.array()),
        key_version: input.short_number(),
        class: Class::from_number(1 + input.byte() % 5).expect("invariant: classes 1 to 5"),
        item_id: Uid(input.array()),
        item_version: input.number(),
        salt: input.array(),
        subject: Subject { access_id_sha256: input.array(), token_sha256: input.array() },
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let of = |bytes: &[u8]| permit(&mut Input::new(bytes)).to_bytes();
    let counting: Vec<u8> = (0..=255).cycle().take(900).collect();
    vec![of(&[]), of(&[1; 300]), of(&counting), counting]
}
