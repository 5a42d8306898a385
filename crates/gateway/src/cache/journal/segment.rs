//! One file of the journal, and how it is read.
//!
//! ```text
//! file    = head | frame*          head = "KSRJ" 01 | journal 16
//! frame   = length u32 | check 8 | payload          check = the first 8 bytes of SHA-256(payload)
//! payload = 01 | receipt bytes                      receipts are numbered from 0
//!         | 02 | receipt u32 | at i64 | offline 1 | request 16      reads are numbered from 1
//! ```
//! All integers are big-endian. A file may end in the middle of a frame: whoever was writing it
//! never heard that it was written. Where whole frames follow after one that is not whole, the file
//! is damaged. Of those that follow only reads are believed that name a receipt from before: how
//! many receipts are missing is not known.

use std::collections::HashMap;
use std::sync::Arc;

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_plane::cache::{JournaledRead, Receipt};

use super::Entry;

#[cfg(test)]
mod tests;

const MAGIC: &[u8; 5] = b"KSRJ\x01";
const HEAD_BYTES: usize = MAGIC.len() + 16;
const FRAME_HEAD_BYTES: usize = 4 + 8;
const RECEIPT: u8 = 1;
const READ: u8 = 2;
/// Longest payload: a receipt, which control can seal at most so long.
const PAYLOAD_BYTES_MAX: usize = 128 * 1024;
/// Ending of the files.
const ENDING: &str = ".reads";
/// ... of those with damage.
const DAMAGED: &str = ".damaged";
/// Bytes that are hashed in one search for a whole frame, at most.
const SEARCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The name of a journal's file.
pub(super) fn file_name(journal: Uid) -> String {
    format!("{}{ENDING}", hex::encode(journal.as_bytes()))
}

/// The journal with a file of this name.
pub(super) fn journal_of(name: &str) -> Option<Uid> {
    Uid::from_hex(name.strip_suffix(ENDING)?)
}

/// What a file with damage in it is called that was brought as far as possible.
pub(super) fn damaged_name(name: &str) -> String {
    format!("{name}{DAMAGED}")
}

/// Whether a file of this name is one.
pub(super) fn is_damaged(name: &str) -> bool {
    name.strip_suffix(DAMAGED).is_some_and(|name| journal_of(name).is_some())
}

/// A file that is being written.
pub(super) struct Segment {
    journal: Uid,
    length: u64,
    /// The receipts that are in it.
    receipts: HashMap<Arc<[u8]>, u32>,
}

impl Segment {
    /// A new file, and what it begins with.
    pub(super) fn begin(journal: Uid) -> (Self, Vec<u8>) {
        let head = [MAGIC.as_slice(), journal.as_bytes()].concat();
        (Self { journal, length: HEAD_BYTES as u64, receipts: HashMap::new() }, head)
    }

    pub(super) const fn journal(&self) -> Uid {
        self.journal
    }

    /// With all that was put so far.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Appends the bytes of a read to `to`.
    pub(super) fn put(&mut self, entry: &Entry, to: &mut Vec<u8>) {
        let before = to.len();
        let next = u32::try_from(self.receipts.len()).unwrap_or(u32::MAX);
        let known = self.receipts.get(&entry.receipt.bytes).copied();
        let receipt = known.unwrap_or_else(|| {
            put_frame(&[&[RECEIPT], &entry.receipt.bytes], to);
            self.receipts.insert(entry.receipt.bytes.clone(), next);
            next
        });
        let (at, request) = (entry.at.0.to_be_bytes(), entry.request);
        let offline = [u8::from(entry.offline)];
        put_frame(&[&[READ], &receipt.to_be_bytes(), &at, &offline, request.as_bytes()], to);
        self.length += (to.len() - before) as u64;
    }
}

fn put_frame(payload: &[&[u8]], to: &mut Vec<u8>) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    to.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(&sha256(payload)[..8]);
    payload.iter().for_each(|part| to.extend_from_slice(part));
}

/// A file as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Bytes that were read.
    pub(super) offset: u64,
    /// The receipts in them.
    pub(super) receipts: Vec<Receipt>,
    /// Their reads that were not taken out yet.
    pub(super) reads: Vec<JournaledRead>,
    /// Whether something in the middle is missing.
    pub(super) damaged: bool,
}

impl Reading {
    /// Goes on with `bytes`, which follow what was read, up to the first frame that is not whole;
    /// whether anything was left over.
    pub(super) fn go_on(&mut self, journal: Uid, mut bytes: &[u8]) -> bool {
        if self.offset == 0 {
            let head = [MAGIC.as_slice(), journal.as_bytes()].concat();
            let Some(rest) = bytes.strip_prefix(head.as_slice()) else { return !bytes.is_empty() };
            self.offset = HEAD_BYTES as u64;
            bytes = rest;
        }
        while let Some((frame, rest)) = self.frame(bytes) {
            self.offset += frame as u64;
            bytes = rest;
        }
        !bytes.is_empty()
    }

    /// Goes on behind a frame that is not whole, with `bytes` that begin with it, if a whole one
    /// follows; whether that is so. A file with another head is another's: nothing of it is read.
    pub(super) fn skip_damage(&mut self, bytes: &[u8]) -> bool {
        let mut budget = SEARCH_BYTES_MAX;
        let found = (1..bytes.len()).find(|at| {
            let rest = bytes.get(*at..).unwrap_or_default();
            whole(rest, &mut budget).is_some_and(|(payload, _)| is_frame(payload))
        });
        let Some(at) = found else { return false };
        self.damaged = true;
        if self.offset > 0 {
            self.offset += at as u64;
        }
        true
    }

    /// Takes in one frame; its length, and what follows.
    fn frame<'a>(&mut self, bytes: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let mut one = PAYLOAD_BYTES_MAX;
        let (payload, rest) = whole(bytes, &mut one)?;
        match payload.split_first()? {
            // Its number is not known.
            (&RECEIPT, _) if self.damaged => {}
            (&RECEIPT, receipt) => self.receipts.push(Receipt { bytes: receipt.into() }),
            (&READ, read) => {
                let read = journaled(read)?;
                let known = self.receipts.get(usize::try_from(read.receipt).ok()?).is_some();
                match known {
                    true => self.reads.push(read),
                    false if self.damaged => {}
                    false => return None,
                }
            }
            _ => return None,
        }
        Some((FRAME_HEAD_BYTES + payload.len(), rest))
    }
}

/// The payload of the frame that `bytes` begin with, if that is whole, and what follows. What is
/// hashed for it is taken off `budget`.
fn whole<'a>(bytes: &'a [u8], budget: &mut usize) -> Option<(&'a [u8], &'a [u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (check, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if length > PAYLOAD_BYTES_MAX {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length)?;
    *budget = budget.checked_sub(length)?;
    (sha256(&[payload])[..8] == *check).then_some((payload, rest))
}

/// Whether that is the payload of a receipt or a read.
fn is_frame(payload: &[u8]) -> bool {
    match payload.split_first() {
        Some((&RECEIPT, _)) => true,
        Some((&READ, read)) => journaled(read).is_some(),
        _ => false,
    }
}

fn journaled(read: &[u8]) -> Option<JournaledRead> {
    let (receipt, read) = read.split_first_chunk::<4>()?;
    let (at, read) = read.split_first_chunk::<8>()?;
    let (&offline, request) = read.split_first()?;
    let offline = [false, true].get(usize::from(offline)).copied()?;
    let receipt = u32::from_be_bytes(*receipt);
    let at = Timestamp(i64::from_be_bytes(*at));
    Some(JournaledRead { receipt, at, request: Uid(request.try_into().ok()?), offline })
}
