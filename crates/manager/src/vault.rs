//! What refresh and repair keep, in the manager's store: durable, and logged before it is answered.

use std::sync::Arc;

use keysherd_base::Fault;
use keysherd_base::Uid;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::epoch::{EpochRecord, SignedRecord};
use keysherd_fragments::manifest::{KeyVersion, Manifest, TrustedManifest};
use keysherd_fragments::member::{Change, Holding, Vault};
use keysherd_fragments::messages::KeyEpoch;
use keysherd_fragments::refresh::{RefreshParams, Shelved};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::repair::KeyNotes;

use crate::keys::{KeyInfo, NewEpoch, store_refusal};
use crate::log::{Entry, EpochEvent, EpochStep, Event, KeyRef};
use crate::manager::Manager;
use crate::serve::log_refusal;
use crate::store::KeyState;

/// The store of a manager, as refresh and repair see it.
pub(crate) struct Drawers<'m>(pub(crate) &'m Manager);

fn failed(fault: Fault) -> Refusal {
    store_refusal(&fault)
}

impl Vault for Drawers<'_> {
    fn holding(&self, key: &KeyVersion) -> Result<Option<Holding>, Refusal> {
        let keys = &self.0.keys;
        let Some(info) = self.known(key)? else { return Ok(None) };
        let record = keys.store().epoch_record(key).map_err(failed)?;
        let manifest = TrustedManifest::of_own(&info.record.manifest, record.as_ref())?;
        let shelf = keys.store().shelf(key).map_err(failed)?;
        let shelved_max = shelf.iter().map(|shelved| shelved.epoch).max().unwrap_or(0);
        Ok(Some(Holding {
            highest: manifest.manifest().epoch.max(shelved_max),
            manifest: Arc::new(manifest),
            shares: keys.shares(key).map_err(failed)?,
            record,
            shelved: shelf.len(),
            notes: KeyNotes {
                manifest: info.record.manifest.clone(),
                session: info.record.session,
                gateway: info.record.gateway,
            },
        }))
    }

    fn epoch(&self, key: &KeyVersion) -> Result<Option<KeyEpoch>, Refusal> {
        let store = self.0.keys.store();
        let Some(info) = self.known(key)? else { return Ok(None) };
        let manifest = Manifest::from_bytes(&info.record.manifest)?;
        let record = store.epoch_record(key).map_err(failed)?;
        let epoch = record.as_ref().map_or(manifest.epoch, SignedRecord::epoch);
        let shelf = store.shelf(key).map_err(failed)?;
        let highest = shelf.iter().map(|shelved| shelved.epoch).max().unwrap_or(0).max(epoch);
        Ok(Some(KeyEpoch {
            key: *key,
            threshold: manifest.threshold,
            epoch,
            highest,
            held: info.is_held(),
            in_use: info.record.state == KeyState::Enabled,
        }))
    }

    fn epochs(&self, after: Option<&KeyVersion>, max: usize) -> Result<Vec<KeyEpoch>, Refusal> {
        let mut after = after.copied();
        loop {
            let page = self.0.keys.store().keys_after(after.as_ref(), max).map_err(failed)?;
            after = page.last().copied();
            let mut epochs = Vec::with_capacity(page.len());
            for key in &page {
                epochs.extend(self.epoch(key)?);
            }
            // A page of destroyed keys only is no end.
            if !epochs.is_empty() || page.is_empty() {
                return Ok(epochs);
            }
        }
    }

    fn shelved(&self, key: &KeyVersion, epoch: u32) -> Result<Option<Shelved>, Refusal> {
        let shelf = self.0.keys.store().shelf(key).map_err(failed)?;
        Ok(shelf.into_iter().find(|shelved| shelved.epoch == epoch))
    }

    fn shelve(&self, run: &RefreshParams, shares: Vec<Shelved>) -> Result<(), Refusal> {
        self.0.crash_point("refresh.prepare.before")?;
        let named: Vec<_> =
            shares.into_iter().map(|shelved| (shelved.shares.key(), shelved)).collect();
        let keys = named.iter().map(|(key, shelved)| (*key, shelved.epoch)).collect::<Vec<_>>();
        self.0.keys.shelve(named).map_err(failed)?;
        self.0.crash_point("refresh.prepare.stored")?;
        self.0.log_epochs(EpochEvent {
            session: run.session,
            manager: run.coordinator.get(),
            participants: run.participants.bits(),
            ..event(EpochStep::Prepared, &keys)
        })?;
        self.0.crash_point("refresh.prepare.after")
    }

    fn change(&self, changes: Vec<Change>) -> Result<(), Refusal> {
        self.0.crash_point("refresh.commit.before")?;
        for (step, with_shares) in [(EpochStep::Committed, true), (EpochStep::Outdated, false)] {
            let of_step: Vec<&Change> =
                changes.iter().filter(|change| change.shares.is_some() == with_shares).collect();
            let Some(first) = of_step.first() else { continue };
            let keys: Vec<_> =
                of_step.iter().map(|change| (change.key, change.record.epoch())).collect();
            let record = EpochRecord::from_bytes(&first.record.body).ok();
            let participants = record.as_ref().map_or(0, |record| record.participants.bits());
            let session = record.map(|record| record.session).unwrap_or_default();
            self.0.log_epochs(EpochEvent { session, participants, ..event(step, &keys) })?;
            if step == EpochStep::Outdated {
                tracing::warn!(
                    keys = keys.len(),
                    "key versions were refreshed without this manager; it waits for a repair"
                );
            }
        }
        let epochs = changes.into_iter().map(|Change { key, record, shares }| NewEpoch {
            key,
            notes: None,
            record: Some(record),
            shares,
        });
        self.0.keys.set_epochs(epochs.collect()).map_err(failed)?;
        self.0.note_replaced();
        self.0.crash_point("refresh.commit.after")
    }
}

impl Drawers<'_> {
    fn known(&self, key: &KeyVersion) -> Result<Option<Arc<KeyInfo>>, Refusal> {
        let info = self.0.keys.info(key).map_err(failed)?;
        let now = self.0.clock.now();
        Ok(info.filter(|info| info.record.state != KeyState::Destroyed && !info.is_expired(now)))
    }
}

/// An event about these key versions and their epochs.
pub(crate) fn event(step: EpochStep, keys: &[(KeyVersion, u32)]) -> EpochEvent {
    let keys = keys
        .iter()
        .map(|(key, epoch)| (key.account, KeyRef { key_id: key.id, version: key.version }, *epoch));
    EpochEvent {
        step,
        session: Uid::default(),
        manager: 0,
        participants: 0,
        permit_sha256: [0; 32],
        audit_seq: 0,
        gateway: [0; 32],
        keys: keys.collect(),
    }
}

impl Manager {
    pub(crate) fn log_epochs(&self, event: EpochEvent) -> Result<(), Refusal> {
        let entry = Entry { at: self.clock.now(), event: Event::Epochs(event) };
        self.log.append_blocking(&entry).map(|_| ()).map_err(log_refusal)
    }
}
