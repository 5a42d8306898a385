//! Names that gateways attest.

use keysherd_testkit::{Rig, Settings};
use serde_json::json;

use crate::create;

async fn attested(rig: &Rig, args: serde_json::Value) -> Option<bool> {
    rig.answer("get-secret-value", args).await.unwrap().name_attested
}

#[tokio::test(start_paused = true)]
async fn names_are_attested_when_written_and_when_renamed() {
    for key_cache_seconds in [0, 60] {
        let rig = Rig::new(Settings { key_cache_seconds, ..Settings::default() }).await;
        create(&rig, "/a/b", "one").await.unwrap();
        for _ in 0..2 {
            assert_eq!(attested(&rig, json!({"names": ["/a/b"]})).await, Some(true));
        }
        let update = json!({"name": "/a/b", "value": "two", "keep-prev-version": "true"});
        rig.call("update-secret-val", update).await.unwrap();
        assert_eq!(attested(&rig, json!({"names": ["/a/b"]})).await, Some(true));
        rig.call("update-item", json!({"name": "/a/b", "new-name": "/c"})).await.unwrap();
        assert_eq!(attested(&rig, json!({"names": ["/c"]})).await, Some(true));
        // The old version was attested under the old name only.
        let old = json!({"names": ["/c"], "version": 1});
        assert_eq!(attested(&rig, old).await, Some(false));
        assert_eq!(attested(&rig, json!({"names": ["/c"], "version": -2})).await, Some(false));
        // A folder is moved without touching what is in it.
        create(&rig, "/d/e", "three").await.unwrap();
        let both = json!({"names": ["/c", "/d/e"]});
        assert_eq!(attested(&rig, both).await, Some(true));
        let relocate = json!({"source": "/d", "target": "/f"});
        rig.call("move-objects", relocate).await.unwrap();
        assert_eq!(attested(&rig, json!({"names": ["/f/e"]})).await, Some(false));
        let both = json!({"names": ["/c", "/f/e"]});
        assert_eq!(attested(&rig, both).await, Some(false));
    }
}

/// Renaming works for what cannot be attested.
#[tokio::test(start_paused = true)]
async fn keys_are_renamed_without() {
    let rig = Rig::new(Settings::default()).await;
    rig.call("create-dfc-key", json!({"name": "/key", "alg": "AES256GCM"})).await.unwrap();
    rig.call("update-item", json!({"name": "/key", "new-name": "/k2"})).await.unwrap();
    rig.call("describe-item", json!({"name": "/k2"})).await.unwrap();
}
