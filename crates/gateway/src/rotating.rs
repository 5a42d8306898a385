//! Changing the credentials of rotated secrets: by themselves when control says so, and for
//! somebody who waits.
//!
//! New credentials are stored before they are set, and reported when the target was found to take
//! them; nothing is remembered here. Whoever is killed in between is followed by another gateway,
//! which goes on with the same ones.

mod attempt;
mod hold;

use std::sync::Arc;
use std::time::Duration;

use keysherd_api::Ctx;
use keysherd_base::{Fault, ItemPath, RngHandle, Uid};
use keysherd_engines::Way;
use keysherd_plane::credential_rotations::{
    Reason, RotationBegin, RotationBeginReply, RotationTake, RotationTakeReply, Task,
};
use keysherd_plane::{Caller, PlaneHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::attempt::Attempt;
use crate::derive::Derivations;
use crate::duty::Duty;

/// How often control is asked when it knows of nothing that is due soon.
const IDLE: Duration = Duration::from_secs(5);
/// Shortest time between two questions.
const BUSY: Duration = Duration::from_millis(50);
/// How long is waited after control did not answer.
const REST: Duration = Duration::from_secs(1);
/// Rotations at one time.
const AT_ONCE: usize = 8;
/// Rotations that are begun for one request: old credentials may have to go first.
const ROUNDS: usize = 2;

/// What a rotation needs.
#[derive(Clone)]
pub(crate) struct Rotating {
    plane: PlaneHandle,
    derivations: Arc<Derivations>,
    rng: RngHandle,
}

/// The running work. It ends when this is dropped.
pub(crate) struct Rotators(JoinHandle<()>);

impl Drop for Rotators {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Rotators {
    /// Starts the work on the current runtime; targets are reached by `way`.
    pub(crate) fn start(rotating: Rotating, way: Way, duty: Duty) -> Self {
        Self(tokio::spawn(rotating.run(way, duty)))
    }
}

impl Rotating {
    /// What rotates by these.
    pub(crate) fn new(
        (plane, derivations, rng): (PlaneHandle, Arc<Derivations>, RngHandle),
    ) -> Self {
        Self { plane, derivations, rng }
    }

    async fn run(self, way: Way, duty: Duty) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while let Ok(place) = places.clone().acquire_owned().await {
            let pause = match duty.is_on() {
                true => self.turn(&way, place).await.unwrap_or_else(|fault| {
                    tracing::debug!(%fault, "no credentials can be rotated now");
                    REST
                }),
                false => REST,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes what is due and begins with it; how long to wait until the next turn.
    async fn turn(&self, way: &Way, place: OwnedSemaphorePermit) -> Result<Duration, Fault> {
        let asked = Instant::now();
        let salt = self.rng.array()?;
        let take = RotationTake { salts: vec![salt] };
        let taken = self.plane.ask(self.caller()?, take).await?;
        let RotationTakeReply { mut work, permits, next_due_millis } = taken;
        let Some(work) = work.pop() else {
            let next = next_due_millis.and_then(|millis| u64::try_from(millis).ok());
            return Ok(next.map_or(IDLE, Duration::from_millis).clamp(BUSY, IDLE));
        };
        let (this, way) = (self.clone(), way.clone());
        tokio::spawn(async move {
            let (item, attempt) = (work.item, work.attempt);
            let attempted = Attempt::new(&this, &way, (work, permits), (salt, asked));
            if let Err(fault) = attempted.carry_out().await {
                tracing::warn!(%item, attempt, %fault, "credentials were not rotated");
            }
            drop(place);
        });
        Ok(Duration::ZERO)
    }

    /// Rotates a secret for the caller, or brings to its end what was begun before; gives what the
    /// target warned of.
    ///
    /// # Errors
    /// Control's refusal; what the target refused. A fault that says so where nobody knows what
    /// came of it; it is found out in the background then.
    pub(crate) async fn rotate(
        &self,
        ctx: &Ctx,
        (item, reason): (&ItemPath, Reason),
        way: &Way,
    ) -> Result<Vec<String>, Fault> {
        for _ in 0..ROUNDS {
            let asked = Instant::now();
            let salt = self.rng.array()?;
            let begin = RotationBegin { item: item.clone(), reason, salt };
            let RotationBeginReply { work, permits } = ctx.ask(begin).await?;
            let task = work.task;
            let attempted = Attempt::new(self, way, (work, permits), (salt, asked));
            let warnings = attempted.carry_out().await?;
            if !matches!(task, Task::Retire(_)) {
                return Ok(warnings);
            }
        }
        Err(Fault::unavailable("old credentials had to be removed first; ask again"))
    }

    fn caller(&self) -> Result<Caller, Fault> {
        Ok(Caller::of_the_server(Uid::random(&*self.rng)?))
    }
}
