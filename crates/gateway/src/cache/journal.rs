//! The reads that were answered here, on disk before their answers leave, and brought to control.
//!
//! One thread writes: whatever waits is one write and one sync. A read that cannot be written down
//! (the disk is full, or control has not taken the last [`BYTES_MAX`]) is not answered from the
//! cache; control is asked instead. After a write that failed, its file is never written to again.
//!
//! The files hold times, random numbers and what control sealed: no values, names or tokens. One
//! process at a time uses them.

mod deliver;
mod segment;
mod shares;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, RequestId, RngHandle, Timestamp, Uid};
use keysherd_plane::PlaneHandle;
use keysherd_plane::cache::Receipt;
use tokio::sync::{Notify, oneshot, watch};

use self::segment::{Segment, file_name, journal_of};
use self::shares::{Share, Shares};
use crate::files;

/// Directory of the journal in the gateway's own.
const DIRECTORY: &str = "read-journal";
/// File in it that is locked by the process that uses it.
const LOCK: &str = "lock";
/// Reads that wait for the disk; beyond this control is asked instead.
const WAITING_MAX: usize = 4_096;
/// Reads of one write.
const BATCH_MAX: usize = 512;
/// Bytes that control may lag behind: some hundred thousand reads.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What one account may have of it: a quarter, and what that is in the audit log where its records
/// are of usual length, some four hundred thousand reads.
const SHARE_MAX: Share = Share { file: BYTES_MAX / 4, log: 256 * 1024 * 1024 };
/// What a record in the audit log has beside what the receipt says, roughly.
const RECORD_BYTES: u64 = 200;
/// A file that is longer gets a successor.
const SEGMENT_BYTES: u64 = 1024 * 1024;
/// Receipts that are known to be of accounts with a damaged log; more are not looked at.
const ASIDE_MAX: usize = 10_000;

/// A read that is to be written down.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Whose read it is.
    pub(super) account: Uid,
    /// What proves that it was granted.
    pub(super) receipt: Receipt,
    /// When it was asked.
    pub(super) at: Timestamp,
    /// Identifies the request.
    pub(super) request: RequestId,
    /// Whether control was not reached.
    pub(super) offline: bool,
}

struct Waiting {
    entry: Entry,
    done: oneshot::Sender<bool>,
}

/// The journal.
pub(super) struct Journal {
    queue: SyncSender<Waiting>,
    shared: Arc<Shared>,
}

/// What the writing thread and the delivery share.
pub(super) struct Shared {
    dir: PathBuf,
    /// Bytes that control has not yet.
    waiting_bytes: watch::Sender<u64>,
    /// Whose they are, and how many an account may have.
    shares: Mutex<Shares>,
    share_max: Share,
    /// The file that is written to, and how much of it is on disk.
    active: Mutex<Option<(Uid, u64)>>,
    /// There is something new to bring.
    written: Notify,
    /// Receipts whose reads control cannot record: of accounts with a damaged log.
    aside: Mutex<HashSet<Arc<[u8]>>>,
    /// Journals that control refused, wholly or some reads of, when they were brought last; and
    /// those that are damaged.
    refused: AtomicU64,
    /// Reads that control could not record.
    unproven: AtomicU64,
    /// Whether nobody uses it any more.
    ended: watch::Sender<bool>,
    /// Somebody has a reason to believe that control takes reads now.
    hurry: Notify,
    /// Held for as long as this process uses the files.
    lock: File,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closing it is not enough: a process that is being started has a copy of the file until
        // it runs its own program, and would keep the lock for that long.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the lock of the journal is not given back before the file is");
        }
    }
}

impl Journal {
    /// Whether a process has left reads in the directory `home` that control may not have.
    pub(super) fn is_left(home: &Path) -> bool {
        let names = files::list(&home.join(DIRECTORY)).unwrap_or_default();
        names.iter().any(|name| journal_of(name).is_some())
    }

    /// Opens the journal in the directory `home`, and begins to bring what is in it.
    ///
    /// # Errors
    /// [`Fault::internal`] when the directory cannot be used, or another process uses it.
    pub(super) fn open(
        home: &Path,
        plane: PlaneHandle,
        clock: ClockHandle,
        rng: RngHandle,
    ) -> Result<Self, Fault> {
        let dir = home.join(DIRECTORY);
        let failed = |error: io::Error| {
            Fault::internal(format!("the journal {} is not usable: {error}", dir.display()))
        };
        files::make_dir(&dir).map_err(failed)?;
        let lock = lock(&dir.join(LOCK)).map_err(failed)?;
        let names = files::list(&dir).map_err(failed)?;
        let journals = names.iter().filter(|name| journal_of(name).is_some());
        let left = journals.map(|name| dir.join(name).metadata().map_or(0, |file| file.len()));
        let shared = Arc::new(Shared {
            dir: dir.clone(),
            waiting_bytes: watch::Sender::new(left.sum()),
            shares: Mutex::default(),
            share_max: SHARE_MAX,
            active: Mutex::default(),
            written: Notify::new(),
            aside: Mutex::default(),
            refused: AtomicU64::new(0),
            unproven: AtomicU64::new(0),
            ended: watch::Sender::new(false),
            hurry: Notify::new(),
            lock,
        });
        let (queue, waiting) = sync_channel(WAITING_MAX);
        let writer = Writer { shared: shared.clone(), rng, open: None };
        thread::Builder::new()
            .name("read-journal".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(failed)?;
        tokio::spawn(deliver::deliver(shared.clone(), plane, clock));
        Ok(Self { queue, shared })
    }

    /// Bytes that control has not yet.
    pub(super) fn waiting_bytes(&self) -> u64 {
        *self.shared.waiting_bytes.borrow()
    }

    /// Journals that control refuses, wholly or in part, and reads of this process that it could
    /// not record.
    pub(super) fn problems(&self) -> (u64, u64) {
        let Shared { refused, unproven, .. } = &*self.shared;
        (refused.load(Ordering::Relaxed), unproven.load(Ordering::Relaxed))
    }

    /// Control is there again: what waits is brought at once.
    pub(super) fn hurry(&self) {
        self.shared.hurry.notify_one();
    }

    /// Waits until control has everything, at most `limit`.
    pub(super) async fn drain(&self, limit: Duration) {
        self.hurry();
        let mut waiting = self.shared.waiting_bytes.subscribe();
        let _late = tokio::time::timeout(limit, waiting.wait_for(|bytes| *bytes == 0)).await;
    }

    /// Writes a read down; whether it is on disk.
    pub(super) async fn append(&self, entry: Entry) -> bool {
        let shared = &self.shared;
        if self.waiting_bytes() >= BYTES_MAX
            || shared.has_its_share(entry.account)
            || shared.is_aside(&entry.receipt)
        {
            return false;
        }
        let (done, written) = oneshot::channel();
        // A queue that is full is a disk that is slow: control is asked meanwhile.
        self.queue.try_send(Waiting { entry, done }).is_ok() && written.await.unwrap_or(false)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.ended.send_replace(true);
        self.shared.written.notify_one();
    }
}

impl Shared {
    /// How much of a file is on disk, and whether more may follow.
    fn durable(&self, journal: Uid) -> (Option<u64>, bool) {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        match *active {
            Some((id, length)) if id == journal => (Some(length), true),
            _ => (None, false),
        }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        // Whoever broke off in the middle has at most counted too little.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an account has as much waiting as it may.
    fn has_its_share(&self, account: Uid) -> bool {
        let share = self.shares().of(account);
        share.file >= self.share_max.file || share.log >= self.share_max.log
    }

    /// Whether control cannot record reads of this receipt: it is asked, and says so.
    fn is_aside(&self, receipt: &Receipt) -> bool {
        let aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        !aside.is_empty() && aside.contains(&receipt.bytes)
    }

    fn set_aside(&self, receipt: &Receipt, is_aside: bool) {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        match is_aside {
            true if aside.len() < ASIDE_MAX => drop(aside.insert(receipt.bytes.clone())),
            true => {}
            false => drop(aside.remove(&receipt.bytes)),
        }
    }

    fn count(&self, more: u64) {
        self.waiting_bytes.send_modify(|bytes| *bytes = bytes.saturating_add(more));
    }

    fn discount(&self, less: u64) {
        self.waiting_bytes.send_modify(|bytes| *bytes = bytes.saturating_sub(less));
    }

    fn set_active(&self, active: Option<(Uid, u64)>) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) = active;
    }
}

/// Locks a file for this process.
fn lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::other("another process of this gateway uses it"))
        }
    }
}

/// The thread's own.
struct Writer {
    shared: Arc<Shared>,
    rng: RngHandle,
    open: Option<(File, Segment)>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Waiting>) {
        let mut told = false;
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(BATCH_MAX - 1));
            let outcome = self.write(&batch);
            match &outcome {
                Err(error) if !told => {
                    let dir = self.shared.dir.display();
                    tracing::error!(%dir, %error, "reads cannot be written down; control is asked");
                }
                _ => {}
            }
            told = outcome.is_err();
            for Waiting { done, .. } in batch {
                // Whoever does not wait any more asks nobody either.
                let _gone = done.send(outcome.is_ok());
            }
            self.shared.written.notify_one();
        }
        self.shared.set_active(None);
    }

    fn write(&mut self, batch: &[Waiting]) -> io::Result<()> {
        let (mut file, mut segment) = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let before = segment.length();
        let mut bytes = Vec::with_capacity(batch.len() * 64);
        let mut shares = self.shared.shares();
        for Waiting { entry, .. } in batch {
            let length = bytes.len();
            segment.put(entry, &mut bytes);
            let (file, log) = (bytes.len() - length, entry.receipt.bytes.len());
            let more = Share { file: file as u64, log: log as u64 + RECORD_BYTES };
            shares.add(segment.journal(), entry.account, more);
        }
        drop(shares);
        // Counted before it can be brought, which counts it off.
        self.shared.count(segment.length() - before);
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        if written.is_err() {
            // What a failed write left may be on disk, and is brought if it is; nothing else.
            let left = file.metadata().map_or(segment.length(), |file| file.len());
            self.shared.discount(segment.length().saturating_sub(left.max(before)));
            self.shared.set_active(None);
            return written;
        }
        if segment.length() < SEGMENT_BYTES {
            self.shared.set_active(Some((segment.journal(), segment.length())));
            self.open = Some((file, segment));
        } else {
            self.shared.set_active(None);
        }
        Ok(())
    }

    /// Begins a file, which is a journal of its own.
    fn begin(&self) -> io::Result<(File, Segment)> {
        let journal =
            Uid::random(&*self.rng).map_err(|_| io::Error::other("the random source failed"))?;
        let (segment, head) = Segment::begin(journal);
        let path = self.shared.dir.join(file_name(journal));
        self.shared.set_active(Some((journal, 0)));
        let mut options = OpenOptions::new();
        let begun =
            options.append(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
                let written = file.write_all(&head);
                // Also of a part: it is counted off when the file is removed.
                self.shared.count(file.metadata().map_or(segment.length(), |file| file.len()));
                written?;
                File::open(&self.shared.dir)?.sync_all()?;
                Ok(file)
            });
        if begun.is_err() {
            self.shared.set_active(None);
        }
        Ok((begun?, segment))
    }
}
