//! One file of the journal, and how it is read.
//!
//! ```text
//! file    = head | frame*          head = "KSRJ" 01 | journal 16
//! frame   = length u32 | check 8 | payload          check = the first 8 bytes of SHA-256(payload)
//! payload = 01 | receipt bytes                      receipts are numbered from 0
//!         | 02 | receipt u32 | at i64 | offline 1 | request 16      reads are numbered from 1
//! ```
//! All integers are big-endian. A file may end in the middle of a frame: whoever was writing it
//! never heard that it was written. Nothing after a frame that is not whole is believed.

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

/// The name of a journal's file.
pub(super) fn file_name(journal: Uid) -> String {
    format!("{}{ENDING}", hex::encode(journal.as_bytes()))
}

/// The journal with a file of this name.
pub(super) fn journal_of(name: &str) -> Option<Uid> {
    Uid::from_hex(name.strip_suffix(ENDING)?)
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

    /// Takes in one frame; its length, and what follows.
    fn frame<'a>(&mut self, bytes: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (check, rest) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if length > PAYLOAD_BYTES_MAX {
            return None;
        }
        let (payload, rest) = rest.split_at_checked(length)?;
        if sha256(&[payload])[..8] != *check {
            return None;
        }
        match payload.split_first()? {
            (&RECEIPT, receipt) => self.receipts.push(Receipt { bytes: receipt.into() }),
            (&READ, read) => {
                let (receipt, read) = read.split_first_chunk::<4>()?;
                let (at, read) = read.split_first_chunk::<8>()?;
                let (&offline, request) = read.split_first()?;
                let offline = [false, true].get(usize::from(offline)).copied()?;
                let receipt = u32::from_be_bytes(*receipt);
                self.receipts.get(usize::try_from(receipt).ok()?)?;
                let at = Timestamp(i64::from_be_bytes(*at));
                let request = Uid(request.try_into().ok()?);
                self.reads.push(JournaledRead { receipt, at, request, offline });
            }
            _ => return None,
        }
        Some((FRAME_HEAD_BYTES + length, rest))
    }
}
