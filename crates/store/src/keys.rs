//! Protection keys: each version with its signed manifest.

use std::sync::Arc;

use keysherd_base::{AccountId, Fault, KeyId, Timestamp, Uid};
use keysherd_domain::item::ItemState;

use crate::item_versions::state_from_name;
use crate::query::{Query, Row, Tx, all, first, run};

const INSERT: &str = "INSERT INTO keys (key_id, version, account, state, key_group, \
                      customer_fragment, managers, threshold, created, manifest) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
const GET: &str = "SELECT key_id, version, account, state, key_group, customer_fragment, managers, \
                   threshold, created, manifest FROM keys WHERE key_id = ?1 AND version = ?2";
const LATEST: &str = "SELECT key_id, version, account, state, key_group, customer_fragment, \
                      managers, threshold, created, manifest FROM keys \
                      WHERE key_id = ?1 ORDER BY version DESC LIMIT 1";
const VERSIONS: &str = "SELECT key_id, version, account, state, key_group, customer_fragment, \
                        managers, threshold, created, manifest FROM keys \
                        WHERE key_id = ?1 ORDER BY version DESC";
const MANIFEST: &str = "SELECT manifest FROM keys WHERE key_id = ?1 AND version = ?2";
const SET_STATE: &str = "UPDATE keys SET state = ?2 WHERE key_id = ?1";
const DELETE: &str = "DELETE FROM keys WHERE key_id = ?1";

/// One version of a protection key, as control knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionKey {
    /// Its identity.
    pub key_id: KeyId,
    /// Its version, from 1.
    pub version: u32,
    /// The account it belongs to.
    pub account: AccountId,
    /// Whether it may be used.
    pub state: ItemState,
    /// The key group fixed in its manifest.
    pub group: String,
    /// The customer fragment it is bound to.
    pub customer_fragment: Option<Uid>,
    /// Number of fragment managers, n.
    pub managers: u8,
    /// How many of them are needed, t.
    pub threshold: u8,
    /// When it was made.
    pub created: Timestamp,
    /// Manifest and signatures, opaque to control.
    pub manifest: Arc<[u8]>,
}

/// Adds a key version.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when this version exists.
pub fn insert(tx: &Tx, key: &ProtectionKey) -> Result<(), Fault> {
    let args = [
        (&key.key_id).into(),
        key.version.into(),
        (&key.account).into(),
        key.state.name().into(),
        (&key.group).into(),
        key.customer_fragment.as_ref().into(),
        u32::from(key.managers).into(),
        u32::from(key.threshold).into(),
        key.created.0.into(),
        (&*key.manifest).into(),
    ];
    run(tx, INSERT, &args).map_err(|refused| {
        refused.or_taken(|| format!("version {} of key {} already exists", key.version, key.key_id))
    })?;
    Ok(())
}

/// One version of a key.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, key: KeyId, version: u32) -> Result<Option<ProtectionKey>, Fault> {
    first(q, GET, &[(&key).into(), version.into()], key_of)
}

/// The newest version of a key.
///
/// # Errors
/// Only when the store is broken.
pub fn latest(q: &dyn Query, key: KeyId) -> Result<Option<ProtectionKey>, Fault> {
    first(q, LATEST, &[(&key).into()], key_of)
}

/// All versions of a key, newest first.
///
/// # Errors
/// Only when the store is broken.
pub fn versions(q: &dyn Query, key: KeyId) -> Result<Vec<ProtectionKey>, Fault> {
    all(q, VERSIONS, &[(&key).into()], key_of)
}

/// The manifest of a key version.
///
/// # Errors
/// Only when the store is broken.
pub fn manifest(q: &dyn Query, key: KeyId, version: u32) -> Result<Option<Arc<[u8]>>, Fault> {
    first(q, MANIFEST, &[(&key).into(), version.into()], |row| row.blob(0).map(Arc::from))
}

/// Sets the state of all versions of a key; gives their number.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn set_state(tx: &Tx, key: KeyId, state: ItemState) -> Result<usize, Fault> {
    Ok(run(tx, SET_STATE, &[(&key).into(), state.name().into()])?)
}

/// Deletes all versions of a key, and what is known of its rotations; gives the number of versions.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, key: KeyId) -> Result<usize, Fault> {
    crate::key_rotations::delete(tx, key)?;
    Ok(run(tx, DELETE, &[(&key).into()])?)
}

fn key_of(row: &Row<'_>) -> Result<ProtectionKey, Fault> {
    Ok(ProtectionKey {
        key_id: Uid(row.array(0)?),
        version: row.number(1)?,
        account: AccountId(Uid(row.array(2)?)),
        state: state_from_name(row.text(3)?)?,
        group: row.text(4)?.to_owned(),
        customer_fragment: row.optional_uid(5)?,
        managers: row.number(6)?,
        threshold: row.number(7)?,
        created: Timestamp(row.int(8)?),
        manifest: row.blob(9)?.into(),
    })
}
