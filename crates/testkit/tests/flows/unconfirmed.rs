//! Values that were written while a manager was missing.

use keysherd_gateway::{Confirmed, Strictness};
use keysherd_testkit::{Conduct, Rig, Settings};
use serde_json::json;

use crate::{create, read};

/// Written with one manager missing, confirmed when it is back; a restart in between loses nothing.
#[tokio::test(start_paused = true)]
async fn t_unconfirmed_then_confirmed() {
    let mut rig = Rig::new(Settings::default()).await;
    rig.link(3).behave(Conduct::Down);
    create(&rig, "/a", "value").await.unwrap();
    assert_eq!(read(&rig, "/a").await.unwrap(), "value");
    assert_eq!(rig.gateway.health().unconfirmed, 1);
    let waiting = Confirmed { waiting: 1, ..Confirmed::default() };
    assert_eq!(rig.gateway.confirm_pending().await, waiting);
    assert!(!rig.plane.take_asked().contains(&"ConfirmBegin"), "nobody asks in vain");
    rig.restart_gateway();
    assert_eq!(rig.gateway.health().unconfirmed, 1);
    rig.link(3).behave(Conduct::Honest);
    let confirmed = Confirmed { confirmed: 1, ..Confirmed::default() };
    assert_eq!(rig.gateway.confirm_pending().await, confirmed);
    assert_eq!(rig.gateway.health().unconfirmed, 0);
    assert_eq!(rig.gateway.confirm_pending().await, Confirmed::default());
    assert_eq!(read(&rig, "/a").await.unwrap(), "value");
}

/// A manager lied while another was missing: what was stored does not open, and the gateway's own
/// wrap rescues it.
#[tokio::test(start_paused = true)]
async fn t_unconfirmed_then_rescued() {
    let mut rig = Rig::new(Settings::default()).await;
    rig.link(3).behave(Conduct::Down);
    rig.link(1).behave(Conduct::WrongLastPartial);
    create(&rig, "/a", "value").await.unwrap();
    rig.link(1).behave(Conduct::Honest);
    rig.link(3).behave(Conduct::Honest);
    assert_eq!(read(&rig, "/a").await.unwrap_err().code(), "CommitmentMismatch");
    rig.restart_gateway();
    let rescued = Confirmed { rescued: 1, ..Confirmed::default() };
    assert_eq!(rig.gateway.confirm_pending().await, rescued);
    assert_eq!(read(&rig, "/a").await.unwrap(), "value");
    assert_eq!(rig.gateway.health().unconfirmed, 0);
    let health = rig.gateway.health();
    let suspects: Vec<_> = health.managers.iter().map(|(_, m)| m.contradictions).collect();
    assert_eq!(suspects, [1, 1, 0], "one of those who answered then");
}

/// The control: without the gateway's wrap the value is lost.
#[tokio::test(start_paused = true)]
async fn t_unconfirmed_then_rescued_control() {
    let mut rig = Rig::new(Settings::default()).await;
    rig.link(3).behave(Conduct::Down);
    rig.link(1).behave(Conduct::WrongLastPartial);
    create(&rig, "/a", "value").await.unwrap();
    rig.link(1).behave(Conduct::Honest);
    rig.link(3).behave(Conduct::Honest);
    std::fs::remove_dir_all(rig.gateway_home().join("unconfirmed")).unwrap();
    rig.restart_gateway();
    assert_eq!(rig.gateway.confirm_pending().await, Confirmed::default());
    assert_eq!(read(&rig, "/a").await.unwrap_err().code(), "CommitmentMismatch");
}

#[tokio::test(start_paused = true)]
async fn strict_writes_need_all_managers() {
    let strict = Strictness { writes: true, ..Strictness::default() };
    let rig = Rig::new(Settings { strict, ..Settings::default() }).await;
    create(&rig, "/before", "1").await.unwrap();
    rig.link(2).behave(Conduct::Down);
    let fault = create(&rig, "/a", "value").await.unwrap_err();
    assert_eq!(fault.code(), "NotConfirmed", "{fault}");
    assert!(fault.public().contains('2'), "{fault}");
    assert_eq!(rig.gateway.health().unconfirmed, 0);
    assert_eq!(read(&rig, "/before").await.unwrap(), "1");
}

/// A value that was sealed and never recorded leaves nothing behind in the end, and a new version
/// over an unconfirmed one is confirmed for itself.
#[tokio::test(start_paused = true)]
async fn what_was_overwritten_or_never_recorded_is_dropped() {
    let rig = Rig::new(Settings::default()).await;
    create(&rig, "/a", "0").await.unwrap();
    rig.link(1).behave(Conduct::Down);
    for value in ["1", "2"] {
        let args = json!({"name": "/a", "value": value, "keep-prev-version": "false"});
        rig.call("update-secret-val", args).await.unwrap();
    }
    assert_eq!(rig.gateway.health().unconfirmed, 2);
    rig.link(1).behave(Conduct::Honest);
    let done = rig.gateway.confirm_pending().await;
    assert_eq!(done, Confirmed { confirmed: 1, waiting: 1, ..Confirmed::default() });
    rig.clock.advance_seconds(601);
    let done = rig.gateway.confirm_pending().await;
    assert_eq!(done, Confirmed { dropped: 1, ..Confirmed::default() });
    assert_eq!(rig.gateway.health().unconfirmed, 0);
}
