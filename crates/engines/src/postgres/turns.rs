//! Whose turn it is: transactions that do something with users, and what others may do about that.
//!
//! Two locks of the server's are taken, in this order, and end with the transaction. One is
//! everybody's: work that found others in its way is done again with nobody beside it, as rights on
//! one table are a row that only one transaction changes at a time and for which the server has
//! nobody wait. The other one is the user's: whoever removes a user whose making was not confirmed
//! waits for what is still under way.
//!
//! Whoever signs in to the database can take such locks, a user that is to be removed included. So
//! neither is waited for long: the first is done without, and sessions that have the second are
//! ended. Ended work of another gateway is undone as a whole.

use std::time::Duration;

use keysherd_base::Fault;
use keysherd_crypto::hash::sha256;
use keysherd_targets::postgres::{Family, Session, SqlError};

/// The number of everybody's lock: `keysherd`, in ASCII.
const EVERYBODY: i64 = 0x6b65_7973_6865_7264;
/// The part of its time in which a transaction waits for everybody's lock.
const TURN_PART: u32 = 16;
/// The part in which it waits for its user's lock before it ends who has that, and the parts after
/// each time that it does: whoever can sign in as the user can have sessions wait in a row.
const USER_PART: u32 = 6;
const ENDED_PART: u32 = 30;
const ENDED_TIMES: usize = 5;

/// Whether others may work beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// All those who have not been in each other's way yet.
    Beside,
    /// Nobody: somebody was in the way before.
    Alone,
}

/// A session, and how long it has.
pub(crate) struct Timed<'a> {
    /// The session.
    pub(crate) session: &'a Session,
    /// What it speaks.
    pub(crate) family: Family,
    /// Everything together.
    pub(crate) whole: Duration,
    /// Each lock that its statements need.
    pub(crate) each_lock: Duration,
}

/// Begins a transaction about one user; nobody else does anything with it until the end.
///
/// # Errors
/// Those of the session; [`Fault::unavailable`] when another gateway does something with this user,
/// and does not end.
pub(crate) async fn begin(timed: &Timed<'_>, name: &str, turn: Turn) -> Result<(), Fault> {
    let Timed { session, family, whole, .. } = *timed;
    let failed = |error: SqlError| error.fault("beginning", None);
    if family == Family::Redshift {
        // It has no such locks.
        return session.run("BEGIN").await.map_err(failed);
    }
    let lock = match turn {
        Turn::Beside => "pg_catalog.pg_advisory_xact_lock_shared",
        Turn::Alone => "pg_catalog.pg_advisory_xact_lock",
    };
    session.run("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(failed)?;
    let patience = whole / TURN_PART;
    locked(timed, &format!("{lock}({EVERYBODY})"), patience).await.map_err(failed)?;
    claim(timed, name).await
}

/// Takes the lock of a user.
async fn claim(timed: &Timed<'_>, name: &str) -> Result<(), Fault> {
    let (session, patience) = (timed.session, timed.whole / USER_PART);
    let failed = |error: SqlError| error.fault("waiting for others that do the same", None);
    let [a, b, c, d, e, f, g, h, ..] = sha256(&[b"keysherd user ", name.as_bytes()]);
    let lock = format!(
        "pg_catalog.pg_advisory_xact_lock({})",
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    );
    let (high, low) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let holders = format!(
        "pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a \
         ON l.pid OPERATOR(pg_catalog.=) a.pid \
         WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'::pg_catalog.text \
         AND l.classid OPERATOR(pg_catalog.=) '{high}'::pg_catalog.oid \
         AND l.objid OPERATOR(pg_catalog.=) '{low}'::pg_catalog.oid \
         AND l.objsubid OPERATOR(pg_catalog.=) '1'::pg_catalog.int2 \
         AND l.database OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database \
         WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) \
         AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"
    );
    if locked(timed, &lock, patience).await.map_err(failed)? {
        return Ok(());
    }
    // Those that wait would have it next. What another gateway waits with is done again by it. Who
    // has it comes first: one that may not be ended ends this.
    let end = format!("SELECT pg_catalog.pg_terminate_backend(l.pid) FROM {holders}");
    for _ in 0..ENDED_TIMES {
        for those in ["AND l.granted", "AND NOT l.granted"] {
            let end = format!("{end} {those}");
            attempt(session, async || session.run(&end).await.is_ok()).await?;
        }
        if locked(timed, &lock, timed.whole / ENDED_PART).await.map_err(failed)? {
            return Ok(());
        }
    }
    let ours = format!(
        "SELECT EXISTS (SELECT 1 FROM {holders} AND l.granted \
         AND a.usename OPERATOR(pg_catalog.=) current_user)"
    );
    match session.is_true(&ours, "").await.map_err(failed)? {
        true => Err(Fault::unavailable("somebody else is busy with this user; try again")),
        // Gateways have it as whoever signs in here. Anybody else only keeps it from them.
        false => Ok(()),
    }
}

/// Whether a lock was given within so long; the transaction goes on either way.
async fn locked(timed: &Timed<'_>, lock: &str, patience: Duration) -> Result<bool, SqlError> {
    let [patience, after] = [patience, timed.each_lock].map(|time| time.as_millis().max(1));
    let asking = format!(
        "SAVEPOINT waiting; SET LOCAL lock_timeout = {patience}; SELECT {lock}; \
         SET LOCAL lock_timeout = {after}; RELEASE SAVEPOINT waiting"
    );
    match timed.session.run_all(&asking).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_held() => {
            // That took the limit back, too.
            let going_on = format!(
                "ROLLBACK TO SAVEPOINT waiting; SET LOCAL lock_timeout = {after}; \
                 RELEASE SAVEPOINT waiting"
            );
            timed.session.run_all(&going_on).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Does what may be refused, and says whether it was done; the transaction goes on either way.
///
/// # Errors
/// Those of the session.
pub(super) async fn attempt(
    session: &Session,
    trying: impl AsyncFnOnce() -> bool,
) -> Result<(), Fault> {
    let failed = |error: SqlError| error.fault("ending sessions", None);
    session.run("SAVEPOINT trying").await.map_err(failed)?;
    if !trying().await {
        session.run("ROLLBACK TO SAVEPOINT trying").await.map_err(failed)?;
    }
    Ok(())
}
