//! Auth methods.

use keysherd_base::{AccessId, AccountId, Fault, FolderPath, ItemPath, Timestamp};
use keysherd_domain::auth_method::AuthMethod;

use crate::changes::{self, Touched};
use crate::moves::{self, MoveStatements, move_statements};
use crate::query::{Arg, Query, Row, Tx, all, first, first_changed, from_json, run, to_json};

const INSERT: &str = "INSERT INTO auth_methods (account, path, access_id, email, modified, body) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";
const UPDATE: &str = "UPDATE auth_methods SET account = ?1, path = ?2, access_id = ?3, \
                      email = ?4, modified = ?5, body = ?6 WHERE id = ?7";
const OWNER: &str = "SELECT account FROM auth_methods WHERE id = ?1";
const DELETE: &str = "DELETE FROM auth_methods WHERE id = ?1";
const BY_ID: &str = "SELECT id, path, modified, body FROM auth_methods \
                     WHERE account = ?1 AND id = ?2";
const BY_PATH: &str = "SELECT id, path, modified, body FROM auth_methods \
                       WHERE account = ?1 AND path = ?2";
const BY_ACCESS_ID: &str = "SELECT id, path, modified, body FROM auth_methods \
                            WHERE access_id = ?1";
const BY_EMAIL: &str = "SELECT id, path, modified, body FROM auth_methods \
                        WHERE email = ?1 ORDER BY id";
const ALL: &str = "SELECT id, path, modified, body FROM auth_methods \
                   WHERE account = ?1 ORDER BY path";
const MOVE: MoveStatements = move_statements!("auth_methods", "");

/// Adds a method and gives its id; the id in `method` is not used.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path, access id or e-mail address is taken.
pub fn insert(tx: &Tx, method: &AuthMethod) -> Result<i64, Fault> {
    changes::note(tx, method.account, Touched::Identities);
    let body = to_json(method)?;
    first_changed(tx, INSERT, &columns(method, &body), |row| row.int(0))
        .map_err(|refused| refused.or_taken(|| taken(method)))
}

/// Replaces the method with this id; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path, access id or e-mail address is taken.
pub fn update(tx: &Tx, method: &AuthMethod) -> Result<bool, Fault> {
    changes::note(tx, method.account, Touched::Identities);
    let body = to_json(method)?;
    let [account, path, access_id, email, modified, body] = columns(method, &body);
    let args = [account, path, access_id, email, modified, body, method.id.into()];
    let changed = run(tx, UPDATE, &args).map_err(|refused| refused.or_taken(|| taken(method)))?;
    Ok(changed == 1)
}

/// Deletes a method with its associations; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, id: i64) -> Result<bool, Fault> {
    changes::note_owner(tx, OWNER, id.into(), Touched::Identities)?;
    Ok(run(tx, DELETE, &[id.into()])? == 1)
}

/// The method with this integer id.
///
/// # Errors
/// Only when the store is broken.
pub fn by_id(q: &dyn Query, account: AccountId, id: i64) -> Result<Option<AuthMethod>, Fault> {
    first(q, BY_ID, &[(&account).into(), id.into()], method_of)
}

/// The method with this path.
///
/// # Errors
/// Only when the store is broken.
pub fn by_path(
    q: &dyn Query,
    account: AccountId,
    path: &ItemPath,
) -> Result<Option<AuthMethod>, Fault> {
    first(q, BY_PATH, &[(&account).into(), path.as_str().into()], method_of)
}

/// The method with this access id, in any account.
///
/// # Errors
/// Only when the store is broken.
pub fn by_access_id(q: &dyn Query, access_id: &AccessId) -> Result<Option<AuthMethod>, Fault> {
    first(q, BY_ACCESS_ID, &[access_id.as_str().into()], method_of)
}

/// The methods with this e-mail address (in lower case), at most one in each account.
///
/// # Errors
/// Only when the store is broken.
pub fn by_email(q: &dyn Query, email: &str) -> Result<Vec<AuthMethod>, Fault> {
    all(q, BY_EMAIL, &[email.into()], method_of)
}

/// All methods of an account, by path.
///
/// # Errors
/// Only when the store is broken.
pub fn all_of(q: &dyn Query, account: AccountId) -> Result<Vec<AuthMethod>, Fault> {
    all(q, ALL, &[(&account).into()], method_of)
}

/// Moves all methods below one folder to another, all or none; gives their number.
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

fn columns<'a>(method: &'a AuthMethod, body: &'a str) -> [Arg<'a>; 6] {
    [
        (&method.account).into(),
        method.path.as_str().into(),
        method.access_id.as_str().into(),
        method.detail.email().into(),
        method.modified.0.into(),
        body.into(),
    ]
}

fn taken(method: &AuthMethod) -> String {
    let name = method.path.bare();
    match method.detail.email() {
        Some(email) => format!("an auth method named {name} or one for {email} already exists"),
        None => format!("an auth method named {name} already exists"),
    }
}

fn method_of(row: &Row<'_>) -> Result<AuthMethod, Fault> {
    let mut method: AuthMethod = from_json(row.text(3)?)?;
    method.id = row.int(0)?;
    method.path = ItemPath::parse(row.text(1)?)?;
    method.modified = Timestamp(row.int(2)?);
    Ok(method)
}
