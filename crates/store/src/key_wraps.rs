//! Which values a version of a key wraps: the work of a rotation, and what is left of it.

use keysherd_base::{Fault, ItemId, KeyId};
use keysherd_domain::item::ItemVersion;

use crate::item_versions::version_without_ciphertext;
use crate::query::{Query, all, first};

const OLDER: &str = "SELECT version, state, body, item, substr(ciphertext, 1, ?7) \
                     FROM item_versions WHERE key_id = ?1 AND key_version < ?2 \
                     AND (key_version, item, version) > (?3, ?4, ?5) \
                     ORDER BY key_version, item, version LIMIT ?6";
const ANY_OLDER: &str = "SELECT 1 FROM item_versions WHERE key_id = ?1 AND key_version < ?2 \
                         LIMIT 1";
const COUNTS: &str = "SELECT key_version, COUNT(*) FROM item_versions WHERE key_id = ?1 \
                      GROUP BY key_version ORDER BY key_version DESC";
const OF_KEY: &str = "SELECT version, state, body, item FROM item_versions WHERE key_id = ?1 \
                      AND candidate = 0 AND (item, version) > (?2, ?3) \
                      ORDER BY item, version LIMIT ?4";

/// A place in the values of a key, in the order in which they are re-wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The key version that wraps the value.
    pub key_version: u32,
    /// The item.
    pub item: i64,
    /// Its version.
    pub version: u32,
}

/// A value without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// Its item.
    pub item: ItemId,
    /// Its version, with an empty ciphertext.
    pub version: ItemVersion,
    /// How its envelope begins.
    pub head: Vec<u8>,
}

/// At most `limit` values after `after` that versions of `key` before `newest` wrap, each with the
/// first `head_bytes` of its envelope.
///
/// # Errors
/// Only when the store is broken.
pub fn older(
    q: &dyn Query,
    key: KeyId,
    newest: u32,
    after: Place,
    limit: usize,
    head_bytes: usize,
) -> Result<Vec<Wrapped>, Fault> {
    let args = [
        (&key).into(),
        newest.into(),
        after.key_version.into(),
        after.item.into(),
        after.version.into(),
        limit.into(),
        head_bytes.into(),
    ];
    all(q, OLDER, &args, |row| {
        let version = version_without_ciphertext(row)?;
        Ok(Wrapped { item: ItemId(row.int(3)?), version, head: row.blob(4)?.to_vec() })
    })
}

/// Whether versions of `key` before `newest` wrap anything.
///
/// # Errors
/// Only when the store is broken.
pub fn any_older(q: &dyn Query, key: KeyId, newest: u32) -> Result<bool, Fault> {
    Ok(first(q, ANY_OLDER, &[(&key).into(), newest.into()], |_| Ok(()))?.is_some())
}

/// How many values each version of `key` wraps, the newest first; versions that wrap none are
/// missing.
///
/// # Errors
/// Only when the store is broken.
pub fn counts(q: &dyn Query, key: KeyId) -> Result<Vec<(u32, u64)>, Fault> {
    all(q, COUNTS, &[(&key).into()], |row| Ok((row.number(0)?, row.number(1)?)))
}

/// At most `limit` values that any version of `key` wraps, by item and version, after this place;
/// without ciphertext. Not those that nobody reads yet.
///
/// # Errors
/// Only when the store is broken.
pub fn of_key(
    q: &dyn Query,
    key: KeyId,
    after: (ItemId, u32),
    limit: usize,
) -> Result<Vec<(ItemId, ItemVersion)>, Fault> {
    let args = [(&key).into(), after.0.0.into(), after.1.into(), limit.into()];
    all(q, OF_KEY, &args, |row| Ok((ItemId(row.int(3)?), version_without_ciphertext(row)?)))
}
