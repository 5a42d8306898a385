//! What is queued for the writer: jobs of any result type behind one interface, and bare records.

use std::panic::{AssertUnwindSafe, catch_unwind};

use keysherd_audit::{Failure, Prepared};
use keysherd_base::{AccountId, Fault};
use tokio::sync::oneshot;

use crate::query::Tx;

/// One entry of the writer's queue.
pub(crate) enum Work {
    /// A change with the records that tell of it.
    Change { records: Vec<Prepared>, job: Box<dyn Job> },
    /// Records only.
    Record { records: Vec<(Prepared, Option<Failure>)>, done: oneshot::Sender<Recorded> },
}

impl Work {
    /// Calls `check` with the account of each record it would add, until one is refused.
    pub(crate) fn check_accounts(
        &self,
        mut check: impl FnMut(AccountId) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Self::Change { records, .. } => {
                records.iter().try_for_each(|record| check(record.account()))
            }
            Self::Record { records, .. } => {
                records.iter().try_for_each(|(record, _)| check(record.account()))
            }
        }
    }

    /// Gives it up without doing or recording anything.
    pub(crate) fn refuse(self, fault: Fault) {
        match self {
            Self::Change { job, .. } => job.finish(Err(fault)),
            // A caller who no longer waits has nothing to be told.
            Self::Record { done, .. } => drop(done.send(Err(fault))),
        }
    }
}

/// The numbers that were given to records, or why they could not be written.
pub(crate) type Recorded = Result<Vec<u64>, Fault>;

/// A change, whatever its result.
pub(crate) trait Job: Send {
    /// Runs the change once; `Err` when it failed and has to be taken back.
    fn run(&mut self, tx: &Tx) -> Result<(), Failure>;

    /// Makes the job fail with `fault` without running it, or whatever running it gave.
    fn fail(&mut self, fault: Fault);

    /// Tells the caller: the job's own result when its records are durable.
    fn finish(self: Box<Self>, durable: Result<(), Fault>);
}

/// A job made of a closure.
pub(crate) struct ClosureJob<T, F> {
    change: Option<F>,
    result: Option<Result<T, Fault>>,
    done: oneshot::Sender<Result<T, Fault>>,
}

impl<T, F> ClosureJob<T, F>
where
    T: Send,
    F: FnOnce(&Tx) -> Result<T, Fault> + Send,
{
    pub(crate) const fn new(change: F, done: oneshot::Sender<Result<T, Fault>>) -> Self {
        Self { change: Some(change), result: None, done }
    }
}

impl<T, F> Job for ClosureJob<T, F>
where
    T: Send,
    F: FnOnce(&Tx) -> Result<T, Fault> + Send,
{
    fn run(&mut self, tx: &Tx) -> Result<(), Failure> {
        let Some(change) = self.change.take() else {
            return Ok(());
        };
        // The transaction is the only thing the closure shares with others, and what it did to it
        // is taken back.
        let result = catch_unwind(AssertUnwindSafe(|| change(tx)))
            .unwrap_or_else(|panic| Err(Fault::internal(panic_text(&*panic))));
        let outcome = result.as_ref().map(drop).map_err(Failure::from);
        self.result = Some(result);
        outcome
    }

    fn fail(&mut self, fault: Fault) {
        self.change = None;
        self.result = Some(Err(fault));
    }

    fn finish(self: Box<Self>, durable: Result<(), Fault>) {
        let unrun = || Err(Fault::internal("the job was not run"));
        let result = match durable {
            Ok(()) => self.result.unwrap_or_else(unrun),
            Err(fault) => Err(fault),
        };
        // A caller who no longer waits has nothing to be told.
        let _ = self.done.send(result);
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a job panicked: {}", text.unwrap_or_default())
}
