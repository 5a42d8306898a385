//! The writer: one thread that turns everything that waits into one durable transaction after the
//! other.
//!
//! Group commit needs no timer: while one batch is being synced, the next one gathers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use keysherd_audit::{Failure, Prepared};
use keysherd_base::{ClockHandle, Fault, FaultKind, Timestamp};

use crate::ballast::Ballast;
use crate::batch::Batch;
use crate::chains::{Chains, SharedChains};
use crate::changes::{self, Change, Mark};
use crate::config::StoreConfig;
use crate::engine::{NotCommitted, Others, storage_full};
use crate::job::{Job, Work};
use crate::query::Tx;
use crate::sqlite::Checkpoint;
use crate::store::Shared;

/// Most pieces of work in one transaction.
const BATCH_LEN_MAX: usize = 512;
/// No further work is taken into a transaction that has been open this long.
const BATCH_MILLIS_MAX: i64 = 2;
/// How often space is looked for while there is none.
const SPACE_RETRY_MILLIS: i64 = 1_000;
/// The same on a server, where looking means writing.
const SERVER_RETRY_MILLIS: i64 = 5_000;

/// Bytes of a page of the database and of its log.
const PAGE_BYTES: u64 = 4_096;
/// Pages of the write-ahead log that are copied to the database when the writer has nothing else
/// to do.
const CHECKPOINT_PAGES_IDLE: u32 = 512;
/// The same in any case: 4 MiB with a reserve of twice as much.
const CHECKPOINT_PAGES: u32 = 1_024;
/// Pages at which the log's file is cut, waiting for readers that still use it: 64 MiB.
const TRUNCATE_PAGES: u32 = 16_384;

/// The writer's thread and everything only it touches.
pub(crate) struct Writer {
    tx: Tx,
    chains: Arc<SharedChains>,
    /// What the transaction touches of that which others may have in memory.
    touched: BTreeSet<Change>,
    ballast: Ballast,
    reserve_bytes: u64,
    shared: Arc<Shared>,
    queue: Receiver<Work>,
    clock: ClockHandle,
    space_tried: Timestamp,
    checkpoint_pages: u32,
    truncate_pages: u32,
}

impl Writer {
    pub(crate) fn new(
        mut tx: Tx,
        config: StoreConfig,
        ballast: Ballast,
        shared: Arc<Shared>,
        queue: Receiver<Work>,
    ) -> Self {
        let chains = Arc::new(SharedChains::new(Chains::new(config.hash, config.head_signer)));
        tx.writes_to(chains.clone());
        Self {
            tx,
            chains,
            touched: BTreeSet::new(),
            ballast,
            reserve_bytes: config.reserve_bytes,
            shared,
            queue,
            space_tried: config.clock.now(),
            clock: config.clock,
            checkpoint_pages: checkpoint_pages(config.reserve_bytes),
            truncate_pages: TRUNCATE_PAGES,
        }
    }

    /// Works until the last handle of the store is gone and everything is written.
    pub(crate) fn run(mut self) {
        while let Ok(work) = self.queue.recv() {
            self.write_batch(work);
            if let Err(fault) = self.checkpoint() {
                tracing::warn!(?fault, "the store's log could not be checkpointed");
            }
        }
    }

    fn write_batch(&mut self, first: Work) {
        if self.is_low_on_space() && self.tx.raw().is_on_server() {
            self.leave_low_space();
        }
        let mut batch = Batch::default();
        let filled = self.fill(&mut batch, first).map_err(NotCommitted::TakenBack);
        let mut durable = filled.and_then(|()| self.seal(&mut batch));
        if let Err(NotCommitted::TakenBack(fault)) = durable {
            self.take_back();
            if fault.kind() == FaultKind::StorageFull {
                self.enter_low_space();
            } else {
                tracing::error!(?fault, "a batch of changes was taken back");
            }
            // The records must be written all the same: of what was read, and of what failed.
            batch.fail_changes(&fault);
            let begun = self.begin().map_err(NotCommitted::TakenBack);
            durable = begun.and_then(|()| {
                // Others may have written in between, and what was taken back was not looked at.
                batch.refuse_unless(|account| self.chains().check(&self.tx, account));
                self.seal(&mut batch)
            });
        }
        let durable = durable.map_err(NotCommitted::into_fault);
        match &durable {
            Ok(()) => self.chains().accept(),
            Err(fault) => {
                self.take_back();
                tracing::error!(?fault, "audit records could not be written; nothing is answered");
            }
        }
        batch.finish(&durable);
    }

    /// Opens a transaction and does the first and all waiting work in it.
    fn fill(&mut self, batch: &mut Batch, first: Work) -> Result<(), Fault> {
        let mut outcome = self.begin();
        let started = self.clock.now();
        let mut next = Some(first);
        while let Some(work) = next.take() {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            if outcome.is_ok() {
                outcome = self.perform(batch, work);
            } else {
                batch.push_undone(work);
            }
            let late = self.clock.now().millis_since(started) >= BATCH_MILLIS_MAX;
            if outcome.is_ok() && batch.len() < BATCH_LEN_MAX && !late {
                next = self.queue.try_recv().ok();
            }
        }
        outcome
    }

    /// Does one piece of work. `Err` when the whole transaction is lost.
    fn perform(&mut self, batch: &mut Batch, work: Work) -> Result<(), Fault> {
        let checked = work.check_accounts(|account| self.chains().check(&self.tx, account));
        if let Err(fault) = checked {
            // Only who writes to a damaged chain is refused.
            tracing::error!(?fault, "an audit chain cannot be continued");
            work.refuse(fault);
            return Ok(());
        }
        match work {
            Work::Change { records, job } => self.change(batch, records, job),
            work @ Work::Record { .. } => {
                batch.push_undone(work);
                Ok(())
            }
        }
    }

    /// Runs one change in a savepoint of its own. `Err` when the whole transaction is lost.
    fn change(
        &mut self,
        batch: &mut Batch,
        mut records: Vec<Prepared>,
        mut job: Box<dyn Job>,
    ) -> Result<(), Fault> {
        // On a server that takes a transaction of its own, before this one.
        let may_look = !self.tx.raw().is_on_server();
        if self.is_low_on_space() && !(may_look && self.leave_low_space()) {
            job.fail(storage_full());
            batch.push_change(records, job, Some(FaultKind::StorageFull.into()));
            return Ok(());
        }
        self.shared.jobs.fetch_add(1, Ordering::Relaxed);
        let outcome = self.run_in_savepoint(&mut *job);
        let (mut more, done) = (self.tx.take_more_records(), self.tx.take_done_records());
        if matches!(outcome, Ok(Err(_))) {
            // They would be refused, and all who share the transaction with them.
            more.retain(|record| self.chains().check(&self.tx, record.account()).is_ok());
        }
        records.append(&mut more);
        match outcome {
            Ok(outcome) => {
                let is_done = outcome.is_ok();
                batch.push_change(records, job, outcome.err());
                if is_done {
                    batch.add_done(done);
                }
                Ok(())
            }
            Err(fault) => {
                batch.push_change(records, job, None);
                Err(fault)
            }
        }
    }

    fn run_in_savepoint(&mut self, job: &mut dyn Job) -> Result<Result<(), Failure>, Fault> {
        let connection = self.tx.raw();
        connection.begin_job()?;
        let mut outcome = job.run(&self.tx);
        let mut touched = self.tx.noted().take();
        if outcome.is_ok()
            && let Err(fault) = self.tx.check_records()
        {
            tracing::error!(?fault, "a change is taken back: its audit record cannot be written");
            outcome = Err(Failure::from(&fault));
            job.fail(fault);
        }
        if let Err(failure) = &outcome {
            if failure.kind == FaultKind::StorageFull {
                return Err(storage_full());
            }
            connection.take_job_back()?;
            touched.clear();
        }
        connection.end_job()?;
        self.touched.append(&mut touched);
        Ok(outcome)
    }

    fn begin(&mut self) -> Result<(), Fault> {
        if self.tx.raw().begin_write()? == Others::MayHaveWritten {
            self.chains().distrust();
        }
        Ok(())
    }

    /// Appends the records of the batch, signs the heads and commits. Whoever asks for the newest
    /// change knows it before anybody is told that it was made.
    fn seal(&mut self, batch: &mut Batch) -> Result<(), NotCommitted> {
        let written = self.append_records(batch).map_err(NotCommitted::TakenBack)?;
        let mark = self.append_changes().map_err(NotCommitted::TakenBack)?;
        self.tx.raw().commit()?;
        if let Some(mark) = mark {
            self.shared.saw(Mark::default(), mark);
        }
        self.shared.records.fetch_add(written, Ordering::Relaxed);
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives the number of the records.
    fn append_records(&mut self, batch: &mut Batch) -> Result<u64, Fault> {
        let now = self.clock.now();
        let mut written = 0;
        for entry in &mut batch.entries {
            entry.seqs.clear();
            for (record, failure) in &entry.records {
                let seq = self.chains().append(&self.tx, record, failure.as_ref(), now)?;
                entry.seqs.push(seq);
                written += 1;
            }
        }
        self.chains().seal(&self.tx, now)?;
        Ok(written)
    }

    fn append_changes(&mut self) -> Result<Option<Mark>, Fault> {
        if self.touched.is_empty() {
            return Ok(None);
        }
        let mark = changes::append(&self.tx, &mut self.touched, self.clock.now())?;
        self.touched.clear();
        Ok(Some(mark))
    }

    fn take_back(&mut self) {
        self.chains().forget();
        self.touched.clear();
        if let Err(fault) = self.tx.raw().roll_back() {
            tracing::error!(?fault, "a transaction could not be taken back");
        }
    }

    fn chains(&self) -> MutexGuard<'_, Chains> {
        self.chains.lock()
    }

    fn is_low_on_space(&self) -> bool {
        self.shared.low_on_space.load(Ordering::Relaxed)
    }

    fn enter_low_space(&mut self) {
        self.space_tried = self.clock.now();
        if !self.shared.low_on_space.swap(true, Ordering::AcqRel) {
            tracing::error!("the store's disk is full: changes are refused, reads go on");
        }
        if let Err(error) = self.ballast.throw_overboard() {
            tracing::error!(%error, "the store's reserve could not be freed");
        }
        if let Err(fault) = self.tx.raw().drop_reserve() {
            tracing::error!(?fault, "the database's reserve could not be freed");
        }
        // Gives back what the log holds, which is never more than half of the reserve.
        if let Err(fault) = self.tx.raw().checkpoint(Checkpoint::Truncate) {
            tracing::error!(?fault, "the store's log could not be cut");
        }
    }

    /// Looks for space, at most once in a while; whether there is enough again.
    fn leave_low_space(&mut self) -> bool {
        let now = self.clock.now();
        // A clock that was set back must not keep the store closed.
        let wait =
            if self.tx.raw().is_on_server() { SERVER_RETRY_MILLIS } else { SPACE_RETRY_MILLIS };
        if (0..wait).contains(&now.millis_since(self.space_tried)) {
            return false;
        }
        self.space_tried = now;
        let connection = self.tx.raw();
        if self.ballast.take_aboard_again().is_err()
            || connection.make_reserve(self.reserve_bytes).is_err()
        {
            return false;
        }
        self.shared.low_on_space.store(false, Ordering::Release);
        tracing::info!("the store's disk has space again: changes are accepted");
        true
    }

    /// Copies the write-ahead log into the database when it is long enough, so that it starts over
    /// instead of growing for ever.
    fn checkpoint(&mut self) -> Result<(), Fault> {
        let connection = self.tx.raw();
        let mut log = connection.checkpoint(Checkpoint::LookOnly)?;
        // While the disk is full, the log must not eat the space of the reserve.
        if self.is_low_on_space() && log.pages >= self.checkpoint_pages / 4 {
            connection.checkpoint(Checkpoint::Truncate)?;
            return Ok(());
        }
        let idle = self.shared.waiting.load(Ordering::Relaxed) == 0;
        let idle_pages = CHECKPOINT_PAGES_IDLE.min(self.checkpoint_pages);
        let due = if idle { idle_pages } else { self.checkpoint_pages };
        if log.pages - log.copied_pages >= due {
            log = connection.checkpoint(Checkpoint::Passive)?;
        }
        if log.pages < self.truncate_pages {
            return Ok(());
        }
        log = connection.checkpoint(Checkpoint::Truncate)?;
        // A reader with an old snapshot keeps the log: do not wait for it again with every batch.
        self.truncate_pages = TRUNCATE_PAGES.max(log.pages.saturating_mul(2));
        Ok(())
    }
}

/// How long the log gets before it is copied: copying it must fit into the freed reserve with room
/// to spare, or a full disk could never be told of.
fn checkpoint_pages(reserve_bytes: u64) -> u32 {
    match u32::try_from(reserve_bytes / 2 / PAGE_BYTES) {
        Ok(0) => CHECKPOINT_PAGES,
        Ok(half) => half.clamp(8, CHECKPOINT_PAGES),
        Err(_) => CHECKPOINT_PAGES,
    }
}
