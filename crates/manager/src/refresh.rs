//! Coordinating refreshes: on a gateway's demand, by schedule, and after a repair (design 5.10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keysherd_base::Uid;
use keysherd_fragments::epoch::{SignedRecord, participants_min};
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet, Threshold};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::messages::{KeyEpoch, PeerAnswer, PeerRequest};
use keysherd_fragments::refresh::{
    CheckedRefresh, REFRESH_KEYS_MAX, RefreshCall, RefreshKey, RefreshParams, RefreshRun, RunStep,
    check_refresh,
};
use keysherd_fragments::refusal::Refusal;
use tokio::task::JoinSet;

use crate::keys::Ring;
use crate::log::{EpochEvent, EpochStep};
use crate::manager::{Manager, lock};
use crate::vault::event;

/// What came of refreshing some key versions.
#[derive(Debug, Default)]
pub struct RefreshReport {
    /// The records of the new epochs.
    pub records: Vec<SignedRecord>,
    /// Key versions that are at the epoch they were, with the reason.
    pub failed: Vec<(KeyVersion, Refusal)>,
    /// Who took part in any of it.
    pub participants: ManagerSet,
}

/// At which epochs the managers hold some key versions.
type Seen = Vec<(ManagerIndex, BTreeMap<KeyVersion, KeyEpoch>)>;

impl Manager {
    /// Refreshes the key versions of a gateway's permit.
    pub(crate) async fn refresh_for(
        self: &Arc<Self>,
        peer: [u8; 32],
        call: RefreshCall,
    ) -> Result<Vec<SignedRecord>, Refusal> {
        self.be_current().await?;
        let keys = self.heavy(move |manager| manager.admit_refresh(&peer, &call)).await?;
        let report = self.refresh(&keys, false).await?;
        match report.failed.first() {
            Some((_, refusal)) => Err(*refusal),
            None => Ok(report.records),
        }
    }

    /// Everything that is checked before a refresh on demand; it is logged.
    fn admit_refresh(
        &self,
        peer: &[u8; 32],
        call: &RefreshCall,
    ) -> Result<Vec<KeyVersion>, Refusal> {
        let now = self.clock.now();
        let bundle = self.trusted_bundle()?;
        let permit = self.permits.verify(&bundle, &call.permit, now)?;
        let ring = Ring::of_permit(&self.keys, &permit.keys, true, now);
        let checked = check_refresh(&bundle, peer, self.index, call, &ring, now);
        let CheckedRefresh { keys, permit_id, max_uses, permit_expires_at, .. } =
            checked.clone().map_err(|refusal| ring.explain(refusal))?;
        lock(&self.uses).take(permit_id, max_uses, permit_expires_at, now)?;
        let known = self.epochs_of(&keys)?;
        let epochs: Vec<_> = known.iter().map(|known| (known.key, known.epoch)).collect();
        let checked = checked?;
        self.log_epochs(EpochEvent {
            manager: self.index.get(),
            permit_sha256: checked.permit_sha256,
            audit_seq: checked.audit_seq,
            gateway: checked.gateway_spki_sha256,
            ..event(EpochStep::Requested, &epochs)
        })?;
        Ok(keys)
    }

    /// Refreshes key versions with every manager that can be reached, and has all of them erase
    /// what was replaced. With `with_all`, key versions of which a manager is missing are left as
    /// they are.
    ///
    /// # Errors
    /// [`Refusal::BundleStale`], [`Refusal::WrongManager`] when this manager does not serve; what
    /// fails for single key versions is in the report.
    pub async fn refresh(
        self: &Arc<Self>,
        keys: &[KeyVersion],
        with_all: bool,
    ) -> Result<RefreshReport, Refusal> {
        let report = self.refresh_quietly(keys, with_all).await?;
        self.ask_all(report.participants, &PeerRequest::RefreshEnd { all: false }).await;
        Ok(report)
    }

    /// As [`Self::refresh`], without telling anybody that it is over.
    pub(crate) async fn refresh_quietly(
        self: &Arc<Self>,
        keys: &[KeyVersion],
        with_all: bool,
    ) -> Result<RefreshReport, Refusal> {
        let _one = self.coordinating.lock().await;
        let mut report = RefreshReport::default();
        for chunk in keys.chunks(REFRESH_KEYS_MAX) {
            self.refresh_chunk(chunk, with_all, &mut report).await?;
        }
        for (key, refusal) in &report.failed {
            let KeyVersion { account, id, version } = key;
            tracing::warn!(%account, key = %id, version, %refusal, "a key was not refreshed");
        }
        Ok(report)
    }

    async fn refresh_chunk(
        self: &Arc<Self>,
        keys: &[KeyVersion],
        with_all: bool,
        report: &mut RefreshReport,
    ) -> Result<(), Refusal> {
        let seen = self.see(keys).await?;
        let mut plans: BTreeMap<(u8, u8, ManagerSet), Vec<RefreshKey>> = BTreeMap::new();
        for key in keys.iter().collect::<BTreeSet<_>>() {
            match plan(self.index, key, &seen, with_all) {
                Ok((threshold, participants, plan)) => {
                    let group = (threshold.t(), threshold.n(), participants);
                    plans.entry(group).or_default().push(plan);
                }
                Err(refusal) => report.failed.push((*key, refusal)),
            }
        }
        for ((t, n, participants), keys) in plans {
            let threshold = Threshold::new(t, n).ok_or(Refusal::BadManifest)?;
            let params = RefreshParams {
                session: Uid::random(&*self.rng)?,
                coordinator: self.index,
                participants,
                threshold,
                salt: self.rng.array()?,
                keys,
            };
            let named: Vec<KeyVersion> = params.keys.iter().map(|key| key.key).collect();
            match self.run(params).await {
                Ok(records) => {
                    report.participants = report.participants.union(participants);
                    report.records.extend(records);
                }
                Err(refusal) => {
                    report.failed.extend(named.into_iter().map(|key| (key, refusal)));
                }
            }
        }
        Ok(())
    }

    /// Where all reachable managers are, after those that are behind were told.
    async fn see(self: &Arc<Self>, keys: &[KeyVersion]) -> Result<Seen, Refusal> {
        let everybody = self.others()?.with(self.index);
        let seen = self.seen_by(everybody, keys).await;
        let mine = seen.iter().find(|(manager, _)| *manager == self.index);
        let mine = mine.map(|(_, known)| known.clone()).unwrap_or_default();
        let mut told = ManagerSet::EMPTY;
        for (manager, known) in &seen {
            let behind = known
                .values()
                .filter(|known| mine.get(&known.key).is_some_and(|mine| known.epoch < mine.epoch));
            let behind: Vec<KeyVersion> = behind.map(|known| known.key).collect();
            if behind.is_empty() {
                continue;
            }
            let records = self.heavy(move |this| {
                let records = behind.iter().map(|key| this.epoch_record(key));
                Ok(records.filter_map(|record| record.ok().flatten()).collect())
            });
            let commit = PeerRequest::RefreshCommit(records.await?);
            self.ask_peer(*manager, &commit).await.ok();
            told = told.with(*manager);
        }
        Ok(if told.is_empty() { seen } else { self.seen_by(everybody, keys).await })
    }

    async fn seen_by(self: &Arc<Self>, managers: ManagerSet, keys: &[KeyVersion]) -> Seen {
        let answers = self.ask_all(managers, &PeerRequest::Epochs(keys.to_vec())).await;
        let known = answers.into_iter().filter_map(|(manager, answer)| match answer {
            PeerAnswer::Keys(known) => {
                Some((manager, known.into_iter().map(|known| (known.key, known)).collect()))
            }
            _ => None,
        });
        known.collect()
    }

    async fn run(self: &Arc<Self>, params: RefreshParams) -> Result<Vec<SignedRecord>, Refusal> {
        let mut run = RefreshRun::new(params);
        loop {
            self.crash_point("refresh.coordinate")?;
            let messages = match run.step() {
                RunStep::Send(messages) => messages,
                RunStep::Done(records) => return Ok(records),
                RunStep::Failed(blame) => {
                    tracing::warn!(%blame, "a refresh came to nothing");
                    return Err(blame.refusal);
                }
            };
            let mut sent = JoinSet::new();
            for (to, message) in messages {
                let manager = self.clone();
                sent.spawn(async move { (to, manager.send_peer(to, message).await) });
            }
            while let Some(answered) = sent.join_next().await {
                let Ok((from, answer)) = answered else { return Err(Refusal::NotEnoughManagers) };
                run.offer(from, Some(answer.unwrap_or_else(PeerAnswer::Refused)));
            }
        }
    }
}

/// Who refreshes `key`, from which epoch to which.
fn plan(
    me: ManagerIndex,
    key: &KeyVersion,
    seen: &Seen,
    with_all: bool,
) -> Result<(Threshold, ManagerSet, RefreshKey), Refusal> {
    let mine = seen.iter().find(|(manager, _)| *manager == me);
    let mine = mine.and_then(|(_, known)| known.get(key)).ok_or(Refusal::UnknownKey)?;
    if !mine.held {
        return Err(Refusal::ShareOutdated);
    }
    let all = mine.threshold.managers();
    let mut participants = ManagerSet::EMPTY;
    let mut highest = mine.highest;
    for (manager, known) in seen.iter().filter(|(manager, _)| all.contains(*manager)) {
        let Some(known) = known.get(key) else { continue };
        if known.epoch > mine.epoch {
            // This manager missed a refresh; it learns of it by itself.
            return Err(Refusal::WrongEpoch);
        }
        highest = highest.max(known.highest);
        if known.held && known.epoch == mine.epoch && known.threshold == mine.threshold {
            participants = participants.with(*manager);
        }
    }
    let enough = participants.len() >= participants_min(mine.threshold);
    if !enough || (with_all && participants != all) {
        return Err(Refusal::NotEnoughManagers);
    }
    let to = highest.checked_add(1).ok_or(Refusal::WrongEpoch)?;
    Ok((mine.threshold, participants, RefreshKey { key: *key, from: mine.epoch, to }))
}
