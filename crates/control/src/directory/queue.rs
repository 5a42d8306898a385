//! Requests that wait for something of an account that takes long: one of them has it made, on a
//! thread that serves nobody, and the others wait without a thread.
//!
//! Whatever an account does to be slow to read, it does to itself: beyond [`WAITING_MAX`] its own
//! requests are refused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use keysherd_base::{AccountId, Fault};

use super::AccountDirectory;

/// Requests of one account that wait.
const WAITING_MAX: usize = 1_024;
/// Queues known before those that nobody uses any more are looked for.
const SWEPT_MIN: usize = 1_024;

/// The queues of all accounts that anybody waits for.
#[derive(Default)]
pub(super) struct Queues {
    /// Each lives, with what was read, for as long as somebody has a place in it.
    queues: Mutex<HashMap<AccountId, Weak<Queue>>>,
    /// Readings that were begun.
    pub(super) readings: AtomicU64,
    /// Large rule sets that were compiled.
    pub(super) compiled: AtomicU64,
}

impl Queues {
    /// That of an account.
    pub(super) fn of(&self, account: AccountId) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&account).and_then(Weak::upgrade) {
            return queue;
        }
        if queues.len() >= SWEPT_MIN {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::new(Queue::default());
        queues.insert(account, Arc::downgrade(&queue));
        queue
    }
}

/// What the last reading gave; `None` for an account that does not exist.
pub(super) type Reading = Option<Arc<AccountDirectory>>;

/// Who waits for one account.
#[derive(Default)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    /// Readings that were begun.
    pub(super) begun: AtomicU64,
    /// Held while the account is read; the last reading while somebody waits for it.
    pub(super) reading: Arc<tokio::sync::Mutex<Option<Reading>>>,
    /// Held while rules are compiled: one set of an account at a time.
    pub(super) compiling: Arc<tokio::sync::Mutex<()>>,
}

/// A place in a queue; given back when it is dropped.
pub(super) struct Place(Arc<Queue>);

impl Queue {
    /// Takes a place.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when too many wait.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Place, Fault> {
        let place = Place(Arc::clone(self));
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Fault::unavailable(format!(
                "{WAITING_MAX} requests of this account wait already for its roles and auth \
                 methods to be read, which takes long as there are so many; try again"
            )));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
