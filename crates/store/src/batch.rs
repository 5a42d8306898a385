//! The work that shares one transaction, and what becomes of it.

use keysherd_audit::{Failure, Prepared};
use keysherd_base::Fault;
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
    waiter: Waiter,
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
                self.entries.push(Entry { records, only_done: 0, seqs: Vec::new(), waiter });
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
        self.entries.push(Entry { records, only_done: 0, seqs: Vec::new(), waiter });
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

    /// Tells everybody who waits.
    pub(crate) fn finish(self, durable: &Result<(), Fault>) {
        for Entry { seqs, waiter, .. } in self.entries {
            match waiter {
                Waiter::Change(job, _) => job.finish(durable.clone()),
                Waiter::Record(done) => {
                    // A caller who no longer waits has nothing to be told.
                    let _ = done.send(durable.clone().map(|()| seqs));
                }
            }
        }
    }
}
