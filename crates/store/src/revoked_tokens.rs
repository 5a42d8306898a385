//! Tokens that were revoked before they end by themselves.

use keysherd_base::{AccountId, Fault, Timestamp, Uid};

use crate::changes::{self, Touched};
use crate::query::{Query, Tx, all, first, run};

const INSERT: &str = "INSERT INTO revoked_tokens (token, account, expires) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (token) DO NOTHING";
const CONTAINS: &str = "SELECT 1 FROM revoked_tokens WHERE token = ?1";
const UNEXPIRED: &str = "SELECT token, account, expires FROM revoked_tokens WHERE expires > ?1";
const PURGE: &str = "DELETE FROM revoked_tokens WHERE expires <= ?1";

/// A revoked token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedToken {
    /// The token's id.
    pub token: Uid,
    /// The account it was for.
    pub account: AccountId,
    /// When it would have ended by itself.
    pub expires: Timestamp,
}

/// Revokes a token; doing it twice is no error.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn insert(tx: &Tx, revoked: &RevokedToken) -> Result<(), Fault> {
    let args = [(&revoked.token).into(), (&revoked.account).into(), revoked.expires.0.into()];
    run(tx, INSERT, &args)?;
    let RevokedToken { token, account, expires } = *revoked;
    changes::note(tx, account, Touched::Token { token, expires });
    Ok(())
}

/// Whether a token is revoked.
///
/// # Errors
/// Only when the store is broken.
pub fn contains(q: &dyn Query, token: Uid) -> Result<bool, Fault> {
    Ok(first(q, CONTAINS, &[(&token).into()], |_| Ok(()))?.is_some())
}

/// The revoked tokens that would still be good at `now`.
///
/// # Errors
/// Only when the store is broken.
pub fn unexpired(q: &dyn Query, now: Timestamp) -> Result<Vec<RevokedToken>, Fault> {
    all(q, UNEXPIRED, &[now.0.into()], |row| {
        Ok(RevokedToken {
            token: Uid(row.array(0)?),
            account: AccountId(Uid(row.array(1)?)),
            expires: Timestamp(row.int(2)?),
        })
    })
}

/// Forgets the tokens that have ended by themselves at `now`; gives their number.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn purge_expired(tx: &Tx, now: Timestamp) -> Result<usize, Fault> {
    Ok(run(tx, PURGE, &[now.0.into()])?)
}
