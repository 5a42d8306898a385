//! Rotation and re-wrapping when the gateway dies, managers fail or lie, and control cheats.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

mod cheats;
mod crashes;
mod fragments;
mod managers;

use std::num::NonZeroU32;
use std::time::Duration;

use keysherd_base::Fault;
use keysherd_testkit::{Rig, Settings};
use serde_json::{Value, json};

/// Longest time something may take that ought to take none.
const LONG: Duration = Duration::from_secs(300);

/// A deployment whose gateway re-wraps as fast as it can.
async fn rig() -> Rig {
    let rewraps_per_second = NonZeroU32::new(100_000);
    Rig::new(Settings { rewraps_per_second, ..Settings::default() }).await
}

async fn new_key(rig: &Rig, name: &str, algorithm: &str) {
    rig.call("create-dfc-key", json!({"name": name, "alg": algorithm})).await.expect("a key");
}

async fn store(rig: &Rig, name: &str, value: &str, key: &str) {
    let args = json!({"name": name, "value": value, "protection_key": key});
    rig.call("create-secret", args).await.expect("a secret");
}

async fn read(rig: &Rig, name: &str) -> Result<String, Fault> {
    let values = rig.call("get-secret-value", json!({"names": [name]})).await?;
    Ok(values[name].as_str().expect("a value").to_owned())
}

async fn rotate(rig: &Rig, name: &str) -> Result<Value, Fault> {
    rig.call("rotate-key", json!({ "name": name })).await
}

async fn status(rig: &Rig, name: &str) -> Value {
    rig.call("rewrap-status", json!({ "name": name })).await.expect("a status")
}

/// Waits until `holds` of the state of a key.
async fn wait(rig: &Rig, key: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let found = tokio::time::timeout(LONG, async {
        let mut turns = tokio::time::interval(Duration::from_millis(5));
        loop {
            turns.tick().await;
            let status = status(rig, key).await;
            if holds(&status) {
                return status;
            }
        }
    });
    match found.await {
        Ok(status) => status,
        Err(_) => panic!("no {what}: {}", status(rig, key).await),
    }
}

fn is_done(status: &Value) -> bool {
    let rotation = &status["rotation"];
    rotation.is_null() || rotation["finished"].is_string() && rotation["values_left"] == 0
}
