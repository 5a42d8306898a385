//! Group commit: one thread appends what all requests hand in, with one fdatasync for each group.
//!
//! While a group is being made durable the next one gathers, so the size of groups adapts to the
//! load without a timer. Who waits holds no lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use keysherd_base::Fault;
use tokio::sync::{mpsc, oneshot};

use super::Checkpoint;
use super::appender::{AppendError, Appender};
use super::entry::{ENTRY_BYTES_MAX, Entry};
use super::frame::{BODY_BYTES_MAX, framed};

/// Most entries that wait; more requests wait at the door.
const QUEUE_LEN: usize = 1_024;

/// Why an entry is not durable. The answer that waits for it must not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFailure {
    /// The disk is full.
    Full,
    /// The log failed in a way that only a new start can clear.
    Broken,
}

/// What others may see of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogStatus(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    checkpoint: Mutex<Checkpoint>,
    groups: AtomicU64,
    reserve_failing: AtomicBool,
    full: AtomicBool,
    broken: AtomicBool,
}

impl LogStatus {
    /// The last durable position.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        *self.0.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many groups were made durable.
    pub(crate) fn groups(&self) -> u64 {
        self.0.groups.load(Ordering::Relaxed)
    }

    /// Whether no disk space can be reserved: the log lives on what is left.
    pub(crate) fn reserve_failing(&self) -> bool {
        self.0.reserve_failing.load(Ordering::Relaxed)
    }

    /// Whether the last group did not fit on the disk.
    pub(crate) fn full(&self) -> bool {
        self.0.full.load(Ordering::Relaxed)
    }

    /// Whether nothing can be appended before the next start.
    pub(crate) fn broken(&self) -> bool {
        self.0.broken.load(Ordering::Acquire)
    }

    pub(super) fn publish(&self, at: &Checkpoint) {
        *self.0.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = *at;
        self.0.groups.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_reserve_failing(&self, failing: bool) {
        self.0.reserve_failing.store(failing, Ordering::Relaxed);
    }

    /// Whether that is news.
    fn set_full(&self, full: bool) -> bool {
        self.0.full.swap(full, Ordering::Relaxed) != full
    }

    fn break_for_good(&self) {
        self.0.broken.store(true, Ordering::Release);
    }
}

struct Job {
    entry: Vec<u8>,
    done: oneshot::Sender<Result<Checkpoint, LogFailure>>,
}

type Durable = oneshot::Receiver<Result<Checkpoint, LogFailure>>;

/// Hands entries to the log's thread. Dropping it ends the thread when all entries are durable.
pub(crate) struct LogWriter {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    status: LogStatus,
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(appender: Appender) -> Result<Self, Fault> {
        let (jobs, waiting) = mpsc::channel(QUEUE_LEN);
        let status = appender.status();
        let thread = std::thread::Builder::new()
            .name("fragment-log".to_owned())
            .spawn(move || run(appender, waiting))
            .map_err(Fault::internal)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), status })
    }

    /// What others may see of the log.
    pub(crate) const fn status(&self) -> &LogStatus {
        &self.status
    }

    /// Appends an entry and returns the position after it once it is durable.
    ///
    /// # Errors
    /// [`LogFailure`]; the entry then counts as not written.
    pub(crate) async fn append(&self, entry: &Entry) -> Result<Checkpoint, LogFailure> {
        let (job, durable) = self.job(entry)?;
        let jobs = self.jobs.as_ref().ok_or(LogFailure::Broken)?;
        jobs.send(job).await.map_err(|_| LogFailure::Broken)?;
        durable.await.map_err(|_| LogFailure::Broken)?
    }

    /// As [`Self::append`], for callers that may block. Only for what is rare: it waits on a thread
    /// of its own, because a thread of the runtime must not wait for a channel.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) fn append_blocking(&self, entry: &Entry) -> Result<Checkpoint, LogFailure> {
        let (job, durable) = self.job(entry)?;
        let jobs = self.jobs.as_ref().ok_or(LogFailure::Broken)?;
        let wait = move || {
            jobs.blocking_send(job).map_err(|_| LogFailure::Broken)?;
            durable.blocking_recv().map_err(|_| LogFailure::Broken)?
        };
        let waited = std::thread::scope(|scope| scope.spawn(wait).join());
        waited.unwrap_or(Err(LogFailure::Broken))
    }

    fn job(&self, entry: &Entry) -> Result<(Job, Durable), LogFailure> {
        let entry = entry.to_bytes();
        debug_assert!(entry.len() <= ENTRY_BYTES_MAX, "limits of requests keep entries small");
        if entry.len() > ENTRY_BYTES_MAX || self.status.broken() {
            return Err(LogFailure::Broken);
        }
        let (done, durable) = oneshot::channel();
        Ok((Job { entry, done }, durable))
    }

    /// Ends the thread when all entries are durable.
    pub(crate) fn close(&mut self) {
        self.jobs = None;
        // The lock of the directory is given back after this: nobody else may open the log before
        // its thread has ended.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the fragment log had panicked");
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(mut appender: Appender, mut waiting: mpsc::Receiver<Job>) {
    let status = appender.status();
    let mut left_over = None;
    while let Some(first) = left_over.take().or_else(|| waiting.blocking_recv()) {
        let mut bytes = framed(first.entry.len());
        let mut group = vec![first];
        while let Ok(job) = waiting.try_recv() {
            bytes += framed(job.entry.len());
            if bytes > BODY_BYTES_MAX {
                left_over = Some(job);
                break;
            }
            group.push(job);
        }
        if status.broken() {
            finish(group, Err(LogFailure::Broken));
            continue;
        }
        let entries: Vec<&[u8]> = group.iter().map(|job| job.entry.as_slice()).collect();
        let result = appender.append(&entries).map_err(|error| match error {
            AppendError::Full => {
                if status.set_full(true) {
                    tracing::error!("the disk is full: nothing is answered before there is room");
                }
                LogFailure::Full
            }
            AppendError::Broken(error) => {
                tracing::error!(%error, "the fragment log failed: nothing is answered any more");
                status.break_for_good();
                LogFailure::Broken
            }
        });
        if result.is_ok() {
            status.set_full(false);
        }
        finish(group, result);
    }
}

fn finish(group: Vec<Job>, result: Result<Vec<Checkpoint>, LogFailure>) {
    match result {
        // Who no longer waits was canceled; its entry stays, which errs on the safe side.
        Ok(positions) => {
            for (job, position) in group.into_iter().zip(positions) {
                job.done.send(Ok(position)).ok();
            }
        }
        Err(failure) => {
            for job in group {
                job.done.send(Err(failure)).ok();
            }
        }
    }
}
