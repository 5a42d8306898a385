//! Gateways that remove temporary credentials with what control gives them: not with settings that
//! were set back, and not with what they cannot open.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_base::{ItemId, ItemPath, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_domain::credential_lease::LeaseState;
use keysherd_plane::credential_leases::{
    LeaseActivate, LeaseIntend, LeaseList, LeaseTakeReply, LeaseView,
};
use keysherd_plane::{EngineReply, PlaneHandle, Reply};
use keysherd_testkit::{Rig, Settings};
use serde_json::json;

/// How long credentials live, in seconds.
const LIFE: i64 = 60;

fn plane(rig: &Rig) -> PlaneHandle {
    rig.plane.clone()
}

/// A deployment with a dynamic secret on a server that is not there.
async fn with_secret() -> (Rig, ItemId) {
    let rig = Rig::new(Settings::default()).await;
    let args = json!({
        "name": "/dyn", "host": "127.0.0.1", "port": "1", "password": "first",
        "skip-dry-run": true,
    });
    rig.call("dynamic-secret-create-redis", args).await.unwrap();
    let item = rig.call("describe-item", json!({"name": "/dyn"})).await.unwrap();
    let id = ItemId(item["item_id"].as_i64().unwrap());
    (rig, id)
}

/// A credential whose time is over.
async fn ended(rig: &Rig, item: ItemId) {
    let lease = Uid::random(&SystemRng).unwrap();
    let handle = "tmp.p-app.abcdefghijklmnop".to_owned();
    let intend = LeaseIntend { item, target: None, lease, handle, ttl_seconds: LIFE };
    plane(rig).ask(rig.caller("test"), intend).await.unwrap();
    let activate = LeaseActivate { lease, handle: None, ends: None };
    plane(rig).ask(rig.caller("test"), activate).await.unwrap();
    rig.clock.advance_seconds(LIFE);
}

/// The credential, once it is as it should be.
async fn until(rig: &Rig, holds: impl Fn(&LeaseView) -> bool) -> LeaseView {
    let mut last = None;
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..600 {
        let item = ItemPath::parse("/dyn").unwrap();
        let list = LeaseList { item, after: None, limit: 10 };
        let mut leases = plane(rig).ask(rig.caller("test"), list).await.unwrap().leases;
        let lease = leases.pop().unwrap();
        if holds(&lease) {
            return lease;
        }
        last = Some(lease);
        // Which come once nothing is at work: the clock stands still until then.
        seconds.tick().await;
        rig.clock.advance_seconds(1);
    }
    panic!("in vain: {last:?}");
}

/// Changes what is handed out, if something is.
fn hand_out(rig: &Rig, mut change: impl FnMut(&mut LeaseTakeReply) + Send + 'static) {
    rig.plane.tamper(move |_, reply| {
        if let Reply::Engines(EngineReply::LeaseTake(reply)) = reply
            && !reply.work.is_empty()
        {
            change(reply);
        }
    });
}

#[tokio::test(start_paused = true)]
async fn settings_that_were_set_back_are_not_used() {
    let (rig, item) = with_secret().await;
    let old = Arc::new(Mutex::new(None));
    let kept = old.clone();
    hand_out(&rig, move |reply| {
        kept.lock().unwrap().get_or_insert_with(|| reply.clone());
    });
    ended(&rig, item).await;
    let tried = until(&rig, |lease| !lease.last_error.is_empty()).await;
    assert!(!tried.last_error.contains("set the item back"), "{}", tried.last_error);
    let update = json!({"name": "/dyn", "port": "1", "password": "second", "skip-dry-run": true});
    rig.call("dynamic-secret-update-redis", update).await.unwrap();
    let old = old.lock().unwrap().take().unwrap();
    hand_out(&rig, move |reply| {
        reply.opened.clone_from(&old.opened);
        reply.permits.clone_from(&old.permits);
    });
    let refused = until(&rig, |lease| lease.last_error.contains("set the item back")).await;
    assert!(refused.attempts > tried.attempts, "it counts: people are told in the end");
    rig.plane.be_honest();
    until(&rig, |lease| {
        let other = !lease.last_error.is_empty() && !lease.last_error.contains("set the item back");
        other && lease.attempts > refused.attempts
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_is_given_back_and_no_attempt() {
    let (rig, item) = with_secret().await;
    let handed_out = Arc::new(Mutex::new(0));
    let count = handed_out.clone();
    hand_out(&rig, move |reply| {
        *count.lock().unwrap() += 1;
        for means in &mut reply.opened {
            // As of a key whose managers this gateway's owner does not know.
            means.manifests.iter_mut().for_each(|manifest| manifest.manifest = Vec::new().into());
        }
    });
    ended(&rig, item).await;
    let given_back =
        until(&rig, |lease| *handed_out.lock().unwrap() > 3 && !lease.last_error.is_empty()).await;
    assert_eq!((given_back.attempts, given_back.state), (0, LeaseState::Revoking));
    rig.plane.be_honest();
    let tried = until(&rig, |lease| lease.attempts > 0).await;
    assert_eq!(tried.state, LeaseState::Revoking);
}
