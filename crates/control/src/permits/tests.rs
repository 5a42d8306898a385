//! Permits as managers see them: decoded, verified and bound to what was granted.

use keysherd_audit::ExplainedPermits;
use keysherd_base::{AccountId, ItemPath, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, PERMIT_LIFE_MS_MAX, Permit, PermitEntry};
use keysherd_crypto::sign::Signature;
use keysherd_domain::item::KeyAlgorithm;
use keysherd_plane::grants::{
    Grant, Granted, ItemRef, Keeping, PermitSlot, SignedPermit, VersionWish, Wish, WriteTarget,
};
use keysherd_plane::keys::KeyBegin;
use keysherd_store::audit;

use super::*;
use crate::items::sealed::salt_of;
use crate::items::testing::{fresh_salt, new_value};
use crate::testing::{World, item};

/// The permit, after its signature was verified.
fn opened(world: &World, signed: &SignedPermit) -> Permit {
    let (body, signature) = signed.bytes.split_last_chunk::<64>().unwrap();
    let key = world.control.permit_key.public();
    assert!(key.verify("KSF1-sig/permit", body, &Signature(*signature)));
    assert!(!key.verify("KSF1-sig/derive-req", body, &Signature(*signature)));
    let permit = Permit::from_bytes(body).unwrap();
    assert_eq!(permit.issued_at, world.now());
    assert_eq!(permit.expires_at.millis_since(permit.issued_at), PERMIT_LIFE_MS_MAX);
    assert!(permit.entries.iter().all(|entry| permit.op.allows(entry.class)));
    permit
}

fn entry<'a>(permits: &'a [Permit], slot: &PermitSlot) -> (&'a Permit, &'a PermitEntry) {
    let permit = &permits[usize::from(slot.permit)];
    (permit, &permit.entries[usize::from(slot.entry)])
}

fn read(paths: &[&str]) -> Wish {
    let items = paths.iter().map(|path| ItemRef::Path(item(path))).collect();
    Wish::Read { items, version: VersionWish::Latest }
}

#[tokio::test]
async fn one_batch_has_a_permit_for_each_account_and_operation() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/two"]).await;
    world.key(&world.admin, "/keys/gcm", KeyAlgorithm::Aes256Gcm).await.unwrap();
    world.key(&world.admin, "/keys/siv", KeyAlgorithm::Aes256Siv).await.unwrap();
    let user = world.user("user", &crate::items::testing::rules(&["/a/* read"])).await;
    let transit = |path: &str| Wish::Transit {
        key: ItemRef::Path(item(path)),
        version: None,
        salt: [6; 32],
        encrypt: true,
    };
    let write = Wish::Write { target: new_value("/a/one", None, None), salt: [5; 32] };
    let reply = world
        .wishes(
            vec![
                (&world.admin, read(&["/a/one", "/a/two"])),
                (&world.admin, transit("/keys/gcm")),
                (&user, read(&["/a/two"])),
                (&world.admin, write),
                (&world.admin, transit("/keys/siv")),
                (&user, read(&["/a/absent"])),
            ],
            true,
        )
        .await;
    let permits: Vec<_> = reply.permits.iter().map(|permit| opened(&world, permit)).collect();
    let ops: Vec<_> = permits.iter().map(|permit| (permit.op, permit.entries.len())).collect();
    assert_eq!(ops, [(Op::Read, 4), (Op::Transit, 1), (Op::Write, 1)]);
    for permit in &permits {
        assert_eq!(permit.account, world.first.id);
        assert_eq!(permit.gateway_spki_sha256, [7; 32]);
        assert_eq!((permit.max_uses, permit.bundle_version), (3, 1));
    }
    let mut ids: Vec<_> = permits.iter().map(|permit| permit.permit_id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let subject = |token: &str| sha256(&[token.as_bytes()]);
    let admin_id = world.first.created.admin_access_id.as_str();
    let mut covered = 0;
    for (outcome, token) in reply.outcomes.iter().zip([&world.admin, &world.admin, &user]) {
        let granted = &outcome.as_ref().unwrap().granted;
        let Granted::Read(items) = granted else { continue };
        for granted in items {
            let version = &granted.versions[0];
            let (permit, entry) = entry(&permits, &version.permit_slot.unwrap());
            assert_eq!((permit.op, entry.class), (Op::Read, Class::SecretItem));
            assert_eq!((entry.item_id, entry.item_version), (granted.uid, 1));
            assert_eq!(entry.key_id, version.key.key_id);
            assert_eq!(Some(entry.salt), salt_of(&version.ciphertext, &version.key));
            assert_eq!(entry.subject.token_sha256, subject(token));
            let by_admin = entry.subject.access_id_sha256 == sha256(&[admin_id.as_bytes()]);
            assert_eq!(by_admin, token == &world.admin);
            covered += 1;
        }
    }
    assert_eq!(covered, 3);
    check_the_others(&reply.outcomes, &permits);
}

fn check_the_others(outcomes: &[keysherd_plane::grants::Outcome], permits: &[Permit]) {
    let granted = |index: usize| &outcomes[index].as_ref().unwrap().granted;
    let Granted::Transit { key, permit_slot, .. } = granted(1) else { panic!() };
    let (_, derived) = entry(permits, &permit_slot.unwrap());
    assert_eq!(
        (derived.class, derived.item_id, derived.item_version, derived.salt),
        (Class::TransitWindow, key.key_id, 0, [6; 32])
    );
    let Granted::Write { uid, version, class, permit_slot, .. } = granted(3) else { panic!() };
    let (_, derived) = entry(permits, permit_slot);
    assert_eq!((derived.class.number(), derived.salt), (*class, [5; 32]));
    assert_eq!((derived.item_id, derived.item_version), (*uid, u64::from(*version)));
    let Granted::SealedKey { uid, key, ciphertext, permit_slot, .. } = granted(4) else { panic!() };
    let (permit, derived) = entry(permits, &permit_slot.unwrap());
    assert_eq!((permit.op, derived.class), (Op::Read, Class::SealedKey));
    assert_eq!((derived.item_id, derived.item_version), (*uid, u64::from(key.version)));
    assert_eq!(Some(derived.salt), salt_of(ciphertext, key));
    assert!(outcomes[5].is_err());
}

#[tokio::test]
async fn a_permit_names_the_audit_record_that_explains_it() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    let nothing = Wish::Write { target: new_value("/a/one", None, None), salt: [5; 32] };
    let wishes = vec![
        (&*world.admin, read(&["/a/absent"])),
        (&*world.admin, read(&["/a/one"])),
        (&*world.admin, nothing),
    ];
    let reply = world.wishes(wishes, true).await;
    let permits: Vec<_> = reply.permits.iter().map(|permit| opened(&world, permit)).collect();
    let records = world
        .control
        .store
        .read(|reader| audit::records(reader, world.first.id, permits[0].audit_seq - 1, 1));
    let record = records.unwrap()[0].parse().unwrap();
    assert_eq!((record.draft.action.as_ref(), record.status), ("get_secret_value", 200));
    let explained = ExplainedPermits::of(&record);
    assert_eq!(explained.iter().collect::<Vec<_>>(), [(permits[0].permit_id, 1)]);
    // So does one to write: what it was given for is recorded, and later what was written.
    let write = &permits[1];
    let records = world
        .control
        .store
        .read(|reader| audit::records(reader, world.first.id, write.audit_seq - 1, 1));
    let record = records.unwrap()[0].parse().unwrap();
    assert_eq!(record.draft.action, "get_item_derivation_creds");
    let explained = ExplainedPermits::of(&record);
    assert_eq!(explained.iter().collect::<Vec<_>>(), [(write.permit_id, 1)]);
}

#[tokio::test]
async fn a_permit_to_write_alone_is_explained_without_waiting() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    let wish = Wish::Write { target: new_value("/a/one", None, None), salt: [5; 32] };
    let reply = world.wishes(vec![(&*world.admin, wish)], true).await;
    let permit = opened(&world, &reply.permits[0]);
    assert_eq!((permit.op, permit.audit_seq), (Op::Write, 0));
    // Whatever is recorded next is behind it.
    world.wishes(vec![(&*world.admin, read(&["/a/one"]))], true).await;
    let records = world.records();
    let explains = |record: &keysherd_audit::Record| {
        ExplainedPermits::of(record).iter().any(|explained| explained == (permit.permit_id, 1))
    };
    let before_last = records.iter().rev().nth(1).unwrap();
    assert!(explains(before_last), "{before_last:?}");
}

#[tokio::test]
async fn a_permit_holds_a_thousand_entries() {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/two"]).await;
    let paths = ["/a/one", "/a/two"].repeat(500);
    let wishes = vec![(&*world.admin, read(&paths)), (&*world.admin, read(&["/a/two"]))];
    let reply = world.wishes(wishes, true).await;
    let permits: Vec<_> = reply.permits.iter().map(|permit| opened(&world, permit)).collect();
    assert_eq!(permits.iter().map(|p| p.entries.len()).collect::<Vec<_>>(), [1_000, 1]);
    let last = &reply.outcomes[1].as_ref().unwrap().granted;
    let Granted::Read(items) = last else { panic!() };
    let slot = items[0].versions[0].permit_slot.unwrap();
    assert_eq!((slot.permit, slot.entry), (1, 0));
}

#[tokio::test]
async fn nothing_to_derive_makes_no_permit() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    let (granted, permits) = world.wish(&world.admin, read(&["/a/one"]), false).await;
    let Granted::Read(items) = granted.unwrap() else { panic!() };
    assert_eq!((items[0].versions[0].permit_slot, permits.len()), (None, 0));
    let (refused, permits) = world.wish(&world.admin, read(&["/a/one", "/a/absent"]), true).await;
    assert!(refused.is_err() && permits.is_empty());
}

#[tokio::test]
async fn a_plane_is_bound_to_its_gateway() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    let plane = world.control.plane_for(GatewayIdentity { spki_sha256: [9; 32] });
    let caller = world.caller(&world.admin);
    let wishes = vec![(caller.clone(), read(&["/a/one"]))];
    let reply = plane
        .ask(caller.clone(), Grant { wishes, with_permit: true, keep: Keeping::No })
        .await
        .unwrap();
    assert_eq!(opened(&world, &reply.permits[0]).gateway_spki_sha256, [9; 32]);
    let begin = KeyBegin {
        description: String::new(),
        tags: Vec::new(),
        path: item("/keys/k"),
        algorithm: KeyAlgorithm::Aes256Gcm,
        managers: 3,
        customer_fragment: None,
        self_test_salt: [4; 32],
    };
    let begun = plane.ask(caller.clone(), begin).await.unwrap();
    let permit = opened(&world, &begun.permit);
    assert_eq!((permit.op, permit.max_uses), (Op::Generate, 10));
    assert_eq!(permit.gateway_spki_sha256, [9; 32]);
    assert_eq!((AccountId(begun.account), begun.group.as_str()), (permit.account, "default"));
    let [test] = permit.entries.as_slice() else { panic!() };
    assert_eq!((test.class, test.key_id, test.key_version), (Class::SelfTest, begun.key_id, 1));
    assert_eq!((test.item_id, test.item_version, test.salt), (begun.key_id, 0, [4; 32]));
    // Everything else goes the usual way.
    let describe = keysherd_plane::items::ItemDescribe {
        item: ItemRef::Path(item("/a/one")),
        with_versions: false,
    };
    plane.ask(caller, describe).await.unwrap();
}

#[tokio::test]
async fn the_original_key_is_permitted_before_its_account_exists() {
    let world = World::new().await;
    let (account, key_id) = (AccountId(Uid([1; 16])), Uid([2; 16]));
    let gateway = GatewayIdentity { spki_sha256: [3; 32] };
    let permit = world.control.permit_original_key(account, key_id, [4; 32], &gateway).unwrap();
    let permit = opened(&world, &permit);
    assert_eq!((permit.account, permit.op, permit.max_uses), (account, Op::Generate, 10));
    assert_eq!((permit.entries[0].key_id, permit.entries[0].salt), (key_id, [4; 32]));
    assert_eq!(permit.entries[0].subject, Subject::default());
    assert_eq!(permit.audit_seq, 0);
}

#[tokio::test]
async fn a_write_is_never_permitted_for_what_exists() {
    let world = World::new().await;
    world.secrets(&["/a/one"]).await;
    let siv = world.key(&world.admin, "/keys/siv", KeyAlgorithm::Aes256Siv).await.unwrap();
    let items = world.read(&world.admin, "/a/one", VersionWish::Latest).await.unwrap();
    let (uid, version) = (items.uid, &items.versions[0]);
    let salt = salt_of(&version.ciphertext, &version.key).unwrap();
    // Who may only create or update must not get the key of a value that is there.
    let user = ["/a/* create,update", "/keys/* create"];
    let user = world.user("user", &crate::items::testing::rules(&user)).await;
    let path: ItemPath = item("/a/new");
    let (protection_key, cluster_key) = (None, None);
    let new = WriteTarget::NewSecret { path: path.clone(), uid, protection_key, cluster_key };
    let sealed = WriteTarget::NewSealedKey {
        path: item("/keys/new"),
        key_id: siv.uid,
        customer_fragment: None,
    };
    let overwrite = new_value("/a/one", Some(false), None);
    for (target, salt) in [(new, salt), (sealed, fresh_salt()), (overwrite.clone(), salt)] {
        let (outcome, permits) = world.wish(&user, Wish::Write { target, salt }, true).await;
        assert!(outcome.is_err() && permits.is_empty(), "{outcome:?}");
    }
    let fresh = Wish::Write { target: overwrite, salt: fresh_salt() };
    assert!(world.wish(&user, fresh, true).await.0.is_ok());
}
