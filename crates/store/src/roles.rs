//! Roles with their rules.

use keysherd_base::{AccountId, Fault, FolderPath, ItemPath, Timestamp};
use keysherd_domain::role::Role;

use crate::changes::{self, Touched};
use crate::moves::{self, MoveStatements, move_statements};
use crate::query::{Query, Row, Tx, all, first, first_changed, from_json, run, to_json};

const INSERT: &str = "INSERT INTO roles (account, path, modified, body) \
                      VALUES (?1, ?2, ?3, ?4) RETURNING id";
const UPDATE: &str = "UPDATE roles SET path = ?2, modified = ?3, body = ?4 WHERE id = ?1";
const OWNER: &str = "SELECT account FROM roles WHERE id = ?1";
const DELETE: &str = "DELETE FROM roles WHERE id = ?1";
const BY_ID: &str = "SELECT id, path, modified, body FROM roles WHERE account = ?1 AND id = ?2";
const BY_PATH: &str = "SELECT id, path, modified, body FROM roles \
                       WHERE account = ?1 AND path = ?2";
const ALL: &str = "SELECT id, path, modified, body FROM roles WHERE account = ?1 ORDER BY path";
const MOVE: MoveStatements = move_statements!("roles", "");

/// Adds a role and gives its id; the id in `role` is not used.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path is taken.
pub fn insert(tx: &Tx, role: &Role) -> Result<i64, Fault> {
    changes::note(tx, role.account, Touched::Identities);
    let body = to_json(role)?;
    let args =
        [(&role.account).into(), role.path.as_str().into(), role.modified.0.into(), (&body).into()];
    first_changed(tx, INSERT, &args, |row| row.int(0))
        .map_err(|refused| refused.or_taken(|| taken(role)))
}

/// Replaces the role with this id, rules included; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path is taken.
pub fn update(tx: &Tx, role: &Role) -> Result<bool, Fault> {
    changes::note(tx, role.account, Touched::Identities);
    let body = to_json(role)?;
    let args = [role.id.into(), role.path.as_str().into(), role.modified.0.into(), (&body).into()];
    let changed = run(tx, UPDATE, &args).map_err(|refused| refused.or_taken(|| taken(role)))?;
    Ok(changed == 1)
}

/// Deletes a role with its associations; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, id: i64) -> Result<bool, Fault> {
    changes::note_owner(tx, OWNER, id.into(), Touched::Identities)?;
    Ok(run(tx, DELETE, &[id.into()])? == 1)
}

/// The role with this integer id.
///
/// # Errors
/// Only when the store is broken.
pub fn by_id(q: &dyn Query, account: AccountId, id: i64) -> Result<Option<Role>, Fault> {
    first(q, BY_ID, &[(&account).into(), id.into()], role_of)
}

/// The role with this path.
///
/// # Errors
/// Only when the store is broken.
pub fn by_path(q: &dyn Query, account: AccountId, path: &ItemPath) -> Result<Option<Role>, Fault> {
    first(q, BY_PATH, &[(&account).into(), path.as_str().into()], role_of)
}

/// All roles of an account with their rules, by path.
///
/// # Errors
/// Only when the store is broken.
pub fn all_of(q: &dyn Query, account: AccountId) -> Result<Vec<Role>, Fault> {
    all(q, ALL, &[(&account).into()], role_of)
}

/// Moves all roles below one folder to another, all or none; gives their number.
///
/// # Errors
/// As [`crate::items::move_folder`].
pub fn move_folder(
    tx: &Tx,
    account: AccountId,
    from: &FolderPath,
    to: &FolderPath,
    now: Timestamp,
) -> Result<usize, Fault> {
    changes::note(tx, account, Touched::Identities);
    moves::move_folder(tx, &MOVE, account, from, to, now)
}

fn taken(role: &Role) -> String {
    format!("a role named {} already exists", role.path.bare())
}

fn role_of(row: &Row<'_>) -> Result<Role, Fault> {
    let mut role: Role = from_json(row.text(3)?)?;
    role.id = row.int(0)?;
    role.path = ItemPath::parse(row.text(1)?)?;
    role.modified = Timestamp(row.int(2)?);
    Ok(role)
}
