//! What is remembered of people's wrong logins, and of the places that they sign in from.
//!
//! Everything here is keyed by hashes that only control can make; see the migration.

use keysherd_base::{AccountId, Fault, Timestamp};

use crate::changes::{self, Touched};
use crate::query::{Arg, Query, Row, Tx, all, first, run};

const PUT: &str = "INSERT INTO login_guards (subject, failures, locked_until, last_failure) \
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT (subject) DO UPDATE SET \
                   failures = excluded.failures, locked_until = excluded.locked_until, \
                   last_failure = excluded.last_failure";
const REMOVE: &str = "DELETE FROM login_guards WHERE subject = ?1";
const ALL: &str = "SELECT subject, failures, locked_until, last_failure FROM login_guards";
const ONE: &str = "SELECT subject, failures, locked_until, last_failure FROM login_guards \
                   WHERE subject = ?1";
/// Subjects that are asked for at once.
const AT_ONCE: usize = 64;
const SOME: &str = "SELECT subject, failures, locked_until, last_failure FROM login_guards \
                    WHERE subject IN (\
                    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
                    ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, \
                    ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, \
                    ?48, ?49, ?50, ?51, ?52, ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, \
                    ?63, ?64)";
const SOME_PLACES: &str = "SELECT subject, place, seen FROM login_places WHERE subject IN (\
                    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
                    ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, \
                    ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, \
                    ?48, ?49, ?50, ?51, ?52, ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, \
                    ?63, ?64)";
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

/// How wrong logins are counted: the same at every node.
#[derive(Clone, Copy)]
pub struct Counting {
    /// For how many seconds whoever was wrong so many times in a row is locked.
    pub lock_seconds: fn(u32) -> Option<i64>,
    /// After so many seconds without a wrong login everything is forgiven.
    pub forget_seconds: i64,
}

/// Counts a wrong login on top of those that any node has counted; gives what comes of it.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn add_wrong(
    tx: &Tx,
    subject: &[u8; 32],
    now: Timestamp,
    counting: Counting,
) -> Result<GuardRow, Fault> {
    let lasting = |row: &GuardRow| now < row.last_failure.plus_seconds(counting.forget_seconds);
    let before = guard(tx, subject)?.filter(lasting);
    let failures = before.map_or(0, |row| row.failures).saturating_add(1);
    let mut locked_until = before.map_or(Timestamp::default(), |row| row.locked_until);
    if let Some(seconds) = (counting.lock_seconds)(failures) {
        locked_until = locked_until.max(now.plus_seconds(seconds));
    }
    let last_failure = before.map_or(now, |row| row.last_failure.max(now));
    let row = GuardRow { subject: *subject, failures, locked_until, last_failure };
    put(tx, &row)?;
    Ok(row)
}

/// Takes from `subject` the wrong logins that were counted under `part` as well.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forgive(tx: &Tx, subject: &[u8; 32], part: &[u8; 32]) -> Result<(), Fault> {
    let (Some(row), Some(part)) = (guard(tx, subject)?, guard(tx, part)?) else { return Ok(()) };
    put(tx, &GuardRow { failures: row.failures.saturating_sub(part.failures), ..row })
}

fn put(tx: &Tx, row: &GuardRow) -> Result<(), Fault> {
    let args = [
        row.subject.as_slice().into(),
        row.failures.into(),
        row.locked_until.0.into(),
        row.last_failure.0.into(),
    ];
    run(tx, PUT, &args)?;
    note(tx, &row.subject);
    Ok(())
}

/// Nobody's account: the subject may not even exist.
fn note(tx: &Tx, subject: &[u8; 32]) {
    changes::note(tx, AccountId::default(), Touched::Logins { subject: *subject });
}

/// The wrong logins under a subject.
///
/// # Errors
/// Only when the store is broken.
pub fn guard(q: &dyn Query, subject: &[u8; 32]) -> Result<Option<GuardRow>, Fault> {
    first(q, ONE, &[subject.as_slice().into()], guard_of)
}

/// The wrong logins under these subjects, and their places: two questions for each 64 of them.
///
/// # Errors
/// Only when the store is broken.
pub fn of_all(
    q: &dyn Query,
    subjects: &[[u8; 32]],
) -> Result<(Vec<GuardRow>, Vec<PlaceRow>), Fault> {
    let (mut guards, mut places) = (Vec::new(), Vec::new());
    for some in subjects.chunks(AT_ONCE) {
        // The statement has room for so many: the last one is asked for again.
        let padded = some.iter().chain(some.last().into_iter().cycle()).take(AT_ONCE);
        let args: Vec<Arg<'_>> = padded.map(|subject| subject.as_slice().into()).collect();
        guards.append(&mut all(q, SOME, &args, guard_of)?);
        places.append(&mut all(q, SOME_PLACES, &args, place_of)?);
    }
    Ok((guards, places))
}

fn guard_of(row: &Row<'_>) -> Result<GuardRow, Fault> {
    Ok(GuardRow {
        subject: row.array(0)?,
        failures: u32::try_from(row.int(1)?).unwrap_or(u32::MAX),
        locked_until: Timestamp(row.int(2)?),
        last_failure: Timestamp(row.int(3)?),
    })
}

fn place_of(row: &Row<'_>) -> Result<PlaceRow, Fault> {
    Ok(PlaceRow { subject: row.array(0)?, place: row.array(1)?, seen: Timestamp(row.int(2)?) })
}

/// Forgets a subject.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn remove(tx: &Tx, subject: &[u8; 32]) -> Result<(), Fault> {
    note(tx, subject);
    run(tx, REMOVE, &[subject.as_slice().into()])?;
    Ok(())
}

/// All rows.
///
/// # Errors
/// Only when the store is broken.
pub fn all_guards(q: &dyn Query) -> Result<Vec<GuardRow>, Fault> {
    all(q, ALL, &[], guard_of)
}

/// Keeps a place.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put_place(tx: &Tx, row: &PlaceRow) -> Result<(), Fault> {
    let args = [row.subject.as_slice().into(), row.place.as_slice().into(), row.seen.0.into()];
    note(tx, &row.subject);
    run(tx, PUT_PLACE, &args)?;
    Ok(())
}

/// Forgets a place.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn remove_place(tx: &Tx, subject: &[u8; 32], place: &[u8; 32]) -> Result<(), Fault> {
    note(tx, subject);
    run(tx, REMOVE_PLACE, &[subject.as_slice().into(), place.as_slice().into()])?;
    Ok(())
}

/// All places.
///
/// # Errors
/// Only when the store is broken.
pub fn all_places(q: &dyn Query) -> Result<Vec<PlaceRow>, Fault> {
    all(q, ALL_PLACES, &[], place_of)
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
