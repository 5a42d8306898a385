//! Attacks 6 and 23: only the owner destroys and freezes, after the delay, and then for good.

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::derive::Mode;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::order::{
    Condition, DestroyReceipt, FreezeScope, KeyReport, OrderAction, OwnerOrder,
};
use keysherd_fragments::permit::Op;
use keysherd_fragments::refusal::Refusal;

use super::rig::{ACCOUNT, Rig, key_version, random, signing_key};
use super::rounds::{Item, entry, fresh_item, set};
use crate::log::{Event, LogReader};
use crate::{AtRestKey, KeyFile};

const DELAY: i64 = 7 * 86_400;

fn destroy(version: u32) -> OrderAction {
    OrderAction::DestroyVersion { key: key_version(version) }
}

fn cancel(version: u32) -> OrderAction {
    OrderAction::CancelDestroy { key: key_version(version) }
}

fn one_key() -> FreezeScope {
    FreezeScope::Key { account: ACCOUNT, id: key_version(1).id }
}

impl Rig {
    fn order(&self, action: OrderAction) -> OwnerOrder {
        OwnerOrder {
            deployment: self.bundle.deployment,
            order_id: Uid(random()),
            issued_at: self.now(),
            expires_at: self.now().plus_seconds(86_400),
            action,
        }
    }

    /// Brings an order to manager `number`, as the control plane or any gateway can.
    async fn bring(&self, number: u8, signed: &Signed) -> Result<Option<Timestamp>, Refusal> {
        let spki = self.other_gateway.public().spki_sha256();
        match self.ask(number, spki, &ManagerRequest::Order(signed.clone())).await? {
            ManagerAnswer::OrderTaken { destroy_at, .. } => Ok(destroy_at),
            other => panic!("another answer to an order: {other:?}"),
        }
    }

    /// The owner signs, somebody brings it to all managers.
    async fn command(&self, action: OrderAction) -> Result<Option<Timestamp>, Refusal> {
        let signed = self.order(action).seal(&self.owner);
        let mut answers = Vec::new();
        for number in 1..=self.n() {
            answers.push(self.bring(number, &signed).await?);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        Ok(answers[0])
    }

    async fn report(&self, number: u8, key: KeyVersion) -> KeyReport {
        let spki = self.gateway.public().spki_sha256();
        match self.ask(number, spki, &ManagerRequest::KeyReports(vec![key])).await {
            Ok(ManagerAnswer::KeyReports(mut reports)) => reports.pop().unwrap(),
            other => panic!("another answer to a question about keys: {other:?}"),
        }
    }

    async fn derives(&self, number: u8, version: u32) -> Result<(), Refusal> {
        let permit = self.permit(Op::Read, vec![entry(&fresh_item(&key_version(version)))], |_| {});
        self.derive_at(number, &permit, vec![0], Mode::Read).await.map(drop)
    }

    fn set_clock(&self, to: Timestamp) {
        self.clock.advance_seconds((to.0 - self.now().0) / 1_000);
    }

    fn tidy_all(&self) {
        for number in 1..=self.n() {
            self.manager(number).tidy().unwrap();
        }
    }
}

#[tokio::test]
async fn t_destroy_needs_owner_and_delay() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    // A control plane that was taken over has the permit key, and gateways theirs.
    let order = rig.order(destroy(1));
    for key in [&rig.permit_key, &rig.gateway, &signing_key()] {
        let refused = rig.bring(1, &order.seal(key)).await;
        assert_eq!(refused, Err(Refusal::BadOrderSignature));
    }
    // Nor does an order of the owner for another deployment or of another time help.
    let other = OwnerOrder { deployment: Uid([1; 16]), ..order.clone() };
    assert_eq!(rig.bring(1, &other.seal(&rig.owner)).await, Err(Refusal::WrongDeployment));
    let late = rig.order(destroy(1)).seal(&rig.owner);
    rig.clock.advance_seconds(86_401);
    assert_eq!(rig.bring(1, &late).await, Err(Refusal::OrderExpired));
    rig.derives(1, 1).await.unwrap();

    // The owner's order: nothing is derived from now on, and nothing is erased yet.
    let at = rig.now().plus_seconds(DELAY);
    assert_eq!(rig.command(destroy(1)).await, Ok(Some(at)));
    assert_eq!(rig.derives(1, 1).await, Err(Refusal::KeyNotEnabled));
    assert!(matches!(rig.report(1, key_version(1)).await.condition, Condition::Scheduled { .. }));
    rig.set_clock(Timestamp(at.0 - 1_000));
    rig.tidy_all();
    assert!(rig.manager(1).keys.store().shares(&key_version(1)).unwrap().is_some());
    // Within the delay the owner can think better of it, and everything is as it was.
    assert_eq!(rig.command(cancel(1)).await, Ok(None));
    rig.set_clock(at);
    rig.tidy_all();
    rig.derives(1, 1).await.unwrap();

    // The control: ordered, not canceled, and the delay over, it is erased; also by a restart.
    let at = rig.command(destroy(1)).await.unwrap().unwrap();
    rig.set_clock(at);
    rig.stop(1);
    rig.start(1);
    rig.tidy_all();
    for number in 1..=3 {
        let held = rig.manager(number).keys.store().shares(&key_version(1)).unwrap();
        assert!(held.is_none(), "manager {number} still has its fragments");
        assert_eq!(rig.derives(number, 1).await, Err(Refusal::KeyNotEnabled));
        assert_eq!(rig.report(number, key_version(1)).await.condition, Condition::Destroyed);
        // Its record stays, and is not counted.
        assert_eq!(rig.manager(number).status().key_versions, 0);
    }
    rig.stop(2);
    rig.start(2);
    assert_eq!(rig.manager(2).status().key_versions, 0);
    assert_eq!(rig.command(cancel(1)).await, Err(Refusal::KeyDestroyed));
    assert_eq!(rig.command(destroy(1)).await, Err(Refusal::KeyDestroyed));
}

#[tokio::test]
async fn the_delay_is_the_owners_and_ordering_again_does_not_begin_it_anew() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    rig.generate(key_version(2)).await;
    let at = rig.command(destroy(1)).await.unwrap();
    rig.clock.advance_seconds(3_600);
    assert_eq!(rig.command(destroy(1)).await.unwrap(), at);
    rig.change_bundle(|bundle| bundle.destroy_delay_seconds = 0).await;
    assert_eq!(rig.report(1, key_version(2)).await.condition, Condition::Enabled);
    rig.command(destroy(2)).await.unwrap();
    assert_eq!(rig.report(1, key_version(2)).await.condition, Condition::Destroyed);
    // What was scheduled keeps its time.
    assert!(matches!(rig.report(1, key_version(1)).await.condition, Condition::Scheduled { .. }));
}

#[tokio::test]
async fn orders_are_obeyed_once_and_in_the_owners_sequence_only() {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let freeze = rig.order(OrderAction::Freeze { scope: one_key() }).seal(&rig.owner);
    rig.clock.advance_seconds(1);
    let unfreeze = rig.order(OrderAction::Unfreeze { scope: one_key() }).seal(&rig.owner);
    rig.bring(1, &freeze).await.unwrap();
    // The same again is answered alike.
    rig.bring(1, &freeze).await.unwrap();
    assert_eq!(rig.derives(1, 1).await, Err(Refusal::KeyFrozen));
    rig.bring(1, &unfreeze).await.unwrap();
    // Whoever kept the older order cannot use it again.
    assert_eq!(rig.bring(1, &freeze).await, Err(Refusal::OrderSuperseded));
    rig.derives(1, 1).await.unwrap();
    // Nor can an order be held back until a newer one is there.
    assert_eq!(rig.bring(2, &unfreeze).await, Ok(None));
    assert_eq!(rig.bring(2, &freeze).await, Err(Refusal::OrderSuperseded));
    assert_eq!(rig.command(cancel(1)).await, Err(Refusal::NotScheduled));
    assert_eq!(rig.command(destroy(9)).await, Err(Refusal::UnknownKey));
    let unknown = FreezeScope::Group("mian".to_owned());
    let unknown = rig.command(OrderAction::Freeze { scope: unknown }).await;
    assert_eq!(unknown, Err(Refusal::UnknownGroup));
}

#[tokio::test]
async fn frozen_keys_and_groups_derive_nothing_until_the_owner_says_so() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let group = || FreezeScope::Group("main".to_owned());
    for scope in [one_key(), group()] {
        rig.command(OrderAction::Freeze { scope: scope.clone() }).await.unwrap();
        rig.restart_all();
        assert_eq!(rig.derives(1, 1).await, Err(Refusal::KeyFrozen));
        assert!(rig.report(1, key_version(1)).await.frozen);
        // A new bundle of the owner changes nothing about it.
        rig.change_bundle(|_| {}).await;
        assert_eq!(rig.derives(2, 1).await, Err(Refusal::KeyFrozen));
        rig.clock.advance_seconds(1);
        rig.command(OrderAction::Unfreeze { scope }).await.unwrap();
        rig.restart_all();
        rig.derives(1, 1).await.unwrap();
        rig.clock.advance_seconds(1);
    }
    // A frozen key that is destroyed and thawed stays destroyed.
    rig.change_bundle(|bundle| bundle.destroy_delay_seconds = 0).await;
    rig.command(OrderAction::Freeze { scope: one_key() }).await.unwrap();
    rig.command(destroy(1)).await.unwrap();
    rig.clock.advance_seconds(1);
    rig.command(OrderAction::Unfreeze { scope: one_key() }).await.unwrap();
    assert_eq!(rig.derives(1, 1).await, Err(Refusal::KeyNotEnabled));
}

#[tokio::test]
async fn receipts_are_signed_logged_and_given_again() {
    let mut rig = Rig::with(3, |bundle| bundle.destroy_delay_seconds = 0).await;
    let manifest = rig.generate(key_version(1)).await;
    assert_eq!(rig.report(1, key_version(1)).await.receipt, None);
    let order = rig.order(destroy(1));
    for number in 1..=3 {
        rig.bring(number, &order.seal(&rig.owner)).await.unwrap();
    }
    let first = rig.report(2, key_version(1)).await.receipt.unwrap();
    rig.restart_all();
    assert_eq!(rig.report(2, key_version(1)).await.receipt.as_ref(), Some(&first));
    let keys = [0, 1].map(|place: usize| rig.bundle.managers[place].key);
    let receipt = DestroyReceipt::open(&first, &keys[1]).unwrap();
    assert_eq!((receipt.key, receipt.order_id), (key_version(1), order.order_id));
    assert_eq!(receipt.manifest_sha256, sha256(&[&manifest.manifest().to_bytes()]));
    assert_eq!(DestroyReceipt::open(&first, &keys[0]), Err(Refusal::BadReceipt));
    // The log has the owner's order, whole, and then the erasure.
    rig.stop(2);
    let entries = LogReader::open(&rig.home(2).join("log")).unwrap();
    let events: Vec<Event> = entries.map(|entry| entry.unwrap().1.event).collect();
    let order_at = events.iter().position(
        |event| matches!(event, Event::Order(event) if event.body == order.seal(&rig.owner).body),
    );
    let erased_at = events.iter().position(
        |event| matches!(event, Event::Destroyed(erased) if erased.order_id == order.order_id),
    );
    assert!(order_at.unwrap() < erased_at.unwrap());
    rig.start(2);
}

#[tokio::test]
async fn t_crypto_shred() {
    let mut rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    let kept = rig.generate(key_version(2)).await;
    // The old database backup: ciphertext with its commitment, and all that stands beside it.
    let backup = rig.write(&manifest, &[fresh_item(&key_version(1))]).await.unwrap();
    let other = rig.write(&kept, &[fresh_item(&key_version(2))]).await.unwrap();
    // The control: with the same managers, before the order.
    rig.read(&manifest, &backup, set(&[1, 2])).await.unwrap();
    assert!(found_on_disk(&mut rig, 1), "the search itself is wrong");

    let at = rig.command(destroy(1)).await.unwrap().unwrap();
    rig.set_clock(at);
    rig.tidy_all();
    for quorum in [set(&[1, 2]), set(&[1, 3]), set(&[2, 3])] {
        let refused = rig.read(&manifest, &backup, quorum).await;
        assert_eq!(refused, Err(Refusal::KeyNotEnabled));
    }
    // Nor is anything left in the directories of all three, free pages of the store included.
    for number in 1..=3 {
        assert!(!found_on_disk(&mut rig, number), "fragments of manager {number} are left");
    }
    rig.read(&kept, &other, set(&[1, 3])).await.unwrap();
    assert_eq!(Item::clone(&other[0]).fields.key_version, 2);
}

/// Whether a thief of the whole directory of a manager finds fragments of version 1: every place
/// in the file of the store is tried as a record, with the epoch key that lies there.
fn found_on_disk(rig: &mut Rig, number: u8) -> bool {
    rig.stop(number);
    let kept = KeyFile::new(rig.home(number).join("epoch.key")).load().unwrap().unwrap();
    let bytes = std::fs::read(rig.home(number).join("fragments.redb")).unwrap();
    rig.start(number);
    let owner = rig.manager(number).keys.store().owner().manager;
    let keys = [Some(&kept.key), kept.next.as_ref()];
    let keys: Vec<GcmKey> =
        keys.into_iter().flatten().map(|key| GcmKey::aes256(key.expose())).collect();
    let key = key_version(1);
    let found = |epoch: u64| {
        let aad = [
            b"KSF1/at-rest\0".as_slice(),
            owner.as_bytes(),
            key.account.0.as_bytes(),
            key.id.as_bytes(),
            &key.version.to_be_bytes(),
            &epoch.to_be_bytes(),
            &[2],
        ]
        .concat();
        let starts = bytes.windows(8).enumerate().filter(|(_, at)| **at == epoch.to_be_bytes());
        starts.into_iter().any(|(at, _)| {
            // Lengths of records are public; a share record of 2-of-3 has less than 300 bytes.
            (1..300).any(|length| opens(&keys, &bytes[at + 8..], &aad, length))
        })
    };
    (1..=kept.epoch + 1).any(found)
}

fn opens(keys: &[GcmKey], bytes: &[u8], aad: &[u8], length: usize) -> bool {
    let Some((nonce, rest)) = bytes.split_first_chunk::<NONCE_BYTES>() else { return false };
    let Some(sealed) = rest.get(..length + TAG_BYTES) else { return false };
    let mut record = vec![0; length];
    keys.iter().any(|key| key.open_into(nonce, aad, sealed, &mut record).is_ok())
}

#[tokio::test]
async fn an_erasure_that_was_interrupted_is_finished_by_the_next_start() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let at = rig.command(destroy(1)).await.unwrap().unwrap();
    rig.set_clock(at);
    // As after a crash between erasing the record and forgetting the epoch key.
    let receipt = Signed::seal(&SigningKey::from_seed(&[1; 32].into()), "test", Vec::new());
    rig.manager(1).keys.erase(&key_version(1), &receipt).unwrap();
    let epoch = rig.manager(1).status().at_rest_epoch;
    assert!(matches!(rig.report(1, key_version(1)).await.condition, Condition::Scheduled { .. }));
    rig.stop(1);
    rig.start(1);
    assert_eq!(rig.report(1, key_version(1)).await.condition, Condition::Destroyed);
    assert_eq!(rig.manager(1).status().at_rest_epoch, epoch + 1);
}
