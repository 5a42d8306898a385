//! The work that shares one transaction, and what becomes of it.

use keysherd_audit::{Failure, Prepared};
use keysherd_base::{AccountId, Fault};
use tokio::sync::oneshot;

use crate::job::{Job, Recorded, Work};

/// Work that was done in one transaction, in the order in which it came.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
}

/// One piece of work with its records.
pub(crate) struct Entry {
    pub(crate) records: Vec<(Prepared, Option<Failure>)>,
    /// How many of them, at the end, tell only of what was done.
    only_done: usize,
    /// The numbers given to the records.
    pub(crate) seqs: Vec<u64>,
    /// Why nothing of it is done or recorded.
    refused: Option<Fault>,
    waiter: Waiter,
}

impl Entry {
    const fn new(records: Vec<(Prepared, Option<Failure>)>, waiter: Waiter) -> Self {
        Self { records, only_done: 0, seqs: Vec::new(), refused: None, waiter }
    }
}

/// Who is told.
enum Waiter {
    /// A change, and whether it has failed by itself.
    Change(Box<dyn Job>, bool),
    /// Records only.
    Record(oneshot::Sender<Recorded>),
}

impl Batch {
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds work of which nothing but its records is left to do: bare records, and changes that
    /// are not run because the transaction is lost.
    pub(crate) fn push_undone(&mut self, work: Work) {
        match work {
            Work::Record { records, done } => {
                let waiter = Waiter::Record(done);
                self.entries.push(Entry::new(records, waiter));
            }
            Work::Change { records, job } => self.push_change(records, job, None),
        }
    }

    /// Adds a change with its outcome.
    pub(crate) fn push_change(
        &mut self,
        records: Vec<Prepared>,
        job: Box<dyn Job>,
        failure: Option<Failure>,
    ) {
        let failed = failure.is_some();
        let records = records.into_iter().map(|record| (record, failure.clone())).collect();
        let waiter = Waiter::Change(job, failed);
        self.entries.push(Entry::new(records, waiter));
    }

    /// Adds records to the change that was added last, which was done. They are left out when it
    /// is taken back.
    pub(crate) fn add_done(&mut self, records: Vec<Prepared>) {
        if let Some(entry) = self.entries.last_mut() {
            entry.only_done = records.len();
            entry.records.extend(records.into_iter().map(|record| (record, None)));
        }
    }

    /// The transaction was lost: every change fails with `fault` and so say its records, except
    /// one that had failed by itself, which stays as it is.
    pub(crate) fn fail_changes(&mut self, fault: &Fault) {
        for entry in &mut self.entries {
            if let Waiter::Change(job, failed @ false) = &mut entry.waiter {
                *failed = true;
                job.fail(fault.clone());
                let kept = entry.records.len() - std::mem::take(&mut entry.only_done);
                entry.records.truncate(kept);
                for (_, failure) in &mut entry.records {
                    *failure = Some(Failure::from(fault));
                }
            }
        }
    }

    /// Refuses what has a record of an account that does not pass `check`: after
    /// [`Self::fail_changes`] nothing of it was done.
    pub(crate) fn refuse_unless(&mut self, mut check: impl FnMut(AccountId) -> Result<(), Fault>) {
        for entry in &mut self.entries {
            let checked = entry.records.iter().try_for_each(|(record, _)| check(record.account()));
            if let Err(fault) = checked {
                entry.records.clear();
                entry.refused = Some(fault);
            }
        }
    }

    /// Tells everybody who waits.
    pub(crate) fn finish(self, durable: &Result<(), Fault>) {
        for Entry { seqs, refused, waiter, .. } in self.entries {
            let durable = refused.map_or_else(|| durable.clone(), Err);
            match waiter {
                Waiter::Change(job, _) => job.finish(durable),
                Waiter::Record(done) => {
                    // A caller who no longer waits has nothing to be told.
                    let _ = done.send(durable.map(|()| seqs));
                }
            }
        }
    }
}
