//! Tests of what a gateway believes of a ciphertext that control hands out.

use std::sync::Arc;

use keysherd_base::{ItemId, ItemPath, Secret};
use keysherd_crypto::envelope::{Header, Kek, NewWrap, SealOptions, WrapKind, WrapParams, seal};
use keysherd_crypto::random::SystemRng;
use keysherd_domain::item::{ItemKind, SecretKind, ValueFormat};
use keysherd_plane::grants::{GrantedItem, GrantedVersion};

use super::*;

const ACCOUNT: [u8; 16] = [1; 16];
const ITEM: [u8; 16] = [2; 16];
const KEY: KeyRef = KeyRef { key_id: Uid([3; 16]), version: 5, customer_fragment: None };

fn envelope(account: [u8; 16], item_id: [u8; 16], item_version: u64, key: &KeyRef) -> Arc<[u8]> {
    let header = Header { account, item_id, item_version, class: 1, type_: 1 };
    let params = WrapParams {
        kind: WrapKind::Fragments,
        key_id: key.key_id.0,
        key_version: key.version,
        cf_id: key.customer_fragment.unwrap_or_default().0,
        salt: [9; 32],
    };
    let kek = Kek { kek: Secret::new([4; 32]), com: [8; 32] };
    let wrap = NewWrap { params, kek: &kek };
    seal(&header, &[wrap], b"value", &SystemRng, SealOptions::default()).unwrap().into()
}

fn granted(ciphertext: Arc<[u8]>) -> GrantedTo {
    let slot = PermitSlot { permit: 0, entry: 0 };
    let version = GrantedVersion {
        version: 7,
        ciphertext,
        key: KEY,
        permit_slot: Some(slot),
        name_tag: None,
    };
    let item = GrantedItem {
        path: ItemPath::parse("/a").unwrap(),
        id: ItemId(1),
        uid: Uid(ITEM),
        kind: ItemKind::StaticSecret,
        secret_kind: SecretKind::Generic,
        format: ValueFormat::Text,
        versions: vec![version],
    };
    GrantedTo {
        account: Uid(ACCOUNT),
        granted: Granted::Read(vec![Arc::new(item)]),
        keep: None,
        opened: None,
    }
}

fn needs_of(ciphertext: Arc<[u8]>) -> Result<Vec<Need>, Fault> {
    let caller = Caller::of_the_server(Uid::default());
    needs(&caller, &granted(ciphertext), None, None)
}

#[test]
fn the_context_comes_from_the_envelope_and_the_grant() {
    let needs = needs_of(envelope(ACCOUNT, ITEM, 7, &KEY)).unwrap();
    let [need] = needs.as_slice() else { panic!("one version needs one derivation") };
    assert_eq!(need.commitment, Some([8; 32]));
    assert_eq!(need.fields.salt, [9; 32]);
    assert_eq!(need.fields.item_version, 7);
}

#[test]
fn a_swapped_ciphertext_is_refused_before_anyone_derives() {
    let other_key = KeyRef { key_id: Uid([6; 16]), ..KEY };
    let other_version = KeyRef { version: 6, ..KEY };
    let with_fragment = KeyRef { customer_fragment: Some(Uid([7; 16])), ..KEY };
    for (what, ciphertext) in [
        ("account", envelope([9; 16], ITEM, 7, &KEY)),
        ("item", envelope(ACCOUNT, [9; 16], 7, &KEY)),
        ("item version", envelope(ACCOUNT, ITEM, 8, &KEY)),
        ("key", envelope(ACCOUNT, ITEM, 7, &other_key)),
        ("key version", envelope(ACCOUNT, ITEM, 7, &other_version)),
        ("customer fragment", envelope(ACCOUNT, ITEM, 7, &with_fragment)),
        ("bytes", Arc::from([1, 2, 3].as_slice())),
    ] {
        assert!(needs_of(ciphertext).is_err(), "a swapped {what} was accepted");
    }
}
