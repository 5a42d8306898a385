//! Reads that the gateway answers without control: when they are, when not, and that each is in
//! the audit log.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use keysherd_gateway::CacheSettings;
use keysherd_plane::cache::JournalPutReply;
use keysherd_plane::grants::GrantReply;
use keysherd_plane::{GatewayReply, GatewayRequest, ItemReply, Reply, Request};
use keysherd_store::audit;
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::{create, read};

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn rig() -> Rig {
    let cache = CacheSettings { enabled: true, ttl_seconds: 3_600, items_max: 1_000 };
    Rig::new(Settings { cache, ..Settings::default() }).await
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

/// The request ids of reads in the audit log: of those that control granted, and of journals.
fn recorded(rig: &Rig) -> (usize, usize) {
    let stored = rig.store.read(|reader| audit::records(reader, rig.account, 0, 10_000)).unwrap();
    let records = stored.iter().map(|record| record.parse().unwrap());
    let reads = records.filter(|record| record.draft.action == "get_secret_value");
    let (journals, granted): (Vec<_>, Vec<_>) =
        reads.partition(|record| record.draft.component == "gateway/cache");
    let requests: BTreeSet<_> = journals.iter().map(|record| record.draft.request).collect();
    assert_eq!(requests.len(), journals.len(), "a read was recorded twice from a journal");
    (granted.len(), journals.len())
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
    let wrong = || Reply::Gateways(GatewayReply::JournalPut(JournalPutReply { taken: 0 }));
    rig.plane.tamper(move |request, reply| {
        if matches!(request, Request::Gateways(GatewayRequest::ChangesWait(_))) {
            *reply = wrong();
        }
    });
    until("the gateway believes itself coherent", || !rig.gateway.health().cache.unwrap().coherent)
        .await;
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
