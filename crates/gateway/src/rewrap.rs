//! The background work of a rotation: values are wrapped anew by the newest version of their key.
//!
//! Only data keys are handled, never a value: control sends the head of each envelope. Each batch
//! is taken, derived, checked and handed back; control stores a wrap only where the envelope is
//! still the one it was made for. Nothing is remembered that matters, so the work can be killed at
//! any point and goes on with what is left.
//!
//! What control sends is not believed. The manifests are verified against the trust bundle, and a
//! step that would weaken the protection of a key is refused: see `step::check_step`.

mod step;
mod work;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{Fault, KeyId, RngHandle, Uid};
use keysherd_plane::rotation::{RewrapBatch, RewrapPlace, RewrapPut, RewrapTake};
use keysherd_plane::{Caller, PlaneHandle};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::derive::Derivations;
use work::{Outcome, rewrap};

/// Values of one batch. Two derivations each, so a permit holds twice as many.
const BATCH: u32 = 250;
/// How often the gateway asks for work when nobody told it of any.
const IDLE: Duration = Duration::from_secs(15);
/// How long a key rests after a batch of it failed; doubled each time.
const REST_MIN: Duration = Duration::from_secs(2);
/// Longest rest of a key.
const REST_MAX: Duration = Duration::from_secs(60);

/// The running work. It ends when this is dropped.
pub(crate) struct Rewrapper {
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Rewrapper {
    /// Starts the work on the current runtime, at most so many values in a second.
    pub(crate) fn start(
        (plane, derivations, rng): (PlaneHandle, Arc<Derivations>, RngHandle),
        per_second: NonZeroU32,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let worker = Worker {
            plane,
            derivations,
            rng,
            per_second,
            after: None,
            resting: HashMap::new(),
            missed: 0,
        };
        let task = tokio::spawn(worker.run(wake.clone()));
        Self { wake, task }
    }

    /// Says that there is work.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Rewrapper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A key that is left alone for a while.
struct Rest {
    until: Instant,
    length: Duration,
}

/// The state of the work. All of it can be forgotten.
struct Worker {
    plane: PlaneHandle,
    derivations: Arc<Derivations>,
    rng: RngHandle,
    per_second: NonZeroU32,
    /// Where to go on with a key.
    after: Option<(KeyId, RewrapPlace)>,
    resting: HashMap<KeyId, Rest>,
    /// Values of the current key that could not be re-wrapped in this pass.
    missed: usize,
}

impl Worker {
    async fn run(mut self, wake: Arc<Notify>) {
        loop {
            let began = Instant::now();
            let pause = match self.turn().await {
                Ok(Some(values)) => self.time_for(values),
                Ok(None) => self.idle_time(),
                Err(fault) => {
                    tracing::warn!(%fault, "re-wrapping waits");
                    REST_MIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep_until(began + pause) => {}
                () = wake.notified() => {}
            }
        }
    }

    /// How long a batch of so many values may take, at least.
    fn time_for(&self, values: usize) -> Duration {
        let values = u32::try_from(values).unwrap_or(u32::MAX);
        Duration::from_secs(1).saturating_mul(values) / self.per_second.get()
    }

    /// Until a key has rested, or somebody else may have found work.
    fn idle_time(&self) -> Duration {
        let now = Instant::now();
        let next = self.resting.values().map(|rest| rest.until.saturating_duration_since(now));
        next.min().unwrap_or(IDLE).min(IDLE)
    }

    /// Works on one batch; gives how many values it had, or nothing when there is no work.
    async fn turn(&mut self) -> Result<Option<usize>, Fault> {
        let now = Instant::now();
        let except: Vec<KeyId> =
            self.resting.iter().filter(|(_, rest)| now < rest.until).map(|(key, _)| *key).collect();
        let count = BATCH.min(self.per_second.get());
        let salts: Vec<[u8; 32]> =
            (0..count).map(|_| self.rng.array()).collect::<Result<_, _>>()?;
        let take = RewrapTake { salts: salts.clone(), after: self.after, except };
        let reply = self.plane.ask(self.caller()?, take).await?;
        let Some(batch) = reply.batch else {
            self.after = None;
            return Ok(None);
        };
        let key = batch.to.key_id;
        let (count, next) = (batch.values.len(), batch.next);
        let outcome = rewrap(&self.derivations, &*self.rng, &reply.permits, &batch, &salts).await;
        let failed = outcome.failed;
        let finished = self.put(&batch, outcome).await?;
        self.go_on(key, next, count, failed, finished);
        Ok(Some(count))
    }

    async fn put(&self, batch: &RewrapBatch, outcome: Outcome) -> Result<bool, Fault> {
        let Outcome { values, failed, problem } = outcome;
        if values.is_empty() && failed == 0 && !batch.values.is_empty() {
            return Ok(false);
        }
        let at_the_end = batch.next.is_none();
        let missed = self.missed + failed;
        let problem = problem.or_else(|| {
            let text =
                format!("{missed} values could not be wrapped anew; the gateway's log says why");
            (at_the_end && missed > 0).then_some(text)
        });
        let (account, to) = (batch.account, batch.to);
        let put = RewrapPut { account, to, values, problem };
        let stored = self.plane.ask(self.caller()?, put).await?;
        if stored.finished {
            let (key, version) = (to.key_id, to.version);
            tracing::info!(%key, version, "all values are wrapped by the newest key version");
        }
        Ok(stored.finished)
    }

    /// Chooses what comes next.
    fn go_on(
        &mut self,
        key: KeyId,
        next: Option<RewrapPlace>,
        count: usize,
        failed: usize,
        finished: bool,
    ) {
        self.missed += failed;
        let nothing_worked = failed > 0 && failed == count;
        let passed = next.is_none();
        if finished {
            self.resting.remove(&key);
        } else if nothing_worked || (passed && (self.missed > 0 || count == 0)) {
            let length = self.resting.get(&key).map_or(REST_MIN, |rest| rest.length * 2);
            let length = length.min(REST_MAX);
            self.resting.insert(key, Rest { until: Instant::now() + length, length });
        }
        self.after = next.filter(|_| !nothing_worked).map(|place| (key, place));
        if self.after.is_none() {
            self.missed = 0;
        }
    }

    fn caller(&self) -> Result<Caller, Fault> {
        Ok(Caller::of_the_server(Uid::random(&*self.rng)?))
    }
}
