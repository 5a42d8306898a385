//! Temporary credentials through the plane's door: a life as it should be, and what is recorded.

use keysherd_audit::Record;
use keysherd_base::{Fault, FaultKind, ItemId, Uid};
use keysherd_crypto::permit::{Op, Permit};
use keysherd_crypto::random::SystemRng;
use keysherd_domain::credential_lease::{AGAIN_SECONDS, INTENT_SECONDS, LeaseState, work_seconds};
use keysherd_domain::item::Item;
use keysherd_plane::credential_leases::{
    LeaseAbandon, LeaseActivate, LeaseChoice, LeaseExtend, LeaseIntend, LeaseIntended, LeaseList,
    LeaseReport, LeaseResult, LeaseRevoke, LeaseTake, LeaseTakeReply, LeaseView,
};
use keysherd_plane::grants::{Granted, GrantedTo, ItemRef, Purpose, SignedPermit, Wish};
use keysherd_plane::items::{Made, SecretCreate, TargetChoice};

use crate::GatewayIdentity;
use crate::items::testing::secret;
use crate::testing::{GATEWAY, World, item, kind};

mod attacks;
mod kept;
mod remote_targets;
mod rights;
mod turns;
mod work;

const OTHER: GatewayIdentity = GatewayIdentity { spki_sha256: [9; 32] };
const TARGET: &str = "/.targets/db/prod";
const SECRET: &str = "/team/db";
const LIFE: i64 = 1_200;

pub(super) fn dynamic(target: TargetChoice) -> Made {
    Made::Dynamic { engine: "postgresql".to_owned(), user_ttl_seconds: LIFE, target }
}

pub(super) fn named(path: &str) -> TargetChoice {
    TargetChoice::Named(item(path))
}

fn db() -> Made {
    Made::Target {
        kind: "db".to_owned(),
        type_name: "postgres".to_owned(),
        parent: TargetChoice::Without,
    }
}

impl World {
    /// Makes something as `token`.
    pub(super) async fn make(&self, token: &str, path: &str, made: Made) -> Result<Item, Fault> {
        Ok(self.create(token, SecretCreate { made, ..secret(path) }).await?.item)
    }

    /// A target and a dynamic secret that uses it; gives their ids.
    pub(super) async fn database(&self) -> (ItemId, ItemId) {
        let target = self.make(&self.admin, TARGET, db()).await.unwrap().id;
        let secret = self.make(&self.admin, SECRET, dynamic(named(TARGET))).await.unwrap().id;
        (secret, target)
    }

    /// Intends a credential of the secret with the usual target.
    async fn intend(
        &self,
        token: &str,
        (secret, target): (ItemId, ItemId),
    ) -> (Uid, Result<LeaseIntended, Fault>) {
        let lease = Uid::random(&SystemRng).unwrap();
        let message = LeaseIntend {
            item: secret,
            target: Some(target),
            lease,
            handle: format!("tmp.{lease}"),
            ttl_seconds: LIFE,
        };
        (lease, self.ask(token, message).await)
    }

    /// A token of the administrator, however late it is.
    async fn fresh_token(&self) -> String {
        let reply = self.login(&self.first.created.admin_access_id, &self.first.admin_key);
        reply.await.unwrap().token
    }

    /// A credential that lives.
    async fn lease(&self, ids: (ItemId, ItemId)) -> Uid {
        let (lease, intended) = self.intend(&self.admin, ids).await;
        intended.unwrap();
        self.ask("", LeaseActivate { lease, handle: None, ends: None }).await.unwrap();
        lease
    }

    async fn leases(&self) -> Vec<LeaseView> {
        let list = LeaseList { item: item(SECRET), after: None, limit: 1_000 };
        self.ask(&self.fresh_token().await, list).await.unwrap().leases
    }

    async fn take_leases(&self) -> LeaseTakeReply {
        self.ask("", LeaseTake { limit: 10, each: 0, room: Vec::new() }).await.unwrap()
    }

    async fn report(&self, taken: &LeaseTakeReply, failed: Option<&str>) {
        let results = taken.work.iter().map(|work| LeaseResult {
            lease: work.lease,
            attempt: work.attempt,
            failed: failed.map(str::to_owned),
            untried: false,
        });
        self.ask("", LeaseReport { results: results.collect() }).await.unwrap();
    }

    pub(crate) async fn open(
        &self,
        token: &str,
        path: &str,
        purpose: Purpose,
    ) -> Result<GrantedTo, Fault> {
        let wish = Wish::Open { item: ItemRef::Path(item(path)), purpose };
        let reply = self.wishes(vec![(token, wish)], true).await;
        reply.outcomes.into_iter().next().unwrap()
    }

    async fn end_leases(&self, which: LeaseChoice, soft: bool) -> Result<u64, Fault> {
        let revoke = LeaseRevoke { item: item(SECRET), which, soft };
        Ok(self.ask(&self.admin, revoke).await?.leases)
    }

    fn recorded(&self, action: &str) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| record.draft.action == action);
        records
    }
}

fn permit(signed: &SignedPermit) -> Permit {
    Permit::from_bytes(&signed.bytes[..signed.bytes.len() - 64]).unwrap()
}

#[tokio::test]
async fn a_credential_lives_and_is_removed() {
    let world = World::new().await;
    let ids = world.database().await;
    let opened = world.open(&world.admin, SECRET, Purpose::Produce).await.unwrap();
    let Granted::Read(items) = &opened.granted else { panic!() };
    assert_eq!(items.iter().map(|item| item.id).collect::<Vec<_>>(), [ids.0, ids.1]);
    let facts = opened.opened.unwrap();
    let engine = facts.facts[0].engine.as_ref().unwrap();
    assert_eq!((engine.user_ttl_seconds, engine.cluster, engine.needs_target), (LIFE, 0, true));
    assert_eq!(facts.facts[1].target.as_ref().unwrap().type_name, "postgres");
    assert_eq!(facts.access_id, world.first.created.admin_access_id);

    let (lease, intended) = world.intend(&world.admin, ids).await;
    let ends = world.now().plus_seconds(LIFE);
    assert_eq!(intended.unwrap(), LeaseIntended { ends, ttl_seconds: LIFE });
    assert_eq!(world.leases().await[0].state, LeaseState::Intended);
    world.ask("", LeaseActivate { lease, handle: None, ends: None }).await.unwrap();
    let listed = &world.leases().await[0];
    assert_eq!((listed.id, listed.state, listed.ends), (lease, LeaseState::Active, ends));
    assert_eq!(world.recorded("get_dynamic_secret_value").len(), 1);

    let early = world.take_leases().await;
    assert_eq!((early.work.len(), early.next_due_millis), (0, Some(LIFE * 1_000)));
    world.clock.advance_seconds(LIFE);
    let taken = world.take_leases().await;
    let [work] = taken.work.as_slice() else { panic!("{taken:?}") };
    assert_eq!((work.lease, work.attempt, work.means), (lease, 1, 0));
    let [means] = taken.opened.as_slice() else { panic!("{taken:?}") };
    assert_eq!(means.items.iter().map(|item| item.id).collect::<Vec<_>>(), [ids.0, ids.1]);
    assert_eq!(means.facts[0].engine.as_ref().unwrap().engine, "postgresql");
    let [signed] = taken.permits.as_slice() else { panic!("{taken:?}") };
    let permit = permit(signed);
    assert_eq!((permit.op, permit.gateway_spki_sha256), (Op::Read, GATEWAY.spki_sha256));
    let items: Vec<_> = permit.entries.iter().map(|entry| entry.item_id).collect();
    assert_eq!(items, [means.items[0].uid, means.items[1].uid]);
    let record = &world.recorded("take_temporary_credentials")[0];
    assert_eq!(permit.audit_seq, record.seq, "the permit says what explains it");

    world.report(&taken, None).await;
    assert!(world.leases().await.is_empty());
    let record = &world.recorded("remove_temporary_credential")[0];
    let told = |name: &str| record.draft.params.iter().any(|param| param.name() == name);
    assert!(told("tmp_creds_id") && told("item_name") && told("user") && !told("error"));
    assert_eq!(record.draft.access_id.as_ref(), Some(&world.first.created.admin_access_id));
    assert_eq!(world.take_leases().await.next_due_millis, None);
}

#[tokio::test]
async fn an_intent_that_nobody_activates_is_removed_twice() {
    let world = World::new().await;
    let ids = world.database().await;
    let (lease, intended) = world.intend(&world.admin, ids).await;
    intended.unwrap();
    world.clock.advance_seconds(INTENT_SECONDS - 1);
    assert!(world.take_leases().await.work.is_empty());
    world.clock.advance_seconds(1);
    let taken = world.take_leases().await;
    assert_eq!(taken.work.len(), 1);
    let late = world.ask("", LeaseActivate { lease, handle: None, ends: None }).await;
    assert_eq!(kind(late), FaultKind::Conflict);
    world.report(&taken, None).await;
    assert_eq!(world.leases().await.len(), 1, "its gateway may have been frozen, not dead");
    world.clock.advance_seconds(AGAIN_SECONDS);
    let again = world.take_leases().await;
    world.report(&again, None).await;
    assert!(world.leases().await.is_empty());
    let gone = world.ask("", LeaseActivate { lease, handle: None, ends: None }).await;
    assert_eq!(kind(gone), FaultKind::NotFound);
}

#[tokio::test]
async fn what_was_not_made_is_forgotten_and_what_may_be_left_is_removed() {
    let world = World::new().await;
    let ids = world.database().await;
    let (untouched, _) = world.intend(&world.admin, ids).await;
    world.ask("", LeaseAbandon { lease: untouched, touched: false, late: false }).await.unwrap();
    assert!(world.leases().await.is_empty());
    let (touched, _) = world.intend(&world.admin, ids).await;
    world.ask("", LeaseAbandon { lease: touched, touched: true, late: false }).await.unwrap();
    let taken = world.take_leases().await;
    assert_eq!(taken.work.iter().map(|work| work.lease).collect::<Vec<_>>(), [touched]);
    world.report(&taken, None).await;
    assert!(world.leases().await.is_empty());
    // Made, but nobody got it: it is removed, whatever the gateway says of the target.
    let unanswered = world.lease(ids).await;
    world.ask("", LeaseAbandon { lease: unanswered, touched: false, late: false }).await.unwrap();
    assert_eq!(world.take_leases().await.work.len(), 1);
    world.ask("", LeaseAbandon { lease: Uid([1; 16]), touched: true, late: false }).await.unwrap();
}

#[tokio::test]
async fn a_credential_is_prolonged_as_long_as_it_lives_and_within_bounds() {
    let world = World::new().await;
    let ids = world.database().await;
    let lease = world.lease(ids).await;
    let extend = |ttl_seconds| LeaseExtend { item: item(SECRET), lease, ttl_seconds };
    world.clock.advance_seconds(LIFE - 1);
    world.ask(&world.admin, extend(60)).await.unwrap();
    assert_eq!(world.leases().await[0].ends, world.now().plus_seconds(60));
    world.ask(&world.admin, extend(10 * LIFE)).await.unwrap();
    assert_eq!(world.leases().await[0].ends, world.now().plus_seconds(LIFE), "as a new one");
    for wrong in [0, -1, i64::MIN, i64::MAX] {
        assert_eq!(kind(world.ask(&world.admin, extend(wrong)).await), FaultKind::BadRequest);
    }
    let settings = |settings: &mut keysherd_domain::account::AccountSettings| {
        let mut set = |name: &str, value: &str| {
            settings.stored_only.insert(name.to_owned(), value.to_owned());
        };
        set("dynamic-secret-max-ttl-enable", "true");
        set("dynamic-secret-max-ttl", "10");
    };
    world.settings(None, settings).await;
    world.ask(&world.admin, extend(LIFE)).await.unwrap();
    assert_eq!(world.leases().await[0].ends, world.now().plus_seconds(600));
    let (_, intended) = world.intend(&world.admin, ids).await;
    assert_eq!(intended.unwrap().ttl_seconds, 600);
    world.clock.advance_seconds(600);
    assert_eq!(kind(world.ask(&world.admin, extend(60)).await), FaultKind::Conflict);
    assert_eq!(world.take_leases().await.work.len(), 2);
    assert_eq!(kind(world.ask(&world.admin, extend(60)).await), FaultKind::Conflict);
}

#[tokio::test]
async fn one_or_all_are_revoked_or_forgotten() {
    let world = World::new().await;
    let ids = world.database().await;
    let leases = [world.lease(ids).await, world.lease(ids).await, world.lease(ids).await];
    assert_eq!(world.end_leases(LeaseChoice::One(leases[0]), false).await.unwrap(), 1);
    let taken = world.take_leases().await;
    assert_eq!(taken.work.iter().map(|work| work.lease).collect::<Vec<_>>(), [leases[0]]);
    // Asked for again, it is handed out again at once.
    assert_eq!(world.end_leases(LeaseChoice::All, false).await.unwrap(), 3);
    assert_eq!(world.take_leases().await.work.len(), 3);
    assert_eq!(world.end_leases(LeaseChoice::One(leases[1]), true).await.unwrap(), 1);
    assert_eq!(world.leases().await.len(), 2);
    assert_eq!(world.end_leases(LeaseChoice::All, true).await.unwrap(), 2);
    assert!(world.leases().await.is_empty());
    assert_eq!(
        kind(world.end_leases(LeaseChoice::One(leases[1]), true).await),
        FaultKind::NotFound
    );
    assert_eq!(world.end_leases(LeaseChoice::All, false).await.unwrap(), 0);
    world.clock.advance_seconds(work_seconds(1));
    assert!(world.take_leases().await.work.is_empty(), "nobody touches what is forgotten");
}
