//! What the control plane's audit log explains: which permits it gave to whom, for how many
//! entries, and when.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use keysherd_audit::{ExplainedPermits, Record};
use keysherd_base::{AccountId, Timestamp, Uid};
use keysherd_crypto::hash::sha256;
use keysherd_store::AuditReader;

use crate::exit::Exit;

/// Records read at one time.
const PAGE_LEN: usize = 1_000;
/// Longest line of an exported log in bytes; a record is a few kB.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// What is recorded about one permit and one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// How many entries of the permit were for this subject.
    pub(crate) entries: u64,
    /// The first and the last of the records.
    pub(crate) from: Timestamp,
    /// The last of them.
    pub(crate) to: Timestamp,
}

/// Which part of an account's log there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Before this nothing is known.
    from: Timestamp,
    /// After this nothing is known.
    to: Timestamp,
}

/// An audit log, as far as permits go.
#[derive(Default)]
pub(crate) struct Explained {
    permits: HashMap<(AccountId, Uid), HashMap<[u8; 32], Explanation>>,
    spans: HashMap<AccountId, Span>,
    /// How many records were read.
    pub(crate) records: u64,
}

impl Explained {
    /// Reads the log at `place`: a data directory, or a file of JSON lines.
    ///
    /// # Errors
    /// [`Exit::Files`] when there is none; [`Exit::NotIntact`] for what is no record.
    pub(crate) fn read(place: &Path, account: Option<AccountId>) -> Result<Self, Exit> {
        let mut explained = Self::default();
        if place.is_dir() {
            explained.read_store(place, account)?;
        } else {
            explained.read_file(place, account)?;
        }
        Ok(explained)
    }

    fn read_store(&mut self, dir: &Path, only: Option<AccountId>) -> Result<(), Exit> {
        let places = ["control/store", "store", ""].map(|place| dir.join(place));
        let opened = places.iter().find_map(|place| AuditReader::open(place).ok());
        let shown = dir.display();
        let reader = opened
            .ok_or_else(|| Exit::Files(format!("there is no control plane's store in {shown}")))?;
        for head in reader.heads()? {
            let account = head.head.account;
            if only.is_some_and(|only| only != account) {
                continue;
            }
            let mut after = 0;
            loop {
                let page = reader.records(account, after, PAGE_LEN)?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                for stored in &page {
                    let record = Record::parse(&stored.bytes);
                    self.take(&record.map_err(|bad| Exit::NotIntact(format!("{shown}: {bad}")))?);
                }
            }
            // All of it is there, also what is to come.
            let all = Span { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX) };
            self.spans.insert(account, all);
        }
        Ok(())
    }

    fn read_file(&mut self, file: &Path, only: Option<AccountId>) -> Result<(), Exit> {
        let shown = file.display();
        let unreadable = |error| Exit::Files(format!("{shown}: {error}"));
        let mut lines = BufReader::new(File::open(file).map_err(unreadable)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if read.map_err(unreadable)? == 0 {
                return Ok(());
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            if text.is_empty() {
                continue;
            }
            let number = self.records + 1;
            let record = Record::parse(text);
            let record = record
                .map_err(|bad| Exit::NotIntact(format!("{shown}: record {number}: {bad}")))?;
            if only.is_none_or(|only| only == record.draft.account) {
                self.take(&record);
                self.widen(&record);
            }
        }
    }

    fn take(&mut self, record: &Record) {
        self.records += 1;
        // What a gateway does by itself, such as confirming a value, is for nobody.
        let access_id = record.draft.access_id.as_ref();
        let subject = access_id.map_or([0; 32], |id| sha256(&[id.as_str().as_bytes()]));
        for (permit, entries) in ExplainedPermits::of(record).iter() {
            let of_permit = self.permits.entry((record.draft.account, permit)).or_default();
            let (from, to) = (record.time, record.time);
            let one = of_permit.entry(subject).or_insert(Explanation { entries: 0, from, to });
            one.entries = one.entries.saturating_add(entries);
            one.from = one.from.min(record.time);
            one.to = one.to.max(record.time);
        }
    }

    /// An exported log covers the time of its records, and all before when it begins with the
    /// first.
    fn widen(&mut self, record: &Record) {
        let from = if record.seq == 1 { Timestamp(i64::MIN) } else { record.time };
        let span = self.spans.entry(record.draft.account).or_insert(Span { from, to: record.time });
        span.from = span.from.min(from);
        span.to = span.to.max(record.time);
    }

    /// Whether the log covers what an account did at this time. An account that it does not know
    /// at all is covered: it has no records because nothing was recorded.
    pub(crate) fn covers(&self, account: AccountId, at: Timestamp) -> bool {
        self.spans.get(&account).is_none_or(|span| (span.from..=span.to).contains(&at))
    }

    /// What is recorded about a permit, by subject.
    pub(crate) fn of(
        &self,
        account: AccountId,
        permit: Uid,
    ) -> Option<&HashMap<[u8; 32], Explanation>> {
        self.permits.get(&(account, permit))
    }

    /// Every permit that is recorded.
    pub(crate) fn permits(&self) -> impl Iterator<Item = &(AccountId, Uid)> {
        self.permits.keys()
    }
}
