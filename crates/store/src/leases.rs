//! Leases of gateway clusters, and the places that whoever holds them came to.

use keysherd_base::Fault;
use keysherd_domain::lease::Lease;

use crate::query::{Query, Tx, all, first, from_json, run, to_json};

const GET: &str = "SELECT body FROM gateway_leases WHERE cluster = ?1 AND name = ?2";
const PUT: &str = "INSERT INTO gateway_leases (cluster, name, body) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (cluster, name) DO UPDATE SET body = excluded.body";
const PLACES: &str = "SELECT name, body FROM gateway_places WHERE cluster = ?1 AND lease = ?2 \
                      ORDER BY name LIMIT ?3";
const COUNT: &str = "SELECT count(*) FROM gateway_places WHERE cluster = ?1 AND lease = ?2";
const PUT_PLACE: &str = "INSERT INTO gateway_places (cluster, lease, name, body) \
                         VALUES (?1, ?2, ?3, ?4) \
                         ON CONFLICT (cluster, lease, name) DO UPDATE SET body = excluded.body";
const DELETE_PLACE: &str = "DELETE FROM gateway_places \
                            WHERE cluster = ?1 AND lease = ?2 AND name = ?3";

/// A lease of a cluster; `None`: nobody had it yet.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, cluster: i64, name: &str) -> Result<Option<Lease>, Fault> {
    first(q, GET, &[cluster.into(), name.into()], |row| from_json(row.text(0)?))
}

/// Keeps a lease in place of what is known of it. Decide in the same job what it becomes.
///
/// # Errors
/// When there is no such cluster, the store is broken or the disk full.
pub fn put(tx: &Tx, cluster: i64, name: &str, lease: &Lease) -> Result<(), Fault> {
    let body = to_json(lease)?;
    run(tx, PUT, &[cluster.into(), name.into(), (&body).into()])?;
    Ok(())
}

/// At most `limit` places under a lease, each with its name.
///
/// # Errors
/// Only when the store is broken.
pub fn places(
    q: &dyn Query,
    cluster: i64,
    lease: &str,
    limit: usize,
) -> Result<Vec<(String, String)>, Fault> {
    let args = [cluster.into(), lease.into(), limit.into()];
    all(q, PLACES, &args, |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())))
}

/// Number of places under a lease.
///
/// # Errors
/// Only when the store is broken.
pub fn count_places(q: &dyn Query, cluster: i64, lease: &str) -> Result<i64, Fault> {
    Ok(first(q, COUNT, &[cluster.into(), lease.into()], |row| row.int(0))?.unwrap_or_default())
}

/// Keeps a place, in place of the one with its name. Look at the lease in the same job.
///
/// # Errors
/// When there is no such cluster, the store is broken or the disk full.
pub fn put_place(tx: &Tx, cluster: i64, lease: &str, name: &str, body: &str) -> Result<(), Fault> {
    run(tx, PUT_PLACE, &[cluster.into(), lease.into(), name.into(), body.into()])?;
    Ok(())
}

/// Forgets a place; whether it was there.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete_place(tx: &Tx, cluster: i64, lease: &str, name: &str) -> Result<bool, Fault> {
    Ok(run(tx, DELETE_PLACE, &[cluster.into(), lease.into(), name.into()])? == 1)
}
