//! Changing the credentials of rotated secrets: by themselves when control says so, and for
//! somebody who waits.
//!
//! New credentials are stored before they are set, and reported when the target was found to take
//! them; nothing is remembered here. Whoever is killed in between is followed by another gateway,
//! which goes on with the same ones.

use std::sync::Arc;
use std::time::Duration;

use keysherd_api::engines::{Leaving, Rotation};
use keysherd_api::{Ctx, OpenedItem};
use keysherd_base::{AccountId, Fault, ItemPath, RngHandle, Uid};
use keysherd_domain::item::ValueFormat;
use keysherd_engines::Way;
use keysherd_engines::rotator::Brought;
use keysherd_fragments::context::Class;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::credential_leases::LeaseMeans;
use keysherd_plane::credential_rotations::{
    Reason, RotationBegin, RotationBeginReply, RotationKeep, RotationReport, RotationResult,
    RotationTake, RotationTakeReply, RotationWork, RotationWrite, Task,
};
use keysherd_plane::grants::{Granted, GrantedTo, SignedPermit};
use keysherd_plane::items::SealedValue;
use keysherd_plane::{Caller, PlaneHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::derive::{Derivations, too_few};
use crate::duty::Duty;
use crate::needs::needs;
use crate::reader::open_granted;
use crate::writer::{header_of, seal_item};

/// How often control is asked when it knows of nothing that is due soon.
const IDLE: Duration = Duration::from_secs(5);
/// Shortest time between two questions.
const BUSY: Duration = Duration::from_millis(50);
/// How long is waited after control did not answer.
const REST: Duration = Duration::from_secs(1);
/// Rotations at one time.
const AT_ONCE: usize = 8;
/// How long a target may take for one step. All of them fit into what control leaves to this
/// gateway.
const PATIENCE: Duration = Duration::from_secs(5);
/// After which nothing is sent to a target any more that changes something, counted from when
/// control was asked last: well before somebody else goes on with it.
const IN_TIME: Duration = Duration::from_secs(15);
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
            let attempted = Attempt { rotating: &this, way: &way, work, permits, salt, asked };
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
            let attempted = Attempt { rotating: self, way, work, permits, salt, asked };
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

/// One attempt.
struct Attempt<'a> {
    rotating: &'a Rotating,
    way: &'a Way,
    work: RotationWork,
    permits: Vec<SignedPermit>,
    salt: [u8; 32],
    /// When control was asked for it.
    asked: Instant,
}

impl Attempt<'_> {
    async fn carry_out(mut self) -> Result<Vec<String>, Fault> {
        let way = Way { timeout: PATIENCE, ..self.way.clone() };
        let Some(write) = self.work.write else {
            if let Err(fault) = self.removed(&way).await {
                let error = fault.public().to_owned();
                return Err(self.told(RotationResult::Unchanged { error }, fault).await);
            }
            self.report(RotationResult::Retired).await?;
            return Ok(Vec::new());
        };
        let rotation = match self.prepared(write, &way).await {
            Ok(rotation) => rotation,
            Err(fault) => {
                let error = fault.public().to_owned();
                let result = match write.is_stored {
                    true => RotationResult::Unknown { error },
                    false => RotationResult::Unchanged { error },
                };
                return Err(self.told(result, fault).await);
            }
        };
        match rotation.bring_about(&way, || self.in_time()).await {
            Brought::Changed(warnings) => {
                let partly = (!warnings.is_empty()).then(|| warnings.join("; "));
                self.report(RotationResult::Changed { partly }).await?;
                Ok(warnings)
            }
            Brought::Unchanged(fault) => {
                let error = fault.public().to_owned();
                Err(self.told(RotationResult::Unchanged { error }, fault).await)
            }
            Brought::Unknown(fault) => {
                let error = fault.public().to_owned();
                let text = format!(
                    "it is not known yet which credentials the target takes, which is found out in \
                     the background: {error}"
                );
                let fault = Fault::new(fault.kind(), text).with_private(fault);
                Err(self.told(RotationResult::Unknown { error }, fault).await)
            }
        }
    }

    /// Refuses to send anything that somebody else may be about to send.
    fn in_time(&self) -> Result<(), Fault> {
        match self.asked.elapsed() < IN_TIME {
            true => Ok(()),
            false => Err(Fault::unavailable("this gateway was too slow; nothing was changed")),
        }
    }

    /// Removes old credentials that stayed for a while.
    async fn removed(&self, way: &Way) -> Result<(), Fault> {
        let caller = self.rotating.caller()?;
        let leaving = Leaving::of(&self.work, &self.opened(&caller).await?)?;
        leaving.remove(way, || self.in_time()).await
    }

    /// Opens what was handed out.
    async fn opened(&self, caller: &Caller) -> Result<Vec<OpenedItem>, Fault> {
        let rotating = self.rotating;
        for known in &self.work.keys {
            let (id, version) = (known.key.key_id, known.key.version);
            let key = KeyVersion { account: AccountId(self.work.account), id, version };
            rotating.derivations.trust(&key, &known.manifest.manifest)?;
        }
        let means = LeaseMeans {
            account: self.work.account,
            access_id: self.work.access_id.clone(),
            items: self.work.items.clone(),
            facts: self.work.facts.clone(),
            manifests: Vec::new(),
        };
        let opened = open_granted(&rotating.derivations, caller, &[means], &self.permits).await;
        let nothing = || Fault::internal("control handed out nothing to rotate");
        opened.into_iter().next().ok_or_else(nothing)?
    }

    /// Opens what is rotated, and has new credentials stored where they are not yet.
    async fn prepared(&mut self, write: RotationWrite, way: &Way) -> Result<Rotation, Fault> {
        let rotating = self.rotating;
        let caller = rotating.caller()?;
        let nothing = || Fault::internal("control handed out nothing to rotate");
        let opened = self.opened(&caller).await?;
        let mut rotation = Rotation::of(&self.work, &opened)?;
        if !write.is_stored || write.store_again {
            let plaintext = rotation.candidate(way)?;
            let value = self.sealed(&caller, write, &plaintext).await?;
            let path = self.work.items.get(write.place).ok_or_else(nothing)?.path.clone();
            let (item, attempt) = (self.work.item, self.work.attempt);
            let asked = Instant::now();
            let keep = RotationKeep { item, attempt, path, value };
            rotating.plane.ask(caller, keep).await?;
            self.asked = asked;
        }
        Ok(rotation)
    }

    /// Seals new credentials for the place that was granted.
    async fn sealed(
        &self,
        caller: &Caller,
        write: RotationWrite,
        plaintext: &keysherd_base::SecretBytes,
    ) -> Result<SealedValue, Fault> {
        let nothing = || Fault::internal("control granted no place for new credentials");
        let item = self.work.items.get(write.place).ok_or_else(nothing)?;
        let granted = Granted::Write {
            uid: item.uid,
            version: write.version,
            overwrite: false,
            format: ValueFormat::Json,
            class: Class::SecretItem.number(),
            key: write.key,
            permit_slot: write.permit_slot,
        };
        let account = self.work.account;
        let granted = GrantedTo { account, granted, keep: None, opened: None };
        let wanted = needs(caller, &granted, Some(self.salt), None)?;
        let mut keks = self.rotating.derivations.derive(&self.permits, wanted).await;
        let derived = keks.take(write.permit_slot)?;
        // Nobody waits for what a missing manager would have to confirm later.
        if !derived.missing.is_empty() {
            return Err(too_few(derived.missing));
        }
        let header = header_of(account, item.uid, write.version);
        let (place, key) = ((&header, &item.path), (write.key, self.salt));
        seal_item(&*self.rotating.rng, place, key, &derived.kek, plaintext)
    }

    /// Reports what came of it, and gives the fault that says so.
    async fn told(&self, result: RotationResult, fault: Fault) -> Fault {
        if let Err(untold) = self.report(result).await {
            // It is taken for some seconds, and somebody else goes on with it then.
            tracing::warn!(item = %self.work.item, fault = %untold, "control was not told of it");
        }
        fault
    }

    async fn report(&self, result: RotationResult) -> Result<(), Fault> {
        let (item, attempt) = (self.work.item, self.work.attempt);
        let report = RotationReport { item, attempt, result };
        self.rotating.plane.ask(self.rotating.caller()?, report).await.map(drop)
    }
}
