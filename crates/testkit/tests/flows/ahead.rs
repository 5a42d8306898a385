//! Reads that nobody waits for: what was read lately is read again, for as long as its client uses
//! it and control allows it, and all of them are in the audit log as what they are.

use std::time::{Duration, Instant};

use keysherd_api::{CachePolicy, OfflinePolicy};
use keysherd_base::Fault;
use keysherd_gateway::CacheSettings;
use keysherd_plane::grants::{ItemRef, Keeping, Wish};
use keysherd_plane::{ItemReply, ItemRequest, Reply, Request};
use keysherd_store::audit;
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::{create, read};

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A little longer than the time between two such reads.
const INTERVAL_SECONDS: i64 = 5 * 60 + 1;

/// Reads are read again after five minutes, if their client used them in the last twelve.
async fn rig(proactive: bool) -> Rig {
    let policy =
        CachePolicy { enabled: true, ttl_minutes: 12, proactive, ..CachePolicy::default() };
    let cache = CacheSettings { policy, items_max: 1_000, workers: 2 };
    let mut rig = Rig::new(Settings { cache, key_cache_seconds: 60, ..Settings::default() }).await;
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 3_600).await;
    for name in ["/a", "/b"] {
        create(&rig, name, "first").await.unwrap();
    }
    for name in ["/a", "/b"] {
        until_kept(&rig, name).await;
    }
    rig
}

/// Reads once; the value, and whether control was asked.
async fn look(rig: &Rig, name: &str) -> (String, bool) {
    let before = rig.gateway.health().cache.unwrap().hits;
    let value = read(rig, name).await.unwrap();
    (value, rig.gateway.health().cache.unwrap().hits == before)
}

async fn until_kept(rig: &Rig, name: &str) {
    let begun = Instant::now();
    while look(rig, name).await.1 {
        assert!(begun.elapsed() < PATIENCE, "control is asked again and again");
    }
}

/// How often this was read while nobody waited for it, and whether that was refused.
fn read_ahead(rig: &Rig, name: &str) -> Vec<bool> {
    let stored = rig.store.read(|reader| audit::records(reader, rig.account, 0, 10_000)).unwrap();
    let records = stored.iter().map(|record| record.parse().unwrap());
    let of_name = records.filter(|record| {
        let mut params = record.draft.params.iter();
        record.draft.component == "gateway/ahead"
            && params.any(|param| param.value().is_some_and(|value| value.contains(name)))
    });
    of_name.map(|record| record.status == 200).collect()
}

async fn until_read_ahead(rig: &Rig, name: &str, times: usize) {
    let begun = Instant::now();
    while read_ahead(rig, name).len() < times {
        assert!(begun.elapsed() < PATIENCE, "{name} is not read again: {times}");
        tokio::task::yield_now().await;
    }
}

/// Reads what is kept, which asks no managers. A machine that stands still for a moment loses the
/// lease, and asks control once more.
async fn answers_alone(rig: &Rig, name: &str) {
    let begun = Instant::now();
    loop {
        let before = rig.derivations();
        let (value, asked) = look(rig, name).await;
        assert_eq!(value, "first");
        if !asked {
            assert_eq!(rig.derivations(), before, "managers were asked for a client");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "control is asked each time");
    }
}

#[tokio::test]
async fn what_is_used_is_read_again_and_answers_with_neither_control_nor_managers() {
    let rig = rig(true).await;
    assert!(read_ahead(&rig, "/a").is_empty(), "too early");
    for round in 1..=3 {
        rig.clock.advance_seconds(INTERVAL_SECONDS);
        until_read_ahead(&rig, "/a", round).await;
        until_read_ahead(&rig, "/b", round).await;
        let begun = Instant::now();
        let health = || rig.gateway.health().cache.unwrap();
        while health().ahead < 2 * round as u64 || !health().coherent {
            assert!(begun.elapsed() < PATIENCE, "what was read is not kept");
            tokio::task::yield_now().await;
        }
        for name in ["/a", "/b"] {
            answers_alone(&rig, name).await;
        }
    }
    // So it is there when control goes, long after its client read it from control.
    let policy = OfflinePolicy { max_minutes: 30, paths: vec!["/*".to_owned()] };
    rig.gateway.allow_offline([((rig.account.0, rig.admin_access_id()), policy)].into());
    rig.plane.cut(true);
    rig.clock.advance_seconds(11 * 60);
    assert_eq!(read(&rig, "/a").await.unwrap(), "first");
}

#[tokio::test]
async fn what_nobody_uses_any_more_is_left_alone() {
    let rig = rig(true).await;
    for round in 1..=2 {
        rig.clock.advance_seconds(INTERVAL_SECONDS);
        until_read_ahead(&rig, "/a", round).await;
        until_read_ahead(&rig, "/b", round).await;
        until_kept(&rig, "/b").await;
    }
    // Fifteen minutes ago; the other one is used on.
    for round in 3..=5 {
        rig.clock.advance_seconds(INTERVAL_SECONDS);
        until_read_ahead(&rig, "/b", round).await;
        until_kept(&rig, "/b").await;
    }
    assert_eq!(read_ahead(&rig, "/a"), [true, true]);
}

#[tokio::test]
async fn a_value_that_changed_elsewhere_is_fetched_before_it_is_asked_for() {
    let rig = rig(true).await;
    let other = rig.another_gateway();
    let change = json!({"name": "/a", "value": "second"});
    rig.call_at(&other, "update-secret-val", change).await.unwrap();
    rig.clock.advance_seconds(INTERVAL_SECONDS);
    until_read_ahead(&rig, "/a", 1).await;
    assert_eq!(read(&rig, "/a").await.unwrap(), "second");
}

#[tokio::test]
async fn what_control_refuses_is_asked_for_once_and_never_again() {
    let rig = rig(true).await;
    let other = rig.another_gateway();
    let change = json!({"name": "/a", "desired-state": "Disabled"});
    rig.call_at(&other, "set-item-state", change).await.unwrap();
    for round in 1..=3 {
        rig.clock.advance_seconds(INTERVAL_SECONDS);
        until_read_ahead(&rig, "/b", round).await;
        until_kept(&rig, "/b").await;
    }
    assert_eq!(read_ahead(&rig, "/a"), [false]);
}

#[tokio::test]
async fn nothing_is_read_ahead_unless_it_is_wanted_so() {
    let rig = rig(false).await;
    rig.clock.advance_seconds(INTERVAL_SECONDS);
    until_kept(&rig, "/a").await;
    // Switched on by the account, from the next read on.
    let policy = CachePolicy { enabled: true, proactive: true, ..CachePolicy::default() };
    rig.gateway.cache_accounts_as([(rig.account.0, policy)].into());
    until_kept(&rig, "/b").await;
    rig.clock.advance_seconds(INTERVAL_SECONDS);
    until_read_ahead(&rig, "/b", 1).await;
    assert!(read_ahead(&rig, "/a").is_empty());
    // And off again: nothing is kept, or read.
    let off = CachePolicy { enabled: false, ..policy };
    rig.gateway.cache_accounts_as([(rig.account.0, off)].into());
    assert_eq!(rig.gateway.health().cache.unwrap().entries, 0);
    rig.plane.take_asked();
    read(&rig, "/b").await.unwrap();
    assert!(rig.plane.take_asked().contains(&"Grant"));
}

/// One of two calls that are under way fails: the other one is kept, and what comes after it.
#[tokio::test]
async fn a_call_that_fails_takes_no_other_one_with_it() {
    let rig = rig(true).await;
    rig.plane.tamper(|request, reply| {
        let (Request::Items(ItemRequest::Grant(request)), Reply::Items(ItemReply::Grant(reply))) =
            (request, reply)
        else {
            return;
        };
        for ((_, wish), outcome) in request.wishes.iter().zip(&mut reply.outcomes) {
            let is_a = matches!(wish, Wish::Read { items, .. } if items.iter().any(
                |item| matches!(item, ItemRef::Path(path) if path.as_str() == "/a")
            ));
            if is_a && request.keep == Keeping::Ahead {
                *outcome = Err(Fault::unavailable("its log is damaged"));
            }
        }
    });
    for round in 1..=2 {
        rig.clock.advance_seconds(INTERVAL_SECONDS);
        until_read_ahead(&rig, "/b", round).await;
        let begun = Instant::now();
        while rig.gateway.health().cache.unwrap().ahead < round as u64 {
            assert!(begun.elapsed() < PATIENCE, "what was read is not kept");
            tokio::task::yield_now().await;
        }
        until_kept(&rig, "/b").await;
    }
}

/// The owner's default: what is kept is over before it is due.
#[tokio::test]
async fn health_and_warnings_say_that_the_owner_lets_nothing_be_read_ahead() {
    let mut rig = rig(true).await;
    let too_late = |rig: &Rig| rig.gateway.health().cache.unwrap().ahead_too_late;
    assert!(!too_late(&rig));
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 60).await;
    assert!(too_late(&rig));
    until_kept(&rig, "/a").await;
    rig.clock.advance_seconds(INTERVAL_SECONDS);
    until_kept(&rig, "/a").await;
    assert_eq!(rig.gateway.health().cache.unwrap().ahead, 0);
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 301).await;
    assert!(!too_late(&rig));
}
