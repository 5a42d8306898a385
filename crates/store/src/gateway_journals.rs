//! How far the journals of gateways are in the audit log.

use keysherd_base::{Fault, Timestamp, Uid};

use crate::query::{Arg, Query, Tx, first, run};

const GET: &str = "SELECT gateway, taken FROM gateway_journals WHERE journal = ?1";
const PUT: &str = "INSERT INTO gateway_journals (journal, gateway, taken, seen) \
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT (journal) DO UPDATE SET \
                   taken = excluded.taken, seen = excluded.seen";
const FORGET: &str = "DELETE FROM gateway_journals WHERE seen < ?1";

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
    let taken = Arg::Int(i64::try_from(taken).map_err(Fault::internal)?);
    run(tx, PUT, &[(&journal).into(), gateway.as_slice().into(), taken, seen.0.into()])?;
    Ok(())
}

/// Forgets journals that brought nothing since `before`.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget(tx: &Tx, before: Timestamp) -> Result<(), Fault> {
    run(tx, FORGET, &[before.0.into()])?;
    Ok(())
}
