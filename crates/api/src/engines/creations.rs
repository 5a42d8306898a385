//! How many temporary credentials are made at one time on one target: a target takes so many
//! sessions, and one that answers slowly must not fill this gateway with whoever waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use keysherd_base::{Fault, FaultKind, ItemId, ItemPath};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[cfg(test)]
mod tests;

/// Credentials that are made at one time on one target by one gateway.
const AT_ONCE: usize = 16;
/// Who waits for a turn on one target at most.
const WAITING_MAX: usize = 64;
/// How long somebody waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Turns of making credentials, of each target its own.
#[derive(Default)]
pub struct Creations(Mutex<HashMap<ItemId, Weak<Turns>>>);

/// Of one target.
struct Turns {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A turn. It lasts as long as this value.
pub(super) struct Turn {
    _running: OwnedSemaphorePermit,
    _turns: Arc<Turns>,
}

impl Creations {
    /// Waits for a turn on a target, for somebody who wants credentials of the secret `path`.
    ///
    /// # Errors
    /// [`FaultKind::RateLimited`] when too many wait, or have their turn for too long.
    pub(super) async fn take(&self, target: ItemId, path: &ItemPath) -> Result<Turn, Fault> {
        let turns = self.of(target);
        let busy = || too_many(path);
        let _waits = turns.waiting.clone().try_acquire_owned().map_err(|_| busy())?;
        let running = turns.running.clone().acquire_owned();
        let running = tokio::time::timeout(PATIENCE, running).await.map_err(|_| busy())?;
        Ok(Turn { _running: running.map_err(Fault::internal)?, _turns: turns })
    }

    fn of(&self, target: ItemId) -> Arc<Turns> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get(&target).and_then(Weak::upgrade) {
            return turns;
        }
        // Nobody is busy there; nor is anybody where others were.
        all.retain(|_, turns| turns.strong_count() > 0);
        let semaphore = |places| Arc::new(Semaphore::new(places));
        let turns = Turns { running: semaphore(AT_ONCE), waiting: semaphore(WAITING_MAX) };
        let turns = Arc::new(turns);
        all.insert(target, Arc::downgrade(&turns));
        turns
    }
}

fn too_many(path: &ItemPath) -> Fault {
    let text = format!(
        "this gateway makes {AT_ONCE} temporary credentials on the target of {path} at this \
         moment, which is the most, and others wait already; ask again in a moment"
    );
    Fault::new(FaultKind::RateLimited, text).with_code("TooManyAtOnce").with_retry_after(PATIENCE)
}
