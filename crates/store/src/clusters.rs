//! Clusters of gateways, their instances, and their configuration as ciphertext.

use std::sync::Arc;

use keysherd_base::{AccessId, AccountId, Fault, ItemId, KeyId, Timestamp, Uid};
use keysherd_domain::cluster::{Cluster, Instance};
use keysherd_domain::item::NameTag;
use serde::{Deserialize, Serialize};

use crate::query::{Query, Row, Tx, all, first, first_changed, from_json, run, to_json};
use crate::{credential_leases, credential_rotations};

const INSERT: &str = "INSERT INTO gateway_clusters (account, access_id, name, body, \
                      config_version, config_key, config) \
                      VALUES (?1, ?2, ?3, ?4, 0, '', ?5) RETURNING id";
const UPDATE: &str = "UPDATE gateway_clusters SET body = ?2 WHERE id = ?1";
const DELETE: &str = "DELETE FROM gateway_clusters WHERE account = ?1 AND id = ?2";
const FIND: &str = "SELECT id, body FROM gateway_clusters \
                    WHERE account = ?1 AND access_id = ?2 AND name = ?3";
const BY_ID: &str = "SELECT id, body FROM gateway_clusters WHERE id = ?1";
const OF_ACCOUNT: &str = "SELECT id, body FROM gateway_clusters WHERE account = ?1 \
                          ORDER BY id LIMIT ?2";
const SEALING: &str = "SELECT body, config_version, config_key FROM gateway_clusters \
                       WHERE account = ?1";
const COUNT: &str = "SELECT count(*) FROM gateway_clusters WHERE account = ?1";
const VERSION: &str = "SELECT config_version FROM gateway_clusters WHERE id = ?1";
const CONFIG: &str =
    "SELECT config_version, config_key, config FROM gateway_clusters WHERE id = ?1";
const PUT_CONFIG: &str = "UPDATE gateway_clusters SET config_version = config_version + 1, \
                          config_key = ?3, config = ?4 \
                          WHERE id = ?1 AND config_version = ?2";
const PUT_INSTANCE: &str = "INSERT INTO gateway_instances (spki, cluster, last_seen, body) \
                            VALUES (?1, ?2, ?3, ?4) ON CONFLICT (spki) DO UPDATE SET \
                            cluster = excluded.cluster, last_seen = excluded.last_seen, \
                            body = excluded.body";
const SEEN: &str = "UPDATE gateway_instances SET last_seen = ?2 \
                    WHERE spki = ?1 AND last_seen < ?2";
const INSTANCE: &str = "SELECT body, last_seen FROM gateway_instances WHERE spki = ?1";
const INSTANCES: &str = "SELECT body, last_seen FROM gateway_instances WHERE cluster = ?1 \
                         ORDER BY spki LIMIT ?2";
const FORGET: &str = "DELETE FROM gateway_instances WHERE cluster = ?1 AND last_seen < ?2";
const COUNT_INSTANCES: &str = "SELECT count(*) FROM gateway_instances WHERE cluster = ?1";

/// Adds a cluster without configuration; gives its number, which replaces the one it has.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when there is such a one.
pub fn insert(tx: &Tx, cluster: &Cluster) -> Result<i64, Fault> {
    let body = to_json(cluster)?;
    let args = [
        (&cluster.account).into(),
        cluster.access_id.as_str().into(),
        (&cluster.name).into(),
        (&body).into(),
        [].as_slice().into(),
    ];
    let taken = || format!("there is a gateway cluster {} already", cluster.full_name());
    first_changed(tx, INSERT, &args, |row| row.int(0)).map_err(|refused| refused.or_taken(taken))
}

/// Replaces what is told of the cluster with this number; its identity stays.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn update(tx: &Tx, cluster: &Cluster) -> Result<bool, Fault> {
    let body = to_json(cluster)?;
    Ok(run(tx, UPDATE, &[cluster.id.into(), (&body).into()])? == 1)
}

/// Deletes a cluster with its instances and its configuration, and leaves what it has to remove to
/// any gateway; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, account: AccountId, id: i64) -> Result<bool, Fault> {
    let deleted = run(tx, DELETE, &[(&account).into(), id.into()])? == 1;
    if deleted {
        credential_leases::leave_to_any(tx, id)?;
        credential_rotations::leave_to_any(tx, id)?;
    }
    Ok(deleted)
}

/// The cluster with this identity.
///
/// # Errors
/// Only when the store is broken.
pub fn find(
    q: &dyn Query,
    account: AccountId,
    access_id: &AccessId,
    name: &str,
) -> Result<Option<Cluster>, Fault> {
    first(q, FIND, &[(&account).into(), access_id.as_str().into(), name.into()], cluster_of)
}

/// The cluster with this number.
///
/// # Errors
/// Only when the store is broken.
pub fn by_id(q: &dyn Query, id: i64) -> Result<Option<Cluster>, Fault> {
    first(q, BY_ID, &[id.into()], cluster_of)
}

/// At most `limit` clusters of an account, the oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn of_account(q: &dyn Query, account: AccountId, limit: usize) -> Result<Vec<Cluster>, Fault> {
    all(q, OF_ACCOUNT, &[(&account).into(), limit.into()], cluster_of)
}

/// Number of clusters of an account.
///
/// # Errors
/// Only when the store is broken.
pub fn count(q: &dyn Query, account: AccountId) -> Result<i64, Fault> {
    Ok(first(q, COUNT, &[(&account).into()], |row| row.int(0))?.unwrap_or_default())
}

/// The version of a cluster's configuration; `None` when there is no such cluster.
///
/// # Errors
/// Only when the store is broken.
pub fn config_version(q: &dyn Query, id: i64) -> Result<Option<u32>, Fault> {
    first(q, VERSION, &[id.into()], |row| row.number(0))
}

/// A cluster's configuration as gateways sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConfig {
    /// Its version, from 1.
    pub version: u32,
    /// The key that wraps it.
    pub key: ConfigKey,
    /// The envelope.
    pub ciphertext: Arc<[u8]>,
    /// What attests that it is this cluster's; gateways take none without.
    pub name_tag: Option<NameTag>,
}

/// The key of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigKey {
    /// The key.
    pub key_id: KeyId,
    /// Its version.
    pub version: u32,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
}

/// What is kept beside the envelope.
#[derive(Serialize, Deserialize)]
struct Beside {
    #[serde(flatten)]
    key: ConfigKey,
    #[serde(default)]
    name_tag: Option<NameTag>,
}

/// A cluster's configuration; `None` when there is none.
///
/// # Errors
/// Only when the store is broken.
pub fn config(q: &dyn Query, id: i64) -> Result<Option<StoredConfig>, Fault> {
    let read = |row: &Row<'_>| {
        let version = row.number(0)?;
        if version == 0 {
            return Ok(None);
        }
        let (beside, ciphertext) = (from_json(row.text(1)?)?, row.blob(2)?.into());
        let Beside { key, name_tag } = beside;
        Ok(Some(StoredConfig { version, key, ciphertext, name_tag }))
    };
    Ok(first(q, CONFIG, &[id.into()], read)?.flatten())
}

/// Puts a configuration in the place of the one with the version before it; `false` when the one
/// that is there has another version.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put_config(tx: &Tx, id: i64, config: &StoredConfig) -> Result<bool, Fault> {
    let Some(replaces) = config.version.checked_sub(1) else { return Ok(false) };
    let beside = to_json(&Beside { key: config.key, name_tag: config.name_tag })?;
    let args = [id.into(), replaces.into(), (&beside).into(), (&*config.ciphertext).into()];
    Ok(run(tx, PUT_CONFIG, &args)? == 1)
}

/// What a cluster's configuration needs of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The key item that was chosen for it; `None`: the account's default key.
    pub chosen: Option<ItemId>,
    /// The key that it is sealed under; `None` when there is no configuration yet.
    pub under: Option<ConfigKey>,
}

/// What the configuration of each cluster of an account needs of keys; of at most as many clusters
/// as an account may have.
///
/// # Errors
/// Only when the store is broken.
pub fn sealing(q: &dyn Query, account: AccountId) -> Result<Vec<Sealing>, Fault> {
    all(q, SEALING, &[(&account).into()], |row| {
        let cluster: Cluster = from_json(row.text(0)?)?;
        let under = match row.number::<u32>(1)? {
            0 => None,
            _ => Some(from_json::<Beside>(row.text(2)?)?.key),
        };
        Ok(Sealing { chosen: cluster.protection_key, under })
    })
}

/// Adds an instance, or moves the one with this key.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put_instance(tx: &Tx, instance: &Instance, seen: Timestamp) -> Result<(), Fault> {
    let body = to_json(instance)?;
    let args = [
        instance.spki_sha256.as_slice().into(),
        instance.cluster.into(),
        seen.0.into(),
        (&body).into(),
    ];
    run(tx, PUT_INSTANCE, &args)?;
    Ok(())
}

/// Notes that an instance was there.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn note_seen(tx: &Tx, spki_sha256: &[u8; 32], seen: Timestamp) -> Result<(), Fault> {
    run(tx, SEEN, &[spki_sha256.as_slice().into(), seen.0.into()])?;
    Ok(())
}

/// The instance with this key, and when it was noted last.
///
/// # Errors
/// Only when the store is broken.
pub fn instance(
    q: &dyn Query,
    spki_sha256: &[u8; 32],
) -> Result<Option<(Instance, Timestamp)>, Fault> {
    first(q, INSTANCE, &[spki_sha256.as_slice().into()], instance_of)
}

/// At most `limit` instances of a cluster, and when they were noted last.
///
/// # Errors
/// Only when the store is broken.
pub fn instances(
    q: &dyn Query,
    cluster: i64,
    limit: usize,
) -> Result<Vec<(Instance, Timestamp)>, Fault> {
    all(q, INSTANCES, &[cluster.into(), limit.into()], instance_of)
}

/// Number of instances of a cluster.
///
/// # Errors
/// Only when the store is broken.
pub fn count_instances(q: &dyn Query, cluster: i64) -> Result<i64, Fault> {
    Ok(first(q, COUNT_INSTANCES, &[cluster.into()], |row| row.int(0))?.unwrap_or_default())
}

/// Forgets the instances of a cluster that were not seen since `before`.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget_instances(tx: &Tx, cluster: i64, before: Timestamp) -> Result<(), Fault> {
    run(tx, FORGET, &[cluster.into(), before.0.into()])?;
    Ok(())
}

fn cluster_of(row: &Row<'_>) -> Result<Cluster, Fault> {
    let id = row.int(0)?;
    Ok(Cluster { id, ..from_json(row.text(1)?)? })
}

fn instance_of(row: &Row<'_>) -> Result<(Instance, Timestamp), Fault> {
    Ok((from_json(row.text(0)?)?, Timestamp(row.int(1)?)))
}
