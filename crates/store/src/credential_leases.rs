//! Temporary credentials. Nothing of them is in anybody's memory: what is due is looked up.

use keysherd_base::{AccountId, Fault, ItemId, Timestamp, Uid};
use keysherd_domain::credential_lease::{CredentialLease, LeaseState};

use crate::query::{Query, Row, Tx, all, first, from_json, run, to_json};

const INSERT: &str = "INSERT INTO credential_leases \
                      (id, account, item, cluster, state, due, attempts, settled, body) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const UPDATE: &str = "UPDATE credential_leases SET state = ?2, due = ?3, attempts = ?4, \
                      settled = ?5, body = ?6 WHERE id = ?1";
const DELETE: &str = "DELETE FROM credential_leases WHERE id = ?1";
const GET: &str = "SELECT id, account, item, cluster, state, due, attempts, settled, body \
                   FROM credential_leases WHERE id = ?1";
const PAGE: &str = "SELECT id, account, item, cluster, state, due, attempts, settled, body \
                    FROM credential_leases WHERE item = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
const DUE: &str = "SELECT id, account, item, cluster, state, due, attempts, settled, body \
                   FROM credential_leases WHERE cluster = ?1 AND due <= ?2 ORDER BY due LIMIT ?3";
const DUE_OF: &str = "SELECT id, account, item, cluster, state, due, attempts, settled, body \
                      FROM credential_leases WHERE cluster = ?1 AND item = ?2 AND due <= ?3 \
                      ORDER BY due LIMIT ?4";
// From one secret to the next in the index, never along what is due of one.
const SECRETS_DUE: &str = "\
    WITH RECURSIVE found (item, number) AS ( \
        SELECT (SELECT item FROM credential_leases WHERE cluster = ?1 AND item > ?2 \
                AND due IS NOT NULL ORDER BY item LIMIT 1), 1 \
        UNION ALL \
        SELECT (SELECT l.item FROM credential_leases l WHERE l.cluster = ?1 \
                AND l.item > found.item AND l.due IS NOT NULL ORDER BY l.item LIMIT 1), \
               found.number + 1 \
        FROM found WHERE found.item IS NOT NULL AND found.number < ?3), \
    first (item, due) AS ( \
        SELECT item, (SELECT l.due FROM credential_leases l WHERE l.cluster = ?1 \
                      AND l.item = found.item AND l.due IS NOT NULL ORDER BY l.due LIMIT 1) \
        FROM found WHERE item IS NOT NULL) \
    SELECT first.item, i.account, t.target, first.due \
    FROM first JOIN items i ON i.id = first.item LEFT JOIN item_targets t ON t.item = first.item \
    ORDER BY first.item";
const LAST_SECRET: &str = "SELECT item FROM credential_leases \
                           WHERE cluster = ?1 AND due IS NOT NULL ORDER BY item DESC LIMIT 1";
const NEXT_DUE: &str = "SELECT due FROM credential_leases \
                        WHERE cluster = ?1 AND due IS NOT NULL ORDER BY due LIMIT 1";
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM credential_leases \
                     WHERE item = ?1 LIMIT ?2) AS counted";
// As `CredentialLease::revoke` does with one.
const REVOKE_ALL: &str = "UPDATE credential_leases SET state = 'revoking', attempts = 0, \
                          due = CASE WHEN settled = 0 AND due IS NOT NULL THEN due ELSE ?2 END \
                          WHERE item = ?1";
const DELETE_ALL: &str = "DELETE FROM credential_leases \
                          WHERE item = ?1 AND (settled <> 0 OR due IS NULL)";
const LEAVE_TO_ANY: &str = "UPDATE credential_leases SET cluster = 0 WHERE cluster = ?1";

/// A credential with what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLease {
    /// Its identity.
    pub id: Uid,
    /// The account.
    pub account: AccountId,
    /// The dynamic secret.
    pub item: ItemId,
    /// The cluster whose gateways remove it; 0: any gateway does.
    pub cluster: i64,
    /// Its life.
    pub lease: CredentialLease,
}

/// Adds one.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its id is taken,
/// [`keysherd_base::FaultKind::Internal`] when there is no such item.
pub fn insert(tx: &Tx, stored: &StoredLease) -> Result<(), Fault> {
    let StoredLease { id, account, item, cluster, lease } = stored;
    let body = to_json(lease)?;
    let args = [
        id.into(),
        account.into(),
        item.0.into(),
        (*cluster).into(),
        lease.state.name().into(),
        lease.due.map(|due| due.0).into(),
        lease.attempts.into(),
        i64::from(lease.settled).into(),
        (&body).into(),
    ];
    run(tx, INSERT, &args)
        .map_err(|refused| refused.or_taken(|| format!("a credential {id} already exists")))?;
    Ok(())
}

/// Keeps where one is in its life; `false` when it is gone.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn update(tx: &Tx, id: Uid, lease: &CredentialLease) -> Result<bool, Fault> {
    let body = to_json(lease)?;
    let args = [
        (&id).into(),
        lease.state.name().into(),
        lease.due.map(|due| due.0).into(),
        lease.attempts.into(),
        i64::from(lease.settled).into(),
        (&body).into(),
    ];
    Ok(run(tx, UPDATE, &args)? == 1)
}

/// Forgets one; `false` when it is gone already.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, id: Uid) -> Result<bool, Fault> {
    Ok(run(tx, DELETE, &[(&id).into()])? == 1)
}

/// The credential with this id.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, id: Uid) -> Result<Option<StoredLease>, Fault> {
    first(q, GET, &[(&id).into()], stored_of)
}

/// At most `limit` credentials of a dynamic secret after the one with the id `after`, by id.
///
/// # Errors
/// Only when the store is broken.
pub fn page(
    q: &dyn Query,
    item: ItemId,
    after: Option<Uid>,
    limit: usize,
) -> Result<Vec<StoredLease>, Fault> {
    let after = after.map_or_else(Vec::new, |id| id.0.to_vec());
    all(q, PAGE, &[item.0.into(), after.as_slice().into(), limit.into()], stored_of)
}

/// At most `limit` credentials of a cluster that are due, the longest due first.
///
/// # Errors
/// Only when the store is broken.
pub fn due(
    q: &dyn Query,
    cluster: i64,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<StoredLease>, Fault> {
    all(q, DUE, &[cluster.into(), now.0.into(), limit.into()], stored_of)
}

/// At most `limit` credentials of a cluster and a dynamic secret that are due, the longest due
/// first.
///
/// # Errors
/// Only when the store is broken.
pub fn due_of(
    q: &dyn Query,
    (cluster, item): (i64, ItemId),
    now: Timestamp,
    limit: usize,
) -> Result<Vec<StoredLease>, Fault> {
    let args = [cluster.into(), item.0.into(), now.0.into(), limit.into()];
    all(q, DUE_OF, &args, stored_of)
}

/// A dynamic secret of which something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretDue {
    /// The dynamic secret.
    pub item: ItemId,
    /// Whose it is.
    pub account: AccountId,
    /// Its target, if it has one.
    pub target: Option<ItemId>,
    /// Since when something is.
    pub due: Timestamp,
}

/// Of the `looked_at` dynamic secrets after the one with the number `after` that have credentials
/// in a cluster, those of which some are due.
///
/// # Errors
/// Only when the store is broken.
pub fn secrets_due(
    q: &dyn Query,
    (cluster, after): (i64, ItemId),
    now: Timestamp,
    looked_at: usize,
) -> Result<Vec<SecretDue>, Fault> {
    let args = [cluster.into(), after.0.into(), looked_at.into()];
    all(q, SECRETS_DUE, &args, |row| {
        Ok(SecretDue {
            item: ItemId(row.int(0)?),
            account: AccountId(Uid(row.array(1)?)),
            target: row.optional_int(2)?.map(ItemId),
            due: Timestamp(row.int(3)?),
        })
    })
    .map(|found| found.into_iter().filter(|secret| secret.due <= now).collect())
}

/// The greatest number of a dynamic secret that has credentials in a cluster.
///
/// # Errors
/// Only when the store is broken.
pub fn last_secret(q: &dyn Query, cluster: i64) -> Result<Option<ItemId>, Fault> {
    first(q, LAST_SECRET, &[cluster.into()], |row| row.int(0).map(ItemId))
}

/// When something is due in a cluster next, or was.
///
/// # Errors
/// Only when the store is broken.
pub fn next_due(q: &dyn Query, cluster: i64) -> Result<Option<Timestamp>, Fault> {
    first(q, NEXT_DUE, &[cluster.into()], |row| row.int(0).map(Timestamp))
}

/// How many credentials a dynamic secret has, counted up to `most`.
///
/// # Errors
/// Only when the store is broken.
pub fn count(q: &dyn Query, item: ItemId, most: usize) -> Result<usize, Fault> {
    Ok(first(q, COUNT, &[item.0.into(), most.into()], |row| row.number(0))?.unwrap_or_default())
}

/// Has all credentials of a dynamic secret removed, as [`CredentialLease::revoke`] does with one;
/// gives their number.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn revoke_all(tx: &Tx, item: ItemId, now: Timestamp) -> Result<usize, Fault> {
    Ok(run(tx, REVOKE_ALL, &[item.0.into(), now.0.into()])?)
}

/// Forgets all credentials of a dynamic secret that nobody may be making at this moment; gives
/// their number.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete_all(tx: &Tx, item: ItemId) -> Result<usize, Fault> {
    Ok(run(tx, DELETE_ALL, &[item.0.into()])?)
}

/// Leaves the credentials of a cluster that is going to any gateway.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub(crate) fn leave_to_any(tx: &Tx, cluster: i64) -> Result<(), Fault> {
    run(tx, LEAVE_TO_ANY, &[cluster.into()])?;
    Ok(())
}

fn stored_of(row: &Row<'_>) -> Result<StoredLease, Fault> {
    let mut lease: CredentialLease = from_json(row.text(8)?)?;
    lease.state = LeaseState::from_name(row.text(4)?)
        .ok_or_else(|| Fault::internal("a temporary credential is in an unknown state"))?;
    lease.due = row.optional_int(5)?.map(Timestamp);
    lease.attempts = row.number(6)?;
    lease.settled = row.int(7)? != 0;
    Ok(StoredLease {
        id: Uid(row.array(0)?),
        account: AccountId(Uid(row.array(1)?)),
        item: ItemId(row.int(2)?),
        cluster: row.int(3)?,
        lease,
    })
}
