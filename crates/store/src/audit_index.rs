//! The index of the audit chains: what makes searching them fast, and what is summed up from them.
//!
//! Nothing rests on it. A record is durable when it is in its chain; a thread of its own reads the
//! chains and writes a second file, `audit-index.db`, well behind the requests. What it has not
//! reached yet is read from the chain itself, so that a search is always complete; a lost, damaged
//! or outdated index is made anew. The hot insert of the store knows nothing of it.
//!
//! The index of 1,024 records is one row of about 15 KiB ([`keysherd_audit::Segment`]), appended
//! and never changed. For each 64 of them there are rows that tell which terms they have at all,
//! so a search passes over 65,536 records with a look or two.

mod builder;
mod days;
mod file;
pub(crate) mod search;
mod segments;
mod uses;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;

use keysherd_base::{AccessId, AccountId, ClockHandle, Fault, ItemId, Timestamp};

use crate::engine::Place;
use crate::lock::cannot_open;
use crate::pool::{Pool, Taken};
use crate::store::{Shared, Store};

pub use days::{DayRow, DaySums};
pub use search::{AuditOrder, AuditPage, AuditSearch};
pub use uses::LastUse;
use uses::Overlay;

/// When the values of items were last used, in the order of `ids`; a second or so behind the
/// requests. What nobody used, or not since it is counted, is `None`.
///
/// # Errors
/// Only when the index is broken.
pub fn last_uses_of_items(
    store: &Store,
    account: AccountId,
    ids: impl IntoIterator<Item = ItemId>,
) -> Result<Vec<Option<LastUse>>, Fault> {
    let objects = ids.into_iter().map(|id| uses::item(id.0));
    store.audit_index().last_uses(account, objects)
}

/// When auth methods were last used for a request that succeeded, as [`last_uses_of_items`].
///
/// # Errors
/// Only when the index is broken.
pub fn last_uses_of_methods<'a>(
    store: &Store,
    account: AccountId,
    ids: impl IntoIterator<Item = &'a AccessId>,
) -> Result<Vec<Option<LastUse>>, Fault> {
    let objects = ids.into_iter().map(|id| uses::method(id.as_str()));
    store.audit_index().last_uses(account, objects)
}

/// The requests of an account by day, those of the last `days` days up to `now`, by day and
/// bearer; a second or so behind the requests.
///
/// # Errors
/// Only when the index is broken.
pub fn days_since(
    store: &Store,
    account: AccountId,
    now: Timestamp,
    days: i64,
) -> Result<Vec<(DayRow, DaySums)>, Fault> {
    store.audit_index().days(account, days::day_of(now) - days)
}

/// Read connections to the index.
const READERS: usize = 2;

/// What the indexer and those who ask it share.
pub(crate) struct IndexState {
    /// There once the index can be read.
    pub(crate) pool: OnceLock<Pool>,
    pub(crate) overlay: Mutex<Overlay>,
}

/// The running indexer of a store.
pub(crate) struct AuditIndex {
    pub(crate) state: Arc<IndexState>,
    wake: Option<mpsc::Sender<mpsc::Sender<()>>>,
    thread: Option<JoinHandle<()>>,
}

impl AuditIndex {
    /// Starts the indexer of the store in `folder`, whose chains are at `chains`.
    pub(crate) fn start(
        folder: &Path,
        chains: Place,
        clock: ClockHandle,
        shared: Arc<Shared>,
    ) -> Result<Self, Fault> {
        let state = Arc::new(IndexState { pool: OnceLock::new(), overlay: Mutex::default() });
        let (wake, woken) = mpsc::channel();
        let file = folder.join("audit-index.db");
        let builder = builder::Builder::new(file, chains, clock, shared, Arc::clone(&state), woken);
        let thread = std::thread::Builder::new()
            .name("audit-index".to_owned())
            .spawn(move || builder.run())
            .map_err(|error| cannot_open(folder, &error))?;
        Ok(Self { state, wake: Some(wake), thread: Some(thread) })
    }

    /// Asks the indexer to catch up with everything recorded so far. The receiver gets a message,
    /// or is hung up on, when it has done what it can.
    pub(crate) fn catch_up(&self) -> mpsc::Receiver<()> {
        let (done, waiting) = mpsc::channel();
        if let Some(wake) = &self.wake {
            // Without an indexer there is nobody to wait for.
            let _ = wake.send(done);
        }
        waiting
    }

    /// Ends the indexer, after what it is at.
    pub(crate) fn stop(&mut self) {
        // The writer's connection is closed last, since only it can tidy the log away.
        if let Some(pool) = self.state.pool.get() {
            pool.close();
        }
        self.wake = None;
        let Some(thread) = self.thread.take() else { return };
        // The last handle of the store may be dropped anywhere, by the indexer never.
        if thread.join().is_err() {
            tracing::error!("the indexer of the audit log panicked");
        }
    }
}

impl IndexState {
    /// A connection to the index, with a snapshot begun; `None` while there is none.
    pub(crate) fn reader(&self) -> Option<Taken<'_>> {
        let reader = self.pool.get()?.take();
        let begun = reader.and_then(|reader| reader.begin_snapshot().map(|()| reader));
        match begun {
            Ok(reader) => Some(reader),
            Err(fault) => {
                tracing::warn!(?fault, "the index of the audit log cannot be read");
                None
            }
        }
    }

    fn last_uses(
        &self,
        account: AccountId,
        objects: impl Iterator<Item = String>,
    ) -> Result<Vec<Option<LastUse>>, Fault> {
        let keys: Vec<_> = objects.map(|object| (account, object)).collect();
        // First what is newer; what leaves the overlay is in the index before.
        let overlay = self.overlay();
        let newer: Vec<_> = keys.iter().map(|key| overlay.uses.get(key).cloned()).collect();
        drop(overlay);
        let Some(index) = self.reader() else { return Ok(newer) };
        let found = newer.into_iter().zip(&keys).map(|(newer, (account, object))| match newer {
            Some(newer) => Ok(Some(newer)),
            None => uses::stored(&*index, *account, object),
        });
        found.collect()
    }

    fn days(&self, account: AccountId, since: i64) -> Result<Vec<(DayRow, DaySums)>, Fault> {
        // Held until the index was read, so that nothing is counted twice or not at all.
        let overlay = self.overlay();
        let mut sums = BTreeMap::new();
        if let Some(index) = self.reader() {
            sums.extend(days::stored(&*index, account, since)?);
        }
        for ((of, row), more) in &overlay.days {
            if *of == account && row.day >= since {
                let sum: &mut DaySums = sums.entry(row.clone()).or_default();
                sum.add(more.requests, more.micros);
            }
        }
        Ok(sums.into_iter().collect())
    }

    pub(crate) fn overlay(&self) -> std::sync::MutexGuard<'_, Overlay> {
        // What is in it is worked out again from the chains, should it be half done.
        self.overlay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
