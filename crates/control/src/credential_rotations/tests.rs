//! Rotations through the plane's door: a life as it should be, and what is recorded.

use keysherd_audit::Record;
use keysherd_base::{Fault, FaultKind, ItemId};
use keysherd_crypto::permit::{Class, Op, Permit};
use keysherd_domain::credential_rotation::{Outcome, Reason, Task, WORK_SECONDS};
use keysherd_domain::item::{Item, ItemVersion};
use keysherd_domain::rotated_secret::{CheckOut, Grace, Interval, Schedule};
use keysherd_plane::credential_rotations::{
    RotatedCheckOut, RotatedDisconnect, RotationBegin, RotationBeginReply, RotationHold,
    RotationKeep, RotationReport, RotationResult, RotationTake, RotationTakeReply, RotationView,
    RotationWork,
};
use keysherd_plane::grants::{Granted, ItemRef, Purpose, SignedPermit, Wish};
use keysherd_plane::items::{
    ItemDescribe, ItemView, Made, MadeRotated, SealedValue, SecretCreate, TargetChoice,
};

use crate::GatewayIdentity;
use crate::items::testing::{envelope, fresh_salt, secret};
use crate::testing::{GATEWAY, World, item, kind};

mod attacks;
mod crashes;
mod kept;
mod people;
mod rights;

const OTHER: GatewayIdentity = GatewayIdentity { spki_sha256: [9; 32] };
const TARGET: &str = "/.targets/db/prod";
const SECRET: &str = "/team/rotated";
const HOUR: i64 = 3_600;

/// Something that rotates every hour.
fn rotated() -> MadeRotated {
    MadeRotated {
        rotator: "postgresql".to_owned(),
        rotator_type: "password".to_owned(),
        target: TargetChoice::Named(item(TARGET)),
        of_target: false,
        schedule: Schedule { automatic: true, interval: Interval::Minutes(60), hour: 0 },
        grace: None,
        check_out: None,
        after_disconnect: false,
        by_target: false,
        notices: Vec::new(),
    }
}

fn made(of: MadeRotated) -> Made {
    Made::Rotated(Box::new(of))
}

fn db() -> Made {
    Made::Target {
        kind: "db".to_owned(),
        type_name: "postgres".to_owned(),
        parent: TargetChoice::Without,
    }
}

/// A rotation that was taken, with the salt that its new credentials are sealed with.
struct Work {
    at: GatewayIdentity,
    work: RotationWork,
    salt: [u8; 32],
    permits: Vec<SignedPermit>,
}

impl World {
    async fn new_item(&self, token: &str, path: &str, made: Made) -> Result<Item, Fault> {
        Ok(self.create(token, SecretCreate { made, ..secret(path) }).await?.item)
    }

    /// A target, and a secret on it that rotates; gives the secret.
    async fn rotating(&self, of: MadeRotated) -> Item {
        self.new_item(&self.admin, TARGET, db()).await.unwrap();
        self.new_item(&self.admin, SECRET, made(of)).await.unwrap()
    }

    async fn now_token(&self) -> String {
        let reply = self.login(&self.first.created.admin_access_id, &self.first.admin_key);
        reply.await.unwrap().token
    }

    async fn described(&self, path: &str) -> ItemView {
        let describe = ItemDescribe { item: ItemRef::Path(item(path)), with_versions: true };
        self.ask(&self.now_token().await, describe).await.unwrap()
    }

    async fn standing(&self) -> RotationView {
        self.described(SECRET).await.rotation.unwrap()
    }

    async fn versions(&self, path: &str) -> Vec<u32> {
        let versions = self.described(path).await.versions;
        versions.iter().map(|version: &ItemVersion| version.version).collect()
    }

    async fn take_at(&self, at: GatewayIdentity) -> (RotationTakeReply, [u8; 32]) {
        let salt = fresh_salt();
        (self.at(at, "", RotationTake { salts: vec![salt] }).await.unwrap(), salt)
    }

    /// What is due now, which must be one rotation.
    async fn take_one(&self, at: GatewayIdentity) -> Work {
        let (mut taken, salt) = self.take_at(at).await;
        assert_eq!(taken.work.len(), 1, "{taken:?}");
        Work { at, work: taken.work.remove(0), salt, permits: taken.permits }
    }

    async fn nothing_due(&self, at: GatewayIdentity) -> Option<i64> {
        let (taken, _) = self.take_at(at).await;
        assert!(taken.work.is_empty() && taken.permits.is_empty(), "{taken:?}");
        taken.next_due_millis
    }

    async fn begin(&self, token: &str, reason: Reason) -> Result<Work, Fault> {
        let salt = fresh_salt();
        let begin = RotationBegin { item: item(SECRET), reason, salt };
        let RotationBeginReply { work, permits } = self.ask(token, begin).await?;
        Ok(Work { at: GATEWAY, work, salt, permits })
    }

    /// What a gateway stores before it sets it.
    fn sealed(&self, work: &Work) -> RotationKeep {
        let write = work.work.write.unwrap();
        let subject = &work.work.items[write.place];
        let class = Class::SecretItem;
        let ciphertext = envelope(self, subject.uid, write.version, class, &write.key, work.salt);
        RotationKeep {
            item: work.work.item,
            attempt: work.work.attempt,
            path: subject.path.clone(),
            value: SealedValue { ciphertext, key: write.key, unconfirmed: false, name_tag: None },
        }
    }

    async fn store_new(&self, work: &Work) -> Result<(), Fault> {
        self.at(work.at, "", self.sealed(work)).await.map(drop)
    }

    async fn tell(&self, work: &Work, result: RotationResult) -> Result<(), Fault> {
        let (item, attempt) = (work.work.item, work.work.attempt);
        self.at(work.at, "", RotationReport { item, attempt, result }).await.map(drop)
    }

    /// One rotation from its beginning to its end.
    async fn finish(&self, work: &Work) {
        self.store_new(work).await.unwrap();
        self.tell(work, changed()).await.unwrap();
    }

    async fn read_credentials(
        &self,
        token: &str,
        version: Option<u32>,
    ) -> Result<Vec<(String, u32)>, Fault> {
        let purpose = Purpose::Credentials { version };
        let wish = Wish::Open { item: ItemRef::Path(item(SECRET)), purpose };
        match self.wish(token, wish, true).await.0? {
            Granted::Read(items) => Ok(items
                .iter()
                .map(|item| (item.path.to_string(), item.versions[0].version))
                .collect()),
            other => panic!("{other:?}"),
        }
    }

    fn records_of(&self, action: &str) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| record.draft.action == action);
        records
    }
}

fn changed() -> RotationResult {
    RotationResult::Changed { partly: None }
}

fn unchanged(error: &str) -> RotationResult {
    RotationResult::Unchanged { error: error.to_owned() }
}

fn refused(error: &str) -> RotationResult {
    RotationResult::Refused { error: error.to_owned() }
}

fn unknown(error: &str) -> RotationResult {
    RotationResult::Unknown { error: error.to_owned() }
}

fn permit(signed: &SignedPermit) -> Permit {
    Permit::from_bytes(&signed.bytes[..signed.bytes.len() - 64]).unwrap()
}

#[tokio::test]
async fn credentials_change_when_their_time_is_over() {
    let world = World::new().await;
    let item_id = world.rotating(rotated()).await.id;
    let first = world.standing().await;
    assert_eq!((first.next, first.rotated), (Some(world.now().plus_seconds(HOUR)), None));
    assert_eq!(world.nothing_due(GATEWAY).await, Some(HOUR * 1_000));
    world.clock.advance_seconds(HOUR);
    let work = world.take_one(GATEWAY).await;
    let RotationWork { task, attempt, items, facts, write, .. } = &work.work;
    assert_eq!((*task, *attempt), (Task::Change(Reason::Scheduled), 1));
    let paths: Vec<_> = items.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths, [SECRET, TARGET]);
    assert_eq!(facts[0].rotation.as_ref().unwrap().rotator, "postgresql");
    assert_eq!(facts[1].target.as_ref().unwrap().type_name, "postgres");
    let write = write.unwrap();
    assert_eq!((write.place, write.version, write.is_stored), (0, 2, false));
    assert_eq!(work.work.keys.iter().map(|known| known.key).collect::<Vec<_>>(), [write.key]);
    let mut ops: Vec<_> = work.permits.iter().map(permit).map(|one| (one.op, one)).collect();
    ops.sort_by_key(|(op, _)| *op == Op::Read);
    let [(Op::Write, writes), (Op::Read, reads)] = ops.as_slice() else { panic!("{ops:?}") };
    assert_eq!((writes.entries[0].item_version, writes.entries[0].salt), (2, work.salt));
    assert_eq!(reads.entries.iter().map(|entry| entry.item_version).collect::<Vec<_>>(), [1, 1]);
    let record = &world.records_of("take_rotation")[0];
    assert_eq!((reads.audit_seq, writes.audit_seq), (record.seq, record.seq));

    world.store_new(&work).await.unwrap();
    assert!(world.standing().await.under_way);
    let token = world.now_token().await;
    let read = |version| world.read_credentials(&token, version);
    assert_eq!(read(None).await.unwrap(), [(SECRET.to_owned(), 1)], "nobody reads it yet");
    assert_eq!(kind(read(Some(2)).await), FaultKind::NotFound);
    assert_eq!(world.versions(SECRET).await, [1]);
    world.tell(&work, changed()).await.unwrap();
    assert_eq!(read(None).await.unwrap(), [(SECRET.to_owned(), 2)]);
    assert_eq!(read(Some(1)).await.unwrap(), [(SECRET.to_owned(), 1)]);
    let after = world.standing().await;
    assert_eq!((after.outcome, after.under_way), (Outcome::Succeeded, false));
    assert_eq!(after.rotated, Some(world.now()));
    assert_eq!(after.next, Some(world.now().plus_seconds(HOUR)));
    assert_eq!(world.nothing_due(OTHER).await, Some(HOUR * 1_000), "it is done");
    assert_eq!(world.records_of("rotate_credentials").len(), 1);
    assert_eq!(world.records_of("rotated-secret-success").len(), 1);
    let reads = world.records_of("get_rotated_secret_value");
    assert_eq!(reads.len(), 4);
    assert!(reads.iter().all(|record| record.draft.access_id.is_some()));
    assert!(world.described(SECRET).await.item.id == item_id);
}

#[tokio::test]
async fn two_gateways_and_a_moved_clock_rotate_once_for_each_date() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let mut rotated = 0;
    for round in 0..30 {
        world.clock.advance_seconds(if round % 3 == 0 { 5 * HOUR } else { HOUR });
        let salts = || RotationTake { salts: vec![fresh_salt(), fresh_salt()] };
        let (one, two) =
            tokio::join!(world.at(GATEWAY, "", salts()), world.at(OTHER, "", salts()),);
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.work.len() + two.work.len(), 1, "round {round}");
        let (at, taken) = if one.work.is_empty() { (OTHER, two) } else { (GATEWAY, one) };
        let writes = taken.permits.iter().map(permit).find(|one| one.op == Op::Write).unwrap();
        let salt = writes.entries[0].salt;
        let work = Work { at, work: taken.work[0].clone(), salt, permits: taken.permits };
        world.finish(&work).await;
        rotated += 1;
        // Back, and once more forward to where it was.
        world.clock.advance_seconds(-HOUR / 2);
        world.nothing_due(OTHER).await;
        world.clock.advance_seconds(HOUR / 2);
        world.nothing_due(GATEWAY).await;
    }
    assert_eq!(world.records_of("rotated-secret-success").len(), rotated);
    assert_eq!(world.described(SECRET).await.item.last_version, 31);
}

#[tokio::test]
async fn by_hand_it_is_done_at_once_and_a_failure_is_told_to_who_waits() {
    let world = World::new().await;
    let schedule = Schedule { automatic: false, ..rotated().schedule };
    world.rotating(MadeRotated { schedule, ..rotated() }).await;
    assert_eq!((world.standing().await.next, world.nothing_due(GATEWAY).await), (None, None));
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    let busy = world.begin(&world.admin, Reason::Manual).await.err().unwrap();
    assert_eq!((busy.kind(), busy.code()), (FaultKind::Conflict, "RotationUnderWay"));
    assert!(busy.public().contains("is being rotated"), "{busy}");
    world.finish(&work).await;
    assert_eq!(world.versions(SECRET).await, [2, 1]);

    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    world.store_new(&work).await.unwrap();
    world.tell(&work, unchanged("the password is too simple")).await.unwrap();
    let standing = world.standing().await;
    assert_eq!((standing.outcome, standing.under_way), (Outcome::Failed, false));
    assert_eq!(standing.last_error, "the password is too simple");
    assert_eq!(world.nothing_due(GATEWAY).await, None, "nobody tries it again by itself");
    assert_eq!(world.versions(SECRET).await, [2, 1]);
    assert!(world.records_of("rotated-secret-failure").is_empty(), "who waited was told");
    let attempts = world.records_of("rotate_credentials");
    let told = |record: &Record| record.draft.params.iter().any(|param| param.name() == "error");
    assert_eq!(attempts.iter().map(told).collect::<Vec<_>>(), [false, true]);
    assert_eq!(world.records_of("rotate_item").len(), 3);
    // The number of a version that was dropped is used for the next.
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    assert_eq!(work.work.write.unwrap().version, 3);
    world.finish(&work).await;
    assert_eq!(world.versions(SECRET).await, [3, 2, 1]);
}

#[tokio::test]
async fn an_older_version_comes_back_as_a_new_one() {
    let world = World::new().await;
    world.rotating(rotated()).await;
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    world.finish(&work).await;
    let back = world.begin(&world.admin, Reason::Rollback(1)).await.unwrap();
    let numbers: Vec<_> = back.work.items[0].versions.iter().map(|one| one.version).collect();
    assert_eq!(numbers, [2, 1], "what is in force, and what is to be again");
    assert_eq!(back.work.write.unwrap().version, 3);
    world.finish(&back).await;
    assert_eq!(world.versions(SECRET).await, [3, 2, 1]);
    for missing in [0, 4, u32::MAX] {
        let refused = world.begin(&world.admin, Reason::Rollback(missing)).await.err().unwrap();
        assert_eq!(refused.kind(), FaultKind::NotFound, "{missing}");
    }
    assert!(!world.standing().await.under_way);
}

#[tokio::test]
async fn a_targets_own_credentials_are_versions_of_the_target() {
    let world = World::new().await;
    let of_target = MadeRotated { of_target: true, ..rotated() };
    world.rotating(MadeRotated { rotator_type: "target".to_owned(), ..of_target.clone() }).await;
    let second = world.new_item(&world.admin, "/team/second", made(of_target)).await;
    assert_eq!(kind(second), FaultKind::Conflict, "one changes them, not two");
    let work = world.begin(&world.admin, Reason::Manual).await.unwrap();
    assert_eq!(work.work.write.unwrap().place, 1);
    world.store_new(&work).await.unwrap();
    let read = world.read_credentials(&world.admin, None).await.unwrap();
    assert_eq!(read, [(SECRET.to_owned(), 1), (TARGET.to_owned(), 1)]);
    let put = world.put(&world.admin, TARGET, Some(true)).await.unwrap_err();
    assert_eq!(put.code(), "RotationUnderWay", "{put}");
    world.tell(&work, changed()).await.unwrap();
    assert_eq!((world.versions(SECRET).await, world.versions(TARGET).await), (vec![1], vec![2, 1]));
    let read = world.read_credentials(&world.admin, None).await.unwrap();
    assert_eq!(read[1], (TARGET.to_owned(), 2));
    let read = world.read_credentials(&world.admin, Some(1)).await.unwrap();
    assert_eq!(read, [(SECRET.to_owned(), 1), (TARGET.to_owned(), 1)]);
}
