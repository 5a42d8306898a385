//! What is remembered of people's wrong logins, and of the places that they sign in from.
//!
//! Everything here is keyed by hashes that only control can make; see the migration.

use keysherd_base::{Fault, Timestamp};

use crate::query::{Query, Tx, all, run};

const PUT: &str = "INSERT INTO login_guards (subject, failures, locked_until, last_failure) \
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT (subject) DO UPDATE SET \
                   failures = excluded.failures, locked_until = excluded.locked_until, \
                   last_failure = excluded.last_failure \
                   WHERE excluded.last_failure >= login_guards.last_failure";
const REMOVE: &str = "DELETE FROM login_guards WHERE subject = ?1";
const ALL: &str = "SELECT subject, failures, locked_until, last_failure FROM login_guards";
const FORGET: &str = "DELETE FROM login_guards WHERE last_failure < ?1 AND locked_until < ?2";
const PUT_PLACE: &str = "INSERT INTO login_places (subject, place, seen) VALUES (?1, ?2, ?3) \
                         ON CONFLICT (subject, place) DO UPDATE SET seen = excluded.seen";
const REMOVE_PLACE: &str = "DELETE FROM login_places WHERE subject = ?1 AND place = ?2";
const ALL_PLACES: &str = "SELECT subject, place, seen FROM login_places";
const SURPLUS: &str = "DELETE FROM login_guards WHERE subject IN (SELECT subject FROM login_guards \
                       ORDER BY failures DESC, last_failure DESC LIMIT 1000000000 OFFSET ?1)";
const FORGET_PLACES: &str = "DELETE FROM login_places WHERE seen < ?1";

/// The wrong logins under one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardRow {
    /// Keyed hash of who was tried.
    pub subject: [u8; 32],
    /// Wrong logins since the last good one.
    pub failures: u32,
    /// No login is tried before this time.
    pub locked_until: Timestamp,
    /// When the last one was.
    pub last_failure: Timestamp,
}

/// A place that a person signs in from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceRow {
    /// Keyed hash of the person.
    pub subject: [u8; 32],
    /// Keyed hash of the person's network.
    pub place: [u8; 32],
    /// When they last did, to the day.
    pub seen: Timestamp,
}

/// Keeps a row, unless a newer one is there.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put(tx: &Tx, row: &GuardRow) -> Result<(), Fault> {
    let args = [
        row.subject.as_slice().into(),
        row.failures.into(),
        row.locked_until.0.into(),
        row.last_failure.0.into(),
    ];
    run(tx, PUT, &args)?;
    Ok(())
}

/// Forgets a subject.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn remove(tx: &Tx, subject: &[u8; 32]) -> Result<(), Fault> {
    run(tx, REMOVE, &[subject.as_slice().into()])?;
    Ok(())
}

/// All rows.
///
/// # Errors
/// Only when the store is broken.
pub fn all_guards(q: &dyn Query) -> Result<Vec<GuardRow>, Fault> {
    all(q, ALL, &[], |row| {
        Ok(GuardRow {
            subject: row.array(0)?,
            failures: u32::try_from(row.int(1)?).unwrap_or(u32::MAX),
            locked_until: Timestamp(row.int(2)?),
            last_failure: Timestamp(row.int(3)?),
        })
    })
}

/// Keeps a place.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put_place(tx: &Tx, row: &PlaceRow) -> Result<(), Fault> {
    let args = [row.subject.as_slice().into(), row.place.as_slice().into(), row.seen.0.into()];
    run(tx, PUT_PLACE, &args)?;
    Ok(())
}

/// Forgets a place.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn remove_place(tx: &Tx, subject: &[u8; 32], place: &[u8; 32]) -> Result<(), Fault> {
    run(tx, REMOVE_PLACE, &[subject.as_slice().into(), place.as_slice().into()])?;
    Ok(())
}

/// All places.
///
/// # Errors
/// Only when the store is broken.
pub fn all_places(q: &dyn Query) -> Result<Vec<PlaceRow>, Fault> {
    all(q, ALL_PLACES, &[], |row| {
        Ok(PlaceRow { subject: row.array(0)?, place: row.array(1)?, seen: Timestamp(row.int(2)?) })
    })
}

/// Forgets subjects without a wrong login since `failures_before` that are not locked at `now`,
/// those with the fewest wrong logins beyond `subjects_max`, and places not seen since
/// `places_before`.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget(
    tx: &Tx,
    failures_before: Timestamp,
    places_before: Timestamp,
    subjects_max: usize,
    now: Timestamp,
) -> Result<(), Fault> {
    run(tx, FORGET, &[failures_before.0.into(), now.0.into()])?;
    run(tx, SURPLUS, &[subjects_max.into()])?;
    run(tx, FORGET_PLACES, &[places_before.0.into()])?;
    Ok(())
}
