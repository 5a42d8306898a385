//! Removing temporary credentials whose time has come.
//!
//! Control says which: it has the intents, the ends, and what is needed to remove each. Work is
//! taken as far as there are places for it ([`places`]) and reported; nothing of it is remembered
//! here, so a gateway can be killed at any point, and another one takes over what it had. Removing
//! twice does no harm. What this gateway cannot open it gives back, to be somebody else's.

mod places;

use std::sync::Arc;
use std::time::Duration;

use keysherd_api::OpenedItem;
use keysherd_api::engines::OpenedSecret;
use keysherd_base::{Fault, FaultKind, RngHandle, Uid};
use keysherd_domain::credential_lease::work_seconds;
use keysherd_engines::{Way, is_untouched};
use keysherd_plane::credential_leases::{
    LeaseMeans, LeaseReport, LeaseResult, LeaseTake, LeaseTakeReply, LeaseWork,
};
use keysherd_plane::grants::SignedPermit;
use keysherd_plane::{Caller, PlaneHandle};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::places::{Became, PLACES, Places, SHARE_UNKNOWN, Taken};
use crate::derive::{Derivations, UNTRUSTED_KEY};
use crate::duty::Duty;
use crate::reader::{Reader, open_granted};

/// How often control is asked when it knows of nothing that is due soon.
const IDLE: Duration = Duration::from_secs(5);
/// Shortest time between two questions.
const BUSY: Duration = Duration::from_millis(50);
/// How long is waited after control did not answer, and where what is due has no place.
const REST: Duration = Duration::from_secs(1);
/// What is left of the time that control leaves to an attempt when the target is given up, to say
/// so.
const TO_REPORT: Duration = Duration::from_secs(2);
/// How much longer than its target an attempt may take: whoever knows where it stopped says so.
const TO_SAY_WHERE: Duration = Duration::from_millis(500);
/// Credentials that are asked for at one time.
const BATCH: usize = 32;

/// The running work. It ends when this is dropped.
pub(crate) struct Revoker {
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Revoker {
    /// Starts the work on the current runtime; targets are reached by `way`.
    pub(crate) fn start(
        (plane, derivations, rng): (PlaneHandle, Arc<Derivations>, RngHandle),
        reader: Arc<Reader>,
        way: Way,
        duty: Duty,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let places = Arc::new(Places::default());
        let worker = Worker { plane, derivations, reader, rng, way, duty, places };
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
    reader: Arc<Reader>,
    rng: RngHandle,
    way: Way,
    duty: Duty,
    places: Arc<Places>,
}

/// When control is asked again.
enum Pause {
    /// At once.
    None,
    /// After this time.
    Of(Duration),
    /// When places were given back, or a while later.
    Places,
}

/// Something to remove, with the places that it has.
struct Begun {
    lease: LeaseWork,
    _place: OwnedSemaphorePermit,
    taken: Taken,
}

impl Worker {
    async fn run(self, wake: Arc<Notify>) {
        let this = Arc::new(self);
        let places = Arc::new(Semaphore::new(PLACES));
        // Nobody else takes any: as many as there are now stay free.
        while let Ok(free) = places.acquire().await {
            drop(free);
            let pause = match this.duty.is_on() {
                true => this.turn(&places).await.unwrap_or_else(|fault| {
                    tracing::debug!(%fault, "no temporary credentials can be removed now");
                    Pause::Of(REST)
                }),
                false => Pause::Of(REST),
            };
            let given_back = async {
                match pause {
                    Pause::None => {}
                    Pause::Of(time) => tokio::time::sleep(time).await,
                    Pause::Places => {
                        let given_back = this.places.given_back.notified();
                        let _late = tokio::time::timeout(REST, given_back).await;
                        // Others end at the same time.
                        tokio::time::sleep(BUSY).await;
                    }
                }
            };
            tokio::select! {
                () = given_back => {}
                () = wake.notified() => {}
            }
        }
    }

    /// Takes what is due and begins to remove it.
    async fn turn(self: &Arc<Self>, places: &Arc<Semaphore>) -> Result<Pause, Fault> {
        let asked = Instant::now();
        let limit = places.available_permits().clamp(1, BATCH);
        let take = LeaseTake { limit, each: SHARE_UNKNOWN, room: self.places.room() };
        let taken = self.plane.ask(self.caller()?, take).await?;
        let LeaseTakeReply { work, opened: means, permits, next_due_millis } = taken;
        if work.is_empty() {
            let next = next_due_millis.and_then(|millis| u64::try_from(millis).ok());
            return Ok(match next {
                Some(0) => Pause::Places,
                Some(millis) => Pause::Of(Duration::from_millis(millis).clamp(BUSY, IDLE)),
                None => Pause::Of(IDLE),
            });
        }
        let mut begun = Vec::with_capacity(work.len());
        for lease in work {
            let place = self.place_of(&lease, &means).zip(places.clone().try_acquire_owned().ok());
            match place {
                Some((taken, place)) => begun.push(Begun { lease, _place: place, taken }),
                None => self.hand_back(&lease, "this gateway has no place for it now").await,
            }
        }
        let this = self.clone();
        tokio::spawn(async move {
            let opened = this.opened(&means, &permits).await;
            this.remove(begun, &opened, asked);
        });
        Ok(Pause::None)
    }

    /// A place for what is to be removed, on its target.
    fn place_of(&self, lease: &LeaseWork, means: &[LeaseMeans]) -> Option<Taken> {
        let items = &means.get(lease.means)?.items;
        let secret = items.first()?;
        self.places.take(secret.id, items.get(1).map(|target| target.id))
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
            let one = one?;
            self.reader.check_newest(&one)?;
            let secret = OpenedSecret::with_target(&one)?;
            Ok(Arc::new(Meant { secret, account: means.account }))
        };
        opened.into_iter().zip(means).map(meant).collect()
    }

    /// Removes all of it; each is reported as soon as its target has answered.
    fn remove(
        self: &Arc<Self>,
        work: Vec<Begun>,
        opened: &[Result<Arc<Meant>, Fault>],
        asked: Instant,
    ) {
        for Begun { lease, _place, taken } in work {
            let secret = match opened.get(lease.means) {
                Some(secret) => secret.clone(),
                None => Err(Fault::internal("control named no item for a lease")),
            };
            let this = self.clone();
            tokio::spawn(async move {
                match secret {
                    Ok(secret) => {
                        let removed = this.remove_one(&secret, &lease, asked).await;
                        taken.became(became(&removed));
                        this.report(&lease, removed).await;
                    }
                    Err(fault) => {
                        taken.became(Became::Closed);
                        match is_somebody_elses(&fault) {
                            true => this.hand_back(&lease, fault.public()).await,
                            false => this.report(&lease, Err(fault)).await,
                        }
                    }
                }
                drop((taken, _place));
            });
        }
    }

    async fn remove_one(
        &self,
        meant: &Meant,
        lease: &LeaseWork,
        asked: Instant,
    ) -> Result<(), Fault> {
        let given = u64::try_from(work_seconds(lease.attempt)).unwrap_or_default();
        let left = Duration::from_secs(given).saturating_sub(asked.elapsed() + TO_REPORT);
        self.removed(meant, &lease.handle, left).await
    }

    async fn removed(
        &self,
        Meant { secret, account }: &Meant,
        handle: &str,
        patience: Duration,
    ) -> Result<(), Fault> {
        let way = self.way.about((*account, secret.path()), patience);
        let scene = secret.scene(&way);
        let revoking = secret.engine.revoke(&scene, handle);
        let removed = tokio::time::timeout(patience + TO_SAY_WHERE, revoking).await;
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
        self.tell(lease, failed, false).await;
    }

    /// Gives back what was not tried: it is somebody else's.
    async fn hand_back(&self, lease: &LeaseWork, why: &str) {
        tracing::info!(lease = %lease.lease, why, "temporary credentials are left to others");
        self.tell(lease, Some(why.to_owned()), true).await;
    }

    async fn tell(&self, lease: &LeaseWork, failed: Option<String>, untried: bool) {
        let LeaseWork { lease: id, attempt, .. } = *lease;
        let results = vec![LeaseResult { lease: id, attempt, failed, untried }];
        let report = LeaseReport { results };
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

/// What an attempt says about its target.
fn became(removed: &Result<(), Fault>) -> Became {
    match removed {
        Err(fault) if fault.kind() != FaultKind::Unavailable => Became::Answered,
        Err(fault) if is_untouched(fault) => Became::NotReached,
        Err(_) => Became::Late,
        Ok(()) => Became::Answered,
    }
}

/// Whether another gateway may be able to open what this one cannot, or this one later: it lacks
/// the keys, not what they open.
fn is_somebody_elses(fault: &Fault) -> bool {
    matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Forbidden)
        || fault.code() == UNTRUSTED_KEY
}
