//! Removing temporary credentials whose time has come.
//!
//! Control says which: it has the intents, the ends, and what is needed to remove each. Work is
//! taken in batches and reported; nothing is remembered here, so a gateway can be killed at any
//! point, and another one takes over what it had. Removing twice does no harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_api::OpenedItem;
use keysherd_api::engines::OpenedSecret;
use keysherd_base::{Fault, FaultKind, ItemId, RngHandle, Uid};
use keysherd_domain::credential_lease::work_seconds;
use keysherd_engines::Way;
use keysherd_plane::credential_leases::{
    LeaseMeans, LeaseReport, LeaseResult, LeaseTake, LeaseTakeReply, LeaseWork,
};
use keysherd_plane::grants::SignedPermit;
use keysherd_plane::{Caller, PlaneHandle};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::derive::Derivations;
use crate::duty::Duty;
use crate::reader::open_granted;

/// How often control is asked when it knows of nothing that is due soon.
const IDLE: Duration = Duration::from_secs(5);
/// Shortest time between two questions.
const BUSY: Duration = Duration::from_millis(50);
/// How long is waited after control did not answer.
const REST: Duration = Duration::from_secs(1);
/// What is left of the time that control leaves to an attempt when the target is given up, to say
/// so.
const TO_REPORT: Duration = Duration::from_secs(2);
/// How long a target that did not answer is left alone: what is due on it fails at once, and what
/// is due on others does not wait behind it.
const ALONE: Duration = Duration::from_secs(5);
/// Credentials of one batch: control gives at most a quarter of it for one target, all of which are
/// removed at the same time.
const BATCH: usize = 16;
/// Batches that are worked on at one time.
const BATCHES: usize = 4;

/// The running work. It ends when this is dropped.
pub(crate) struct Revoker {
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Revoker {
    /// Starts the work on the current runtime; targets are reached by `way`.
    pub(crate) fn start(
        (plane, derivations, rng): (PlaneHandle, Arc<Derivations>, RngHandle),
        way: Way,
        duty: Duty,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let worker = Worker { plane, derivations, rng, way, duty, silent: Mutex::default() };
        let task = tokio::spawn(worker.run(wake.clone()));
        Self { wake, task }
    }

    /// Says that there is work.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Revoker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A secret that made credentials, with its target, and whose it is.
struct Meant {
    secret: OpenedSecret,
    account: Uid,
}

/// What the work needs.
struct Worker {
    plane: PlaneHandle,
    derivations: Arc<Derivations>,
    rng: RngHandle,
    way: Way,
    duty: Duty,
    /// Secrets whose target did not answer, until when they are left alone, and why.
    silent: Mutex<HashMap<ItemId, (Instant, Fault)>>,
}

impl Worker {
    async fn run(self, wake: Arc<Notify>) {
        let this = Arc::new(self);
        let batches = Arc::new(Semaphore::new(BATCHES));
        while let Ok(batch) = batches.clone().acquire_owned().await {
            let pause = match this.duty.is_on() {
                true => this.turn(batch).await.unwrap_or_else(|fault| {
                    tracing::debug!(%fault, "no temporary credentials can be removed now");
                    REST
                }),
                false => REST,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = wake.notified() => {}
            }
        }
    }

    /// Takes what is due and begins to remove it; how long to wait until the next turn.
    async fn turn(self: &Arc<Self>, batch: OwnedSemaphorePermit) -> Result<Duration, Fault> {
        let asked = Instant::now();
        let take = LeaseTake { limit: BATCH };
        let taken = self.plane.ask(self.caller()?, take).await?;
        let LeaseTakeReply { work, opened: means, permits, next_due_millis } = taken;
        if work.is_empty() {
            let next = next_due_millis.and_then(|millis| u64::try_from(millis).ok());
            let next = next.map_or(IDLE, Duration::from_millis);
            return Ok(next.clamp(BUSY, IDLE));
        }
        let this = self.clone();
        tokio::spawn(async move {
            let opened = this.opened(&means, &permits).await;
            this.remove(work, opened, asked).await;
            drop(batch);
        });
        Ok(Duration::ZERO)
    }

    /// The secrets that the work is about, each with its target.
    async fn opened(
        &self,
        means: &[LeaseMeans],
        permits: &[SignedPermit],
    ) -> Vec<Result<Arc<Meant>, Fault>> {
        let caller = Caller::of_the_server(Uid::default());
        let opened = open_granted(&self.derivations, &caller, means, permits).await;
        let meant = |(one, means): (Result<Vec<OpenedItem>, Fault>, &LeaseMeans)| {
            let secret = OpenedSecret::with_target(&one?)?;
            Ok(Arc::new(Meant { secret, account: means.account }))
        };
        opened.into_iter().zip(means).map(meant).collect()
    }

    /// Removes all of it; each is reported as soon as its target has answered.
    async fn remove(
        self: &Arc<Self>,
        work: Vec<LeaseWork>,
        opened: Vec<Result<Arc<Meant>, Fault>>,
        asked: Instant,
    ) {
        let mut running = JoinSet::new();
        for lease in work {
            let place = lease.means;
            let meant = match opened.get(place) {
                Some(Ok(meant)) => Ok(meant.clone()),
                Some(Err(fault)) => Err(fault.clone()),
                None => Err(Fault::internal("control named no item for a lease")),
            };
            let this = self.clone();
            running.spawn(async move {
                let given = u64::try_from(work_seconds(lease.attempt)).unwrap_or_default();
                let left = Duration::from_secs(given).saturating_sub(asked.elapsed() + TO_REPORT);
                let removed = match meant {
                    Ok(meant) => this.remove_one(&meant, &lease.handle, left).await,
                    Err(fault) => Err(fault),
                };
                this.report(&lease, removed).await;
            });
        }
        while running.join_next().await.is_some() {}
    }

    async fn remove_one(
        &self,
        meant: &Meant,
        handle: &str,
        patience: Duration,
    ) -> Result<(), Fault> {
        let secret = meant.secret.id();
        if let Some(fault) = self.left_alone(secret) {
            return Err(fault);
        }
        let removed = self.removed(meant, handle, patience).await;
        if let Err(fault) = &removed
            && fault.kind() == FaultKind::Unavailable
        {
            self.silent().insert(secret, (Instant::now() + ALONE, fault.clone()));
        }
        removed
    }

    /// Why a target is not tried now.
    fn left_alone(&self, secret: ItemId) -> Option<Fault> {
        let now = Instant::now();
        let mut silent = self.silent();
        silent.retain(|_, (until, _)| now < *until);
        silent.get(&secret).map(|(_, fault)| fault.clone())
    }

    fn silent(&self) -> MutexGuard<'_, HashMap<ItemId, (Instant, Fault)>> {
        // Each change is one statement.
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn removed(
        &self,
        Meant { secret, account }: &Meant,
        handle: &str,
        patience: Duration,
    ) -> Result<(), Fault> {
        let way = self.way.about((*account, secret.path()), patience);
        let scene = secret.scene(&way);
        let removed = tokio::time::timeout(patience, secret.engine.revoke(&scene, handle)).await;
        let warnings = removed.map_err(|_| {
            Fault::unavailable(format!("the target did not answer within {} s", patience.as_secs()))
        })??;
        for warning in warnings {
            tracing::info!(%warning, "the target warned while credentials were removed");
        }
        Ok(())
    }

    async fn report(&self, lease: &LeaseWork, removed: Result<(), Fault>) {
        let failed = removed.err().map(|fault| fault.public().to_owned());
        if let Some(why) = &failed {
            tracing::warn!(lease = %lease.lease, attempt = lease.attempt, %why,
                "temporary credentials were not removed");
        }
        let result = LeaseResult { lease: lease.lease, attempt: lease.attempt, failed };
        let report = LeaseReport { results: vec![result] };
        let told = match self.caller() {
            Ok(caller) => self.plane.ask(caller, report).await.map(drop),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = told {
            // It stays taken for some seconds and is handed out again then.
            tracing::warn!(lease = %lease.lease, %fault, "control was not told of it");
        }
    }

    fn caller(&self) -> Result<Caller, Fault> {
        Ok(Caller::of_the_server(Uid::random(&*self.rng)?))
    }
}
