//! The versions of items' values, with their ciphertext.
//!
//! One of them may be a candidate: what a rotation has stored and not brought to its end. It is a
//! version to keys, which wrap it and are needed for it, and to nobody else.

use std::sync::Arc;

use keysherd_base::{Fault, ItemId, KeyId};
use keysherd_domain::item::{ItemState, ItemVersion};

use crate::changes;
use crate::query::{Query, Row, Tx, all, first, from_json, run, to_json};

const PUT: &str = "INSERT INTO item_versions (item, version, state, key_id, key_version, body, \
                   ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                   ON CONFLICT (item, version) DO UPDATE SET \
                   state = excluded.state, key_id = excluded.key_id, \
                   key_version = excluded.key_version, body = excluded.body, \
                   ciphertext = excluded.ciphertext";
const LIST: &str = "SELECT version, state, body FROM item_versions \
                    WHERE item = ?1 AND candidate = 0 ORDER BY version DESC";
const GET: &str = "SELECT version, state, body, ciphertext FROM item_versions \
                   WHERE item = ?1 AND version = ?2 AND candidate = 0";
const GET_ANY: &str = "SELECT version, state, body, ciphertext FROM item_versions \
                       WHERE item = ?1 AND version = ?2";
const NEWEST: &str = "SELECT version, state, body, ciphertext FROM item_versions \
                      WHERE item = ?1 AND candidate = 0 ORDER BY version DESC LIMIT ?2";
const DELETE: &str = "DELETE FROM item_versions \
                      WHERE item = ?1 AND version = ?2 AND candidate = 0";
const PRUNE: &str = "DELETE FROM item_versions WHERE item = ?1 AND version <= (\
                     SELECT version FROM item_versions WHERE item = ?1 AND candidate = 0 \
                     ORDER BY version DESC LIMIT 1 OFFSET ?2)";
const SET_STATE: &str = "UPDATE item_versions SET state = ?3 \
                         WHERE item = ?1 AND version = ?2 AND candidate = 0";
const MARK: &str = "UPDATE item_versions SET candidate = ?3 WHERE item = ?1 AND version = ?2";
const CANDIDATE: &str = "SELECT version, state, body, ciphertext FROM item_versions \
                         WHERE item = ?1 AND candidate <> 0 LIMIT 1";
const DROP_CANDIDATE: &str = "DELETE FROM item_versions WHERE item = ?1 AND candidate <> 0";
const COUNT_BY_KEY: &str = "SELECT COUNT(DISTINCT item) FROM item_versions \
                            WHERE key_id = ?1 AND item <> ?2";

/// Adds a version, or overwrites the one with its number. A candidate stays one.
///
/// # Errors
/// [`keysherd_base::FaultKind::Internal`] when there is no such item.
pub fn put(tx: &Tx, item: ItemId, version: &ItemVersion) -> Result<(), Fault> {
    changes::note_item(tx, item)?;
    let body = to_json(&ItemVersion { ciphertext: Arc::default(), ..version.clone() })?;
    let args = [
        item.0.into(),
        version.version.into(),
        version.state.name().into(),
        (&version.key_id).into(),
        version.key_version.into(),
        (&body).into(),
        (&*version.ciphertext).into(),
    ];
    run(tx, PUT, &args)?;
    Ok(())
}

/// All versions of an item, newest first, with empty ciphertexts.
///
/// # Errors
/// Only when the store is broken.
pub fn list(q: &dyn Query, item: ItemId) -> Result<Vec<ItemVersion>, Fault> {
    all(q, LIST, &[item.0.into()], version_without_ciphertext)
}

/// One version of an item.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, item: ItemId, version: u32) -> Result<Option<ItemVersion>, Fault> {
    first(q, GET, &[item.0.into(), version.into()], version_of)
}

/// One version of an item, be it a candidate.
///
/// # Errors
/// Only when the store is broken.
pub fn get_any(q: &dyn Query, item: ItemId, version: u32) -> Result<Option<ItemVersion>, Fault> {
    first(q, GET_ANY, &[item.0.into(), version.into()], version_of)
}

/// The candidate of an item.
///
/// # Errors
/// Only when the store is broken.
pub fn candidate(q: &dyn Query, item: ItemId) -> Result<Option<ItemVersion>, Fault> {
    first(q, CANDIDATE, &[item.0.into()], version_of)
}

/// Stores a candidate, or overwrites the one that is there. Nobody reads it.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when the version is there and no candidate,
/// [`keysherd_base::FaultKind::Internal`] when there is no such item.
pub fn put_candidate(tx: &Tx, item: ItemId, version: &ItemVersion) -> Result<(), Fault> {
    if get(tx, item, version.version)?.is_some() {
        return Err(Fault::conflict(format!(
            "version {} is there already; nothing was stored",
            version.version
        )));
    }
    run(tx, DROP_CANDIDATE, &[item.0.into()])?;
    put(tx, item, version)?;
    run(tx, MARK, &[item.0.into(), version.version.into(), 1_i64.into()])?;
    Ok(())
}

/// Makes the candidate with this number a version like others; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn promote_candidate(tx: &Tx, item: ItemId, version: u32) -> Result<bool, Fault> {
    let found = candidate(tx, item)?.is_some_and(|found| found.version == version);
    if found {
        changes::note_item(tx, item)?;
        run(tx, MARK, &[item.0.into(), version.into(), 0_i64.into()])?;
    }
    Ok(found)
}

/// Deletes the candidate of an item, if it has one.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn drop_candidate(tx: &Tx, item: ItemId) -> Result<(), Fault> {
    run(tx, DROP_CANDIDATE, &[item.0.into()])?;
    Ok(())
}

/// The newest version of an item.
///
/// # Errors
/// Only when the store is broken.
pub fn latest(q: &dyn Query, item: ItemId) -> Result<Option<ItemVersion>, Fault> {
    first(q, NEWEST, &[item.0.into(), 1_u32.into()], version_of)
}

/// The newest `count` versions of an item, newest first.
///
/// # Errors
/// Only when the store is broken.
pub fn newest(q: &dyn Query, item: ItemId, count: u32) -> Result<Vec<ItemVersion>, Fault> {
    all(q, NEWEST, &[item.0.into(), count.into()], version_of)
}

/// Deletes a version; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, item: ItemId, version: u32) -> Result<bool, Fault> {
    changes::note_item(tx, item)?;
    Ok(run(tx, DELETE, &[item.0.into(), version.into()])? == 1)
}

/// Deletes all but the newest `keep` versions of an item; gives the number of those deleted.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn prune(tx: &Tx, item: ItemId, keep: u32) -> Result<usize, Fault> {
    changes::note_item(tx, item)?;
    Ok(run(tx, PRUNE, &[item.0.into(), keep.into()])?)
}

/// Sets the state of a version; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn set_state(tx: &Tx, item: ItemId, version: u32, state: ItemState) -> Result<bool, Fault> {
    changes::note_item(tx, item)?;
    let args = [item.0.into(), version.into(), state.name().into()];
    Ok(run(tx, SET_STATE, &args)? == 1)
}

/// How many items other than `except` have a version that this key wraps. `except` is the key's
/// own item, whose sealed material may be wrapped by itself.
///
/// # Errors
/// Only when the store is broken.
pub fn count_items_by_key(q: &dyn Query, key: KeyId, except: ItemId) -> Result<u64, Fault> {
    let count = first(q, COUNT_BY_KEY, &[(&key).into(), except.0.into()], |row| row.number(0))?;
    Ok(count.unwrap_or(0))
}

fn version_of(row: &Row<'_>) -> Result<ItemVersion, Fault> {
    let mut version = version_without_ciphertext(row)?;
    version.ciphertext = row.blob(3)?.into();
    Ok(version)
}

pub(crate) fn version_without_ciphertext(row: &Row<'_>) -> Result<ItemVersion, Fault> {
    let mut version: ItemVersion = from_json(row.text(2)?)?;
    version.version = row.number(0)?;
    version.state = state_from_name(row.text(1)?)?;
    Ok(version)
}

pub(crate) fn state_from_name(name: &str) -> Result<ItemState, Fault> {
    [ItemState::Enabled, ItemState::Disabled, ItemState::PendingDeletion]
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| Fault::internal("unreadable row in the store: an unknown state"))
}
