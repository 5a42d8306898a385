//! Tokens of universal identity. Of their values only hashes are kept.

use keysherd_base::{Fault, Timestamp, UidTokenId};
use keysherd_domain::uid::UidToken;

use crate::changes::{self, Touched};
use crate::query::{Arg, Query, Row, Tx, all, first, first_changed, from_json, run, to_json};

const INSERT: &str = "INSERT INTO uid_tokens (method, token_id, revoked, ends, event_at, body) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id";
const UPDATE: &str = "UPDATE uid_tokens SET method = ?1, token_id = ?2, revoked = ?3, \
                      ends = ?4, event_at = ?5, body = ?6 WHERE id = ?7";
const OWNER: &str = "SELECT account FROM auth_methods WHERE id = ?1";
const BY_ID: &str = "SELECT id, revoked, body FROM uid_tokens WHERE id = ?1";
const BY_TOKEN_ID: &str = "SELECT id, revoked, body FROM uid_tokens \
                           WHERE method = ?1 AND token_id = ?2";
const BRANCH: &str = "SELECT id, revoked, body FROM uid_tokens \
                      WHERE method = ?1 AND token_id >= ?2 AND token_id < ?3 ORDER BY token_id";
const COUNT: &str = "SELECT COUNT(*) FROM uid_tokens WHERE method = ?1";
const REVOKE_BRANCH: &str = "UPDATE uid_tokens SET revoked = ?4, event_at = NULL \
                             WHERE method = ?1 AND token_id >= ?2 AND token_id < ?3 \
                             AND revoked IS NULL";
// The other condition keeps those that still have somebody below them.
const FORGET: &str = "DELETE FROM uid_tokens WHERE id IN (SELECT old.id FROM uid_tokens AS old \
                      WHERE old.ends < ?1 AND NOT EXISTS (SELECT 1 FROM uid_tokens AS below \
                      WHERE below.method = old.method AND below.token_id > old.token_id \
                      AND below.token_id < old.token_id || '{') ORDER BY old.ends LIMIT ?2)";
const DELETE_TREE: &str = "DELETE FROM uid_tokens WHERE method = ?1";
const DUE: &str = "SELECT id, revoked, body FROM uid_tokens \
                   WHERE event_at <= ?1 ORDER BY event_at LIMIT ?2";

/// Adds a token and gives its id; the id in `token` is not used. An event is due at `event`.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its token id is taken.
pub fn insert(tx: &Tx, token: &UidToken, event: Option<Timestamp>) -> Result<i64, Fault> {
    let body = to_json(token)?;
    first_changed(tx, INSERT, &columns(token, event, &body), |row| row.int(0))
        .map_err(|refused| refused.or_taken(|| format!("a token {} exists", token.token_id)))
}

/// Replaces the token with this id; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn update(tx: &Tx, token: &UidToken, event: Option<Timestamp>) -> Result<bool, Fault> {
    changes::note(tx, token.account, Touched::UidTokens { method: token.method });
    let body = to_json(token)?;
    let [method, token_id, revoked, ends, event, body] = columns(token, event, &body);
    let args = [method, token_id, revoked, ends, event, body, token.id.into()];
    Ok(run(tx, UPDATE, &args)? == 1)
}

/// The token with this number.
///
/// # Errors
/// Only when the store is broken.
pub fn by_id(q: &dyn Query, id: i64) -> Result<Option<UidToken>, Fault> {
    first(q, BY_ID, &[id.into()], token_of)
}

/// The token of a method with this public id.
///
/// # Errors
/// Only when the store is broken.
pub fn by_token_id(
    q: &dyn Query,
    method: i64,
    token_id: &UidTokenId,
) -> Result<Option<UidToken>, Fault> {
    first(q, BY_TOKEN_ID, &[method.into(), token_id.as_str().into()], token_of)
}

/// A token and all below it, or with `None` the whole tree: each after the one above it.
///
/// # Errors
/// Only when the store is broken.
pub fn branch(
    q: &dyn Query,
    method: i64,
    top: Option<&UidTokenId>,
) -> Result<Vec<UidToken>, Fault> {
    let (start, end) = range(top);
    all(q, BRANCH, &[method.into(), start.into(), (&end).into()], token_of)
}

/// Number of tokens in the tree of a method.
///
/// # Errors
/// Only when the store is broken.
pub fn count(q: &dyn Query, method: i64) -> Result<usize, Fault> {
    let count = first(q, COUNT, &[method.into()], |row| row.int(0))?;
    Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX))
}

/// Revokes a token and all below it; gives how many were in force until now.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn revoke_branch(
    tx: &Tx,
    method: i64,
    top: &UidTokenId,
    now: Timestamp,
) -> Result<usize, Fault> {
    changes::note_owner(tx, OWNER, method.into(), Touched::UidTokens { method })?;
    let (start, end) = range(Some(top));
    let args = [method.into(), start.into(), (&end).into(), now.0.into()];
    Ok(run(tx, REVOKE_BRANCH, &args)?)
}

/// Deletes at most `limit` tokens that ended before `then` and have nothing below them; gives their
/// number.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget(tx: &Tx, then: Timestamp, limit: usize) -> Result<usize, Fault> {
    Ok(run(tx, FORGET, &[then.0.into(), limit.into()])?)
}

/// Deletes the whole tree of a method; gives the number of its tokens.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete_tree(tx: &Tx, method: i64) -> Result<usize, Fault> {
    changes::note_owner(tx, OWNER, method.into(), Touched::UidTokens { method })?;
    Ok(run(tx, DELETE_TREE, &[method.into()])?)
}

/// At most `limit` tokens whose event is due at `now`, the longest due first.
///
/// # Errors
/// Only when the store is broken.
pub fn due(q: &dyn Query, now: Timestamp, limit: usize) -> Result<Vec<UidToken>, Fault> {
    all(q, DUE, &[now.0.into(), limit.into()], token_of)
}

/// The range of ids of a branch: from the first, and before the second. `{` is the character that
/// follows those of ids.
fn range(top: Option<&UidTokenId>) -> (&str, String) {
    let start = top.map_or("", UidTokenId::as_str);
    (start, format!("{start}{{"))
}

fn columns<'a>(token: &'a UidToken, event: Option<Timestamp>, body: &'a str) -> [Arg<'a>; 6] {
    [
        token.method.into(),
        token.token_id.as_str().into(),
        token.revoked.map(|at| at.0).into(),
        token.newest().expires.0.into(),
        event.map(|at| at.0).into(),
        body.into(),
    ]
}

fn token_of(row: &Row<'_>) -> Result<UidToken, Fault> {
    let mut token: UidToken = from_json(row.text(2)?)?;
    token.id = row.int(0)?;
    token.revoked = row.optional_int(1)?.map(Timestamp);
    Ok(token)
}
