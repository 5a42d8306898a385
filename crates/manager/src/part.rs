//! Taking part in refreshes and repairs that other managers run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keysherd_base::SecretBytes;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::epoch::SignedRecord;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::member::{Env, Served, Vault};
use keysherd_fragments::messages::{KeyEpoch, PeerAnswer, PeerRequest};
use keysherd_fragments::refresh::RefreshParams;
use keysherd_fragments::refusal::{Blame, Refusal};
use tokio::task::JoinSet;

use crate::keys::store_refusal;
use crate::log::{EpochEvent, EpochStep};
use crate::manager::{Manager, lock};
use crate::vault::{Drawers, event};

/// How long a manager that a refresh leaves out may take to say that it is there.
const LEFT_OUT_PATIENCE: Duration = Duration::from_secs(3);

/// An answer of this manager to itself, to be waited for.
type OwnAnswer = Pin<Box<dyn Future<Output = SecretBytes> + Send>>;

impl Manager {
    /// Serves a request of another manager about refresh or repair; also this manager's own, when
    /// it coordinates.
    pub(crate) async fn take_part(
        self: &Arc<Self>,
        from: ManagerIndex,
        request: PeerRequest,
    ) -> Result<PeerAnswer, Refusal> {
        self.crash_point("alive")?;
        match &request {
            PeerRequest::RefreshBegin(params) => self.refuse_left_out(from, params).await?,
            PeerRequest::RefreshEnd { all } => {
                let all = *all;
                self.heavy(move |manager| manager.end_refresh(all)).await?;
                return Ok(PeerAnswer::Taken);
            }
            _ => {}
        }
        let served = self.heavy(move |manager| manager.serve_member(from, request)).await?;
        self.crash_point("refresh.deals.before")?;
        let mut calls = JoinSet::new();
        for (to, message) in served.before {
            let manager = self.clone();
            calls.spawn(async move { manager.send_deal(to, message).await });
        }
        let mut result = Ok(());
        while let Some(sent) = calls.join_next().await {
            result = result.and(sent.unwrap_or(Err(Refusal::DealMissing)));
        }
        result.map(|()| served.answer)
    }

    fn serve_member(&self, from: ManagerIndex, request: PeerRequest) -> Result<Served, Refusal> {
        if let PeerRequest::RepairBegin(params) = &request {
            self.log_epochs(EpochEvent {
                session: params.session,
                manager: params.manager.get(),
                participants: params.helpers.bits(),
                ..event(EpochStep::Helped, &params.keys)
            })?;
        }
        self.with_env(|env| lock(&self.member).serve(env, from, request)).map_err(|blame| {
            let Blame { refusal, culprit } = blame;
            if let Some(culprit) = culprit {
                tracing::warn!(%culprit, ?refusal, "a manager spoiled a refresh");
            }
            refusal
        })
    }

    /// Runs `work` with this manager's own view.
    pub(crate) fn with_env<T, E: From<Refusal>>(
        &self,
        work: impl FnOnce(&Env<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let bundle = self.trusted_bundle()?;
        work(&Env {
            me: self.index,
            identity: &self.identity,
            bundle: &bundle,
            now: self.clock.now(),
            rng: &*self.rng,
            vault: &Drawers(self),
        })
    }

    /// A refresh may leave out only who cannot be reached or has no share: otherwise one manager
    /// could bring the others to different epochs by telling each that the other is gone.
    async fn refuse_left_out(
        self: &Arc<Self>,
        from: ManagerIndex,
        params: &RefreshParams,
    ) -> Result<(), Refusal> {
        let me = ManagerSet::EMPTY.with(self.index).with(from);
        let left_out = params.threshold.managers().minus(params.participants).minus(me);
        let keys: Vec<KeyVersion> = params.keys.iter().map(|key| key.key).collect();
        let mut asked = JoinSet::new();
        for manager in left_out.iter() {
            let (this, request) = (self.clone(), PeerRequest::Epochs(keys.clone()));
            asked.spawn(async move {
                tokio::time::timeout(LEFT_OUT_PATIENCE, this.ask_peer(manager, &request)).await
            });
        }
        while let Some(answer) = asked.join_next().await {
            let Ok(Ok(Ok(PeerAnswer::Keys(known)))) = answer else { continue };
            let could = |known: &KeyEpoch| {
                let begun = params.keys.iter().find(|key| key.key == known.key);
                known.held && begun.is_some_and(|begun| begun.from == known.epoch)
            };
            if known.iter().any(could) {
                return Err(Refusal::PeerLeftOut);
            }
        }
        Ok(())
    }

    /// Asks another manager, or this one.
    pub(crate) async fn ask_peer(
        self: &Arc<Self>,
        to: ManagerIndex,
        request: &PeerRequest,
    ) -> Result<PeerAnswer, Refusal> {
        self.send_peer(to, request.to_secret_bytes()).await
    }

    /// As [`Self::ask_peer`], with the bytes of the request. A refusal is an error.
    pub(crate) async fn send_peer(
        self: &Arc<Self>,
        to: ManagerIndex,
        request: SecretBytes,
    ) -> Result<PeerAnswer, Refusal> {
        let answer = if to == self.index {
            self.serve_own(request).await
        } else {
            let patience = Duration::from_secs(self.limits.peer_seconds);
            let answer = tokio::time::timeout(patience, self.peers.call(to, request)).await;
            let unreachable = || Refusal::NotEnoughManagers;
            answer.map_err(|_| unreachable())?.map_err(|_| unreachable())?
        };
        match PeerAnswer::from_bytes(answer.expose())? {
            PeerAnswer::Refused(refusal) => Err(refusal),
            answer => Ok(answer),
        }
    }

    /// Serves this manager's own request. Boxed: serving can ask again.
    fn serve_own(self: &Arc<Self>, request: SecretBytes) -> OwnAnswer {
        let manager = self.clone();
        Box::pin(async move { manager.serve_peer(manager.index, request.expose()).await })
    }

    /// Asks several managers the same at one time; those that do not answer are left out.
    pub(crate) async fn ask_all(
        self: &Arc<Self>,
        managers: ManagerSet,
        request: &PeerRequest,
    ) -> Vec<(ManagerIndex, PeerAnswer)> {
        let mut asked = JoinSet::new();
        for to in managers.iter() {
            let (manager, bytes) = (self.clone(), request.to_secret_bytes());
            asked.spawn(async move { (to, manager.send_peer(to, bytes).await) });
        }
        let mut answers = Vec::new();
        while let Some(answer) = asked.join_next().await {
            if let Ok((to, Ok(answer))) = answer {
                answers.push((to, answer));
            }
        }
        answers.sort_by_key(|(to, _)| *to);
        answers
    }

    /// The other managers of the trust bundle.
    pub(crate) fn others(&self) -> Result<ManagerSet, Refusal> {
        let bundle = self.trusted_bundle()?;
        let all: ManagerSet = bundle.bundle().managers.iter().map(|entry| entry.index).collect();
        Ok(all.minus(ManagerSet::EMPTY.with(self.index)))
    }

    /// The record of the epoch a key version is at, for gateways.
    pub(crate) fn epoch_record(&self, key: &KeyVersion) -> Result<Option<SignedRecord>, Refusal> {
        let failed = |fault| store_refusal(&fault);
        self.keys.info(key).map_err(failed)?.ok_or(Refusal::UnknownKey)?;
        self.keys.store().epoch_record(key).map_err(failed)
    }

    /// At which epochs this manager holds these key versions.
    pub(crate) fn epochs_of(&self, keys: &[KeyVersion]) -> Result<Vec<KeyEpoch>, Refusal> {
        let vault = Drawers(self);
        let mut known = Vec::with_capacity(keys.len());
        for key in keys {
            known.extend(vault.epoch(key)?);
        }
        Ok(known)
    }

    /// Remembers that shares were replaced, so that the old ones are erased for good soon.
    pub(crate) fn note_replaced(&self) {
        self.replaced.store(true, Ordering::Release);
    }

    /// Erases what was replaced, if anything was.
    pub(crate) fn erase_when_due(&self) -> Result<(), Refusal> {
        if !self.replaced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.erase_replaced().map_err(|fault| {
            self.note_replaced();
            store_refusal(&fault)
        })
    }
}
