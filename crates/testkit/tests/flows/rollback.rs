//! A control plane that serves an older value as the newest one.

use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::cheating::{Forger, granted};
use crate::{create, read};

async fn update(rig: &Rig, value: &str, keep: bool) {
    let args = json!({"name": "/a", "value": value, "keep-prev-version": keep.to_string()});
    rig.call("update-secret-val", args).await.unwrap();
}

/// What this gateway has read or written is not taken back, cold or warm.
#[tokio::test(start_paused = true)]
async fn t_rollback_detected_when_seen() {
    for key_cache_seconds in [0, 60] {
        let rig = Rig::new(Settings { key_cache_seconds, ..Settings::default() }).await;
        create(&rig, "/a", "one").await.unwrap();
        let old = granted(&rig, "/a").await;
        // Written here, and not even read afterwards.
        update(&rig, "two", true).await;
        Forger::of(&rig).serve(&rig, old.clone());
        let fault = read(&rig, "/a").await.unwrap_err();
        assert_eq!(fault.code(), "RolledBack");
        assert!(fault.public().contains("version 1") && fault.public().contains("version 2"));
        rig.plane.be_honest();
        assert_eq!(read(&rig, "/a").await.unwrap(), "two");
        // The same version, overwritten.
        let overwritten = granted(&rig, "/a").await;
        update(&rig, "three", false).await;
        assert_eq!(read(&rig, "/a").await.unwrap(), "three");
        for old in [old, overwritten] {
            Forger::of(&rig).serve(&rig, old);
            assert_eq!(read(&rig, "/a").await.unwrap_err().code(), "RolledBack");
        }
    }
}

/// The control, and the documented limit: a gateway that has seen nothing is served the old value.
#[tokio::test(start_paused = true)]
async fn t_rollback_detected_when_seen_control() {
    let mut rig = Rig::new(Settings::default()).await;
    create(&rig, "/a", "one").await.unwrap();
    let old = granted(&rig, "/a").await;
    update(&rig, "two", true).await;
    Forger::of(&rig).serve(&rig, old);
    read(&rig, "/a").await.unwrap_err();
    rig.restart_gateway();
    assert_eq!(read(&rig, "/a").await.unwrap(), "one");
}

/// What an honest control plane does is not mistaken for it.
#[tokio::test(start_paused = true)]
async fn deleted_disabled_and_old_versions_are_no_rollback() {
    let rig = Rig::new(Settings::default()).await;
    create(&rig, "/a", "one").await.unwrap();
    update(&rig, "two", true).await;
    update(&rig, "three", true).await;
    assert_eq!(read(&rig, "/a").await.unwrap(), "three");
    let by_number =
        |version: i64| rig.call("get-secret-value", json!({"names": ["/a"], "version": version}));
    assert_eq!(by_number(1).await.unwrap()["/a"], "one");
    assert_eq!(by_number(-2).await.unwrap()["/a"], json!({"3": "three", "2": "two"}));
    assert_eq!(read(&rig, "/a").await.unwrap(), "three");
    rig.call("delete-item", json!({"name": "/a", "version": 0})).await.unwrap();
    assert_eq!(read(&rig, "/a").await.unwrap(), "two");
    update(&rig, "three again", true).await;
    assert_eq!(read(&rig, "/a").await.unwrap(), "three again");
    rig.call("rollback-secret", json!({"name": "/a", "old-version": 1})).await.unwrap();
    assert_eq!(read(&rig, "/a").await.unwrap(), "one");
    // Deleted behind this gateway's back, as through another one: asked for by its number once.
    let second = rig.another_gateway();
    let delete = json!({"name": "/a", "version": 0});
    rig.call_at(&second, "delete-item", delete).await.unwrap();
    assert_eq!(read(&rig, "/a").await.unwrap_err().code(), "RolledBack");
    assert_eq!(by_number(3).await.unwrap()["/a"], "three again");
    assert_eq!(read(&rig, "/a").await.unwrap(), "three again");
}
