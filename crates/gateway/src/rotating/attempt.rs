//! One attempt at a rotation: what is sent to the target, and what control is told.

use std::sync::Arc;
use std::time::Duration;

use keysherd_api::OpenedItem;
use keysherd_api::engines::{BroughtMany, Leaving, LinkedRotation, OpenedRotation};
use keysherd_base::{AccountId, Fault};
use keysherd_domain::item::ValueFormat;
use keysherd_engines::rotator::Brought;
use keysherd_engines::{NOT_LET_IN, Way};
use keysherd_fragments::context::Class;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::Caller;
use keysherd_plane::credential_leases::LeaseMeans;
use keysherd_plane::credential_rotations::{
    RotationHold, RotationKeep, RotationReport, RotationResult, RotationWork, RotationWrite,
};
use keysherd_plane::grants::{Granted, GrantedTo, SignedPermit};
use keysherd_plane::items::SealedValue;
use tokio::time::Instant;

use super::Rotating;
use super::hold::Hold;
use crate::derive::too_few;
use crate::needs::needs;
use crate::reader::open_granted;
use crate::writer::{header_of, seal_item};

/// How long a target may take for one step. What is sent ends well before somebody else goes on
/// with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One attempt.
pub(super) struct Attempt<'a> {
    rotating: &'a Rotating,
    way: &'a Way,
    work: RotationWork,
    permits: Vec<SignedPermit>,
    salt: [u8; 32],
    hold: Arc<Hold>,
}

impl<'a> Attempt<'a> {
    /// The attempt at `work`, for which control was `asked` then, with this salt.
    pub(super) fn new(
        rotating: &'a Rotating,
        way: &'a Way,
        (work, permits): (RotationWork, Vec<SignedPermit>),
        (salt, asked): ([u8; 32], Instant),
    ) -> Self {
        let hold = Arc::new(Hold::new(asked));
        Self { rotating, way, work, permits, salt, hold }
    }

    /// Does the work, prolonging its time as long as that takes; gives what the target warned of.
    ///
    /// # Errors
    /// As [`Rotating::rotate`].
    pub(super) async fn carry_out(self) -> Result<Vec<String>, Fault> {
        let (hold, rotating) = (Arc::clone(&self.hold), self.rotating);
        let (item, attempt) = (self.work.item, self.work.attempt);
        tokio::select! {
            biased;
            done = self.done() => done,
            never = hold.keep(rotating, RotationHold { item, attempt }) => match never {},
        }
    }

    async fn done(&self) -> Result<Vec<String>, Fault> {
        let way = match self.work.items.first() {
            Some(secret) => self.way.about((self.work.account, &secret.path), PATIENCE),
            None => Way { timeout: PATIENCE, ..self.way.clone() },
        };
        let Some(write) = self.work.write else {
            if let Err(fault) = self.removed(&way).await {
                return Err(self.told(unchanged(&fault), fault).await);
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
        let brought = match rotation {
            OpenedRotation::One(one) => one.bring_about(&way, || self.hold.in_time()).await,
            OpenedRotation::Many(many) => match self.on_hosts(*many, write, &way).await {
                Ok(warnings) => return Ok(warnings),
                Err(brought) => brought,
            },
        };
        match brought {
            Brought::Changed(warnings) => {
                // What a target warns of is no failure on a part of it.
                self.report(RotationResult::Changed { partly: None }).await?;
                Ok(warnings)
            }
            Brought::Unchanged(fault) => Err(self.told(unchanged(&fault), fault).await),
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

    /// Sets what is stored on many hosts. What came of it is stored before anybody reads it; gives
    /// what is to be reported where no host has changed.
    async fn on_hosts(
        &self,
        mut many: LinkedRotation,
        write: RotationWrite,
        way: &Way,
    ) -> Result<Vec<String>, Brought> {
        let in_time = || self.hold.in_time();
        let brought = many.bring_about(way, &in_time).await;
        let (partly, is_refused, mut warnings) = match brought {
            BroughtMany::Changed { partly, is_refused, warnings } => (partly, is_refused, warnings),
            BroughtMany::Nothing(brought) => return Err(brought),
        };
        let stored = async {
            let (caller, plaintext) = (self.rotating.caller()?, many.plaintext()?);
            self.kept(caller, write, &plaintext).await?;
            self.report(match partly.clone() {
                Some(partly) if is_refused => RotationResult::ChangedOrRefused { partly },
                partly => RotationResult::Changed { partly },
            })
            .await
        };
        stored.await.map_err(Brought::Unknown)?;
        warnings.extend(
            partly.map(|partly| format!("not on all hosts, which is tried again: {partly}")),
        );
        Ok(warnings)
    }

    /// Removes old credentials that stayed for a while.
    async fn removed(&self, way: &Way) -> Result<(), Fault> {
        let caller = self.rotating.caller()?;
        let leaving = Leaving::of(&self.work, &self.opened(&caller).await?)?;
        leaving.remove(way, || self.hold.in_time()).await
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
    async fn prepared(&self, write: RotationWrite, way: &Way) -> Result<OpenedRotation, Fault> {
        let caller = self.rotating.caller()?;
        let opened = self.opened(&caller).await?;
        let mut rotation = OpenedRotation::of(&self.work, &opened)?;
        if !write.is_stored || write.store_again || rotation.stores_again() {
            // The target may have to make them.
            self.hold.in_time()?;
            let plaintext = rotation.candidate(way).await?;
            self.kept(caller, write, &plaintext).await?;
        }
        Ok(rotation)
    }

    /// Has what may be set from now on stored.
    async fn kept(
        &self,
        caller: Caller,
        write: RotationWrite,
        plaintext: &keysherd_base::SecretBytes,
    ) -> Result<(), Fault> {
        let nothing = || Fault::internal("control handed out nothing to rotate");
        let value = self.sealed(&caller, write, plaintext).await?;
        let path = self.work.items.get(write.place).ok_or_else(nothing)?.path.clone();
        let (item, attempt) = (self.work.item, self.work.attempt);
        let asked = Instant::now();
        let keep = RotationKeep { item, attempt, path, value };
        self.rotating.plane.ask(caller, keep).await?;
        self.hold.heard(asked);
        Ok(())
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

/// That the target does not have what was to be set, or still has what was to go.
fn unchanged(fault: &Fault) -> RotationResult {
    let error = fault.public().to_owned();
    match fault.code() {
        NOT_LET_IN => RotationResult::Refused { error },
        _ => RotationResult::Unchanged { error },
    }
}

#[cfg(test)]
mod tests {
    use keysherd_domain::credential_rotation::WORK_SECONDS;

    use super::*;
    use crate::rotating::hold::IN_TIME;

    #[test]
    fn nothing_is_on_its_way_any_more_when_somebody_else_goes_on() {
        let work = Duration::from_secs(WORK_SECONDS.unsigned_abs());
        assert!(IN_TIME + PATIENCE < work, "{work:?}");
    }
}
