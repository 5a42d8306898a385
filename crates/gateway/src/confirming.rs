//! The job that has values confirmed which were written while a fragment manager was missing.
//!
//! Once the missing managers answer again, all of them derive with proofs what the value was
//! written with. If it is what the stored wrap commits to, the value is confirmed. If not, somebody
//! lied when it was written: its data key is taken from the gateway's own wrap and wrapped again
//! under the right key. Either way the gateway's wrap is removed afterwards.

use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, FaultKind, RequestId, RngHandle};
use keysherd_crypto::envelope::{
    Envelope, Kek, NewWrap, Wrap, WrapKind, WrapParams, attach, detach, rewrap,
};
use keysherd_crypto::hash::{constant_time_eq, sha256};
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_fragments::manager_set::ManagerSet;
use keysherd_fragments::messages::ManagerRequest;
use keysherd_plane::alerts::AlertKind;
use keysherd_plane::confirm::{ConfirmBegin, ConfirmBeginReply, ConfirmDone, ConfirmWork};
use keysherd_plane::{Caller, PlaneHandle};

use crate::derive::Derivations;
use crate::incidents::{Incident, Incidents};
use crate::managers::Managers;
use crate::needs::{Need, wrap_of};
use crate::spool::{Entry, Spool};

/// How often it is looked whether something can be confirmed.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the job rests at most when nothing could be.
const REST_MAX: Duration = Duration::from_secs(600);
/// Values looked at in one go.
const ENTRIES_PER_GO: usize = 200;
/// Seconds after which a value that control does not know was never recorded.
const UNRECORDED_SECONDS: i64 = 600;

/// What one go came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Values all managers agree about.
    pub confirmed: usize,
    /// Values that had been sealed under a wrong key, and were rescued.
    pub rescued: usize,
    /// Values that were never recorded, or are gone.
    pub dropped: usize,
    /// Values that have still to wait.
    pub waiting: usize,
}

/// What the job works with.
pub(crate) struct Confirming {
    pub(crate) spool: Arc<Spool>,
    pub(crate) plane: PlaneHandle,
    pub(crate) managers: Arc<Managers>,
    pub(crate) derivations: Arc<Derivations>,
    pub(crate) incidents: Arc<Incidents>,
    pub(crate) clock: ClockHandle,
    pub(crate) rng: RngHandle,
}

/// What became of one value.
enum Fate {
    Confirmed,
    Rescued,
    Dropped,
    Waiting,
}

impl Confirming {
    /// Does it from now on, on the current runtime, until the gateway is gone.
    pub(crate) fn start(self) -> Arc<Self> {
        let this = Arc::new(self);
        tokio::spawn(Self::run(Arc::downgrade(&this)));
        this
    }

    async fn run(this: std::sync::Weak<Self>) {
        let mut rest = INTERVAL;
        loop {
            tokio::time::sleep(rest).await;
            let Some(job) = this.upgrade() else { return };
            if job.spool.len() == 0 {
                rest = INTERVAL;
                continue;
            }
            let done = job.go().await;
            let moved = done.confirmed + done.rescued + done.dropped > 0;
            rest = if moved { INTERVAL } else { (rest * 2).min(REST_MAX) };
        }
    }

    /// Confirms what can be confirmed now.
    pub(crate) async fn go(&self) -> Confirmed {
        let spool = self.spool.clone();
        let read = move || spool.entries(ENTRIES_PER_GO);
        let entries = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(entries)) => entries,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the unconfirmed values cannot be read");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let mut done = Confirmed::default();
        let mut reached = ManagerSet::EMPTY;
        for entry in entries {
            reached = reached.union(self.reached(entry.missing.minus(reached)).await);
            if !entry.missing.is_within(reached) {
                done.waiting += 1;
                continue;
            }
            match self.settle(&entry).await {
                Ok(Fate::Confirmed) => done.confirmed += 1,
                Ok(Fate::Rescued) => done.rescued += 1,
                Ok(Fate::Dropped) => done.dropped += 1,
                Ok(Fate::Waiting) => done.waiting += 1,
                Err(fault) => {
                    tracing::info!(item = %entry.uid, ?fault, "a value was not confirmed yet");
                    done.waiting += 1;
                }
            }
        }
        done
    }

    /// Those of `managers` that answer at all.
    async fn reached(&self, managers: ManagerSet) -> ManagerSet {
        let mut reached = ManagerSet::EMPTY;
        for manager in managers.iter() {
            if self.managers.ask(manager, &ManagerRequest::Status).await.is_ok() {
                reached = reached.with(manager);
            }
        }
        reached
    }

    async fn settle(&self, entry: &Entry) -> Result<Fate, Fault> {
        let caller = Caller::of_the_server(RequestId::random(&*self.rng)?);
        let ask = ConfirmBegin { account: entry.account.0, uid: entry.uid, version: entry.version };
        let work = match self.plane.ask(caller.clone(), ask).await? {
            ConfirmBeginReply::Waiting { work } if salt_is(&work.ciphertext, entry) => work,
            // It was confirmed, and the gateway stopped before it forgot it.
            ConfirmBeginReply::Settled { ciphertext } if salt_is(&ciphertext, entry) => {
                return self.forget(entry, Fate::Confirmed).await;
            }
            // This value is not recorded; it may be on its way.
            _ if self.is_young(entry) => return Ok(Fate::Waiting),
            _ => return self.forget(entry, Fate::Dropped).await,
        };
        let kek = self.derive(entry, &caller, &work).await?;
        let rewrapped = self.compare(entry, &work.ciphertext, &kek)?;
        let rescued = rewrapped.is_some();
        let done = ConfirmDone {
            account: entry.account.0,
            uid: entry.uid,
            version: entry.version,
            stored_sha256: sha256(&[&work.ciphertext]),
            rewrapped,
        };
        self.plane.ask(caller.clone(), done).await?;
        if rescued {
            self.report(entry, &caller);
        }
        self.forget(entry, if rescued { Fate::Rescued } else { Fate::Confirmed }).await
    }

    async fn derive(
        &self,
        entry: &Entry,
        caller: &Caller,
        work: &ConfirmWork,
    ) -> Result<Kek, Fault> {
        let fields = ContextFields {
            class: Class::SecretItem,
            account: entry.account,
            key_id: entry.key.key_id,
            key_version: entry.key.version,
            item_id: entry.uid,
            item_version: u64::from(entry.version),
            salt: entry.salt,
        };
        let slot = work.permit_slot;
        let need = Need {
            caller: caller.clone(),
            slot,
            fields,
            commitment: None,
            customer_fragment: entry.key.customer_fragment,
        };
        self.derivations.derive_confirmed(&work.permit, &work.manifest, need).await
    }

    /// What has to be stored in place of `ciphertext`; `None` when it is right.
    fn compare(
        &self,
        entry: &Entry,
        ciphertext: &[u8],
        kek: &Kek,
    ) -> Result<Option<Arc<[u8]>>, Fault> {
        let broken = || Fault::internal(format!("item {}: its rescue failed", entry.uid));
        let envelope = Envelope::parse(ciphertext).map_err(|_| broken())?;
        let (index, wrap) = wrap_of(&envelope, &entry.key).ok_or_else(broken)?;
        if constant_time_eq(wrap.com(), &kek.com) {
            return Ok(None);
        }
        let joined = attach(ciphertext, &entry.wrap).map_err(Fault::internal)?;
        let last = Envelope::parse(&joined).map_err(Fault::internal)?.wraps().len() - 1;
        let own = own_kek(&self.spool, entry).ok_or_else(broken)?;
        let params = WrapParams { kind: WrapKind::Fragments, ..wrap.params() };
        let rescued = rewrap(&joined, last, &own, NewWrap { params, kek }, &*self.rng)
            .map_err(Fault::internal)?;
        let (rescued, _) = detach(&rescued, index).map_err(Fault::internal)?;
        Ok(Some(rescued.into()))
    }

    fn report(&self, entry: &Entry, caller: &Caller) {
        // Nobody missing then can have lied then.
        let suspects =
            self.managers.indexes().into_iter().collect::<ManagerSet>().minus(entry.missing);
        tracing::error!(item = %entry.uid, "a value had been sealed under a wrong key; rescued");
        let incident = Incident {
            kind: AlertKind::LieFoundLater,
            managers: suspects,
            answers: Vec::new(),
            requests: Vec::new(),
            with_outputs: false,
        };
        self.managers.health.contradicted(suspects);
        self.incidents.report(caller, incident);
    }

    async fn forget(&self, entry: &Entry, fate: Fate) -> Result<Fate, Fault> {
        let (spool, entry) = (self.spool.clone(), entry.clone());
        tokio::task::spawn_blocking(move || spool.remove(&entry))
            .await
            .map_err(Fault::internal)?
            .map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
        Ok(fate)
    }

    fn is_young(&self, entry: &Entry) -> bool {
        self.clock.now() < entry.written.plus_seconds(UNRECORDED_SECONDS)
    }
}

/// The key of an entry's own wrap.
pub(crate) fn own_kek(spool: &Spool, entry: &Entry) -> Option<Kek> {
    let salt = Wrap::of(&entry.wrap)?.params().salt;
    Some(spool.kek(entry.account, entry.uid, entry.version, &salt))
}

fn salt_is(ciphertext: &[u8], entry: &Entry) -> bool {
    let Ok(envelope) = Envelope::parse(ciphertext) else { return false };
    wrap_of(&envelope, &entry.key).is_some_and(|(_, wrap)| wrap.params().salt == entry.salt)
}
