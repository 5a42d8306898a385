//! Second factors of people: sealed seeds, and what of them was used.

use keysherd_base::{Fault, Timestamp};

use crate::query::{Query, Tx, first, from_json, run, to_json};

const PUT: &str = "INSERT INTO second_factors \
                   (method, sealed, confirmed, last_step, recovery, created) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (method) DO UPDATE SET \
                   sealed = excluded.sealed, confirmed = excluded.confirmed, \
                   last_step = excluded.last_step, recovery = excluded.recovery, \
                   created = excluded.created";
const GET: &str = "SELECT sealed, confirmed, last_step, recovery, created FROM second_factors \
                   WHERE method = ?1";
const REMOVE: &str = "DELETE FROM second_factors WHERE method = ?1";
const USE_STEP: &str = "UPDATE second_factors SET last_step = ?2 WHERE method = ?1 \
                        AND last_step < ?2";
const SET_RECOVERY: &str = "UPDATE second_factors SET recovery = ?2 WHERE method = ?1";

/// One person's second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactorRow {
    /// The auth method.
    pub method: i64,
    /// The seed under control's own key.
    pub sealed: Vec<u8>,
    /// Whether a code of it was seen, so that it is in force.
    pub confirmed: bool,
    /// The newest time step whose code was used.
    pub last_step: i64,
    /// Keyed hashes of the recovery codes that are left, in hexadecimal.
    pub recovery: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// Keeps a second factor in place of the one before.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put(tx: &Tx, row: &SecondFactorRow) -> Result<(), Fault> {
    let recovery = to_json(&row.recovery)?;
    let args = [
        row.method.into(),
        row.sealed.as_slice().into(),
        i64::from(row.confirmed).into(),
        row.last_step.into(),
        (&recovery).into(),
        row.created.0.into(),
    ];
    run(tx, PUT, &args)?;
    Ok(())
}

/// The second factor of a method.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, method: i64) -> Result<Option<SecondFactorRow>, Fault> {
    first(q, GET, &[method.into()], |row| {
        Ok(SecondFactorRow {
            method,
            sealed: row.blob(0)?.to_vec(),
            confirmed: row.int(1)? != 0,
            last_step: row.int(2)?,
            recovery: from_json(row.text(3)?)?,
            created: Timestamp(row.int(4)?),
        })
    })
}

/// Forgets the second factor of a method.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn remove(tx: &Tx, method: i64) -> Result<(), Fault> {
    run(tx, REMOVE, &[method.into()])?;
    Ok(())
}

/// Uses a time step up; `false` when it, or a later one, was used before.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn use_step(tx: &Tx, method: i64, step: i64) -> Result<bool, Fault> {
    Ok(run(tx, USE_STEP, &[method.into(), step.into()])? == 1)
}

/// Uses a recovery code up; `false` when there is none with this hash.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn use_recovery(tx: &Tx, method: i64, hash: &str) -> Result<bool, Fault> {
    let Some(mut row) = get(tx, method)? else { return Ok(false) };
    let before = row.recovery.len();
    row.recovery.retain(|known| known != hash);
    if row.recovery.len() == before {
        return Ok(false);
    }
    let recovery = to_json(&row.recovery)?;
    Ok(run(tx, SET_RECOVERY, &[method.into(), (&recovery).into()])? == 1)
}
