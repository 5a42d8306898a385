//! Gathers the grants that concurrent requests need, so that they share one audit commit, one
//! permit and one request to each manager.
//!
//! Nothing waits for company: a wish that finds no batch running starts one at once. Wishes that
//! arrive while [`BATCHES_IN_FLIGHT`] run form the next batch.

use std::sync::Arc;

use keysherd_base::Fault;
use keysherd_plane::grants::{Grant, GrantedTo, Keeping, PermitSlot, SignedPermit, Wish};
use keysherd_plane::{Caller, PlaneHandle};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::cache::ReadCache;
use crate::derive::{Derivations, DerivedKek};
use crate::needs::{Need, needs};

/// Batches that run at one time. Two keep both the control plane and the managers busy.
const BATCHES_IN_FLIGHT: usize = 2;
/// Wishes of one batch; a wish can stand for many items.
const WISHES_PER_BATCH: usize = 256;
/// Wishes that wait; beyond this the gateway says that it is overloaded.
const WISHES_WAITING: usize = 4_096;

/// What a wish comes back with.
pub(crate) struct Derived {
    /// What control granted, and has recorded.
    pub(crate) granted: GrantedTo,
    /// The permits that the places of its needs are in.
    pub(crate) permits: Arc<[SignedPermit]>,
    /// The keys, each with the place its need was granted at; or why there are none.
    pub(crate) keks: Result<Vec<(PermitSlot, DerivedKek)>, Fault>,
}

type Outcome = Result<Derived, Fault>;

struct Job {
    caller: Caller,
    wish: Wish,
    commitment: Option<[u8; 32]>,
    done: oneshot::Sender<Outcome>,
}

/// One queue of wishes of one kind of operation.
pub(crate) struct Batcher {
    queue: mpsc::Sender<Job>,
}

impl Batcher {
    /// Starts the queue's task on the current runtime; it ends when the batcher is dropped.
    /// `keep`: where what is read may be kept, if anywhere, and whether somebody waits for it.
    pub(crate) fn start(
        plane: PlaneHandle,
        derivations: Arc<Derivations>,
        keep: Option<(Arc<ReadCache>, Keeping)>,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(WISHES_WAITING);
        tokio::spawn(run(jobs, plane, derivations, keep));
        Self { queue }
    }

    /// Has `wish` granted and derived. `commitment` is the one a fresh-looking derivation must
    /// have, when something was encrypted under it before (transit messages).
    ///
    /// # Errors
    /// Control's refusal, or that it does not answer. What goes wrong after it granted the wish is
    /// in [`Derived::keks`].
    pub(crate) async fn derive(
        &self,
        caller: Caller,
        wish: Wish,
        commitment: Option<[u8; 32]>,
    ) -> Outcome {
        let (done, outcome) = oneshot::channel();
        self.queue.try_send(Job { caller, wish, commitment, done }).map_err(|_| overloaded())?;
        outcome.await.map_err(|_| Fault::internal("a derivation batch died"))?
    }
}

fn overloaded() -> Fault {
    Fault::unavailable("the gateway has too many derivations waiting; try again in a moment")
}

async fn run(
    mut jobs: mpsc::Receiver<Job>,
    plane: PlaneHandle,
    derivations: Arc<Derivations>,
    cache: Option<(Arc<ReadCache>, Keeping)>,
) {
    let slots = Arc::new(Semaphore::new(BATCHES_IN_FLIGHT));
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let mut batch = Vec::with_capacity(16);
        if jobs.recv_many(&mut batch, WISHES_PER_BATCH).await == 0 {
            return;
        }
        let (plane, derivations) = (plane.clone(), derivations.clone());
        let keep = cache.as_ref().filter(|(cache, _)| cache.answers());
        let keep = keep.map_or(Keeping::No, |(_, keep)| *keep);
        tokio::spawn(async move {
            process(batch, &plane, &derivations, keep).await;
            drop(slot);
        });
    }
}

async fn process(
    batch: Vec<Job>,
    plane: &PlaneHandle,
    derivations: &Arc<Derivations>,
    keep: Keeping,
) {
    let Some(caller) = batch.first().map(|job| job.caller.clone()) else { return };
    let drawn: Vec<_> = batch
        .iter()
        .map(|job| (job.caller.clone(), drawn_salt(&job.wish), job.commitment))
        .collect();
    let (wishes, waiting): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|job| ((job.caller, job.wish), job.done)).unzip();
    let grant = Grant { wishes, with_permit: true, keep };
    let reply = match plane.ask(caller, grant).await {
        Ok(reply) => reply,
        Err(fault) => return answer_all(waiting, &fault),
    };
    let grants: Vec<_> = reply
        .outcomes
        .into_iter()
        .zip(drawn)
        .map(|(outcome, (caller, salt, commitment))| {
            let granted = outcome?;
            let needs = needs(&caller, &granted, salt, commitment);
            Ok((granted, needs))
        })
        .collect();
    let wanted: Vec<_> =
        grants.iter().flatten().flat_map(|(_, needs)| needs).flatten().cloned().collect();
    let permits: Arc<[SignedPermit]> = reply.permits.into();
    let mut keks = derivations.derive(&permits, wanted).await;
    for (grant, done) in grants.into_iter().zip(waiting) {
        let outcome = grant.map(|(granted, needs)| {
            let take = |need: &Need| Ok((need.slot, keks.take(need.slot)?));
            let keks = needs.and_then(|needs| needs.iter().map(take).collect());
            Derived { granted, permits: permits.clone(), keks }
        });
        // The requester may be gone; what it asked for is audited all the same.
        drop(done.send(outcome));
    }
}

fn drawn_salt(wish: &Wish) -> Option<[u8; 32]> {
    match wish {
        Wish::Write { salt, .. } | Wish::Transit { salt, .. } => Some(*salt),
        Wish::Read { .. } | Wish::Attest { .. } | Wish::Open { .. } => None,
    }
}

fn answer_all(waiting: Vec<oneshot::Sender<Outcome>>, fault: &Fault) {
    for done in waiting {
        drop(done.send(Err(fault.clone())));
    }
}
