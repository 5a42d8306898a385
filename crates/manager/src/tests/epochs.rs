//! Refresh and repair between whole managers: shares change, the key and everything written stay.

use std::sync::Arc;

use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::manifest::{KeyVersion, TrustedManifest};
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest, PeerRequest};
use keysherd_fragments::permit::Op;
use keysherd_fragments::refresh::{RefreshCall, RefreshRequest};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::share::KeyShares;

use super::rig::{Rig, index, key_version, random};
use super::rounds::{Item, entry, fresh_item, set};
use crate::{Manager, RefreshReport};

impl Rig {
    /// Has manager `number` refresh a key version with all who can be reached.
    pub(super) async fn refresh(&self, number: u8, key: KeyVersion) -> RefreshReport {
        self.manager(number).refresh(&[key], false).await.unwrap()
    }

    /// The epoch at which a manager serves a key version.
    pub(super) async fn epoch_at(&self, number: u8, key: KeyVersion) -> u32 {
        let spki = self.gateway.public().spki_sha256();
        match self.ask(number, spki, &ManagerRequest::Epoch(key)).await {
            Ok(ManagerAnswer::Epoch(record)) => record.map_or(0, |record| record.epoch()),
            other => panic!("another answer: {other:?}"),
        }
    }

    /// The manifest at the epoch a manager is at, as a gateway learns it.
    pub(super) async fn manifest_at(
        &self,
        number: u8,
        manifest: &Arc<TrustedManifest>,
    ) -> Arc<TrustedManifest> {
        let spki = self.gateway.public().spki_sha256();
        let request = ManagerRequest::Epoch(manifest.manifest().key);
        match self.ask(number, spki, &request).await.unwrap() {
            ManagerAnswer::Epoch(Some(record)) => {
                Arc::new(record.verify(&self.pinned(), manifest).unwrap())
            }
            ManagerAnswer::Epoch(None) => manifest.clone(),
            other => panic!("another answer: {other:?}"),
        }
    }

    /// The shares of a manager as its store has them.
    pub(super) fn shares_of(&self, number: u8, key: &KeyVersion) -> Option<Arc<KeyShares>> {
        self.manager(number).keys.shares(key).unwrap()
    }

    /// A key version and something written under it.
    pub(super) async fn written(&self) -> (Arc<TrustedManifest>, Vec<Item>) {
        let manifest = self.generate(key_version(1)).await;
        let items = self.write(&manifest, &[fresh_item(&key_version(1))]).await.unwrap();
        (manifest, items)
    }

    /// Everything reads with every quorum.
    pub(super) async fn reads_everywhere(&self, manifest: &Arc<TrustedManifest>, items: &[Item]) {
        for quorum in [[1, 2], [1, 3], [2, 3]] {
            self.read(manifest, items, set(&quorum)).await.unwrap();
        }
    }

    fn call(&self, number: u8, key: KeyVersion) -> RefreshCall {
        let entry = entry(&keysherd_fragments::context::ContextFields {
            class: keysherd_fragments::context::Class::SelfTest,
            ..fresh_item(&key)
        });
        let permit = self.permit(Op::Refresh, vec![entry], |_| {});
        let request = RefreshRequest {
            permit_sha256: keysherd_crypto::hash::sha256(&[&permit.body]),
            manager: index(number),
            request_id: keysherd_base::Uid(random()),
        };
        RefreshCall { permit, request: request.seal(&self.gateway), endorsement: None }
    }
}

#[tokio::test]
async fn a_refresh_changes_every_share_and_no_key() {
    let rig = Rig::new().await;
    let key = key_version(1);
    let (manifest, items) = rig.written().await;
    let before: Vec<_> = (1..=3).map(|number| rig.shares_of(number, &key).unwrap()).collect();
    for epoch in 1..=3 {
        let report = rig.refresh(1, key).await;
        assert_eq!((report.records.len(), report.failed), (1, vec![]));
        for number in 1..=3 {
            assert_eq!(rig.epoch_at(number, key).await, epoch);
            let (old, new) = (&before[usize::from(number) - 1], rig.shares_of(number, &key));
            assert_ne!(old.g().public(), new.unwrap().g().public());
        }
        rig.reads_everywhere(&manifest, &items).await;
    }
    // Writing needs the public shares of the epoch; the manifest's own are of no use any more.
    let item = fresh_item(&key);
    assert!(rig.try_write(&manifest, item).await.is_err());
    let current = rig.manifest_at(2, &manifest).await;
    assert_eq!(current.manifest().epoch, 3);
    let fresh = rig.write(&current, &[item]).await.unwrap();
    rig.reads_everywhere(&current, &fresh).await;
}

#[tokio::test]
async fn a_gateway_has_a_key_refreshed_with_a_permit_of_that_kind_only() {
    let rig = Rig::new().await;
    let key = key_version(1);
    let (manifest, items) = rig.written().await;
    let spki = rig.gateway.public().spki_sha256();
    let request = ManagerRequest::Refresh(rig.call(1, key));
    let Ok(ManagerAnswer::Refreshed(records)) = rig.ask(1, spki, &request).await else {
        panic!("not refreshed");
    };
    let current = records[0].verify(&rig.pinned(), &manifest).unwrap();
    assert_eq!(current.manifest().epoch, 1);
    rig.reads_everywhere(&manifest, &items).await;
    // Asked at another manager than it names, by another gateway, or with another permit.
    let refused = rig.ask(2, spki, &request).await.unwrap_err();
    assert_eq!(refused, Refusal::WrongManager);
    let other = rig.other_gateway.public().spki_sha256();
    assert_eq!(rig.ask(1, other, &request).await.unwrap_err(), Refusal::WrongGateway);
    let mut call = rig.call(1, key);
    call.permit = rig.permit(Op::Read, vec![entry(&fresh_item(&key))], |_| {});
    let inner = RefreshRequest {
        permit_sha256: keysherd_crypto::hash::sha256(&[&call.permit.body]),
        manager: index(1),
        request_id: keysherd_base::Uid(random()),
    };
    call.request = inner.seal(&rig.gateway);
    let refused = rig.ask(1, spki, &ManagerRequest::Refresh(call)).await.unwrap_err();
    assert_eq!(refused, Refusal::OpNotAllowed);
    assert_eq!(rig.epoch_at(1, key).await, 1);
}

#[tokio::test]
async fn without_one_manager_the_others_refresh_and_it_comes_back_by_repair() {
    let mut rig = Rig::new().await;
    let key = key_version(1);
    let (manifest, items) = rig.written().await;
    rig.net.cut_off.lock().unwrap().insert(3);
    let report = rig.refresh(1, key).await;
    assert_eq!(report.records.len(), 1, "{:?}", report.failed);
    rig.read(&manifest, &items, set(&[1, 2])).await.unwrap();
    // It is back, and finds out by itself.
    rig.net.cut_off.lock().unwrap().clear();
    rig.stop(3);
    rig.start(3);
    let quorum = set(&[1, 3]);
    assert_eq!(rig.read(&manifest, &items, quorum).await.unwrap_err(), Refusal::ShareOutdated);
    assert!(rig.shares_of(3, &key).is_none(), "it keeps the share of a past epoch");
    assert_eq!(rig.manager(3).repair().await.unwrap(), 1);
    // The repair is followed by a refresh, so that all shares are new.
    assert_eq!(rig.epoch_at(3, key).await, 2);
    rig.reads_everywhere(&manifest, &items).await;
    let current = rig.manifest_at(3, &manifest).await;
    let fresh = rig.write(&current, &[fresh_item(&key)]).await.unwrap();
    rig.reads_everywhere(&current, &fresh).await;
}

#[tokio::test]
async fn t_restored_kfm_refuses_old_epoch() {
    let mut rig = Rig::new().await;
    let key = key_version(1);
    let (manifest, items) = rig.written().await;
    rig.stop(3);
    let backup = rig.disk_of(3);
    rig.start(3);
    // Control: as long as nothing was refreshed, the backup is as good as the store.
    rig.stop(3);
    rig.put_back(3, &backup);
    rig.start(3);
    rig.reads_everywhere(&manifest, &items).await;
    rig.refresh(1, key).await;
    let current = rig.manifest_at(1, &manifest).await;
    assert_eq!(current.manifest().epoch, 1);
    rig.stop(3);
    rig.put_back(3, &backup);
    // Alone it does not know, and does not answer.
    rig.net.cut_off.lock().unwrap().extend([1, 2]);
    rig.start(3);
    let item = &items[0].fields;
    let permit = rig.permit(Op::Read, vec![entry(item)], |_| {});
    let mode = keysherd_fragments::derive::Mode::Read;
    let refused = rig.derive_at(3, &permit, vec![0], mode).await.unwrap_err();
    assert_eq!(refused, Refusal::EpochUnchecked);
    // With one other it knows, refuses, and has erased the old share.
    rig.net.cut_off.lock().unwrap().clear();
    let refused = rig.derive_at(3, &permit, vec![0], mode).await.unwrap_err();
    assert_eq!(refused, Refusal::ShareOutdated);
    assert!(rig.shares_of(3, &key).is_none());
    // It rejoins by repair.
    assert_eq!(rig.manager(3).repair().await.unwrap(), 1);
    rig.reads_everywhere(&manifest, &items).await;
}

#[tokio::test]
async fn a_manager_whose_machine_is_lost_is_replaced() {
    let mut rig = Rig::new().await;
    let (manifest, items) = rig.written().await;
    let second = rig.generate(key_version(2)).await;
    let more = rig.write(&second, &[fresh_item(&key_version(2))]).await.unwrap();
    let old = rig.bundle.managers[1].key;
    rig.stop(2);
    std::fs::remove_dir_all(rig.home(2)).unwrap();
    // The owner signs the identity of the new machine.
    let fresh = rig.open(2, None).unwrap();
    let identity = fresh.identity();
    drop(fresh);
    assert_ne!(identity, old);
    let entry = &mut rig.bundle.managers[1];
    entry.key = identity;
    entry.former_keys.push(old);
    rig.bundle.version += 1;
    let signed = rig.signed_bundle();
    for number in [1, 3] {
        rig.manager(number).accept_bundle(&signed).await.unwrap();
    }
    let fresh = rig.open(2, Some(&signed)).unwrap();
    rig.adopt(2, fresh);
    assert_eq!(rig.manager(2).repair().await.unwrap(), 2);
    rig.reads_everywhere(&manifest, &items).await;
    rig.reads_everywhere(&second, &more).await;
    let current = rig.manifest_at(2, &manifest).await;
    assert_eq!(current.manifest().epoch, 1, "no refresh after the repair");
    rig.write(&current, &[fresh_item(&key_version(1))]).await.unwrap();
}

#[tokio::test]
async fn a_refresh_that_leaves_out_a_manager_that_is_there_is_refused() {
    let rig = Rig::new().await;
    let (_manifest, _items) = rig.written().await;
    let key = key_version(1);
    let params = |participants: &[u8]| keysherd_fragments::refresh::RefreshParams {
        session: keysherd_base::Uid(random()),
        coordinator: index(2),
        participants: set(participants),
        threshold: keysherd_fragments::manager_set::Threshold::new(2, 3).unwrap(),
        salt: random(),
        keys: vec![keysherd_fragments::refresh::RefreshKey { key, from: 0, to: 1 }],
    };
    let begin = PeerRequest::RefreshBegin(params(&[1, 2])).to_bytes();
    let answer = rig.manager(1).serve_peer(index(2), &begin).await;
    assert_eq!(refusal_of(answer.expose()), Some(Refusal::PeerLeftOut));
    // Control: with the other one really away it begins.
    rig.net.cut_off.lock().unwrap().insert(3);
    let answer = rig.manager(1).serve_peer(index(2), &begin).await;
    assert_eq!(refusal_of(answer.expose()), None);
    // Nobody begins in another's name.
    let begin = PeerRequest::RefreshBegin(params(&[1, 2, 3])).to_bytes();
    let answer = rig.manager(1).serve_peer(index(3), &begin).await;
    assert_eq!(refusal_of(answer.expose()), Some(Refusal::WrongManager));
}

#[tokio::test]
async fn replaced_shares_are_erased_with_the_epoch_key() {
    let mut rig = Rig::new().await;
    let key = key_version(1);
    rig.written().await;
    let epoch = |manager: &Manager| manager.status().at_rest_epoch;
    let before = epoch(rig.manager(1));
    let old_key = std::fs::read(rig.home(1).join("epoch.key")).unwrap();
    rig.refresh(1, key).await;
    for number in 1..=3 {
        assert!(epoch(rig.manager(number)) > before);
    }
    // With the old epoch key nothing of the store opens.
    rig.stop(1);
    std::fs::write(rig.home(1).join("epoch.key"), old_key).unwrap();
    let fault = rig.open(1, None).err().unwrap();
    assert!(fault.public().contains("does not open with the epoch key"), "{fault}");
}

pub(super) fn refusal_of(answer: &[u8]) -> Option<Refusal> {
    use keysherd_fragments::messages::PeerAnswer;
    match PeerAnswer::from_bytes(answer).unwrap() {
        PeerAnswer::Refused(refusal) => Some(refusal),
        _ => None,
    }
}
