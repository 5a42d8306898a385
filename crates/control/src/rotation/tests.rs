//! Rotation as a gateway drives it, with made-up keys; what comes late, twice or not at all.

use std::sync::Arc;

use keysherd_base::{Fault, FaultKind, ItemId, Secret, Uid};
use keysherd_crypto::envelope::{Envelope, Kek, NewWrap, WrapKind, WrapParams, rewrap_head};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::{Class, Op, Permit};
use keysherd_crypto::random::SystemRng;
use keysherd_domain::item::{ItemState, KeyAlgorithm};
use keysherd_plane::grants::{ItemRef, KeyRef, WriteTarget};
use keysherd_plane::items::ItemStateSet;
use keysherd_plane::rotation::{
    KeyRotate, KeyRotateBegin, KeyRotateBeginReply, KeyRotateReply, KeyStatus, RewrapBatch,
    RewrapPut, RewrapPutReply, RewrapStatus, RewrapStatusReply, RewrapTake, RewrapTakeReply,
    RewrapValue, RewrappedValue, RotatedKey,
};

use crate::items::protection::GRACE_SECONDS;
use crate::items::testing::{fresh_salt, new_value, secret};
use crate::testing::{World, item};

const GCM: KeyAlgorithm = KeyAlgorithm::Aes256Gcm;
const KEY: &str = "/keys/a";

/// The key that the made-up gateway of `items::testing` seals with.
fn kek(byte: u8) -> Kek {
    Kek { kek: Secret::new([byte; 32]), com: [byte - 1; 32] }
}

impl World {
    async fn rotate_begin(&self, path: &str) -> Result<KeyRotateBeginReply, Fault> {
        let key = RotatedKey::Named(item(path));
        let (self_test_salt, managers, customer_fragment) = ([3; 32], None, None);
        let begin = KeyRotateBegin { key, self_test_salt, managers, customer_fragment };
        self.ask(&self.admin, begin).await
    }

    async fn rotate_record(&self, path: &str, to: KeyRef) -> Result<KeyRotateReply, Fault> {
        let key = RotatedKey::Named(item(path));
        let manifest = b"another manifest".as_slice().into();
        let rotate = KeyRotate { key, to, manifest, managers: 3, threshold: 2, sealed: None };
        self.ask(&self.admin, rotate).await
    }

    async fn rotated(&self, path: &str) -> KeyRef {
        let to = self.rotate_begin(path).await.unwrap().to;
        self.rotate_record(path, to).await.unwrap();
        to
    }

    async fn take(&self, salts: usize) -> RewrapTakeReply {
        let salts = (0..salts).map(|_| fresh_salt()).collect();
        self.ask("", RewrapTake { salts, after: None, except: Vec::new() }).await.unwrap()
    }

    async fn work(&self, salts: usize) -> Option<RewrapBatch> {
        self.take(salts).await.batch
    }

    async fn give_back(
        &self,
        batch: &RewrapBatch,
        values: Vec<RewrappedValue>,
    ) -> Result<RewrapPutReply, Fault> {
        let (account, to) = (batch.account, batch.to);
        self.ask("", RewrapPut { account, to, values, problem: None }).await
    }

    async fn secret_under(&self, path: &str) -> ItemId {
        let mut message = secret(path);
        message.protection_key = Some(item(KEY));
        self.create(&self.admin, message).await.unwrap().item.id
    }

    async fn key_status(&self) -> KeyStatus {
        let item = Some(ItemRef::Path(item(KEY)));
        match self.ask(&self.admin, RewrapStatus { item }).await.unwrap() {
            RewrapStatusReply::Key(status) => *status,
            other => panic!("{other:?}"),
        }
    }
}

/// What a gateway makes of one value.
fn rewrapped(batch: &RewrapBatch, value: &RewrapValue) -> RewrappedValue {
    let params = WrapParams {
        kind: WrapKind::Fragments,
        key_id: batch.to.key_id.0,
        key_version: batch.to.version,
        cf_id: [0; 16],
        salt: fresh_salt(),
    };
    let new = NewWrap { params, kek: &kek(20) };
    let wrap = rewrap_head(&value.head, 0, &kek(9), new, &SystemRng).unwrap();
    RewrappedValue {
        item: value.item,
        version: value.version,
        from: value.from,
        head_sha256: sha256(&[&value.head]),
        wrap: wrap.as_slice().into(),
    }
}

fn all_of(batch: &RewrapBatch) -> Vec<RewrappedValue> {
    batch.values.iter().map(|value| rewrapped(batch, value)).collect()
}

#[tokio::test]
async fn values_move_to_the_new_version_batch_by_batch() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    for n in 0..7 {
        world.secret_under(&format!("/team/{n}")).await;
    }
    world.put(&world.admin, "/team/3", Some(true)).await.unwrap();
    assert!(world.work(10).await.is_none(), "nothing was rotated");
    let to = world.rotated(KEY).await;
    assert_eq!(to.version, 2);
    let place = world.place(&world.admin, new_value("/team/0", None, None)).await.unwrap();
    assert_eq!(place.key, to, "new values are under the new version at once");
    let mut moved = 0;
    while let Some(batch) = world.work(3).await {
        assert!(batch.values.len() <= 3 && batch.to == to);
        let reply = world.give_back(&batch, all_of(&batch)).await.unwrap();
        moved += reply.stored;
        assert_eq!((reply.outdated, reply.finished), (0, moved == 8));
    }
    assert_eq!(moved, 8);
    let status = world.key_status().await;
    let rotation = status.rotation.unwrap();
    assert_eq!((rotation.found, rotation.left, rotation.to), (8, 0, 2));
    assert!(rotation.finished.is_some());
    let values: Vec<_> = status.versions.iter().map(|v| (v.version, v.values)).collect();
    assert_eq!(values, [(2, 8), (1, 0)]);
    // What control stores is the old envelope with another wrap, which the cache knows too.
    let granted = world.read(&world.admin, "/team/3", crate::items::testing::latest()).await;
    let version = granted.unwrap().versions[0].clone();
    assert_eq!(version.key, to);
    let envelope = Envelope::parse(&version.ciphertext).unwrap();
    let payload = envelope.unwrap_dek(0, &kek(20)).unwrap().payload_key(&envelope);
    assert_eq!(envelope.open(&payload).unwrap().expose(), b"value");
}

#[tokio::test]
async fn a_permit_to_rewrap_names_both_contexts_of_each_value() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    world.secret_under("/team/a").await;
    let to = world.rotated(KEY).await;
    let reply = world.take(5).await;
    let batch = reply.batch.unwrap();
    let (body, _) = reply.permits[0].bytes.split_last_chunk::<64>().unwrap();
    let permit = Permit::from_bytes(body).unwrap();
    assert_eq!((permit.op, permit.entries.len()), (Op::Rewrap, 2));
    assert!(permit.audit_seq > 0, "a record explains it");
    let value = &batch.values[0];
    let old = &permit.entries[usize::from(value.old_slot.entry)];
    let new = &permit.entries[usize::from(value.new_slot.entry)];
    assert_eq!((old.key_version, new.key_version), (1, to.version));
    assert_eq!((old.item_id, old.class), (new.item_id, Class::SecretItem));
    assert_ne!(old.salt, new.salt);
    let by = sha256(&[world.first.created.admin_access_id.as_str().as_bytes()]);
    assert_eq!(old.subject.access_id_sha256, by, "on behalf of whoever rotated");
}

#[tokio::test]
async fn what_changed_in_the_meantime_is_left_alone() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    for path in ["/team/overwritten", "/team/deleted", "/team/kept"] {
        world.secret_under(path).await;
    }
    world.rotated(KEY).await;
    let batch = world.work(10).await.unwrap();
    let values = all_of(&batch);
    world.put(&world.admin, "/team/overwritten", Some(false)).await.unwrap();
    let delete = keysherd_plane::items::ItemDelete {
        path: item("/team/deleted"),
        versions: keysherd_plane::items::DeleteVersions::All,
        in_days: 7,
        immediately: false,
        force: false,
    };
    world.ask(&world.admin, delete).await.unwrap();
    let latest = crate::items::testing::latest();
    let before = world.read(&world.admin, "/team/overwritten", latest).await.unwrap();
    let reply = world.give_back(&batch, values.clone()).await.unwrap();
    assert_eq!((reply.stored, reply.outdated, reply.finished), (1, 2, true));
    let after = world.read(&world.admin, "/team/overwritten", latest).await.unwrap();
    assert_eq!(before.versions, after.versions);
    // The same once more, as after a lost answer: nothing is stored twice.
    let reply = world.give_back(&batch, values).await.unwrap();
    assert_eq!((reply.stored, reply.outdated, reply.finished), (0, 3, true));
    assert!(world.work(10).await.is_none());
}

#[tokio::test]
async fn a_wrap_that_is_not_by_the_new_version_is_refused_with_all_others() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    world.secret_under("/team/a").await;
    world.secret_under("/team/b").await;
    world.rotated(KEY).await;
    let batch = world.work(10).await.unwrap();
    let good = all_of(&batch);
    let mut forged = batch.clone();
    forged.to.version = 1;
    let mut wrongs = vec![rewrapped(&forged, &batch.values[1])];
    forged.to = KeyRef { key_id: Uid([1; 16]), ..batch.to };
    wrongs.push(rewrapped(&forged, &batch.values[1]));
    wrongs.push(RewrappedValue { wrap: Arc::from([1_u8].as_slice()), ..good[1].clone() });
    wrongs.push(RewrappedValue { wrap: Arc::from([0_u8; 161].as_slice()), ..good[1].clone() });
    for wrong in wrongs {
        let values = vec![good[0].clone(), wrong];
        let refused = world.give_back(&batch, values).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::BadRequest);
    }
    assert_eq!(world.key_status().await.rotation.unwrap().left, 2);
    assert_eq!(world.give_back(&batch, good).await.unwrap().stored, 2);
}

#[tokio::test]
async fn a_number_is_taken_once_whatever_becomes_of_the_rotation() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    world.secret_under("/team/a").await;
    let cut_off = world.rotate_begin(KEY).await.unwrap().to;
    let second = world.rotate_begin(KEY).await.unwrap().to;
    assert_eq!((cut_off.version, second.version), (2, 3));
    assert_eq!(world.rotate_record(KEY, cut_off).await.unwrap_err().kind(), FaultKind::Conflict);
    assert_eq!(world.rotate_record(KEY, second).await.unwrap().values, 1);
    assert_eq!(world.rotate_record(KEY, second).await.unwrap_err().kind(), FaultKind::Conflict);
    let made_up = KeyRef { version: 9, ..second };
    assert_eq!(world.rotate_record(KEY, made_up).await.unwrap_err().kind(), FaultKind::Conflict);
    // A further rotation while the first one is under way takes its work over.
    let third = world.rotated(KEY).await;
    assert_eq!(third.version, 4);
    let batch = world.work(10).await.unwrap();
    assert_eq!((batch.to, batch.values[0].from.version), (third, 1));
    world.give_back(&batch, all_of(&batch)).await.unwrap();
    let left: Vec<_> = world.key_status().await.versions.iter().map(|v| v.version).collect();
    assert_eq!(left, [4, 3, 1]);
}

#[tokio::test]
async fn a_value_granted_before_the_rotation_still_arrives_for_a_while() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    world.secret_under("/team/a").await;
    let granted = |path| world.place(&world.admin, new_value(path, Some(true), None));
    let (early, late) = (granted("/team/a").await.unwrap(), granted("/team/a").await.unwrap());
    world.rotated(KEY).await;
    let batch = world.work(10).await.unwrap();
    assert!(world.give_back(&batch, all_of(&batch)).await.unwrap().finished);
    world.record(&world.admin, "/team/a", &early).await.unwrap();
    let status = world.key_status().await;
    assert_eq!(status.rotation.unwrap().left, 1, "the work is taken up again");
    let batch = world.work(10).await.unwrap();
    assert!(world.give_back(&batch, all_of(&batch)).await.unwrap().finished);
    assert!(!world.key_status().await.versions[1].ready_to_destroy, "more may arrive");
    world.clock.advance_seconds(GRACE_SECONDS);
    assert!(world.key_status().await.versions[1].ready_to_destroy);
    let late = crate::items::testing::Place { version: 3, ..late };
    let refused = world.record(&world.admin, "/team/a", &late).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Conflict);
}

#[tokio::test]
async fn one_gateway_works_on_a_key_at_a_time() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    world.secret_under("/team/a").await;
    world.rotated(KEY).await;
    let take = |gateway: [u8; 32]| {
        let plane = world.control.plane_for(crate::GatewayIdentity { spki_sha256: gateway });
        let caller = world.caller("");
        async move {
            let salts = vec![fresh_salt()];
            let take = RewrapTake { salts, after: None, except: Vec::new() };
            plane.ask(caller, take).await.unwrap().batch.is_some()
        }
    };
    assert!(take([7; 32]).await && take([7; 32]).await);
    assert!(!take([8; 32]).await);
    world.clock.advance_seconds(31);
    assert!(take([8; 32]).await);
    assert!(!take([7; 32]).await);
}

#[tokio::test]
async fn a_disabled_key_waits_and_an_excepted_one_is_passed_over() {
    let world = World::new().await;
    world.key(&world.admin, KEY, GCM).await.unwrap();
    world.secret_under("/team/a").await;
    let to = world.rotated(KEY).await;
    let salts = vec![fresh_salt()];
    let take = RewrapTake { salts, after: None, except: vec![to.key_id] };
    assert!(world.ask("", take).await.unwrap().batch.is_none());
    let key_id = to.key_id;
    let disable = move |tx: &keysherd_store::Tx| {
        keysherd_store::keys::set_state(tx, key_id, ItemState::Disabled)
    };
    world.control.store.commit(Vec::new(), disable).await.unwrap();
    assert!(world.work(1).await.is_none());
    let state = ItemState::Enabled;
    let enable = ItemStateSet { path: item(KEY), version: None, state };
    world.ask(&world.admin, enable).await.unwrap();
    assert!(world.work(1).await.is_some());
}

#[tokio::test]
async fn too_much_at_once_is_refused() {
    let world = World::new().await;
    let salts = vec![[0; 32]; keysherd_plane::rotation::REWRAP_BATCH_MAX + 1];
    let take = RewrapTake { salts, after: None, except: Vec::new() };
    assert_eq!(world.ask("", take).await.unwrap_err().kind(), FaultKind::BadRequest);
    let except = vec![Uid([1; 16]); 1_001];
    let take = RewrapTake { salts: Vec::new(), after: None, except };
    assert_eq!(world.ask("", take).await.unwrap_err().kind(), FaultKind::BadRequest);
}

#[tokio::test]
async fn sealed_material_of_a_new_version_is_granted_once_and_the_old_one_moves() {
    let world = World::new().await;
    world.key(&world.admin, KEY, KeyAlgorithm::Aes256Siv).await.unwrap();
    let begun = world.rotate_begin(KEY).await.unwrap();
    let target = || WriteTarget::RotatedSealedKey { path: item(KEY), key: begun.to };
    let place = world.place(&world.admin, target()).await.unwrap();
    assert_eq!((place.version, place.key), (2, begun.to));
    let without = world.rotate_record(KEY, begun.to).await.unwrap_err();
    assert_eq!(without.kind(), FaultKind::BadRequest);
    let rotate = KeyRotate {
        key: RotatedKey::Named(item(KEY)),
        to: begun.to,
        manifest: b"another manifest".as_slice().into(),
        managers: 3,
        threshold: 2,
        sealed: Some(world.seal(&place, Class::SealedKey).ciphertext),
    };
    world.ask(&world.admin, rotate).await.unwrap();
    let again = world.place(&world.admin, target()).await.unwrap_err();
    assert_eq!(again.kind(), FaultKind::Conflict, "what exists is not derived by a write");
    let batch = world.work(10).await.unwrap();
    assert_eq!(batch.values.len(), 1);
    assert!(world.give_back(&batch, all_of(&batch)).await.unwrap().finished);
    let values: Vec<_> = world.key_status().await.versions.iter().map(|v| v.values).collect();
    assert_eq!(values, [2, 0]);
}
