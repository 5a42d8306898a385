//! Knowing that the shares in the store are current (design 5.12).
//!
//! A store that was put back from a backup is of a past epoch. It looks like any other, so a
//! manager that was started asks the others where they are before it derives anything: n - t
//! others, so that one of them at least took part in every refresh it may have missed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keysherd_crypto::sign::Signature;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::epoch::{EpochRecord, SignedRecord};
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::member::{self, Vault};
use keysherd_fragments::messages::{KeyEpoch, PEER_KEYS_MAX, PeerAnswer, PeerRequest, Prepared};
use keysherd_fragments::refresh::REFRESH_KEYS_MAX;
use keysherd_fragments::refusal::Refusal;

use crate::manager::Manager;
use crate::vault::Drawers;

/// What the others hold.
pub(crate) type Others = BTreeMap<ManagerIndex, BTreeMap<KeyVersion, KeyEpoch>>;

impl Manager {
    /// Returns once this manager knows that its shares are current, or that they are not, in which
    /// case the outdated ones are erased.
    ///
    /// # Errors
    /// [`Refusal::EpochUnchecked`] when too few others can be reached.
    pub(crate) async fn be_current(self: &Arc<Self>) -> Result<(), Refusal> {
        if self.is_current() {
            return Ok(());
        }
        let _one = self.checking.lock().await;
        if !self.is_current() {
            self.catch_up().await?;
        }
        if self.is_current() { Ok(()) } else { Err(Refusal::EpochUnchecked) }
    }

    fn is_current(&self) -> bool {
        self.current.load(Ordering::Acquire)
    }

    /// Asks all others what they hold, and takes the epochs it has not heard of.
    pub(crate) async fn catch_up(self: &Arc<Self>) -> Result<Others, Refusal> {
        let mine = self.heavy(Self::all_epochs).await?;
        let mut others = Others::new();
        for manager in self.others()?.iter() {
            if let Ok(known) = self.all_epochs_of(manager).await {
                others.insert(manager, known);
            }
        }
        for (manager, known) in &others {
            let news = known
                .values()
                .filter(|known| mine.get(&known.key).is_some_and(|mine| mine.epoch < known.epoch));
            let news: Vec<KeyVersion> = news.map(|known| known.key).collect();
            for keys in news.chunks(REFRESH_KEYS_MAX) {
                let ask = PeerRequest::Records(keys.to_vec());
                let Ok(PeerAnswer::Records(records)) = self.ask_peer(*manager, &ask).await else {
                    continue;
                };
                let records: Vec<SignedRecord> = records.into_iter().flatten().collect();
                self.commit(records).await?;
            }
        }
        let answered = others.len();
        let needed = mine.values().map(|mine| mine.threshold.n() - mine.threshold.t()).max();
        if answered >= usize::from(needed.unwrap_or(0)) {
            self.current.store(true, Ordering::Release);
        }
        Ok(others)
    }

    async fn commit(self: &Arc<Self>, records: Vec<SignedRecord>) -> Result<(), Refusal> {
        let commit = move |manager: &Self| manager.with_env(|env| member::commit(env, &records));
        self.heavy(commit).await
    }

    /// Finishes refreshes that were prepared here and whose end this manager did not see: when
    /// everybody who took part has prepared or taken them.
    pub(crate) async fn finish_prepared(self: &Arc<Self>) -> Result<(), Refusal> {
        let mine = self.heavy(Self::all_epochs).await?;
        let open: Vec<KeyEpoch> =
            mine.into_values().filter(|known| known.highest > known.epoch).collect();
        let mut by_participants: BTreeMap<ManagerSet, Vec<(KeyVersion, u32, Prepared)>> =
            BTreeMap::new();
        for known in open {
            let (key, epoch) = (known.key, known.highest);
            let shelved = self.heavy(move |manager| Drawers(manager).shelved(&key, epoch)).await?;
            let Some(shelved) = shelved else { continue };
            let record = EpochRecord::from_bytes(&shelved.body).map_err(|_| Refusal::BadRecord)?;
            let own = Prepared { body: shelved.body, signature: shelved.signature };
            by_participants.entry(record.participants).or_default().push((key, epoch, own));
        }
        for (participants, open) in by_participants {
            for open in open.chunks(REFRESH_KEYS_MAX) {
                let records = self.complete(participants, open).await;
                if records.is_empty() {
                    continue;
                }
                tracing::info!(keys = records.len(), "a refresh that was cut off is finished");
                self.commit(records.clone()).await?;
                let others = participants.minus(ManagerSet::EMPTY.with(self.index));
                self.ask_all(others, &PeerRequest::RefreshCommit(records)).await;
            }
        }
        Ok(())
    }

    /// The records that all participants are willing to sign again.
    async fn complete(
        self: &Arc<Self>,
        participants: ManagerSet,
        open: &[(KeyVersion, u32, Prepared)],
    ) -> Vec<SignedRecord> {
        let items = open.iter().map(|(key, epoch, _)| (*key, *epoch)).collect();
        let answers = self.ask_all(participants, &PeerRequest::Shelf(items)).await;
        let mut records = Vec::new();
        for (place, (_, _, own)) in open.iter().enumerate() {
            let signatures = answers.iter().filter_map(|(_, answer)| match answer {
                PeerAnswer::Prepared(all) => all.get(place).filter(|other| other.body == own.body),
                _ => None,
            });
            let signatures: Vec<Signature> = signatures.map(|other| other.signature).collect();
            if signatures.len() == usize::from(participants.len()) {
                records.push(SignedRecord { body: own.body.clone(), signatures });
            }
        }
        records
    }

    /// At which epochs this manager holds all its key versions.
    pub(crate) fn all_epochs(&self) -> Result<BTreeMap<KeyVersion, KeyEpoch>, Refusal> {
        let mut all = BTreeMap::new();
        let mut after: Option<KeyVersion> = None;
        loop {
            let page = Drawers(self).epochs(after.as_ref(), PEER_KEYS_MAX)?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.key);
            all.extend(page.into_iter().map(|known| (known.key, known)));
        }
    }

    async fn all_epochs_of(
        self: &Arc<Self>,
        manager: ManagerIndex,
    ) -> Result<BTreeMap<KeyVersion, KeyEpoch>, Refusal> {
        let mut all = BTreeMap::new();
        let mut after: Option<KeyVersion> = None;
        loop {
            let answer = self.ask_peer(manager, &PeerRequest::Keys { after }).await?;
            let PeerAnswer::Keys(page) = answer else { return Err(Refusal::AnswerMismatch) };
            // It must get on: a page that does not would never end.
            let Some(last) = page.last().filter(|last| after.is_none_or(|at| at < last.key)) else {
                return Ok(all);
            };
            after = Some(last.key);
            all.extend(page.into_iter().map(|known| (known.key, known)));
        }
    }
}
