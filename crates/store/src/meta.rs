//! Small facts about the store itself: named texts and counters.

use keysherd_base::Fault;

use crate::query::{Query, Tx, first, first_changed, run};

const GET: &str = "SELECT value FROM meta WHERE name = ?1";
const PUT: &str = "INSERT INTO meta (name, value) VALUES (?1, ?2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const NEXT: &str = "INSERT INTO meta (name, value) VALUES (?1, '1') ON CONFLICT (name) \
                    DO UPDATE SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT) \
                    RETURNING CAST(value AS BIGINT)";

/// The text kept under `name`.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, name: &str) -> Result<Option<String>, Fault> {
    first(q, GET, &[name.into()], |row| row.text(0).map(str::to_owned))
}

/// Keeps `value` under `name`.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put(tx: &Tx, name: &str, value: &str) -> Result<(), Fault> {
    run(tx, PUT, &[name.into(), value.into()])?;
    Ok(())
}

/// Counts up: 1, 2, 3 for each counter `name`. A number is used once, unless the job fails.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn next(tx: &Tx, name: &str) -> Result<i64, Fault> {
    Ok(first_changed(tx, NEXT, &[name.into()], |row| row.int(0))?)
}
