//! Reads while control is not reached: none, unless a policy allows them; never longer than the
//! token, and all of them in the audit log afterwards.

use std::time::{Duration, Instant};

use keysherd_api::{CachePolicy, OfflinePolicy};
use keysherd_base::FaultKind;
use keysherd_gateway::CacheSettings;
use keysherd_store::audit;
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::{create, read};

const PATIENCE: Duration = Duration::from_secs(60);
/// Several beats of the questions to control.
const SETTLED: Duration = Duration::from_millis(700);

/// A deployment where `/shop/a` and `/other` were read a moment ago.
async fn rig() -> Rig {
    let policy = CachePolicy { enabled: true, ttl_minutes: 120, ..CachePolicy::default() };
    let cache = CacheSettings { policy, items_max: 1_000, workers: 3 };
    let mut rig = Rig::new(Settings { cache, key_cache_seconds: 60, ..Settings::default() }).await;
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 7_200).await;
    for name in ["/shop/a", "/other"] {
        create(&rig, name, name).await.unwrap();
    }
    // What was decided before the last change here would have to be confirmed first.
    for name in ["/shop/a", "/other"] {
        until_kept(&rig, name).await;
    }
    rig
}

/// Reads until control is not asked any more.
pub(crate) async fn until_kept(rig: &Rig, name: &str) {
    let (begun, mut asked) = (Instant::now(), Instant::now());
    // What control has yet to tell of changes from before ends it once more.
    while asked.elapsed() < SETTLED {
        rig.plane.take_asked();
        read(rig, name).await.unwrap();
        if rig.plane.take_asked().contains(&"Grant") {
            asked = Instant::now();
        }
        assert!(begun.elapsed() < PATIENCE, "control is asked again and again");
    }
}

/// Cuts the way to control, and waits until the lease is over.
async fn cut(rig: &Rig) {
    rig.plane.cut(true);
    let begun = Instant::now();
    while rig.gateway.health().cache.unwrap().coherent {
        assert!(begun.elapsed() < PATIENCE, "the gateway believes itself coherent");
        tokio::task::yield_now().await;
    }
}

fn allow(rig: &Rig, max_minutes: u32) {
    let policy = OfflinePolicy { max_minutes, paths: vec!["/shop/*".to_owned()] };
    rig.gateway.allow_offline([((rig.account.0, rig.admin_access_id()), policy)].into());
}

async fn refused(rig: &Rig, name: &str) {
    assert_eq!(read(rig, name).await.unwrap_err().kind(), FaultKind::Unavailable, "{name}");
}

#[tokio::test]
async fn without_a_policy_nothing_is_read() {
    let rig = rig().await;
    cut(&rig).await;
    refused(&rig, "/shop/a").await;
    rig.plane.cut(false);
    read(&rig, "/shop/a").await.unwrap();
}

#[tokio::test]
async fn a_policy_allows_its_paths_for_its_time_and_each_read_is_recorded_as_such() {
    let rig = rig().await;
    allow(&rig, 30);
    cut(&rig).await;
    for _ in 0..3 {
        assert_eq!(read(&rig, "/shop/a").await.unwrap(), "/shop/a");
    }
    refused(&rig, "/other").await;
    let asked = json!({"names": ["/shop/a"], "ignore-cache": "true"});
    rig.call("get-secret-value", asked).await.unwrap_err();
    rig.call("update-secret-val", json!({"name": "/shop/a", "value": "x"})).await.unwrap_err();
    assert_eq!(read(&rig, "/shop/a").await.unwrap(), "/shop/a", "nothing was written");
    rig.clock.advance_seconds(29 * 60);
    assert_eq!(read(&rig, "/shop/a").await.unwrap(), "/shop/a");
    rig.clock.advance_seconds(2 * 60);
    refused(&rig, "/shop/a").await;
    assert_eq!(rig.gateway.health().cache.unwrap().offline, 5);
    rig.plane.cut(false);
    rig.gateway.drain(PATIENCE).await;
    let stored = rig.store.read(|reader| audit::records(reader, rig.account, 0, 10_000)).unwrap();
    let offline = stored.iter().map(|record| record.parse().unwrap()).filter(|record| {
        let mut params = record.draft.params.iter();
        params.any(|param| param.name() == "offline" && param.value() == Some("true"))
    });
    assert_eq!(offline.count(), 5);
}

/// Whoever keeps control busy, so that it is late to tell of changes, gets nothing read for it.
#[tokio::test]
async fn a_control_that_is_slow_to_tell_of_changes_is_asked_all_the_same() {
    let rig = rig().await;
    allow(&rig, 30);
    rig.plane.hold(Some("ChangesWait"));
    let other = rig.another_gateway();
    let change = json!({"name": "/shop/a", "desired-state": "Disabled"});
    rig.call_at(&other, "set-item-state", change).await.unwrap();
    rig.clock.advance_seconds(6);
    assert!(!rig.gateway.health().cache.unwrap().coherent);
    assert_ne!(read(&rig, "/shop/a").await.unwrap_err().kind(), FaultKind::Unavailable);
    // Also where the token itself was revoked.
    read(&rig, "/other").await.unwrap();
    rig.call_at(&other, "revoke-creds", json!({})).await.unwrap();
    rig.clock.advance_seconds(6);
    for name in ["/shop/a", "/other"] {
        assert_eq!(read(&rig, name).await.unwrap_err().kind(), FaultKind::Unauthorized, "{name}");
    }
    assert_eq!(rig.gateway.health().cache.unwrap().offline, 0);
}

/// The listener has a connection of its own, which may end at another machine than that of calls.
#[tokio::test]
async fn a_control_that_only_the_listener_does_not_reach_is_asked_all_the_same() {
    let rig = rig().await;
    allow(&rig, 30);
    rig.plane.lose(Some("ChangesWait"));
    let begun = Instant::now();
    while rig.gateway.health().cache.unwrap().coherent {
        assert!(begun.elapsed() < PATIENCE, "the gateway believes itself coherent");
        tokio::task::yield_now().await;
    }
    let other = rig.another_gateway();
    rig.call_at(&other, "revoke-creds", json!({})).await.unwrap();
    rig.clock.advance_seconds(6);
    rig.plane.take_asked();
    let mut questions = 0;
    while questions < 2 {
        assert!(begun.elapsed() < PATIENCE, "the listener does not listen");
        let asked = rig.plane.take_asked();
        questions += asked.iter().filter(|name| **name == "ChangesWait").count();
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        assert_eq!(read(&rig, "/shop/a").await.unwrap_err().kind(), FaultKind::Unauthorized);
    }
    assert_eq!(rig.gateway.health().cache.unwrap().offline, 0);
    // Calls do not arrive, either.
    rig.plane.cut(true);
    assert_eq!(read(&rig, "/other").await.unwrap_err().kind(), FaultKind::Unavailable);
}

#[tokio::test]
async fn a_token_that_ends_is_of_no_use_also_when_the_clock_is_set_back_then() {
    let rig = rig().await;
    allow(&rig, 24 * 60);
    cut(&rig).await;
    rig.clock.advance_seconds(1_700);
    read(&rig, "/shop/a").await.unwrap();
    rig.clock.advance_seconds(1_800);
    read(&rig, "/shop/a").await.unwrap();
    rig.clock.advance_seconds(101);
    refused(&rig, "/shop/a").await;
    // It was seen to be over.
    rig.clock.advance_seconds(-3_000);
    refused(&rig, "/shop/a").await;
}

#[tokio::test]
async fn a_clock_that_went_back_ends_what_it_concerns() {
    let rig = rig().await;
    allow(&rig, 24 * 60);
    cut(&rig).await;
    read(&rig, "/shop/a").await.unwrap();
    rig.clock.advance_seconds(-10);
    refused(&rig, "/shop/a").await;
}

#[tokio::test]
async fn what_had_ended_before_stays_ended() {
    let rig = rig().await;
    allow(&rig, 30);
    let other = rig.another_gateway();
    let change = json!({"name": "/shop/a", "desired-state": "Disabled"});
    rig.call_at(&other, "set-item-state", change).await.unwrap();
    let begun = Instant::now();
    while read(&rig, "/shop/a").await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "a disabled item is served on");
    }
    cut(&rig).await;
    refused(&rig, "/shop/a").await;
}

/// Administrators cannot have keys kept for longer than the owner says, nor past an order.
#[tokio::test]
async fn the_owner_bounds_it_and_an_order_ends_it() {
    let mut rig = rig().await;
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 120).await;
    allow(&rig, 30);
    until_kept(&rig, "/shop/a").await;
    cut(&rig).await;
    rig.clock.advance_seconds(100);
    read(&rig, "/shop/a").await.unwrap();
    rig.clock.advance_seconds(21);
    refused(&rig, "/shop/a").await;
    rig.plane.cut(false);
    until_kept(&rig, "/shop/a").await;
    cut(&rig).await;
    read(&rig, "/shop/a").await.unwrap();
    rig.gateway.forget_keys();
    refused(&rig, "/shop/a").await;
}
