//! Rotations of keys: which versions were asked for, and how far re-wrapping has come.

use keysherd_base::{AccountId, Fault, KeyId, Timestamp, Uid};

use crate::query::{Query, Row, Tx, all, first, run};

const GET: &str = "SELECT key_id, version, account, state, access_id, started, \
                           finished, values_found, problem FROM key_rotations \
                           WHERE key_id = ?1 AND version = ?2";
const NEWEST: &str = "SELECT key_id, version, account, state, access_id, started, \
                      finished, values_found, problem FROM key_rotations \
                      WHERE key_id = ?1 AND state <> 'reserved' ORDER BY version DESC LIMIT 1";
const RUNNING: &str = "SELECT key_id, version, account, state, access_id, started, \
                       finished, values_found, problem FROM key_rotations \
                       WHERE state = 'running' ORDER BY started LIMIT ?1";
const HIGHEST: &str = "SELECT version FROM key_rotations WHERE key_id = ?1 \
                       ORDER BY version DESC LIMIT 1";
const PUT: &str = "INSERT INTO key_rotations (key_id, version, account, state, access_id, \
                   started, finished, values_found, problem) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                   ON CONFLICT (key_id, version) DO UPDATE SET state = excluded.state, \
                   access_id = excluded.access_id, started = excluded.started, \
                   finished = excluded.finished, \
                   values_found = excluded.values_found, problem = excluded.problem";
const FORGET_OLDER: &str = "DELETE FROM key_rotations WHERE key_id = ?1 AND version < ?2";
const FORGET_RESERVED: &str = "DELETE FROM key_rotations WHERE key_id = ?1 AND version < ?2 \
                               AND state = 'reserved'";
const DELETE: &str = "DELETE FROM key_rotations WHERE key_id = ?1";

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationState {
    /// The number is taken; the managers make the version, or did not get to an end.
    Reserved,
    /// The version is in use, and values may still be wrapped by older ones.
    Running,
    /// No value is wrapped by an older version.
    Finished,
}

impl RotationState {
    const ALL: [Self; 3] = [Self::Reserved, Self::Running, Self::Finished];

    const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }
}

/// One version of a key that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key.
    pub key_id: KeyId,
    /// The version.
    pub version: u32,
    /// The account it belongs to.
    pub account: AccountId,
    /// How far it is.
    pub state: RotationState,
    /// The access id that asked for it; empty for the server itself.
    pub access_id: String,
    /// When it was asked for, and once it is in use: since when it is.
    pub started: Timestamp,
    /// When nothing was left to re-wrap.
    pub finished: Option<Timestamp>,
    /// Values that older versions wrapped when it was recorded.
    pub values_found: u64,
    /// Why re-wrapping does not get on; empty when it does.
    pub problem: String,
}

/// Adds a rotation, or replaces what is known of it.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put(tx: &Tx, rotation: &Rotation) -> Result<(), Fault> {
    let args = [
        (&rotation.key_id).into(),
        rotation.version.into(),
        (&rotation.account).into(),
        rotation.state.name().into(),
        (&rotation.access_id).into(),
        rotation.started.0.into(),
        rotation.finished.map(|at| at.0).into(),
        i64::try_from(rotation.values_found).unwrap_or(i64::MAX).into(),
        (&rotation.problem).into(),
    ];
    run(tx, PUT, &args)?;
    Ok(())
}

/// One rotation.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, key: KeyId, version: u32) -> Result<Option<Rotation>, Fault> {
    first(q, GET, &[(&key).into(), version.into()], rotation_of)
}

/// The newest rotation of a key whose version is in use.
///
/// # Errors
/// Only when the store is broken.
pub fn newest(q: &dyn Query, key: KeyId) -> Result<Option<Rotation>, Fault> {
    first(q, NEWEST, &[(&key).into()], rotation_of)
}

/// Rotations of all accounts that are running, the oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn running(q: &dyn Query, limit: usize) -> Result<Vec<Rotation>, Fault> {
    all(q, RUNNING, &[limit.into()], rotation_of)
}

/// The highest version of a key that was ever asked for by a rotation.
///
/// # Errors
/// Only when the store is broken.
pub fn highest(q: &dyn Query, key: KeyId) -> Result<Option<u32>, Fault> {
    first(q, HIGHEST, &[(&key).into()], |row| row.number(0))
}

/// Forgets the numbers before `version` that were taken and never used.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget_reserved(tx: &Tx, key: KeyId, version: u32) -> Result<usize, Fault> {
    Ok(run(tx, FORGET_RESERVED, &[(&key).into(), version.into()])?)
}

/// Forgets the rotations to versions before `version`: what they had to do, that one has.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget_older(tx: &Tx, key: KeyId, version: u32) -> Result<usize, Fault> {
    Ok(run(tx, FORGET_OLDER, &[(&key).into(), version.into()])?)
}

/// Forgets all rotations of a key.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, key: KeyId) -> Result<usize, Fault> {
    Ok(run(tx, DELETE, &[(&key).into()])?)
}

fn rotation_of(row: &Row<'_>) -> Result<Rotation, Fault> {
    let state = row.text(3)?;
    let state = RotationState::ALL.into_iter().find(|known| known.name() == state);
    Ok(Rotation {
        key_id: Uid(row.array(0)?),
        version: row.number(1)?,
        account: AccountId(Uid(row.array(2)?)),
        state: state.ok_or_else(|| {
            Fault::internal("unreadable row in the store: an unknown state of a rotation")
        })?,
        access_id: row.text(4)?.to_owned(),
        started: Timestamp(row.int(5)?),
        finished: row.optional_int(6)?.map(Timestamp),
        values_found: row.number(7)?,
        problem: row.text(8)?.to_owned(),
    })
}
