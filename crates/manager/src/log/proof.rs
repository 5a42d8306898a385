//! The hashes of entries, by which a log proves that it still leads through a position.

use std::path::Path;

use keysherd_crypto::hash::sha256;
use keysherd_fragments::checkpoint::PROOF_ENTRIES_MAX;
use keysherd_fragments::refusal::Refusal;

use super::read::{LogReader, segments, size_before};
use super::{Checkpoint, LogDamage};
use crate::manager::Manager;

/// The SHA-256 of each entry between the positions `from` and `to`, which has to be durable. `None`
/// when the log has not got them all.
///
/// # Errors
/// [`LogDamage`] when the log is damaged.
fn entry_hashes(dir: &Path, from: u64, to: u64) -> Result<Option<Vec<u8>>, LogDamage> {
    let mut first = None;
    for number in segments(dir)?.into_iter().rev() {
        if size_before(dir, number)? <= from {
            first = Some(number);
            break;
        }
    }
    let Some(first) = first else { return Ok(None) };
    let mut reader = LogReader::from_segment(dir, first)?;
    let mut hashes = Vec::new();
    let mut at = from;
    while at < to {
        let Some((after, entry)) = reader.next_bytes()? else { return Ok(None) };
        if after.size > from {
            hashes.extend_from_slice(&sha256(&[&entry]));
            at = after.size;
        }
    }
    Ok(Some(hashes))
}

impl Manager {
    /// The hashes of the entries between two positions of the log. It blocks.
    ///
    /// # Errors
    /// [`Refusal::NotInLog`] when the log ends before, when its older segments were archived, or
    /// for more than [`PROOF_ENTRIES_MAX`]; [`Refusal::BadRecord`] when it is damaged.
    pub(crate) fn log_proof(&self, from: u64, to: u64) -> Result<Vec<u8>, Refusal> {
        let Checkpoint { size, .. } = self.log.status().checkpoint();
        let count = to.checked_sub(from).ok_or(Refusal::NotInLog)?;
        if to > size || count > PROOF_ENTRIES_MAX as u64 {
            return Err(Refusal::NotInLog);
        }
        match entry_hashes(&self.home.log_dir(), from, to) {
            Ok(hashes) => hashes.ok_or(Refusal::NotInLog),
            Err(damage) => {
                tracing::error!(%damage, "the log cannot be read back");
                Err(Refusal::BadRecord)
            }
        }
    }
}
