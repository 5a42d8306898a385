//! Reads that the gateway answers without control: when they are, when not, and that each is in
//! the audit log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keysherd_api::CachePolicy;
use keysherd_base::{Clock as _, Timestamp, Uid};
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::order::{FreezeScope, OrderAction, OwnerOrder};
use keysherd_gateway::CacheSettings;
use keysherd_plane::cache::JournalPutReply;
use keysherd_plane::grants::GrantReply;
use keysherd_plane::{GatewayReply, GatewayRequest, ItemReply, Reply, Request};
use keysherd_store::{audit, gateway_journals};
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::{create, read};

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const CACHE: CacheSettings = CacheSettings {
    policy: CachePolicy {
        enabled: true,
        ttl_minutes: 60,
        proactive: false,
        fetch_minutes: 5,
        backup_minutes: 1,
    },
    items_max: 1_000,
    workers: 3,
};

async fn rig() -> Rig {
    Rig::new(Settings { cache: CACHE, key_cache_seconds: 60, ..Settings::default() }).await
}

/// One where decisions are good for an hour, as most owners have it.
async fn rig_of_an_hour() -> Rig {
    let mut rig = rig().await;
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 3_600).await;
    rig
}

/// An order of the owner that freezes all keys.
fn freeze(rig: &Rig) -> Vec<u8> {
    let issued_at = rig.clock.now();
    let order = OwnerOrder {
        deployment: rig.bundle().bundle().deployment,
        order_id: Uid([4; 16]),
        issued_at,
        expires_at: issued_at.plus_seconds(3_600),
        action: OrderAction::Freeze { scope: FreezeScope::Group("default".to_owned()) },
    };
    order.seal(&rig.owner).to_bytes()
}

fn is_coherent(rig: &Rig) -> bool {
    rig.gateway.health().cache.unwrap().coherent
}

/// A minute and a second later, and control was heard of since.
async fn a_minute_later(rig: &Rig) {
    rig.clock.advance_seconds(61);
    until("control is not heard of", || is_coherent(rig)).await;
}

async fn update(rig: &Rig, value: &str) {
    rig.call("update-secret-val", json!({"name": "/a", "value": value})).await.unwrap();
}

/// Reads once; the value, and whether control was asked.
async fn look(rig: &Rig) -> (String, bool) {
    rig.plane.take_asked();
    let value = read(rig, "/a").await.unwrap();
    (value, rig.plane.take_asked().contains(&"Grant"))
}

/// Reads until control is not asked any more.
async fn until_kept(rig: &Rig) -> String {
    let begun = Instant::now();
    loop {
        if let (value, false) = look(rig).await {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "control is asked again and again");
    }
}

/// The reads in the audit log: how many control granted, and the requests from journals.
fn reads(rig: &Rig) -> (usize, Vec<Uid>) {
    let stored = rig.store.read(|reader| audit::records(reader, rig.account, 0, 10_000)).unwrap();
    let records = stored.iter().map(|record| record.parse().unwrap());
    let reads = records.filter(|record| record.draft.action == "get_secret_value");
    let (journals, granted): (Vec<_>, Vec<_>) =
        reads.partition(|record| record.draft.component == "gateway/cache");
    (granted.len(), journals.iter().map(|record| record.draft.request).collect())
}

/// How many reads are in the audit log: that control granted, and from journals, once each.
fn recorded(rig: &Rig) -> (usize, usize) {
    let (granted, journals) = reads(rig);
    let requests: BTreeSet<_> = journals.iter().collect();
    assert_eq!(requests.len(), journals.len(), "a read was recorded twice from a journal");
    (granted, journals.len())
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_read_is_repeated_without_control_and_each_is_recorded() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    let (before, _) = recorded(&rig);
    let (mut asked, mut kept) = (0, 0);
    let begun = Instant::now();
    while kept < 20 {
        let (value, was_asked) = look(&rig).await;
        assert_eq!(value, "one");
        if was_asked {
            asked += 1
        } else {
            kept += 1
        }
        assert!(begun.elapsed() < PATIENCE, "{asked} of {kept} reads asked control");
    }
    // One that was written down when the lease ended was answered by control all the same.
    until("a record is missing", || {
        let (granted, journaled) = recorded(&rig);
        granted == before + asked && (kept..=kept + asked).contains(&journaled)
    })
    .await;
    let health = rig.gateway.health().cache.unwrap();
    assert_eq!(health.hits, u64::try_from(kept).unwrap());
    assert_eq!(health.entries, 1);
}

#[tokio::test]
async fn what_is_written_here_is_read_here_at_once() {
    let rig = rig().await;
    create(&rig, "/a", "0").await.unwrap();
    for number in 1..40 {
        if number % 3 == 0 {
            until_kept(&rig).await;
        }
        let value = number.to_string();
        update(&rig, &value).await;
        assert_eq!(read(&rig, "/a").await.unwrap(), value);
        assert_eq!(read(&rig, "/a").await.unwrap(), value);
    }
    until_kept(&rig).await;
    rig.call("delete-item", json!({"name": "/a"})).await.unwrap();
    read(&rig, "/a").await.unwrap_err();
}

#[tokio::test]
async fn what_another_gateway_changes_is_heard() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    assert_eq!(until_kept(&rig).await, "one");
    let other = rig.another_gateway();
    let change = json!({"name": "/a", "value": "two"});
    rig.call_at(&other, "update-secret-val", change).await.unwrap();
    let begun = Instant::now();
    while read(&rig, "/a").await.unwrap() != "two" {
        assert!(begun.elapsed() < PATIENCE, "the old value is served on");
    }
    assert_eq!(until_kept(&rig).await, "two");
    rig.call_at(&other, "set-item-state", json!({"name": "/a", "desired-state": "Disabled"}))
        .await
        .unwrap();
    let begun = Instant::now();
    while read(&rig, "/a").await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "a disabled item is served on");
    }
}

#[tokio::test]
async fn whoever_wants_control_to_be_asked_is_obeyed() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    until_kept(&rig).await;
    rig.plane.take_asked();
    let args = json!({"names": ["/a"], "ignore-cache": "true"});
    for _ in 0..5 {
        rig.call("get-secret-value", args.clone()).await.unwrap();
        assert!(rig.plane.take_asked().contains(&"Grant"));
    }
}

#[tokio::test]
async fn a_control_that_is_silent_ends_everything_within_the_lease() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    until_kept(&rig).await;
    // From now on no question is answered in a way that could be understood.
    let wrong = || {
        Reply::Gateways(GatewayReply::JournalPut(JournalPutReply {
            taken: 0,
            aside: Vec::new(),
            unproven: 0,
        }))
    };
    rig.plane.tamper(move |request, reply| {
        if matches!(request, Request::Gateways(GatewayRequest::ChangesWait(_))) {
            *reply = wrong();
        }
    });
    until("the gateway believes itself coherent", || !is_coherent(&rig)).await;
    for _ in 0..20 {
        assert!(look(&rig).await.1, "a read was answered without control");
    }
    rig.plane.be_honest();
    until_kept(&rig).await;
}

#[tokio::test]
async fn a_journal_whose_answers_are_lost_is_recorded_once() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    rig.plane.tamper(|request, reply| {
        if matches!(request, Request::Gateways(GatewayRequest::JournalPut(_))) {
            let nothing = GrantReply { outcomes: Vec::new(), permits: Vec::new() };
            *reply = Reply::Items(ItemReply::Grant(nothing));
        }
    });
    let (mut asked, mut kept) = (0, 0);
    while kept < 5 {
        if look(&rig).await.1 { asked += 1 } else { kept += 1 }
    }
    until("the journal was not brought", || recorded(&rig).1 >= 1).await;
    rig.plane.be_honest();
    rig.gateway.drain(PATIENCE).await;
    assert_eq!(rig.gateway.health().cache.unwrap().journal_bytes, 0);
    let journaled = recorded(&rig).1;
    assert!((kept..=kept + asked).contains(&journaled), "{journaled} of {kept}, {asked} asked");
}

#[tokio::test]
async fn what_is_kept_ends_with_its_time() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    until_kept(&rig).await;
    // The owner's bundle allows a minute.
    rig.clock.advance_seconds(61);
    assert!(look(&rig).await.1);
    // A clock that is set back gives nothing back.
    until_kept(&rig).await;
    rig.clock.advance_seconds(-30);
    assert!(look(&rig).await.1);
}

#[tokio::test]
async fn an_opened_key_lives_a_minute_however_long_the_decision_does() {
    let rig = rig_of_an_hour().await;
    create(&rig, "/a", "one").await.unwrap();
    for _ in 0..3 {
        until_kept(&rig).await;
        a_minute_later(&rig).await;
        let before = rig.derivations().iter().sum::<usize>();
        assert!(look(&rig).await.1, "control was not asked");
        assert!(rig.derivations().iter().sum::<usize>() > before, "no manager was asked");
    }
}

#[tokio::test]
async fn where_no_key_may_be_kept_every_read_asks() {
    let rig = Rig::new(Settings { cache: CACHE, ..Settings::default() }).await;
    create(&rig, "/a", "one").await.unwrap();
    until("nothing is kept", || is_coherent(&rig)).await;
    for _ in 0..20 {
        let before = rig.derivations().iter().sum::<usize>();
        assert!(look(&rig).await.1);
        assert!(rig.derivations().iter().sum::<usize>() > before, "no manager was asked");
    }
    assert_eq!(rig.gateway.health().cache.unwrap().hits, 0);
}

#[tokio::test]
async fn a_freeze_ends_what_is_kept_at_once_at_the_gateway_that_brings_it() {
    let rig = rig_of_an_hour().await;
    create(&rig, "/a", "one").await.unwrap();
    until_kept(&rig).await;
    // What managers refuse changes nothing.
    let mut forged = freeze(&rig);
    *forged.last_mut().unwrap() ^= 1;
    let said = rig.services.crypt.bring_order(&forged).await;
    assert!(said.is_err() || said.unwrap().iter().all(|manager| manager.said.is_err()));
    until_kept(&rig).await;
    let said = rig.services.crypt.bring_order(&freeze(&rig)).await.unwrap();
    assert!(said.iter().all(|manager| manager.said.is_ok()));
    for _ in 0..20 {
        read(&rig, "/a").await.unwrap_err();
    }
}

#[tokio::test]
async fn a_freeze_that_is_brought_elsewhere_ends_what_is_kept_within_a_minute() {
    let rig = rig_of_an_hour().await;
    create(&rig, "/a", "one").await.unwrap();
    until_kept(&rig).await;
    let other = rig.another_gateway();
    other.crypt.bring_order(&freeze(&rig)).await.unwrap();
    a_minute_later(&rig).await;
    for _ in 0..20 {
        read(&rig, "/a").await.unwrap_err();
    }
}

#[tokio::test]
async fn an_owner_who_allows_less_is_obeyed_by_what_is_kept_already() {
    let mut rig = rig_of_an_hour().await;
    create(&rig, "/a", "one").await.unwrap();
    until_kept(&rig).await;
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 0).await;
    for _ in 0..20 {
        let before = rig.derivations().iter().sum::<usize>();
        assert!(look(&rig).await.1, "control was not asked");
        assert!(rig.derivations().iter().sum::<usize>() > before, "no manager was asked");
    }
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 3_600).await;
    until_kept(&rig).await;
    rig.gateway.forget_keys();
    let before = rig.derivations().iter().sum::<usize>();
    assert!(look(&rig).await.1);
    assert!(rig.derivations().iter().sum::<usize>() > before, "a fragment that is gone");
}

/// As after a backup of control was restored, which is older than what the gateway brought.
#[tokio::test]
async fn a_journal_that_control_has_forgotten_is_brought_from_its_beginning() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    let mut kept = 0;
    while kept < 5 {
        kept += usize::from(!look(&rig).await.1);
    }
    until("a record is missing", || recorded(&rig).1 >= kept).await;
    rig.gateway.drain(PATIENCE).await;
    let forget = |tx: &keysherd_store::Tx| gateway_journals::forget(tx, Timestamp(i64::MAX));
    rig.store.commit(Vec::new(), forget).await.unwrap();
    let brought = kept;
    while kept < brought + 5 {
        kept += usize::from(!look(&rig).await.1);
    }
    // What was brought before is in this log twice, as nothing but the count was lost here.
    let distinct = || reads(&rig).1.into_iter().collect::<BTreeSet<_>>().len();
    until("the journal is stuck", || distinct() >= kept).await;
    rig.gateway.drain(PATIENCE).await;
    let health = rig.gateway.health().cache.unwrap();
    assert_eq!((health.journal_bytes, health.journals_refused, health.unproven), (0, 0, 0));
}

/// As after the gateway was given another key: only an operator can say what that means.
#[tokio::test]
async fn a_journal_that_control_refuses_is_named_and_stays() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    let mut kept = 0;
    while kept < 5 {
        kept += usize::from(!look(&rig).await.1);
    }
    until("a record is missing", || recorded(&rig).1 >= kept).await;
    rig.gateway.drain(PATIENCE).await;
    let name = std::fs::read_dir(rig.gateway_home().join("read-journal")).unwrap();
    let names = name.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let journals: Vec<Uid> =
        names.filter_map(|name| Uid::from_hex(name.strip_suffix(".reads")?)).collect();
    let (before, now) = (recorded(&rig), rig.clock.now());
    let theirs = move |tx: &keysherd_store::Tx| {
        gateway_journals::forget(tx, Timestamp(i64::MAX))?;
        journals.iter().try_for_each(|id| gateway_journals::put(tx, *id, &[9; 32], 1, now))
    };
    rig.store.commit(Vec::new(), theirs).await.unwrap();
    until_kept(&rig).await;
    until("nobody is told", || rig.gateway.health().cache.unwrap().journals_refused == 1).await;
    assert!(rig.gateway.health().cache.unwrap().journal_bytes > 0);
    assert_eq!(recorded(&rig).1, before.1);
}

/// The journals in a gateway's directory.
fn journals_in(home: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(home.join("read-journal")).into_iter().flatten();
    let paths = files.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "reads")).collect()
}

/// The log of their account is damaged: they wait for it to be in order again. A journal that
/// control has all of leaves nothing, neither here nor there.
#[tokio::test]
async fn reads_that_control_sets_aside_stay_on_disk_and_are_finished_later() {
    let rig = rig().await;
    create(&rig, "/a", "one").await.unwrap();
    rig.plane.tamper(|request, reply| {
        if let Request::Gateways(GatewayRequest::JournalPut(put)) = request
            && let Reply::Gateways(GatewayReply::JournalPut(reply)) = reply
        {
            reply.aside = (put.first..put.first + put.reads.len() as u64).collect();
        }
    });
    until_kept(&rig).await;
    until("nobody is told", || rig.gateway.health().cache.unwrap().journals_refused == 1).await;
    assert!(look(&rig).await.1, "control is to say what is wrong");
    let spki = rig.instance().public().spki_sha256();
    let known = || rig.store.read(|reader| gateway_journals::count_of(reader, &spki)).unwrap();
    let files = journals_in(&rig.gateway_home());
    assert_eq!((files.len(), known()), (1, 1));
    // A gateway that finds the file brings it to its end.
    rig.plane.be_honest();
    let home = rig.gateway_home().with_file_name("another-gateway");
    std::fs::create_dir_all(home.join("read-journal")).unwrap();
    let copy = home.join("read-journal").join(files[0].file_name().unwrap());
    std::fs::copy(&files[0], copy).unwrap();
    let _other = rig.another_gateway();
    until("it is not finished", || journals_in(&home).is_empty() && known() == 0).await;
}
