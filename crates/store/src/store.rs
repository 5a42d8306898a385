//! [`Store`]: the handle, and opening.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use keysherd_audit::{Brief, Draft, Failure};
use keysherd_base::{AccountId, Fault, FaultKind};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::audit_index::search::{self, AuditPage, AuditSearch};
use crate::audit_index::{AuditIndex, IndexState};
use crate::ballast::Ballast;
use crate::changes::{self, Mark};
use crate::config::StoreConfig;
use crate::engine::Place;
use crate::feed::Feed;
use crate::job::{ClosureJob, Work};
use crate::lock::{StoreLock, cannot_open};
use crate::meta;
use crate::migrations;
use crate::pool::Pool;
use crate::postgres::{Server, park_until};
use crate::query::{Reader, Tx};
use crate::tables::IMPORT_MARK;
use crate::writer::Writer;

/// The mark in a folder whose rows are on a server.
pub(crate) const MOVED: &str = "on-server";

/// The control plane's store. A clone is the same store; it is closed with its last clone, after
/// everything that was queued has been written.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What the writer has done since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Transactions that were committed.
    pub commits: u64,
    /// Changes that were run, successful or not.
    pub jobs: u64,
    /// Audit records that were written.
    pub records: u64,
}

/// What handles and writer share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) low_on_space: AtomicBool,
    pub(crate) waiting: AtomicUsize,
    pub(crate) commits: AtomicU64,
    pub(crate) jobs: AtomicU64,
    pub(crate) records: AtomicU64,
    /// The newest change that this process knows of.
    pub(crate) newest: watch::Sender<Mark>,
}

struct Inner {
    queue: Option<mpsc::Sender<Work>>,
    queue_max: usize,
    writer: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    pool: Pool,
    scans: Semaphore,
    index: AuditIndex,
    feed: Feed,
    place: Place,
    // Given back last, when nothing writes any more.
    _lock: StoreLock,
}

impl Store {
    /// Opens the store, making it when there is none, and starts its writer.
    ///
    /// # Errors
    /// [`FaultKind::Unavailable`] when the folder cannot be used, another process has it open, or a
    /// newer program wrote it.
    pub fn open(config: StoreConfig) -> Result<Self, Fault> {
        let folder = config.path.clone();
        make_folder(&folder)?;
        let lock = StoreLock::take(&folder)?;
        let shared = Arc::new(Shared::default());
        let (place, tx, ballast) = match &config.database {
            None => open_embedded(&config, &shared)?,
            Some(settings) => {
                mark_moved(&folder)?;
                let server = Server::new(settings.clone(), config.alone)?;
                let place = Place::Server(server);
                let tx = open_for_writing(&place)?;
                if let Err(fault) = tx.raw().make_reserve(config.reserve_bytes) {
                    tracing::warn!(
                        ?fault,
                        "no space for the database's reserve: only reads are served"
                    );
                    shared.low_on_space.store(true, Ordering::Release);
                }
                (place, tx, Ballast::new(&folder, 0))
            }
        };
        let clock = config.clock.clone();
        let index = AuditIndex::start(&folder, place.clone(), clock, Arc::clone(&shared))?;
        let feed = Feed::start(&folder, &place, &shared)?;
        let readers = config.readers.max(2);
        let queue_max = config.queue_max;
        let (queue, waiting) = mpsc::channel();
        let writer = Writer::new(tx, config, ballast, Arc::clone(&shared), waiting);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| cannot_open(&folder, &error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                queue: Some(queue),
                queue_max,
                writer: Some(thread),
                shared,
                pool: Pool::new(place.clone(), readers),
                scans: Semaphore::new(readers - 1),
                index,
                feed,
                place,
                _lock: lock,
            }),
        })
    }

    /// Reads from one unchanging snapshot. Synchronous: for point reads, which take microseconds
    /// and may be called from async code; see [`Self::read_blocking`] for anything longer.
    ///
    /// # Errors
    /// What `read` gives, or [`Fault`] when the store is broken.
    pub fn read<T>(&self, read: impl FnOnce(&Reader) -> Result<T, Fault>) -> Result<T, Fault> {
        let read = || {
            let reader = self.inner.pool.take()?;
            reader.begin_snapshot()?;
            read(&reader)
        };
        if self.inner.place.is_shared() { patiently(read) } else { read() }
    }

    /// As [`Self::read`], on a thread for blocking work: for listings and scans. One connection
    /// stays free of them, so that point reads never wait for a scan.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let _turn = self.inner.scans.acquire().await.map_err(Fault::internal)?;
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.read(read)).await.map_err(Fault::internal)?
    }

    /// Runs a change and records `drafts` (usually one) with its outcome, in one transaction.
    ///
    /// The job is queued at once, not when the future is first polled, and runs even if the future
    /// is dropped. When it fails, what it wrote is taken back and the records carry the failure.
    /// When the future completes, success or failure, records and change are durable.
    ///
    /// The job runs on the one writer thread: it should do nothing but read and write the store.
    ///
    /// # Errors
    /// The job's own fault; [`FaultKind::StorageFull`] when the disk is full; otherwise the records
    /// could not be written and the job has been taken back.
    pub fn commit<T, F>(
        &self,
        drafts: Vec<Draft>,
        job: F,
    ) -> impl Future<Output = Result<T, Fault>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Tx) -> Result<T, Fault> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let records = drafts.iter().map(Draft::prepare).collect();
        let job = Box::new(ClosureJob::new(job, done));
        let queued = self.enqueue(Work::Change { records, job });
        async move {
            queued?;
            outcome.await.unwrap_or_else(|_| Err(writer_gone()))
        }
    }

    /// As [`Self::commit`], waiting on this thread: for code that cannot await.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_now<T, F>(&self, drafts: Vec<Draft>, job: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Tx) -> Result<T, Fault> + Send + 'static,
    {
        let outcome = self.commit(drafts, job);
        patiently(|| park_until(outcome))
    }

    /// Records what happened where nothing changes: reads, refusals. Gives the records' numbers in
    /// their accounts' chains, in the order of `drafts`.
    ///
    /// Queued at once, as [`Self::commit`]; durable when the future completes.
    ///
    /// # Errors
    /// When the records could not be written: the answer they tell of must then not be given.
    pub fn record(
        &self,
        drafts: Vec<(Draft, Option<Failure>)>,
    ) -> impl Future<Output = Result<Vec<u64>, Fault>> + Send + use<> {
        let (done, outcome) = oneshot::channel();
        let records =
            drafts.into_iter().map(|(draft, failure)| (draft.prepare(), failure)).collect();
        let queued = self.enqueue(Work::Record { records, done });
        async move {
            queued?;
            outcome.await.unwrap_or_else(|_| Err(writer_gone()))
        }
    }

    /// As [`Self::record`], for records of several accounts, each with its own outcome: those of an
    /// account whose chain is damaged are refused and the others are written.
    pub fn record_each(
        &self,
        drafts: Vec<(Draft, Option<Failure>)>,
    ) -> impl Future<Output = Vec<Result<u64, Fault>>> + Send + use<> {
        let count = drafts.len();
        let mut accounts: BTreeMap<AccountId, (Vec<usize>, Vec<_>)> = BTreeMap::new();
        for (place, record) in drafts.into_iter().enumerate() {
            let (places, records) = accounts.entry(record.0.account).or_default();
            places.push(place);
            records.push(record);
        }
        // All are queued before anybody waits: they share a commit.
        let queued: Vec<_> = accounts
            .into_values()
            .map(|(places, records)| (places, self.record(records)))
            .collect();
        async move {
            let mut outcomes: Vec<(usize, Result<u64, Fault>)> = Vec::with_capacity(count);
            for (places, recorded) in queued {
                match recorded.await {
                    Ok(seqs) => outcomes.extend(places.into_iter().zip(seqs.into_iter().map(Ok))),
                    Err(fault) => {
                        outcomes.extend(places.into_iter().map(|at| (at, Err(fault.clone()))));
                    }
                }
            }
            outcomes.sort_unstable_by_key(|(place, _)| *place);
            outcomes.into_iter().map(|(_, outcome)| outcome).collect()
        }
    }

    /// Searches an audit chain, on a thread for blocking work; `accept` has the last word on each
    /// record that fits. Complete up to the newest record of the moment, indexed or not.
    ///
    /// # Errors
    /// Only when the store is broken.
    pub async fn search_audit(
        &self,
        wanted: AuditSearch,
        mut accept: impl FnMut(&Brief<'_>) -> bool + Send + 'static,
    ) -> Result<AuditPage, Fault> {
        let store = self.clone();
        self.read_blocking(move |chains| {
            let index = store.inner.index.state.reader();
            search::search(chains, index.as_deref(), &wanted, &mut accept)
        })
        .await
    }

    /// Has everything that was recorded so far indexed and summed up, and waits for it; at most
    /// `limit`, since others must not wait for ever where there is much to do.
    pub async fn index_audit(&self, limit: std::time::Duration) {
        let done = self.inner.index.catch_up();
        // Whoever is hung up on need not wait either.
        let waited = tokio::task::spawn_blocking(move || done.recv_timeout(limit).is_ok());
        drop(waited.await);
    }

    /// What the index has, for whoever asks for uses and sums.
    pub(crate) fn audit_index(&self) -> &IndexState {
        &self.inner.index.state
    }

    /// The newest change that was committed before the call, by this node or another; or a newer
    /// one. Costs nothing with an embedded store; otherwise a question, which callers share.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn newest_change(&self) -> Result<Mark, Fault> {
        let ask = || changes::newest(&*self.inner.pool.take()?);
        self.inner.feed.newest(|| patiently(ask)).await
    }

    /// The newest change as it comes: at once when this node committed it, within about 100 ms when
    /// another did.
    pub fn watch_changes(&self) -> watch::Receiver<Mark> {
        self.inner.feed.watch()
    }

    /// Whether the disk is full: reads go on, changes are refused. Ends by itself within a second
    /// of the first change that is tried after space was freed.
    pub fn is_low_on_space(&self) -> bool {
        self.inner.shared.low_on_space.load(Ordering::Acquire)
    }

    /// Whether other nodes may work on the same rows.
    pub fn is_shared(&self) -> bool {
        self.inner.place.is_shared()
    }

    /// Jobs and records that wait for the writer.
    pub fn waiting(&self) -> usize {
        self.inner.shared.waiting.load(Ordering::Relaxed)
    }

    /// How often the database was asked for the newest change.
    #[cfg(test)]
    pub(crate) fn questions(&self) -> u64 {
        self.inner.feed.asked()
    }

    /// What the writer has done so far.
    pub fn stats(&self) -> StoreStats {
        let shared = &self.inner.shared;
        StoreStats {
            commits: shared.commits.load(Ordering::Relaxed),
            jobs: shared.jobs.load(Ordering::Relaxed),
            records: shared.records.load(Ordering::Relaxed),
        }
    }

    fn enqueue(&self, work: Work) -> Result<(), Fault> {
        if let Place::Server(server) = &self.inner.place {
            server.check_writable()?;
        }
        let shared = &self.inner.shared;
        if shared.waiting.fetch_add(1, Ordering::Relaxed) >= self.inner.queue_max {
            shared.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::unavailable(
                "too many requests wait for the disk; try again in a moment",
            ));
        }
        let queue = self.inner.queue.as_ref().ok_or_else(writer_gone)?;
        queue.send(work).map_err(|_| writer_gone())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.index.stop();
        self.feed.stop();
        self.pool.close();
        // The writer ends when it has written everything and nobody can queue more.
        self.queue = None;
        let Some(writer) = self.writer.take() else {
            return;
        };
        // A job may own the last handle: the writer cannot wait for itself.
        if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
            tracing::error!("the store's writer panicked");
        }
    }
}

/// Leaves a mark that the rows are elsewhere, so that nobody starts over in the folder by mistake.
fn mark_moved(folder: &Path) -> Result<(), Fault> {
    if database_file(folder).exists() {
        return Err(Fault::unavailable(format!(
            "there is an embedded store in {}: take another data directory for the database, leave \
             the setting out, or move control.db away if the database has what is in it",
            folder.display()
        )));
    }
    make_file(folder, &folder.join(MOVED))
}

/// Opens the database in the folder.
fn open_embedded(config: &StoreConfig, shared: &Shared) -> Result<(Place, Tx, Ballast), Fault> {
    let folder = &config.path;
    if folder.join(MOVED).exists() {
        return Err(Fault::unavailable(format!(
            "the store of {} is in a database: name it, as at the last start",
            folder.display()
        )));
    }
    let file = database_file(folder);
    make_file(folder, &file)?;
    let place = Place::File(file);
    let ballast = Ballast::new(folder, config.reserve_bytes);
    if let Err(error) = ballast.take_aboard() {
        tracing::warn!(%error, "no space for the store's reserve: only reads are served");
        shared.low_on_space.store(true, Ordering::Release);
    }
    let mut tx = open_for_writing(&place);
    if tx.is_err() && ballast.is_disk_full() {
        shared.low_on_space.store(true, Ordering::Release);
        ballast.throw_overboard().map_err(|error| cannot_open(folder, &error))?;
        tx = open_for_writing(&place);
    }
    Ok((place, tx?, ballast))
}

fn open_for_writing(place: &Place) -> Result<Tx, Fault> {
    let tx = Tx::new(place.open_writer()?);
    migrations::apply(&tx)?;
    if meta::get(&tx, IMPORT_MARK)?.is_some() {
        return Err(Fault::unavailable(
            "an import into this store has not come to its end: run keysherd db import again",
        ));
    }
    Ok(tx)
}

/// Waits, or works for a while, without keeping other tasks of this thread from going on.
pub fn patiently<T>(wait: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

fn writer_gone() -> Fault {
    Fault::new(FaultKind::Internal, "internal error; the server's log has the details")
        .with_private("the store's writer has ended")
}

/// The database in a store's folder.
pub(crate) fn database_file(folder: &Path) -> PathBuf {
    folder.join("control.db")
}

/// Makes the folder with its mode before anybody else can.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Fault> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| cannot_open(folder, &error))
}

/// The same for the file.
pub(crate) fn make_file(folder: &Path, file: &Path) -> Result<(), Fault> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(|error| cannot_open(folder, &error))?;
    Ok(())
}
