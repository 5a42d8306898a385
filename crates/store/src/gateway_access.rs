//! Who may configure a gateway cluster.

use keysherd_base::Fault;
use keysherd_domain::gateway_access::GatewayAccess;

use crate::query::{Query, Row, Tx, all, first, first_changed, from_json, run, to_json};

const INSERT: &str = "INSERT INTO gateway_access (cluster, name, body) VALUES (?1, ?2, ?3) \
                      RETURNING id";
const UPDATE: &str = "UPDATE gateway_access SET name = ?2, body = ?3 WHERE id = ?1";
const DELETE: &str = "DELETE FROM gateway_access WHERE cluster = ?1 AND name = ?2";
const BY_NAME: &str = "SELECT id, body FROM gateway_access WHERE cluster = ?1 AND name = ?2";
const OF_CLUSTER: &str = "SELECT id, body FROM gateway_access WHERE cluster = ?1 \
                          ORDER BY id LIMIT ?2";

/// Adds one; gives its number, which replaces the one it has.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its name is taken.
pub fn insert(tx: &Tx, access: &GatewayAccess) -> Result<i64, Fault> {
    let body = to_json(access)?;
    let args = [access.cluster.into(), (&access.name).into(), (&body).into()];
    let put = first_changed(tx, INSERT, &args, |row| row.int(0));
    put.map_err(|refused| refused.or_taken(|| taken(&access.name)))
}

/// Replaces the one with this number; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its name is taken.
pub fn update(tx: &Tx, access: &GatewayAccess) -> Result<bool, Fault> {
    let body = to_json(access)?;
    let args = [access.id.into(), (&access.name).into(), (&body).into()];
    let put = run(tx, UPDATE, &args);
    Ok(put.map_err(|refused| refused.or_taken(|| taken(&access.name)))? == 1)
}

/// Deletes one; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, cluster: i64, name: &str) -> Result<bool, Fault> {
    Ok(run(tx, DELETE, &[cluster.into(), name.into()])? == 1)
}

/// The one with this name.
///
/// # Errors
/// Only when the store is broken.
pub fn by_name(q: &dyn Query, cluster: i64, name: &str) -> Result<Option<GatewayAccess>, Fault> {
    first(q, BY_NAME, &[cluster.into(), name.into()], access_of)
}

/// At most `limit` of a cluster, the oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn of_cluster(q: &dyn Query, cluster: i64, limit: usize) -> Result<Vec<GatewayAccess>, Fault> {
    all(q, OF_CLUSTER, &[cluster.into(), limit.into()], access_of)
}

fn taken(name: &str) -> String {
    format!("the cluster has an allowed access named '{}' already", name.escape_default())
}

fn access_of(row: &Row<'_>) -> Result<GatewayAccess, Fault> {
    let id = row.int(0)?;
    Ok(GatewayAccess { id, ..from_json(row.text(1)?)? })
}
