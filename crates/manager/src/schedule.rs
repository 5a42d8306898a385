//! The chores among the managers: finishing what was cut off, repairs, and the daily refresh.

use std::sync::Arc;

use keysherd_base::{Fault, Timestamp};
use keysherd_fragments::manager_set::ManagerSet;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::PeerRequest;
use keysherd_fragments::refusal::Refusal;

use crate::keys::store_refusal;
use crate::manager::{Manager, lock};

/// How often a manager asks the others what they hold, and how long it waits before it tries a
/// refresh again, in seconds.
const CHECK_SECONDS: i64 = 600;
/// How much later than the manager before it each manager begins the refresh that is due: whoever
/// is the first that runs coordinates.
const TURN_SECONDS: i64 = 600;

/// When the next chores are due.
#[derive(Default)]
pub(crate) struct Chores {
    check_at: Timestamp,
    refresh_at: Option<Timestamp>,
}

impl Manager {
    /// Does what is due among the managers: finishes refreshes that were cut off, repairs shares
    /// that are missing here, refreshes all key versions once a day, erases what was replaced. To
    /// be called every minute or so; it does nothing most of the times.
    ///
    /// # Errors
    /// What failed last; it is tried again.
    pub async fn maintain(self: &Arc<Self>) -> Result<(), Fault> {
        if self.trusted_bundle().is_err() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut result = Ok(());
        if lock(&self.chores).check_at <= now {
            lock(&self.chores).check_at = now.plus_seconds(CHECK_SECONDS);
            result = result.and(self.finish_prepared().await);
            result = result.and(self.repair().await.map(drop));
        }
        result = result.and(self.refresh_when_due(now).await);
        result = result.and(self.heavy(Self::erase_when_due).await);
        result.map_err(Fault::from)
    }

    async fn refresh_when_due(self: &Arc<Self>, now: Timestamp) -> Result<(), Refusal> {
        let every = self.limits.refresh_seconds;
        let last = self.heavy(move |manager| manager.refreshed_at(now)).await?;
        let due = self.due_at(last)?;
        if every <= 0 || now < due {
            return Ok(());
        }
        lock(&self.chores).refresh_at = Some(now.plus_seconds(CHECK_SECONDS));
        let patience = every.saturating_add(self.limits.refresh_patience_seconds);
        let with_all = now < last.plus_seconds(patience);
        let others = self.others()?;
        let answers = self.ask_all(others, &PeerRequest::Epochs(Vec::new())).await;
        if with_all && answers.len() < usize::from(others.len()) {
            tracing::info!("a manager is away: the refresh that is due waits for it");
            return Ok(());
        }
        let keys = self.heavy(Self::all_epochs).await?;
        let keys: Vec<KeyVersion> =
            keys.into_values().filter(|key| key.in_use && key.held).map(|key| key.key).collect();
        let report = self.refresh_quietly(&keys, with_all).await?;
        tracing::info!(
            refreshed = report.records.len(),
            failed = report.failed.len(),
            "the refresh of all key versions is over"
        );
        if report.failed.is_empty() {
            let done: ManagerSet = answers.iter().map(|(manager, _)| *manager).collect();
            let end = PeerRequest::RefreshEnd { all: true };
            self.ask_all(done.with(self.index), &end).await;
        }
        Ok(())
    }

    /// A refresh run is over: what was replaced is erased for good.
    pub(crate) fn end_refresh(&self, all: bool) -> Result<(), Refusal> {
        if all {
            let store = self.keys.store();
            let now = self.clock.now();
            store.set_refreshed_at(now).map_err(|fault| store_refusal(&fault))?;
            lock(&self.chores).refresh_at = None;
        }
        self.erase_when_due()
    }

    /// When all key versions were refreshed last; a fresh manager counts from its start.
    fn refreshed_at(&self, now: Timestamp) -> Result<Timestamp, Refusal> {
        let store = self.keys.store();
        let failed = |fault| store_refusal(&fault);
        if let Some(at) = store.refreshed_at().map_err(failed)? {
            return Ok(at);
        }
        store.set_refreshed_at(now).map_err(failed)?;
        Ok(now)
    }

    /// When this manager begins the next refresh: a tenth more or less than the interval after the
    /// last one, and later for each manager that comes before it.
    fn due_at(&self, last: Timestamp) -> Result<Timestamp, Refusal> {
        if let Some(at) = lock(&self.chores).refresh_at {
            return Ok(at);
        }
        let every = self.limits.refresh_seconds;
        let drawn = i64::from(u32::from_be_bytes(self.rng.array()?));
        // A fifth of the interval, in thousandths of it.
        let jitter = every / 1_000 * (drawn % 201 - 100);
        let turn = i64::from(self.index.get() - 1) * TURN_SECONDS;
        let at = last.plus_seconds(every.saturating_add(jitter).saturating_add(turn));
        lock(&self.chores).refresh_at = Some(at);
        Ok(at)
    }
}
