//! Where the rotations of rotated secrets stand. Nothing of them is in anybody's memory: what is
//! due is looked up.

use keysherd_base::{AccountId, Fault, ItemId, Timestamp, Uid};
use keysherd_domain::credential_rotation::CredentialRotation;

use crate::query::{Query, Row, Tx, all, first, from_json, run, to_json};

const INSERT: &str = "INSERT INTO credential_rotations (item, account, cluster, due, body) \
                      VALUES (?1, ?2, ?3, ?4, ?5)";
const UPDATE: &str = "UPDATE credential_rotations SET due = ?2, body = ?3 WHERE item = ?1";
const GET: &str = "SELECT item, account, cluster, due, body FROM credential_rotations \
                   WHERE item = ?1";
const DUE: &str = "SELECT item, account, cluster, due, body FROM credential_rotations \
                   WHERE cluster = ?1 AND due <= ?2 ORDER BY due LIMIT ?3";
const NEXT_DUE: &str = "SELECT due FROM credential_rotations \
                        WHERE cluster = ?1 AND due IS NOT NULL ORDER BY due LIMIT 1";
const LEAVE_TO_ANY: &str = "UPDATE credential_rotations SET cluster = 0 WHERE cluster = ?1";

/// Rotations with what they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRotation {
    /// The rotated secret.
    pub item: ItemId,
    /// The account.
    pub account: AccountId,
    /// The cluster whose gateways rotate it; 0: any gateway does.
    pub cluster: i64,
    /// How they stand.
    pub rotation: CredentialRotation,
}

/// Adds those of a new rotated secret.
///
/// # Errors
/// [`keysherd_base::FaultKind::Internal`] when there is no such item, or it has some.
pub fn insert(tx: &Tx, stored: &StoredRotation) -> Result<(), Fault> {
    let StoredRotation { item, account, cluster, rotation } = stored;
    let body = to_json(rotation)?;
    let due = rotation.due.map(|due| due.0);
    let args = [item.0.into(), account.into(), (*cluster).into(), due.into(), (&body).into()];
    run(tx, INSERT, &args)?;
    Ok(())
}

/// Keeps how they stand; `false` when the item is gone.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn update(tx: &Tx, item: ItemId, rotation: &CredentialRotation) -> Result<bool, Fault> {
    let body = to_json(rotation)?;
    let due = rotation.due.map(|due| due.0);
    Ok(run(tx, UPDATE, &[item.0.into(), due.into(), (&body).into()])? == 1)
}

/// Those of one rotated secret.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, item: ItemId) -> Result<Option<StoredRotation>, Fault> {
    first(q, GET, &[item.0.into()], stored_of)
}

/// At most `limit` secrets of a cluster for which something is due, the longest due first.
///
/// # Errors
/// Only when the store is broken.
pub fn due(
    q: &dyn Query,
    cluster: i64,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<StoredRotation>, Fault> {
    all(q, DUE, &[cluster.into(), now.0.into(), limit.into()], stored_of)
}

/// When something is due in a cluster next, or was.
///
/// # Errors
/// Only when the store is broken.
pub fn next_due(q: &dyn Query, cluster: i64) -> Result<Option<Timestamp>, Fault> {
    first(q, NEXT_DUE, &[cluster.into()], |row| row.int(0).map(Timestamp))
}

/// Leaves the rotations of a cluster that is going to any gateway.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub(crate) fn leave_to_any(tx: &Tx, cluster: i64) -> Result<(), Fault> {
    run(tx, LEAVE_TO_ANY, &[cluster.into()])?;
    Ok(())
}

fn stored_of(row: &Row<'_>) -> Result<StoredRotation, Fault> {
    let mut rotation: CredentialRotation = from_json(row.text(4)?)?;
    rotation.due = row.optional_int(3)?.map(Timestamp);
    Ok(StoredRotation {
        item: ItemId(row.int(0)?),
        account: AccountId(Uid(row.array(1)?)),
        cluster: row.int(2)?,
        rotation,
    })
}
