//! The index of a run of records: for each term, which of the records have it.
//!
//! ```text
//! 01 | number of terms, u16 | term u32 * (ascending) | end of its list u32 * | lists
//! ```
//! All numbers are big-endian. A list is either the places of the records in the run (u16 each,
//! ascending) or, where that is shorter, one bit per record; which of the two says the top bit of
//! the list's end.

use crate::filter::Term;

#[cfg(test)]
mod tests;

/// Records in one segment.
pub const SEGMENT_LEN: usize = 1_024;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 3;
const BITMAP_BYTES: usize = SEGMENT_LEN / 8;
const IS_BITMAP: u32 = 1 << 31;
/// Most terms of one segment; what goes beyond it is found by reading the records.
const TERMS_MAX: usize = u16::MAX as usize;

/// Gathers the terms of the records of a segment.
#[derive(Debug, Default)]
pub struct SegmentBuilder {
    postings: Vec<(Term, u16)>,
}

impl SegmentBuilder {
    /// Adds the terms of the record at `place` in the segment, each once.
    pub fn push(&mut self, place: u16, terms: &[Term]) {
        self.postings.extend(terms.iter().map(|term| (*term, place)));
    }

    /// The encoded segment; `None` when it has too many terms to be worth one.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.postings.sort_unstable();
        self.postings.dedup();
        let mut terms = Vec::new();
        let mut ends = Vec::new();
        let mut lists = Vec::new();
        for list in self.postings.chunk_by(|a, b| a.0 == b.0) {
            let kind = write_list(list, &mut lists);
            terms.push(list.first()?.0);
            ends.push(u32::try_from(lists.len()).ok()? | kind);
        }
        self.postings.clear();
        let count = u16::try_from(terms.len()).ok().filter(|_| terms.len() < TERMS_MAX)?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 8 * terms.len() + lists.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&count.to_be_bytes());
        terms.iter().chain(&ends).for_each(|n| bytes.extend_from_slice(&n.to_be_bytes()));
        bytes.extend_from_slice(&lists);
        Some(bytes)
    }
}

fn write_list(list: &[(Term, u16)], to: &mut Vec<u8>) -> u32 {
    if 2 * list.len() <= BITMAP_BYTES {
        list.iter().for_each(|(_, place)| to.extend_from_slice(&place.to_be_bytes()));
        return 0;
    }
    let mut bits = [0_u8; BITMAP_BYTES];
    for (_, place) in list {
        if let Some(byte) = bits.get_mut(usize::from(place / 8)) {
            *byte |= 1 << (place % 8);
        }
    }
    to.extend_from_slice(&bits);
    IS_BITMAP
}

/// An encoded segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    terms: &'a [[u8; 4]],
    ends: &'a [[u8; 4]],
    lists: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Reads a segment; `None` when the bytes are none. Then every record may have every term.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, high, low], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let count = usize::from(u16::from_be_bytes([high, low]));
        let (terms, rest) = rest.split_at_checked(4 * count)?;
        let (ends, lists) = rest.split_at_checked(4 * count)?;
        let (terms, ends) = (terms.as_chunks().0, ends.as_chunks().0);
        (version == VERSION).then_some(Self { terms, ends, lists })
    }

    /// Its terms, ascending.
    pub fn terms(&self) -> Vec<Term> {
        self.terms.iter().map(|term| u32::from_be_bytes(*term)).collect()
    }

    /// The places of the records that have all of `terms`, ascending; all without terms.
    pub fn places(&self, terms: &[Term]) -> Vec<u16> {
        let mut bits = [u8::MAX; BITMAP_BYTES];
        for term in terms {
            let Some(list) = self.bits(*term) else { return Vec::new() };
            bits.iter_mut().zip(list).for_each(|(bits, list)| *bits &= list);
        }
        let places = bits.iter().zip(0_u16..).flat_map(|(byte, at)| {
            (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| at * 8 + bit)
        });
        places.collect()
    }

    /// The records with a term, a bit each; `None` when there are none.
    fn bits(&self, term: Term) -> Option<[u8; BITMAP_BYTES]> {
        let index = self.terms.binary_search(&term.to_be_bytes()).ok()?;
        let end = |index: usize| self.ends.get(index).map(|end| u32::from_be_bytes(*end));
        let start = match index.checked_sub(1) {
            Some(before) => end(before)? & !IS_BITMAP,
            None => 0,
        };
        let stop = end(index)?;
        let range = usize::try_from(start).ok()?..usize::try_from(stop & !IS_BITMAP).ok()?;
        let list = self.lists.get(range)?;
        if stop & IS_BITMAP != 0 {
            return list.try_into().ok();
        }
        let mut bits = [0; BITMAP_BYTES];
        for place in list.as_chunks().0 {
            let place = u16::from_be_bytes(*place);
            *bits.get_mut(usize::from(place / 8))? |= 1 << (place % 8);
        }
        Some(bits)
    }
}
