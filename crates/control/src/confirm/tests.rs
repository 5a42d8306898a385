//! What a gateway reaches by confirming, and what it does not.

use std::sync::Arc;

use keysherd_audit::action;
use keysherd_base::{FaultKind, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::Class;
use keysherd_plane::alerts::{AlertKind, ManagerAlert};
use keysherd_plane::confirm::{ConfirmBegin, ConfirmBeginReply, ConfirmDone};
use keysherd_plane::grants::{VersionWish, WriteTarget};

use crate::items::testing::{Place, envelope, fresh_salt, secret};
use crate::testing::World;

/// Records a secret, unconfirmed or not; gives what it was written with.
async fn written(world: &World, path: &str, unconfirmed: bool) -> Place {
    let mut message = secret(path);
    let target = WriteTarget::NewSecret {
        path: message.path.clone(),
        uid: message.uid,
        protection_key: None,
        cluster_key: None,
    };
    let place = world.place(&world.admin, target).await.unwrap();
    message.value = world.seal(&place, Class::SecretItem);
    message.value.unconfirmed = unconfirmed;
    world.ask(&world.admin, message).await.unwrap();
    place
}

fn begin(world: &World, uid: Uid) -> ConfirmBegin {
    ConfirmBegin { account: world.first.id.0, uid, version: 1 }
}

fn done(world: &World, uid: Uid, stored: &[u8], rewrapped: Option<Arc<[u8]>>) -> ConfirmDone {
    let stored_sha256 = sha256(&[stored]);
    ConfirmDone { account: world.first.id.0, uid, version: 1, stored_sha256, rewrapped }
}

async fn stored(world: &World, path: &str) -> Arc<[u8]> {
    let item = world.read(&world.admin, path, VersionWish::Latest).await.unwrap();
    item.versions[0].ciphertext.clone()
}

#[tokio::test]
async fn only_what_is_unconfirmed_gets_a_permit() {
    let world = World::new().await;
    let waiting = written(&world, "/waiting", true).await;
    let settled = written(&world, "/settled", false).await;
    let reply = world.ask("", begin(&world, waiting.uid)).await.unwrap();
    let ConfirmBeginReply::Waiting { work } = reply else { panic!("{reply:?}") };
    assert_eq!(work.ciphertext, stored(&world, "/waiting").await);
    assert!(!work.permit.bytes.is_empty());
    let reply = world.ask("", begin(&world, settled.uid)).await.unwrap();
    assert!(matches!(reply, ConfirmBeginReply::Settled { .. }), "{reply:?}");
    for ask in [
        begin(&world, Uid([7; 16])),
        ConfirmBegin { version: 2, ..begin(&world, waiting.uid) },
        ConfirmBegin { account: Uid([7; 16]), ..begin(&world, waiting.uid) },
    ] {
        let reply = world.ask("", ask).await.unwrap();
        assert!(matches!(reply, ConfirmBeginReply::Gone), "{reply:?}");
    }
}

#[tokio::test]
async fn a_value_is_confirmed_once_and_only_as_it_is_stored() {
    let world = World::new().await;
    let place = written(&world, "/a", true).await;
    let now = stored(&world, "/a").await;
    let refused = world.ask("", done(&world, place.uid, b"other", None)).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Conflict);
    world.ask("", done(&world, place.uid, &now, None)).await.unwrap();
    let reply = world.ask("", begin(&world, place.uid)).await.unwrap();
    assert!(matches!(reply, ConfirmBeginReply::Settled { .. }), "{reply:?}");
    let again = world.ask("", done(&world, place.uid, &now, None)).await.unwrap_err();
    assert_eq!(again.kind(), FaultKind::Conflict);
    assert_eq!(stored(&world, "/a").await, now);
}

/// A gateway cannot use it to put another value in place.
#[tokio::test]
async fn a_rescue_changes_the_wrap_and_nothing_else() {
    let world = World::new().await;
    let place = written(&world, "/a", true).await;
    let now = stored(&world, "/a").await;
    let salt = fresh_salt();
    // Another value, sealed as well as the first.
    let other = envelope(&world, place.uid, 1, Class::SecretItem, &place.key, salt);
    for wrong in [other, Arc::from(b"KSF1".as_slice())] {
        let ask = done(&world, place.uid, &now, Some(wrong));
        assert_eq!(world.ask("", ask).await.unwrap_err().kind(), FaultKind::BadRequest);
    }
    assert_eq!(stored(&world, "/a").await, now);
    // The same value with other bytes in its wrap.
    let mut rescued = now.to_vec();
    rescued[150] ^= 1;
    let rescued: Arc<[u8]> = rescued.into();
    world.ask("", done(&world, place.uid, &now, Some(rescued.clone()))).await.unwrap();
    assert_eq!(stored(&world, "/a").await, rescued);
}

#[tokio::test]
async fn an_alert_is_in_the_audit_log_of_the_account_that_met_it() {
    let world = World::new().await;
    let alert = ManagerAlert { kind: AlertKind::LieOnRead, managers: vec![2] };
    world.ask(&world.admin, alert.clone()).await.unwrap();
    // Without a token there is no account to record it in.
    world.ask("", alert).await.unwrap();
    let records = world.records();
    let alerts: Vec<_> =
        records.iter().filter(|record| record.draft.action == action::ALERT_MANAGERS).collect();
    assert_eq!(alerts.len(), 1);
    let text = format!("{:?}", alerts[0]);
    assert!(text.contains("lie-on-read") && text.contains('2'), "{text}");
}
