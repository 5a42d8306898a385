//! What a simulated manager keeps on its disk. A write happens as a whole or not at all, and the
//! manager can be killed right before or right after it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{SecretBytes, Uid};
use keysherd_fragments::epoch::SignedRecord;
use keysherd_fragments::manifest::{KeyVersion, TrustedManifest};
use keysherd_fragments::member::{Change, Holding, Vault};
use keysherd_fragments::messages::KeyEpoch;
use keysherd_fragments::refresh::{RefreshParams, Shelved};
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::repair::{Admitted, KeyNotes};
use keysherd_fragments::share::KeyShares;

/// One key version on a disk, as bytes.
#[derive(Default)]
struct Stored {
    manifest: Vec<u8>,
    record: Option<SignedRecord>,
    shares: Option<SecretBytes>,
    shelf: BTreeMap<u32, SecretBytes>,
}

/// When to die, relative to the next write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    Before,
    After,
}

#[derive(Default)]
pub(crate) struct Disk {
    keys: RefCell<BTreeMap<KeyVersion, Stored>>,
    /// Set by the test, taken by the next write.
    pub(crate) death: Cell<Option<Death>>,
}

impl Disk {
    /// Keeps a fresh key version.
    pub(crate) fn add(&self, key: KeyVersion, manifest: &[u8], shares: SecretBytes) {
        let manifest = manifest.to_vec();
        let stored = Stored { manifest, shares: Some(shares), ..Stored::default() };
        self.keys.borrow_mut().insert(key, stored);
    }

    /// Keeps repaired shares.
    pub(crate) fn admit(&self, admitted: Admitted) -> Result<(), Refusal> {
        self.write(|keys| {
            let stored = keys.entry(admitted.shares.key()).or_default();
            stored.manifest = admitted.notes.manifest;
            let epoch = admitted.shares.epoch();
            stored.record = admitted.record;
            stored.shares = Some(admitted.shares.to_record());
            stored.shelf.retain(|shelved, _| *shelved > epoch);
        })
    }

    /// All shares of a key version that could be used: the current ones and those prepared.
    pub(crate) fn all_shares(&self, key: &KeyVersion) -> Vec<KeyShares> {
        let keys = self.keys.borrow();
        let Some(stored) = keys.get(key) else { return Vec::new() };
        let current = stored.shares.as_ref().map(|shares| KeyShares::from_record(shares).unwrap());
        let shelved = stored.shelf.values();
        let shelved = shelved.map(|shelved| Shelved::from_record(shelved.expose()).unwrap().shares);
        current.into_iter().chain(shelved).collect()
    }

    fn write(&self, change: impl FnOnce(&mut BTreeMap<KeyVersion, Stored>)) -> Result<(), Refusal> {
        let death = self.death.take();
        if death == Some(Death::Before) {
            return Err(Refusal::BadRecord);
        }
        change(&mut self.keys.borrow_mut());
        if death == Some(Death::After) { Err(Refusal::BadRecord) } else { Ok(()) }
    }
}

impl Vault for Disk {
    fn holding(&self, key: &KeyVersion) -> Result<Option<Holding>, Refusal> {
        let keys = self.keys.borrow();
        let Some(stored) = keys.get(key) else { return Ok(None) };
        let manifest = TrustedManifest::of_own(&stored.manifest, stored.record.as_ref())?;
        let shelved = stored.shelf.keys().last().copied().unwrap_or(0);
        let shares = stored.shares.as_ref().map(KeyShares::from_record).transpose()?;
        Ok(Some(Holding {
            highest: manifest.manifest().epoch.max(shelved),
            manifest: Arc::new(manifest),
            shares: shares.map(Arc::new),
            record: stored.record.clone(),
            shelved: stored.shelf.len(),
            notes: KeyNotes {
                manifest: stored.manifest.clone(),
                session: Uid::default(),
                gateway: [0; 32],
            },
        }))
    }

    fn epoch(&self, key: &KeyVersion) -> Result<Option<KeyEpoch>, Refusal> {
        Ok(self.holding(key)?.map(|held| KeyEpoch {
            key: *key,
            threshold: held.manifest.manifest().threshold,
            epoch: held.manifest.manifest().epoch,
            highest: held.highest,
            held: held.shares.is_some(),
            in_use: true,
        }))
    }

    fn epochs(&self, after: Option<&KeyVersion>, max: usize) -> Result<Vec<KeyEpoch>, Refusal> {
        let keys: Vec<KeyVersion> = self.keys.borrow().keys().copied().collect();
        let keys = keys.iter().filter(|key| after.is_none_or(|after| after < *key)).take(max);
        let mut epochs = Vec::new();
        for key in keys {
            epochs.extend(self.epoch(key)?);
        }
        Ok(epochs)
    }

    fn shelved(&self, key: &KeyVersion, epoch: u32) -> Result<Option<Shelved>, Refusal> {
        let keys = self.keys.borrow();
        let found = keys.get(key).and_then(|stored| stored.shelf.get(&epoch));
        found.map(|shelved| Shelved::from_record(shelved.expose())).transpose()
    }

    fn shelve(&self, _run: &RefreshParams, shares: Vec<Shelved>) -> Result<(), Refusal> {
        self.write(|keys| {
            for shelved in shares {
                let stored = keys.get_mut(&shelved.shares.key()).unwrap();
                stored.shelf.insert(shelved.epoch, shelved.to_record());
            }
        })
    }

    fn change(&self, changes: Vec<Change>) -> Result<(), Refusal> {
        self.write(|keys| {
            for Change { key, record, shares } in changes {
                let stored = keys.get_mut(&key).unwrap();
                let epoch = record.epoch();
                stored.record = Some(record);
                stored.shares = shares.map(|shares| shares.to_record());
                stored.shelf.retain(|shelved, _| *shelved > epoch);
            }
        })
    }
}
