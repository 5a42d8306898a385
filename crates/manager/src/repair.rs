//! Getting this manager's own shares again, from t others (design 5.11).

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::Uid;
use keysherd_fragments::manager_set::ManagerSet;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::{KeyEpoch, PeerAnswer};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::repair::{Admitted, REPAIR_KEYS_MAX, RepairParams, RepairRun};

use crate::current::Others;
use crate::keys::{NewEpoch, store_refusal};
use crate::log::{EpochEvent, EpochStep};
use crate::manager::Manager;
use crate::store::KeyState;
use crate::vault::event;

/// Key versions that the same managers can repair.
type Batches = BTreeMap<(u8, u8, ManagerSet), Vec<(KeyVersion, u32)>>;

impl Manager {
    /// Repairs every share that is missing here and that t others hold, then refreshes those key
    /// versions, so that whoever has this manager's old shares has nothing. Gives how many were
    /// repaired.
    ///
    /// # Errors
    /// [`Refusal::BundleStale`], [`Refusal::WrongManager`] when this manager does not serve;
    /// [`Refusal::BadRepair`] and what else the helpers' values are refused for, after everything
    /// else was repaired.
    pub async fn repair(self: &Arc<Self>) -> Result<usize, Refusal> {
        let others = {
            let _one = self.checking.lock().await;
            self.catch_up().await?
        };
        let batches = self.heavy(move |manager| manager.missing(&others)).await?;
        let mut repaired = Vec::new();
        let mut failure = None;
        for ((t, n, helpers), keys) in batches {
            for keys in keys.chunks(REPAIR_KEYS_MAX) {
                let threshold = keysherd_fragments::manager_set::Threshold::new(t, n);
                let params = RepairParams {
                    session: Uid::random(&*self.rng)?,
                    manager: self.index,
                    helpers,
                    threshold: threshold.ok_or(Refusal::BadManifest)?,
                    keys: keys.to_vec(),
                };
                match self.repair_batch(params).await {
                    Ok(()) => repaired.extend(keys.iter().map(|(key, _)| *key)),
                    Err(refusal) => failure = failure.or(Some(refusal)),
                }
            }
        }
        if !repaired.is_empty() {
            tracing::info!(keys = repaired.len(), "shares were repaired");
            self.refresh(&repaired, false).await?;
        }
        match failure {
            Some(refusal) => Err(refusal),
            None => Ok(repaired.len()),
        }
    }

    /// What is missing here, and who can help.
    fn missing(&self, others: &Others) -> Result<Batches, Refusal> {
        let mine = self.all_epochs()?;
        let mut known: BTreeMap<KeyVersion, Vec<(ManagerSet, KeyEpoch)>> = BTreeMap::new();
        for (manager, epochs) in others {
            for epoch in epochs.values().filter(|epoch| epoch.held) {
                let one = ManagerSet::EMPTY.with(*manager);
                known.entry(epoch.key).or_default().push((one, *epoch));
            }
        }
        let mut batches = Batches::new();
        for (key, holders) in known {
            let missing = match mine.get(&key) {
                Some(mine) => !mine.held,
                // Not one that was destroyed here; and somebody must know that it is in use.
                None => !self.is_destroyed(&key)? && holders.iter().any(|(_, held)| held.in_use),
            };
            if let Some((epoch, helpers)) = missing.then(|| self.helpers(&holders)).flatten() {
                let group = (epoch.threshold.t(), epoch.threshold.n(), helpers);
                batches.entry(group).or_default().push((key, epoch.epoch));
            }
        }
        Ok(batches)
    }

    /// The first t managers that hold the newest epoch.
    fn helpers(&self, holders: &[(ManagerSet, KeyEpoch)]) -> Option<(KeyEpoch, ManagerSet)> {
        let (_, newest) = holders.iter().max_by_key(|(_, held)| held.epoch)?;
        let threshold = newest.threshold;
        let at_it = holders
            .iter()
            .filter(|(_, held)| held.epoch == newest.epoch && held.threshold == threshold);
        let able: ManagerSet =
            at_it.map(|(one, _)| *one).fold(ManagerSet::EMPTY, ManagerSet::union);
        let able = able.intersection(threshold.managers());
        let helpers: ManagerSet = able.iter().take(usize::from(threshold.t())).collect();
        let enough = helpers.len() == threshold.t() && threshold.managers().contains(self.index);
        enough.then_some((*newest, helpers))
    }

    fn is_destroyed(&self, key: &KeyVersion) -> Result<bool, Refusal> {
        let info = self.keys.info(key).map_err(|fault| store_refusal(&fault))?;
        Ok(info.is_some_and(|info| info.record.state == KeyState::Destroyed))
    }

    async fn repair_batch(self: &Arc<Self>, params: RepairParams) -> Result<(), Refusal> {
        let (session, helpers) = (params.session, params.helpers);
        let mut run = RepairRun::new(params)?;
        for helper in helpers.iter() {
            self.send_peer(helper, run.begin()).await?;
        }
        for helper in helpers.iter() {
            match self.send_peer(helper, run.collect()).await? {
                PeerAnswer::Help(help) => run.offer(helper, help),
                _ => return Err(Refusal::AnswerMismatch),
            }
        }
        let keep = move |manager: &Self| {
            let bundle = manager.trusted_bundle()?;
            let admitted = run.finish(&bundle).map_err(|blame| {
                tracing::error!(%blame, %helpers, "a repair was refused; the owner must look");
                blame.refusal
            })?;
            manager.crash_point("repair.keep.before")?;
            manager.keep_repaired(session, helpers, admitted)?;
            manager.crash_point("repair.keep.after")
        };
        self.heavy(keep).await
    }

    fn keep_repaired(
        &self,
        session: Uid,
        helpers: ManagerSet,
        admitted: Vec<Admitted>,
    ) -> Result<(), Refusal> {
        let keys: Vec<_> = admitted
            .iter()
            .map(|admitted| (admitted.shares.key(), admitted.shares.epoch()))
            .collect();
        self.log_epochs(EpochEvent {
            session,
            manager: self.index.get(),
            participants: helpers.bits(),
            ..event(EpochStep::Repaired, &keys)
        })?;
        let epochs = admitted.into_iter().map(|Admitted { shares, notes, record }| NewEpoch {
            key: shares.key(),
            notes: Some(notes),
            record,
            shares: Some(shares),
        });
        self.keys.set_epochs(epochs.collect()).map_err(|fault| store_refusal(&fault))?;
        self.note_replaced();
        self.keep_log_floor().map_err(|fault| store_refusal(&fault))
    }
}
