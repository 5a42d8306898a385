//! Searching a chain: a walk from record to record that asks the index where to look, and reads
//! what is not indexed yet. What it costs does not grow with what lies between two finds by more
//! than a look for each 65,536 records.

use keysherd_audit::{Brief, Filter, SignedHead, Term};
use keysherd_base::{AccountId, Fault};

use super::{file, segments};
use crate::audit::{self, StoredRecord};
use crate::query::Reader;

/// Records read in one search at most; the rest is on further pages.
const RECORDS_MAX: usize = 20_000;
/// Segments looked at in one search at most.
const SEGMENTS_MAX: usize = 20_000;
/// Bytes of records found in one search; the record that goes beyond it is the last.
const FOUND_BYTES_MAX: usize = 8 << 20;
/// Records that are not indexed, read at a time.
const TAIL_PAGE: usize = 256;

/// The order of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOrder {
    /// The newest record first.
    NewestFirst,
    /// The oldest record first.
    OldestFirst,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct AuditSearch {
    /// In whose chain.
    pub account: AccountId,
    /// Which records.
    pub filter: Filter,
    /// In which order.
    pub order: AuditOrder,
    /// The first number that may be found, as [`AuditPage::next`] gave it.
    pub start: Option<u64>,
    /// At most this many records.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// The records.
    pub records: Vec<StoredRecord>,
    /// Where to go on; `None` when there is nothing more. A page may be short, even empty, and
    /// still go on: a search ends when it has looked at a good many records.
    pub next: Option<u64>,
    /// The head of the chain when the search was made: all records up to it were considered.
    /// `None` while there are none.
    pub head: Option<SignedHead>,
    /// Records that were read to find these.
    pub records_read: usize,
    /// Segments of the index that were looked at.
    pub segments_read: usize,
}

/// Searches; `accept` has the last word on each record that fits the filter.
///
/// # Errors
/// Only when the store is broken.
pub(crate) fn search(
    chains: &Reader,
    index: Option<&Reader>,
    wanted: &AuditSearch,
    accept: &mut dyn FnMut(&Brief<'_>) -> bool,
) -> Result<AuditPage, Fault> {
    let Some((head, chain)) = audit::stored_head(chains, wanted.account)? else {
        return Ok(AuditPage::default());
    };
    let newest = head.head.seq;
    let position = match index {
        Some(index) => file::position(index, chain)?,
        None => None,
    };
    let at = match wanted.order {
        AuditOrder::NewestFirst => wanted.start.unwrap_or(newest).min(newest),
        AuditOrder::OldestFirst => wanted.start.unwrap_or(1).max(1),
    };
    let mut walk = Walk {
        chains,
        index,
        chain,
        newest,
        // The index may be of a later moment than the snapshot of the chains.
        segments: position.map_or(0, |p| p.segments).min(newest / segments::LEN),
        wanted,
        terms: wanted.filter.terms(),
        accept,
        at,
        group: None,
        found: Vec::new(),
        bytes: 0,
        records: 0,
        looked: 0,
    };
    let next = walk.run()?;
    Ok(AuditPage {
        next,
        head: Some(head),
        records_read: walk.records,
        segments_read: walk.looked,
        records: walk.found,
    })
}

struct Walk<'a> {
    chains: &'a Reader,
    index: Option<&'a Reader>,
    chain: i64,
    newest: u64,
    /// Whole segments that are indexed.
    segments: u64,
    wanted: &'a AuditSearch,
    terms: Vec<Term>,
    accept: &'a mut dyn FnMut(&Brief<'_>) -> bool,
    /// The next record to look at; 0 or beyond the newest at the end.
    at: u64,
    /// The last group that was asked, and whether it may have the terms.
    group: Option<(u64, bool)>,
    found: Vec<StoredRecord>,
    bytes: usize,
    records: usize,
    looked: usize,
}

/// Whether a walk goes on.
enum Step {
    On,
    /// The page is full, and this record belongs on the next one.
    Full(u64),
}

impl Walk<'_> {
    /// Gives where the next page begins.
    fn run(&mut self) -> Result<Option<u64>, Fault> {
        while (1..=self.newest).contains(&self.at) {
            if self.records >= RECORDS_MAX || self.looked >= SEGMENTS_MAX {
                return Ok(Some(self.at));
            }
            let segment = (self.at - 1) / segments::LEN;
            let step = match self.index {
                Some(index) if segment < self.segments => self.in_index(index, segment)?,
                _ => self.in_tail()?,
            };
            if let Step::Full(next) = step {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    fn in_index(&mut self, index: &Reader, segment: u64) -> Result<Step, Fault> {
        let times = (self.wanted.filter.from, self.wanted.filter.to);
        let bounds = (segment, self.segments);
        let next = segments::next(index, self.chain, bounds, self.wanted.order, times)?;
        let Some(next) = next else {
            // Going up, the records that are not indexed are left.
            self.at = self.beyond(0, self.segments);
            return Ok(Step::On);
        };
        if next != segment {
            self.at = self.edge(next);
        }
        self.looked += 1;
        let group = next / segments::GROUP_LEN;
        if !self.group_may_have(index, group)? {
            self.at = self.beyond(group * segments::GROUP_LEN, (group + 1) * segments::GROUP_LEN);
            return Ok(Step::On);
        }
        let places = segments::places(index, self.chain, next, &self.terms)?;
        let numbers = places.iter().map(|place| next * segments::LEN + u64::from(*place) + 1);
        let numbers: Vec<u64> = match self.wanted.order {
            AuditOrder::NewestFirst => numbers.rev().filter(|seq| *seq <= self.at).collect(),
            AuditOrder::OldestFirst => numbers.filter(|seq| *seq >= self.at).collect(),
        };
        for seq in numbers {
            let record = audit::record_at(self.chains, self.chain, seq)?;
            if let Some(record) = record
                && let step @ Step::Full(_) = self.consider(record)
            {
                return Ok(step);
            }
        }
        self.at = self.beyond(next, next + 1);
        Ok(Step::On)
    }

    fn in_tail(&mut self) -> Result<Step, Fault> {
        let indexed = self.segments * segments::LEN;
        let page = match self.wanted.order {
            AuditOrder::NewestFirst => {
                audit::records_down(self.chains, self.chain, (indexed, self.at), TAIL_PAGE)?
            }
            AuditOrder::OldestFirst => {
                audit::records_of_chain(self.chains, self.chain, self.at - 1, TAIL_PAGE)?
            }
        };
        let last = page.last().map(|record| record.seq);
        for record in page {
            if let step @ Step::Full(_) = self.consider(record) {
                return Ok(step);
            }
        }
        self.at = match (last, self.wanted.order) {
            (Some(last), AuditOrder::NewestFirst) => last - 1,
            (Some(last), AuditOrder::OldestFirst) => last + 1,
            // Records are missing: the verifier says so.
            (None, AuditOrder::NewestFirst) => indexed,
            (None, AuditOrder::OldestFirst) => self.newest + 1,
        };
        Ok(Step::On)
    }

    /// Keeps the record if it is looked for and there is room.
    fn consider(&mut self, record: StoredRecord) -> Step {
        self.records += 1;
        // An altered record is the verifier's to find; it is nobody's to read.
        let Ok(brief) = Brief::read(&record.bytes) else { return Step::On };
        if !self.wanted.filter.matches(&brief) || !(self.accept)(&brief) {
            return Step::On;
        }
        if self.found.len() >= self.wanted.limit || self.bytes >= FOUND_BYTES_MAX {
            return Step::Full(record.seq);
        }
        self.bytes += record.bytes.len();
        self.found.push(record);
        Step::On
    }

    fn group_may_have(&mut self, index: &Reader, group: u64) -> Result<bool, Fault> {
        match self.group {
            Some((known, verdict)) if known == group => Ok(verdict),
            _ => {
                let verdict = segments::group_may_have(index, self.chain, group, &self.terms)?;
                self.group = Some((group, verdict));
                Ok(verdict)
            }
        }
    }

    /// The first record of a segment in the order of the walk.
    const fn edge(&self, segment: u64) -> u64 {
        match self.wanted.order {
            AuditOrder::NewestFirst => (segment + 1) * segments::LEN,
            AuditOrder::OldestFirst => segment * segments::LEN + 1,
        }
    }

    /// The record behind the segments from `from` to before `until`.
    const fn beyond(&self, from: u64, until: u64) -> u64 {
        match self.wanted.order {
            AuditOrder::NewestFirst => from * segments::LEN,
            AuditOrder::OldestFirst => until * segments::LEN + 1,
        }
    }
}
