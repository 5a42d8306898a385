//! How a gateway reads and writes when managers fail, lie or are slow, and when control cheats.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

mod ahead;
mod cheating;
mod cluster_documents;
mod cold;
mod cold_keys;
mod kept;
mod liars;
mod log_places;
mod names;
mod offline;
mod own_identity;
mod removals;
mod rollback;
mod slow;
mod unconfirmed;

use keysherd_base::Fault;
use keysherd_testkit::Rig;
use serde_json::{Value, json};

/// Stores a new secret.
async fn create(rig: &Rig, name: &str, value: &str) -> Result<Value, Fault> {
    rig.call("create-secret", json!({"name": name, "value": value})).await
}

/// Reads a secret's newest value.
async fn read(rig: &Rig, name: &str) -> Result<String, Fault> {
    let values = rig.call("get-secret-value", json!({"names": [name]})).await?;
    Ok(values[name].as_str().expect("a value").to_owned())
}
