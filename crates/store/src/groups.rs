//! Groups of bearers.

use keysherd_base::{AccountId, Fault, ItemPath};
use keysherd_domain::group::Group;

use crate::query::{Query, Row, Tx, all, first, from_json, run, to_json};

const INSERT: &str = "INSERT INTO bearer_groups (id, account, path, alias, body) \
                      VALUES (?1, ?2, ?3, ?4, ?5)";
const UPDATE: &str = "UPDATE bearer_groups SET path = ?3, alias = ?4, body = ?5 \
                      WHERE account = ?2 AND id = ?1";
const DELETE: &str = "DELETE FROM bearer_groups WHERE account = ?1 AND path = ?2";
const BY_PATH: &str = "SELECT body FROM bearer_groups WHERE account = ?1 AND path = ?2";
const AFTER: &str = "SELECT body FROM bearer_groups WHERE account = ?1 AND path > ?2 \
                     ORDER BY path LIMIT ?3";
const COUNT: &str = "SELECT count(*) FROM bearer_groups WHERE account = ?1";

/// Adds a group.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path or alias is taken.
pub fn insert(tx: &Tx, group: &Group) -> Result<(), Fault> {
    put(tx, INSERT, group).map(drop)
}

/// Replaces the group with this id; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path or alias is taken.
pub fn update(tx: &Tx, group: &Group) -> Result<bool, Fault> {
    Ok(put(tx, UPDATE, group)? == 1)
}

/// Deletes a group; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, account: AccountId, path: &ItemPath) -> Result<bool, Fault> {
    Ok(run(tx, DELETE, &[(&account).into(), path.as_str().into()])? == 1)
}

/// The group with this path.
///
/// # Errors
/// Only when the store is broken.
pub fn by_path(q: &dyn Query, account: AccountId, path: &ItemPath) -> Result<Option<Group>, Fault> {
    first(q, BY_PATH, &[(&account).into(), path.as_str().into()], group_of)
}

/// At most `limit` groups by path, from after this one.
///
/// # Errors
/// Only when the store is broken.
pub fn after(
    q: &dyn Query,
    account: AccountId,
    after: Option<&ItemPath>,
    limit: i64,
) -> Result<Vec<Group>, Fault> {
    let after = after.map_or("", ItemPath::as_str);
    all(q, AFTER, &[(&account).into(), after.into(), limit.into()], group_of)
}

/// Number of groups of an account.
///
/// # Errors
/// Only when the store is broken.
pub fn count(q: &dyn Query, account: AccountId) -> Result<i64, Fault> {
    Ok(first(q, COUNT, &[(&account).into()], |row| row.int(0))?.unwrap_or_default())
}

fn put(tx: &Tx, statement: &'static str, group: &Group) -> Result<usize, Fault> {
    let body = to_json(group)?;
    let args = [
        (&*group.id).into(),
        (&group.account).into(),
        group.path.as_str().into(),
        (&*group.alias).into(),
        (&body).into(),
    ];
    run(tx, statement, &args).map_err(|refused| {
        refused.or_taken(|| {
            let (name, alias) = (group.path.bare(), &group.alias);
            format!("a group named {name} or with the alias {alias} already exists")
        })
    })
}

fn group_of(row: &Row<'_>) -> Result<Group, Fault> {
    from_json(row.text(0)?)
}
