//! What counts once: proofs that somebody has signed in with, for all nodes that share a database.

use keysherd_base::{Fault, Timestamp};

use crate::query::{Tx, run};

const TAKE: &str = "INSERT INTO used_proofs (mark, until) VALUES (?1, ?2) \
                    ON CONFLICT (mark) DO NOTHING";
const FORGET: &str = "DELETE FROM used_proofs WHERE until < ?1";

/// Uses a proof up, to be remembered until `until`; `false` when it was used before.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn take(tx: &Tx, mark: &[u8; 16], until: Timestamp) -> Result<bool, Fault> {
    Ok(run(tx, TAKE, &[mark.as_slice().into(), until.0.into()])? == 1)
}

/// Forgets those whose time is over at `now`; gives their number.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn forget(tx: &Tx, now: Timestamp) -> Result<usize, Fault> {
    Ok(run(tx, FORGET, &[now.0.into()])?)
}
