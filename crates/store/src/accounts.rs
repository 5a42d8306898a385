//! Accounts and their settings.

use keysherd_base::{AccountId, Fault};
use keysherd_domain::account::{Account, AccountSettings};

use crate::changes::{self, Touched};
use crate::query::{Query, Row, Tx, all, first, from_json, run, to_json};

const INSERT: &str = "INSERT INTO accounts (id, settings, body) VALUES (?1, ?2, ?3)";
const GET: &str = "SELECT body, settings FROM accounts WHERE id = ?1";
const LIST: &str = "SELECT body, settings FROM accounts ORDER BY id";
const UPDATE: &str = "UPDATE accounts SET settings = ?2, body = ?3 WHERE id = ?1";
const SETTINGS: &str = "SELECT settings FROM accounts WHERE id = ?1";
const SWAP_SETTINGS: &str = "UPDATE accounts SET settings = ?3 WHERE id = ?1 AND settings = ?2";

/// Adds an account.
///
/// Its owner's auth method does not exist yet: insert it with `owner_method` 0 and [`update`] it
/// once the method has its id, in the same job.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when the id is taken.
pub fn insert(tx: &Tx, account: &Account) -> Result<(), Fault> {
    let (settings, body) = (to_json(&account.settings)?, to_json(account)?);
    run(tx, INSERT, &[(&account.id).into(), (&settings).into(), (&body).into()])
        .map_err(|refused| refused.or_taken(|| format!("account {} already exists", account.id)))?;
    changes::note(tx, account.id, Touched::Identities);
    Ok(())
}

/// One account.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, id: AccountId) -> Result<Option<Account>, Fault> {
    first(q, GET, &[(&id).into()], account_of)
}

/// All accounts, by id.
///
/// # Errors
/// Only when the store is broken.
pub fn list(q: &dyn Query) -> Result<Vec<Account>, Fault> {
    all(q, LIST, &[], account_of)
}

/// Replaces an account with its settings; `false` when there is none with this id.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn update(tx: &Tx, account: &Account) -> Result<bool, Fault> {
    let (settings, body) = (to_json(&account.settings)?, to_json(account)?);
    changes::note(tx, account.id, Touched::Identities);
    let changed = run(tx, UPDATE, &[(&account.id).into(), (&settings).into(), (&body).into()])?;
    Ok(changed == 1)
}

/// Replaces the settings of an account if they are still `expected`; `false` when they are not, or
/// when there is no such account.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn update_settings(
    tx: &Tx,
    id: AccountId,
    expected: &AccountSettings,
    settings: &AccountSettings,
) -> Result<bool, Fault> {
    // Compared as values: the stored text may have been written before a field was added.
    let stored = first(tx, SETTINGS, &[(&id).into()], |row| row.text(0).map(str::to_owned))?;
    let Some(stored) = stored else {
        return Ok(false);
    };
    if from_json::<AccountSettings>(&stored)? != *expected {
        return Ok(false);
    }
    changes::note(tx, id, Touched::Identities);
    let settings = to_json(settings)?;
    let changed = run(tx, SWAP_SETTINGS, &[(&id).into(), (&stored).into(), (&settings).into()])?;
    Ok(changed == 1)
}

fn account_of(row: &Row<'_>) -> Result<Account, Fault> {
    let mut account: Account = from_json(row.text(0)?)?;
    account.settings = from_json(row.text(1)?)?;
    Ok(account)
}
