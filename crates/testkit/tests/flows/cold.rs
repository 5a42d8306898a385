//! A gateway that starts while control is away: what it may answer from the copy on its disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use keysherd_api::{CachePolicy, OfflinePolicy};
use keysherd_base::{Clock as _, FaultKind, Uid};
use keysherd_fragments::encoding::Encoding as _;
use keysherd_fragments::order::{FreezeScope, OrderAction, OwnerOrder};
use keysherd_gateway::CacheSettings;
use keysherd_store::audit;
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::offline::until_kept;
use crate::{create, read};

const PATIENCE: Duration = Duration::from_secs(300);
/// Long enough for everything that a start without control begins with.
const A_WHILE: Duration = Duration::from_secs(3);
/// Several beats of the questions to control.
const SETTLED: Duration = Duration::from_secs(1);
pub(crate) const KEY: [u8; 32] = [0x4b; 32];
const VALUE: &str = "a-value-that-nobody-else-has-0815";

/// One where `/shop/a` and `/other` were read, and the first of them may be read for half an hour
/// without control.
async fn rig(cache_key: Option<[u8; 32]>) -> Rig {
    let policy = CachePolicy { enabled: true, ..CachePolicy::default() };
    let cache = CacheSettings { policy, items_max: 1_000, workers: 1 };
    let settings = Settings { cache, cache_key, key_cache_seconds: 60, ..Settings::default() };
    let mut rig = Rig::new(settings).await;
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 3_600).await;
    for name in ["/shop/a", "/other"] {
        create(&rig, name, VALUE).await.unwrap();
    }
    // The keys of what was written here are there without a permit to read.
    rig.gateway.forget_keys();
    for name in ["/shop/a", "/other"] {
        until_kept(&rig, name).await;
    }
    let policy = OfflinePolicy { max_minutes: 30, paths: vec!["/shop/*".to_owned()] };
    rig.gateway.allow_offline([((rig.account.0, rig.admin_access_id()), policy)].into());
    rig
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}

fn copy(rig: &Rig) -> PathBuf {
    rig.gateway_home().join("read-copy/copy")
}

/// Reads until there is a copy and it stays: what control tells of late ends what is kept, and the
/// copy of it.
pub(crate) async fn until_copied(rig: &Rig) {
    let (begun, mut since) = (Instant::now(), Instant::now());
    while since.elapsed() < SETTLED {
        let _away = read(rig, "/shop/a").await;
        if !copy(rig).exists() {
            since = Instant::now();
        }
        assert!(begun.elapsed() < PATIENCE, "there is no copy");
    }
}

/// Control is cut off, and the gateway starts anew.
pub(crate) fn start_alone(rig: &mut Rig) {
    rig.plane.cut(true);
    rig.restart_gateway();
}

/// The first read after a start: managers are asked for the key by then.
pub(crate) async fn until_read(rig: &Rig, name: &str) {
    let begun = Instant::now();
    while read(rig, name).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "{name} is not read");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn refused(rig: &Rig, name: &str) {
    assert_eq!(read(rig, name).await.unwrap_err().kind(), FaultKind::Unavailable, "{name}");
}

/// It is not read, however often that is tried for a while.
pub(crate) async fn refused_for_good(rig: &Rig, name: &str) {
    let begun = Instant::now();
    while begun.elapsed() < A_WHILE {
        refused(rig, name).await;
        tokio::task::yield_now().await;
    }
}

pub(crate) fn freeze(rig: &Rig) -> Vec<u8> {
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_allows_is_read_after_a_start_without_control_and_recorded() {
    let mut rig = rig(Some(KEY)).await;
    until_copied(&rig).await;
    let bytes = std::fs::read(copy(&rig)).unwrap();
    for secret in [VALUE, "/shop/a"] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in the copy");
    }
    let before: usize = rig.derivations().iter().sum();
    start_alone(&mut rig);
    until_read(&rig, "/shop/a").await;
    let after: usize = rig.derivations().iter().sum();
    assert!(after > before, "no manager was asked for the key");
    for _ in 0..2 {
        assert_eq!(read(&rig, "/shop/a").await.unwrap(), VALUE);
    }
    refused(&rig, "/other").await;
    let asked = json!({"names": ["/shop/a"], "ignore-cache": "true"});
    rig.call("get-secret-value", asked).await.unwrap_err();
    // What fails without control does not end what there is.
    let change = json!({"name": "/shop/a", "value": "new"});
    rig.call("update-secret-val", change).await.unwrap_err();
    assert!(copy(&rig).exists());
    rig.clock.advance_seconds(29 * 60);
    assert_eq!(read(&rig, "/shop/a").await.unwrap(), VALUE);
    rig.clock.advance_seconds(2 * 60);
    refused(&rig, "/shop/a").await;
    rig.plane.cut(false);
    rig.gateway.drain(PATIENCE).await;
    let stored = rig.store.read(|reader| audit::records(reader, rig.account, 0, 10_000)).unwrap();
    let offline = stored.iter().map(|record| record.parse().unwrap()).filter(|record| {
        let mut params = record.draft.params.iter();
        params.any(|param| param.name() == "offline" && param.value() == Some("true"))
    });
    assert_eq!(offline.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_soon_as_control_is_heard_it_has_the_say() {
    let mut rig = rig(Some(KEY)).await;
    until_copied(&rig).await;
    start_alone(&mut rig);
    until_read(&rig, "/shop/a").await;
    rig.plane.cut(false);
    until("control is not heard", || rig.gateway.health().cache.is_some_and(|it| it.coherent))
        .await;
    assert_eq!(rig.gateway.health().cache.unwrap().entries, 0);
    assert!(!copy(&rig).exists(), "what control may not allow any more is still there");
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
}

/// The gateway may be killed again and again while control is away, but not for longer than its
/// permits are good for; the owner has the say throughout.
#[tokio::test(flavor = "multi_thread")]
async fn managers_open_it_for_as_long_as_permits_are_good_and_the_owner_does_not_mind() {
    let mut rig = rig(Some(KEY)).await;
    until_copied(&rig).await;
    for _ in 0..2 {
        start_alone(&mut rig);
        until_read(&rig, "/shop/a").await;
    }
    rig.clock.advance_seconds(120);
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_froze_is_not_opened() {
    let mut rig = rig(Some(KEY)).await;
    until_copied(&rig).await;
    let other = rig.another_gateway();
    let said = other.crypt.bring_order(&freeze(&rig)).await.unwrap();
    assert!(said.iter().all(|manager| manager.said.is_ok()));
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
}

/// Who sets the clock back does not get the copy to be younger than it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_opens_nothing() {
    let mut rig = rig(Some(KEY)).await;
    until_copied(&rig).await;
    rig.clock.advance_seconds(-600);
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
    rig.clock.advance_seconds(600);
    start_alone(&mut rig);
    until_read(&rig, "/shop/a").await;
    rig.clock.advance_seconds(-1);
    refused(&rig, "/shop/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_control_was_heard_is_not_in_the_copy() {
    let mut rig = rig(Some(KEY)).await;
    until_copied(&rig).await;
    let other = rig.another_gateway();
    let change = json!({"name": "/shop/a", "desired-state": "Disabled"});
    rig.call_at(&other, "set-item-state", change).await.unwrap();
    let begun = Instant::now();
    while read(&rig, "/shop/a").await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "a disabled item is served on");
    }
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_changes_and_other_policies_end_it_at_once() {
    let rig = rig(Some(KEY)).await;
    until_copied(&rig).await;
    rig.gateway.forget_keys();
    assert!(!copy(&rig).exists(), "keys are forgotten, and a copy is left");
    until_kept(&rig, "/shop/a").await;
    rig.plane.cut(true);
    rig.call("get-secret-value", json!({"names": ["/none"]})).await.unwrap_err();
    until_copied(&rig).await;
    rig.plane.cut(false);
    let change = json!({"name": "/other", "value": "new"});
    rig.call("update-secret-val", change).await.unwrap();
    assert!(!copy(&rig).exists(), "one from before a change that was answered here");
    until_kept(&rig, "/shop/a").await;
    until_copied(&rig).await;
    rig.gateway.allow_offline(Default::default());
    assert!(!copy(&rig).exists(), "one of what is not allowed any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_operators_key_there_is_no_copy() {
    let mut rig = rig(None).await;
    until_kept(&rig, "/shop/a").await;
    start_alone(&mut rig);
    refused_for_good(&rig, "/shop/a").await;
    assert!(!rig.gateway_home().join("read-copy").exists());
}
