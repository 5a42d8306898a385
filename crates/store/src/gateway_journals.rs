//! How far the journals of gateways are in the audit log.

use keysherd_base::{Fault, Timestamp, Uid};

use crate::query::{Arg, Query, Tx, all, first, run};

const GET: &str = "SELECT gateway, taken FROM gateway_journals WHERE journal = ?1";
const PUT: &str = "INSERT INTO gateway_journals (journal, gateway, taken, seen) \
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT (journal) DO UPDATE SET \
                   taken = excluded.taken, seen = excluded.seen";
const COUNT: &str = "SELECT COUNT(*) FROM gateway_journals WHERE gateway = ?1";
const REMOVE: &str = "DELETE FROM gateway_journals WHERE journal = ?1";
pub(crate) const FORGET: &str = "DELETE FROM gateway_journals WHERE seen < ?1";
const GAPS: &str = "SELECT number FROM gateway_journal_gaps WHERE journal = ?1 \
                    AND number BETWEEN ?2 AND ?3";
const PUT_GAP: &str = "INSERT INTO gateway_journal_gaps (journal, number) VALUES (?1, ?2)";
const FILL_GAP: &str = "DELETE FROM gateway_journal_gaps WHERE journal = ?1 AND number = ?2";
const REMOVE_GAPS: &str = "DELETE FROM gateway_journal_gaps WHERE journal = ?1";
const FORGET_GAPS: &str = "DELETE FROM gateway_journal_gaps WHERE journal IN \
                           (SELECT journal FROM gateway_journals WHERE seen < ?1)";

/// What is known of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The gateway that brings it, by the SHA-256 of its key.
    pub gateway: [u8; 32],
    /// The number of its last read that is recorded.
    pub taken: u64,
}

/// A journal; `None` when it brought nothing so far.
///
/// # Errors
/// Only when the store is broken.
pub fn get(q: &dyn Query, journal: Uid) -> Result<Option<Journal>, Fault> {
    first(q, GET, &[(&journal).into()], |row| {
        let taken = u64::try_from(row.int(1)?).map_err(Fault::internal)?;
        Ok(Journal { gateway: row.array(0)?, taken })
    })
}

/// Remembers that a journal is recorded up to `taken`.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put(
    tx: &Tx,
    journal: Uid,
    gateway: &[u8; 32],
    taken: u64,
    seen: Timestamp,
) -> Result<(), Fault> {
    let args = [(&journal).into(), gateway.as_slice().into(), number(taken)?, seen.0.into()];
    run(tx, PUT, &args)?;
    Ok(())
}

/// How many journals of a gateway are known.
///
/// # Errors
/// Only when the store is broken.
pub fn count_of(q: &dyn Query, gateway: &[u8; 32]) -> Result<u64, Fault> {
    let count = first(q, COUNT, &[gateway.as_slice().into()], |row| row.int(0))?;
    u64::try_from(count.unwrap_or(0)).map_err(Fault::internal)
}

/// The reads from `from` to `to` that were taken and are not recorded.
///
/// # Errors
/// Only when the store is broken.
pub fn gaps(q: &dyn Query, journal: Uid, from: u64, to: u64) -> Result<Vec<u64>, Fault> {
    let args = [(&journal).into(), number(from)?, number(to)?];
    all(q, GAPS, &args, |row| u64::try_from(row.int(0)?).map_err(Fault::internal))
}

/// Remembers that a read was taken and is not recorded.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn put_gap(tx: &Tx, journal: Uid, read: u64) -> Result<(), Fault> {
    run(tx, PUT_GAP, &[(&journal).into(), number(read)?])?;
    Ok(())
}

/// Remembers that it is recorded by now.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn fill_gap(tx: &Tx, journal: Uid, read: u64) -> Result<(), Fault> {
    run(tx, FILL_GAP, &[(&journal).into(), number(read)?])?;
    Ok(())
}

/// Forgets a journal; gives how many of its reads were taken and never recorded.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn finish(tx: &Tx, journal: Uid) -> Result<usize, Fault> {
    run(tx, REMOVE, &[(&journal).into()])?;
    Ok(run(tx, REMOVE_GAPS, &[(&journal).into()])?)
}

fn number(number: u64) -> Result<Arg<'static>, Fault> {
    i64::try_from(number).map(Arg::Int).map_err(Fault::internal)
}

/// Forgets journals that brought nothing since `before`.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget(tx: &Tx, before: Timestamp) -> Result<(), Fault> {
    run(tx, FORGET_GAPS, &[before.0.into()])?;
    run(tx, FORGET, &[before.0.into()])?;
    Ok(())
}
