//! What may be kept, what ends it, and how what was answered with it comes into the log.

mod journals;

use std::sync::Arc;
use std::time::Duration;

use keysherd_audit::Record;
use keysherd_base::{AccountId, FaultKind, Timestamp, Uid};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::RuleKind;
use keysherd_plane::auth::RevokeToken;
use keysherd_plane::auth_methods::MethodDelete;
use keysherd_plane::cache::{
    ChangesReply, ChangesWait, JournalPut, JournaledRead, Keep, READS_PER_PUT_MAX, Receipt,
};
use keysherd_plane::grants::{Grant, GrantedTo, ItemRef, Keeping, VersionWish, Wish};
use keysherd_plane::roles::{RoleDelete, RuleDelete, RuleSet};
use keysherd_plane::{Ask, Caller};

use crate::GatewayIdentity;
use crate::items::testing::rules;
use crate::testing::{STRANGER, World, client, item, kind, rule};

const HERE: GatewayIdentity = GatewayIdentity { spki_sha256: [7; 32] };
const THERE: GatewayIdentity = GatewayIdentity { spki_sha256: [8; 32] };

impl World {
    async fn through<A: Ask>(
        &self,
        gateway: GatewayIdentity,
        caller: Caller,
        message: A,
    ) -> Result<A::Reply, keysherd_base::Fault> {
        self.control.plane_for(gateway).ask(caller, message).await
    }

    /// A read that may be kept.
    async fn kept(&self, token: &str, paths: &[&str]) -> GrantedTo {
        let items = paths.iter().map(|path| ItemRef::Path(item(path))).collect();
        let wish = Wish::Read { items, version: VersionWish::Latest };
        let wishes = vec![(self.caller(token), wish)];
        let message = Grant { wishes, with_permit: false, keep: Keeping::Answered };
        let reply = self.through(HERE, self.caller(""), message).await.unwrap();
        reply.outcomes.into_iter().next().unwrap().unwrap()
    }

    async fn keep(&self, token: &str, path: &str) -> Keep {
        self.kept(token, &[path]).await.keep.unwrap()
    }

    /// What `gateway` hears when it knows `number` changes.
    async fn heard(&self, gateway: GatewayIdentity, number: u64) -> ChangesReply {
        let source = self.control.changes.source();
        let message = ChangesWait { source, known: number, wait_millis: 0 };
        self.through(gateway, self.caller(""), message).await.unwrap()
    }

    /// Whether what is kept has ended, as far as the gateway can hear.
    async fn has_ended(&self, keep: &Keep) -> bool {
        let ended = self.heard(HERE, keep.number).await.ended.unwrap();
        ended.iter().any(|tie| keep.ties.contains(tie))
    }

    async fn bring(
        &self,
        gateway: GatewayIdentity,
        message: JournalPut,
    ) -> Result<u64, keysherd_base::Fault> {
        Ok(self.through(gateway, self.caller(""), message).await?.taken)
    }

    /// Of these reads, how many are in no log.
    async fn unproven(&self, message: JournalPut) -> u32 {
        self.through(HERE, self.caller(""), message).await.unwrap().unproven
    }

    /// The records that come from journals.
    fn journaled(&self) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| record.draft.component == "gateway/cache");
        records
    }
}

/// Reads of one receipt with these request numbers.
fn journal(first: u64, receipt: &Receipt, requests: &[u8], sent: Timestamp) -> JournalPut {
    let read = |request: &u8| JournaledRead {
        receipt: 0,
        at: sent,
        request: Uid([*request; 16]),
        offline: false,
    };
    let reads = requests.iter().map(read).collect();
    let receipts = vec![receipt.clone()];
    JournalPut { journal: Uid([5; 16]), first, sent, receipts, reads, finished: false }
}

fn param<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.draft.params.iter().find(|param| param.name() == name)?.value()
}

async fn world() -> (World, String) {
    let world = World::new().await;
    world.secrets(&["/a/one", "/a/two", "/b/one"]).await;
    let user = world.user("user", &rules(&["/a/* read,list"])).await;
    (world, user)
}

#[tokio::test]
async fn every_change_that_may_end_a_decision_is_heard_and_no_other() {
    let (world, user) = world().await;
    let other = world.user("other", &rules(&["/b/* read"])).await;
    let keep = world.keep(&user, "/a/one").await;
    assert!(!world.has_ended(&keep).await, "nothing has happened");
    world.put(&world.admin, "/a/two", None).await.unwrap();
    assert!(!world.has_ended(&keep).await, "another item");
    world.ask(&other, RevokeToken).await.unwrap();
    assert!(!world.has_ended(&keep).await, "another token");
    world.put(&world.admin, "/a/one", None).await.unwrap();
    assert!(world.has_ended(&keep).await, "a new value");
    let keep = world.keep(&user, "/a/one").await;
    let set = rule(RuleKind::Item, "/a/*", "list");
    world.ask(&world.admin, RuleSet { role: item("/roles/user"), rule: set }).await.unwrap();
    assert!(world.has_ended(&keep).await, "a changed rule");
    let set = rule(RuleKind::Item, "/a/*", "read,list");
    world.ask(&world.admin, RuleSet { role: item("/roles/user"), rule: set }).await.unwrap();
    let keep = world.keep(&user, "/a/one").await;
    let remove =
        RuleDelete { role: item("/roles/user"), kind: RuleKind::Item, path: "/a/*".to_owned() };
    world.ask(&world.admin, remove).await.unwrap();
    assert!(world.has_ended(&keep).await, "a rule that is gone");
    let again = world.user("again", &rules(&["/a/* read,list"])).await;
    let keep = world.keep(&again, "/a/one").await;
    world.ask(&again, RevokeToken).await.unwrap();
    assert!(world.has_ended(&keep).await, "the token");
    let third = world.user("third", &rules(&["/a/* read,list"])).await;
    let keep = world.keep(&third, "/a/one").await;
    world.ask(&world.admin, RoleDelete { path: item("/roles/third") }).await.unwrap();
    assert!(world.has_ended(&keep).await, "the role");
    world.associate("/roles/again", "/users/third", SubClaims::default()).await;
    let keep = world.keep(&third, "/a/one").await;
    world.ask(&world.admin, MethodDelete { path: item("/users/third") }).await.unwrap();
    assert!(world.has_ended(&keep).await, "the auth method");
}

#[tokio::test]
async fn a_question_is_held_until_there_is_news_for_that_gateway() {
    let (world, user) = world().await;
    let keep = world.keep(&user, "/a/one").await;
    let source = keep.source;
    let ask = |gateway, wait_millis| {
        let plane = world.control.plane_for(gateway);
        let message = ChangesWait { source, known: keep.number, wait_millis };
        let caller = world.caller("");
        tokio::spawn(async move { plane.ask(caller, message).await.unwrap() })
    };
    let (here, there) = (ask(HERE, 60_000), ask(THERE, 200));
    world.put(&world.admin, "/a/one", None).await.unwrap();
    let here = tokio::time::timeout(Duration::from_secs(30), here).await.unwrap().unwrap();
    assert!(here.ended.unwrap().iter().any(|tie| keep.ties.contains(tie)));
    assert!(here.newest > keep.number);
    let there = there.await.unwrap();
    assert_eq!(there.ended, Some(Vec::new()), "it keeps nothing of this account");
    assert!(there.held_millis >= 200, "{}", there.held_millis);
}

#[tokio::test]
async fn whoever_knows_another_process_or_the_future_forgets_everything() {
    let (world, user) = world().await;
    let keep = world.keep(&user, "/a/one").await;
    assert_eq!(world.heard(HERE, keep.number + 9).await.ended, None);
    let other = ChangesWait { source: Uid([9; 16]), known: 0, wait_millis: 60_000 };
    assert_eq!(world.through(HERE, world.caller(""), other).await.unwrap().ended, None);
    let world = world.restarted();
    assert_ne!(world.control.changes.source(), keep.source);
    let stranger = ChangesWait { source: Uid::default(), known: 0, wait_millis: 0 };
    let refused = world.through(STRANGER, world.caller(""), stranger).await;
    assert_eq!(kind(refused), FaultKind::Forbidden);
}

#[tokio::test]
async fn a_decision_lasts_no_longer_than_token_rule_and_method() {
    let (world, user) = world().await;
    let hour = 3_600_000;
    let keep = world.keep(&user, "/a/one").await;
    assert!(keep.good_millis <= 24 * hour, "{}", keep.good_millis);
    let mut soon = rule(RuleKind::Item, "/a/*", "read,list");
    soon.expires = Some(Timestamp(world.now().0 + 90_000));
    world.ask(&world.admin, RuleSet { role: item("/roles/user"), rule: soon }).await.unwrap();
    assert_eq!(world.keep(&user, "/a/one").await.good_millis, 90_000);
    world.clock.advance_seconds(60);
    assert_eq!(world.keep(&user, "/a/one").await.good_millis, 30_000);
    let many: Vec<String> = (0..65).map(|number| format!("/m/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.secrets(&many).await;
    assert!(world.kept(&world.admin, &many).await.keep.is_none(), "too many items");
    assert!(world.kept(&world.admin, &many[..64]).await.keep.is_some());
}

/// Whoever has long names around what is to be read unseen: the receipt would be longer than what
/// control opens again, and no repetition in the log.
#[tokio::test]
async fn every_receipt_that_is_handed_out_proves_its_reads() {
    let world = World::new().await;
    let long = |number: usize| {
        let segment = |fill: &str| format!("/{number:03}{}", fill.repeat(252));
        ["a", "b", "c", "d"].map(segment).concat()
    };
    let paths: Vec<String> = (0..64).map(long).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_eq!(paths[0].len(), 1_024);
    world.secrets(&paths).await;
    assert!(world.kept(&world.admin, &paths).await.keep.is_none());
    let mut handed_out = 0;
    for count in [1, 2, 40, 60, 61, 62, 63] {
        let Some(keep) = world.kept(&world.admin, &paths[..count]).await.keep else { continue };
        handed_out = handed_out.max(count);
        let mut message = journal(1, &keep.receipt, &[1], world.now());
        message.journal = keep.source;
        message.journal.0[0] = u8::try_from(count).unwrap();
        assert_eq!(world.unproven(message).await, 0, "{count}");
        let record = world.journaled().pop().unwrap();
        let named = record.draft.params.iter().filter(|param| param.name() == "item_name").count();
        assert_eq!(named, count);
    }
    assert!(handed_out >= 60, "{handed_out}");
}

/// Whoever sees ties, such as a gateway of many accounts, cannot try names with them.
#[tokio::test]
async fn ties_are_of_one_process_and_tell_no_names() {
    let (world, user) = world().await;
    let one = world.keep(&user, "/a/one").await.ties;
    assert_eq!(world.keep(&user, "/a/one").await.ties, one);
    let world = world.restarted();
    let two = world.keep(&user, "/a/one").await.ties;
    assert!(one.iter().all(|tie| !two.contains(tie)));
}

#[tokio::test]
async fn a_decision_that_a_change_has_overtaken_is_kept_by_no_second_grant() {
    let (world, _) = world().await;
    let changes = &world.control.changes;
    let account = AccountId(Uid([3; 16]));
    let before = changes.newest();
    changes.end(account, [[1; 16]]);
    let after = changes.newest();
    assert!(changes.kept_at(&HERE, account, after));
    // Answers up to here were without this account's changes, so nobody heard of that one.
    assert!(!changes.kept_at(&HERE, account, before));
    assert!(changes.kept_at(&HERE, account, after));
    // What comes now is heard of.
    changes.end(account, [[2; 16]]);
    assert!(changes.kept_at(&HERE, account, after));
    assert!(!changes.kept_at(&HERE, account, before));
}

#[tokio::test]
async fn reads_of_a_journal_are_recorded_once_each_as_control_granted_them() {
    let (world, user) = world().await;
    let receipt = world.keep(&user, "/a/one").await.receipt;
    let granted = world.records().pop().unwrap();
    world.clock.advance_seconds(30);
    let mut first = journal(1, &receipt, &[1, 2], world.now());
    first.reads[1].offline = true;
    first.reads[0].at = Timestamp(world.now().0 - 20_000);
    assert_eq!(world.bring(HERE, first.clone()).await.unwrap(), 2);
    let records = world.journaled();
    assert_eq!(records.len(), 2);
    let (one, draft) = (&records[0], &granted.draft);
    assert_eq!(one.status, 200);
    assert_eq!(one.draft.action, draft.action);
    assert_eq!(one.draft.access_id, draft.access_id);
    assert_eq!(one.draft.unique_id, draft.unique_id);
    assert_eq!(one.draft.access_type, draft.access_type);
    assert_eq!(one.draft.item_type, draft.item_type);
    assert_eq!(one.draft.command, draft.command);
    assert_eq!(one.draft.client_address, draft.client_address);
    assert_eq!(one.draft.client_type, draft.client_type);
    assert_eq!(one.draft.request, Uid([1; 16]));
    assert_eq!(one.draft.received, Timestamp(world.now().0 - 20_000));
    assert_eq!(param(one, "item_name"), Some("/a/one"));
    assert_eq!(param(one, "gateway"), Some(hex::encode([7; 32]).as_str()));
    assert!(param(one, "journal").unwrap().ends_with(":1"));
    assert_eq!(param(one, "outside_of_grant"), None);
    assert_eq!((param(one, "offline"), param(&records[1], "offline")), (None, Some("true")));
    // Brought again, with more: the answer to the first message was lost.
    assert_eq!(world.bring(HERE, first).await.unwrap(), 2);
    assert_eq!(world.bring(HERE, journal(1, &receipt, &[1, 2, 3], world.now())).await.unwrap(), 3);
    assert_eq!(world.bring(HERE, journal(4, &receipt, &[4], world.now())).await.unwrap(), 4);
    let requests: Vec<u8> =
        world.journaled().iter().map(|record| record.draft.request.0[0]).collect();
    assert_eq!(requests, [1, 2, 3, 4]);
    let world = world.restarted();
    assert_eq!(world.bring(HERE, journal(3, &receipt, &[3, 4], world.now())).await.unwrap(), 4);
    assert_eq!(world.journaled().len(), 4, "also after a restart");
}

#[tokio::test]
async fn a_gateway_that_brings_the_same_from_everywhere_at_once_is_recorded_once() {
    let (world, user) = world().await;
    let receipt = world.keep(&user, "/a/one").await.receipt;
    let world = Arc::new(world);
    let bring = |world: &Arc<World>| {
        let (world, message) = (world.clone(), journal(1, &receipt, &[1, 2, 3], world.now()));
        tokio::spawn(async move { world.bring(HERE, message).await.unwrap() })
    };
    let tasks: Vec<_> = (0..8).map(|_| bring(&world)).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 3);
    }
    assert_eq!(world.journaled().len(), 3);
}

#[tokio::test]
async fn a_gateway_invents_nothing_and_what_is_odd_is_marked() {
    let (world, user) = world().await;
    let receipt = world.keep(&user, "/a/one").await.receipt;
    let now = world.now();
    // Not ours, or changed.
    let mut forged = receipt.bytes.to_vec();
    forged[40] ^= 1;
    for bytes in [forged, vec![1; 300], Vec::new()] {
        let mut message = journal(1, &Receipt { bytes: bytes.into() }, &[1], now);
        message.journal = Uid::random(&keysherd_crypto::random::SystemRng).unwrap();
        assert_eq!(world.unproven(message.clone()).await, 1, "the gateway is told");
        assert_eq!(world.bring(HERE, message.clone()).await.unwrap(), 1);
        assert_eq!(world.unproven(message).await, 0, "once");
    }
    let mut message = journal(1, &receipt, &[1], now);
    message.reads[0].receipt = 9;
    message.journal = Uid([6; 16]);
    assert_eq!(world.bring(HERE, message).await.unwrap(), 1);
    assert!(world.journaled().is_empty());
    // A hole, another gateway's journal, too much.
    assert_eq!(kind(world.bring(HERE, journal(2, &receipt, &[1], now)).await), FaultKind::Conflict);
    world.bring(HERE, journal(1, &receipt, &[1], now)).await.unwrap();
    let theirs = world.bring(THERE, journal(2, &receipt, &[2], now)).await;
    assert_eq!(kind(theirs), FaultKind::Forbidden);
    let many = journal(2, &receipt, &[7; READS_PER_PUT_MAX + 1], now);
    assert_eq!(kind(world.bring(HERE, many).await), FaultKind::BadRequest);
    assert_eq!(world.journaled().len(), 1);
    // Another gateway brings what was granted through the first one, at a strange time.
    let mut message = journal(1, &receipt, &[3], now);
    message.journal = Uid([8; 16]);
    message.reads[0].at = Timestamp(now.0 - 3_600_000);
    world.bring(THERE, message).await.unwrap();
    let record = world.journaled().pop().unwrap();
    assert_eq!(param(&record, "gateway"), Some(hex::encode([7; 32]).as_str()));
    assert_eq!(param(&record, "brought_by"), Some(hex::encode([8; 32]).as_str()));
    assert_eq!(param(&record, "outside_of_grant"), Some("true"));
    // The future is now.
    let mut message = journal(1, &receipt, &[4], now);
    message.journal = Uid([9; 16]);
    message.reads[0].at = Timestamp(now.0 + 3_600_000);
    world.bring(HERE, message).await.unwrap();
    assert_eq!(world.journaled().pop().unwrap().draft.received, now);
}

#[tokio::test]
async fn a_read_as_another_client_has_another_receipt() {
    let (world, user) = world().await;
    let wish =
        Wish::Read { items: vec![ItemRef::Path(item("/a/one"))], version: VersionWish::Latest };
    let mut caller = world.caller(&user);
    caller.client = client("2001:db8::7", "terraform");
    let message =
        Grant { wishes: vec![(caller, wish)], with_permit: false, keep: Keeping::Answered };
    let reply = world.through(HERE, world.caller(""), message).await.unwrap();
    let keep = reply.outcomes.into_iter().next().unwrap().unwrap().keep.unwrap();
    world.bring(HERE, journal(1, &keep.receipt, &[1], world.now())).await.unwrap();
    let record = world.journaled().pop().unwrap();
    assert_eq!(&*record.draft.client_type, "terraform");
    assert_eq!(record.draft.client_address, Some("2001:db8::7".parse().unwrap()));
}

#[tokio::test]
async fn what_another_node_of_control_changes_is_heard_too() {
    let (mut world, user) = world().await;
    let keep = world.keep(&user, "/a/one").await;
    let mut other = world.another_node();
    std::mem::swap(&mut world.control, &mut other);
    world.put(&world.admin, "/a/one", None).await.unwrap();
    std::mem::swap(&mut world.control, &mut other);
    assert!(world.has_ended(&keep).await);
    // Whoever cannot be told what changed forgets everything.
    let keep = world.keep(&user, "/a/one").await;
    world.control.followed.lose_place();
    assert_eq!(world.heard(HERE, keep.number).await.ended, None);
}
