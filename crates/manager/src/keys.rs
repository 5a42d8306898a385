//! The key versions a manager holds: from the store, through bounded caches.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use keysherd_base::{Fault, FaultKind, SecretBytes, Timestamp, Uid};
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::epoch::SignedRecord;
use keysherd_fragments::manager_side::{self, KeyRing, KeyStatus};
use keysherd_fragments::manifest::{KeyVersion, Manifest};
use keysherd_fragments::refresh::Shelved;
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::repair::KeyNotes;
use keysherd_fragments::share::KeyShares;
use quick_cache::sync::Cache;

use crate::orders::Stops;
use crate::store::{EpochWrite, KeyRecord, KeyState, Store};

/// What is known publicly about a key version.
pub(crate) struct KeyInfo {
    /// As it is stored.
    pub(crate) record: KeyRecord,
    /// Whether its fragments are there: not after a refresh that this manager missed.
    held: bool,
    group: String,
    fragment: Uid,
}

impl KeyInfo {
    fn new(record: KeyRecord, held: bool) -> Result<Self, Fault> {
        let manifest = Manifest::from_bytes(&record.manifest).map_err(Fault::from)?;
        Ok(Self { record, held, group: manifest.group, fragment: manifest.fragment })
    }

    /// The key group.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Whether its fragments are there: not after a refresh that this manager missed.
    pub(crate) const fn is_held(&self) -> bool {
        self.held
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.record.state, KeyState::Pending { expires_at } if now > expires_at)
    }
}

/// The key versions of one manager.
pub(crate) struct Keys {
    store: Store,
    infos: Cache<KeyVersion, Arc<KeyInfo>>,
    /// Decrypted fragments. They are zeroized when the cache and the last request drop them.
    shares: Cache<KeyVersion, Arc<KeyShares>>,
    /// Held while the state of a key version is read and then changed.
    changing: Mutex<()>,
    /// What the owner has stopped.
    stops: ArcSwap<Stops>,
    /// Grows when fragments are replaced.
    changes: AtomicU64,
}

/// What is to be kept of a key version at another epoch.
pub(crate) struct NewEpoch {
    /// Which key version.
    pub(crate) key: KeyVersion,
    /// What is known of it, where this manager may never have heard of it.
    pub(crate) notes: Option<KeyNotes>,
    /// The record of the epoch; `None` at epoch 0.
    pub(crate) record: Option<SignedRecord>,
    /// The shares; `None` when this manager has none.
    pub(crate) shares: Option<KeyShares>,
}

impl Keys {
    /// The key versions in `store`, of which `cached_max` are kept in memory.
    pub(crate) fn new(store: Store, cached_max: usize) -> Self {
        Self {
            store,
            infos: Cache::new(cached_max),
            shares: Cache::new(cached_max),
            changing: Mutex::new(()),
            stops: ArcSwap::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// The store.
    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// What is known about `key`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn info(&self, key: &KeyVersion) -> Result<Option<Arc<KeyInfo>>, Fault> {
        if let Some(info) = self.infos.get(key) {
            return Ok(Some(info));
        }
        let seen = self.changes();
        let Some(record) = self.store.key(key)? else { return Ok(None) };
        let info = Arc::new(KeyInfo::new(record, self.store.has_shares(key)?)?);
        self.infos.insert(*key, info.clone());
        if self.changes() != seen {
            self.infos.remove(key);
        }
        Ok(Some(info))
    }

    /// The fragments of `key`.
    ///
    /// # Errors
    /// When the store cannot be read or the record is damaged.
    pub(crate) fn shares(&self, key: &KeyVersion) -> Result<Option<Arc<KeyShares>>, Fault> {
        if let Some(shares) = self.shares.get(key) {
            return Ok(Some(shares));
        }
        // Held, so that nothing comes into memory that was erased between reading and keeping it.
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.changes();
        let Some(record) = self.store.shares(key)? else { return Ok(None) };
        let shares = Arc::new(KeyShares::from_record(&record)?);
        if shares.key() != *key {
            return Err(Refusal::BadRecord.into());
        }
        self.shares.insert(*key, shares.clone());
        if self.changes() != seen {
            // They may have been replaced between reading and keeping.
            self.shares.remove(key);
        }
        Ok(Some(shares))
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Keeps shares beside the current ones. Durable on return.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn shelve(&self, shares: Vec<(KeyVersion, Shelved)>) -> Result<(), Fault> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shelves = Vec::with_capacity(shares.len());
        for (key, shelved) in shares {
            let mut shelf = self.store.shelf(&key)?;
            shelf.retain(|other| other.epoch != shelved.epoch);
            shelf.push(shelved);
            shelves.push((key, shelf));
        }
        self.store.set_shelves(&shelves)
    }

    /// Puts epochs in force, and erases the shares of every epoch before. Key versions that were
    /// destroyed meanwhile stay so.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn set_epochs(&self, epochs: Vec<NewEpoch>) -> Result<(), Fault> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writes = Vec::with_capacity(epochs.len());
        for NewEpoch { key, notes, record, shares } in epochs {
            let known = self.store.key(&key)?;
            let mut info = match (known, notes) {
                (Some(known), _) => known,
                (None, Some(notes)) => KeyRecord {
                    state: KeyState::Enabled,
                    session: notes.session,
                    gateway: notes.gateway,
                    manifest: notes.manifest,
                },
                (None, None) => continue,
            };
            if info.state == KeyState::Destroyed {
                continue;
            }
            // Whoever takes part in a refresh says that the key version is in use.
            info.state = KeyState::Enabled;
            let epoch = record.as_ref().map_or(0, SignedRecord::epoch);
            let mut shelf = self.store.shelf(&key)?;
            shelf.retain(|shelved| shelved.epoch > epoch);
            let shares = shares.map(|shares| shares.to_record());
            writes.push(EpochWrite { key, info, record, shares, shelf });
        }
        self.store.set_epochs(&writes)?;
        self.changes.fetch_add(1, Ordering::Release);
        for EpochWrite { key, .. } in &writes {
            self.infos.remove(key);
            self.shares.remove(key);
        }
        Ok(())
    }

    /// Keeps a fresh key version durably. Doing the same again changes nothing.
    ///
    /// # Errors
    /// [`FaultKind::Conflict`] when there is another key version of this name; when the store
    /// cannot be written.
    pub(crate) fn add(
        &self,
        key: &KeyVersion,
        shares: &SecretBytes,
        record: KeyRecord,
    ) -> Result<(), Fault> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.store.key(key)? {
            let same = found.session == record.session && found.manifest == record.manifest;
            let conflict = || Fault::conflict("the key version exists already; choose a new one");
            return if same { Ok(()) } else { Err(conflict()) };
        }
        self.store.add_key(key, shares, &record)?;
        self.infos.insert(*key, Arc::new(KeyInfo::new(record, true)?));
        Ok(())
    }

    /// Makes pending key versions usable for good.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] when one was erased meanwhile; when the store cannot be written.
    pub(crate) fn enable(&self, keys: &[KeyVersion]) -> Result<(), Fault> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let found = self.store.key(key)?;
            let mut record = found.ok_or_else(|| Fault::from(Refusal::UnknownKey))?;
            if matches!(record.state, KeyState::Pending { .. }) {
                record.state = KeyState::Enabled;
                self.store.set_key(key, &record)?;
                self.infos.remove(key);
            }
        }
        Ok(())
    }

    /// Erases the fragments of a key version for good, in the store and in memory. Its record
    /// stays, so that the version never comes back.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] for a key version that is unknown; when the store cannot be written.
    pub(crate) fn erase(&self, key: &KeyVersion, receipt: &Signed) -> Result<(), Fault> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.store.key(key)?;
        let mut record = found.ok_or_else(|| Fault::from(Refusal::UnknownKey))?;
        record.state = KeyState::Destroyed;
        self.store.erase_shares(key, &record, receipt)?;
        self.infos.insert(*key, Arc::new(KeyInfo::new(record, false)?));
        self.shares.remove(key);
        Ok(())
    }

    /// What the owner has stopped.
    pub(crate) fn stops(&self) -> Arc<Stops> {
        self.stops.load_full()
    }

    /// Replaces what the owner has stopped.
    pub(crate) fn set_stops(&self, stops: Stops) {
        self.stops.store(Arc::new(stops));
    }

    /// Erases the key versions that were never completed and are over their time.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) fn discard_expired(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(KeyVersion, KeyRecord)>, Fault> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut expired = Vec::new();
        self.store.for_each_key(|key, record| {
            if matches!(record.state, KeyState::Pending { expires_at } if now > expires_at) {
                expired.push((key, record));
            }
        })?;
        for (key, _) in &expired {
            self.store.remove_key(key)?;
            self.infos.remove(key);
            self.shares.remove(key);
        }
        Ok(expired)
    }
}

/// What one request may look up. Records are read when they are first asked for.
pub(crate) struct Ring<'m> {
    keys: &'m Keys,
    now: Timestamp,
    /// Whether pending key versions count as usable; see [`Ring::of_permit`].
    in_use: bool,
    slots: BTreeMap<KeyVersion, OnceCell<Option<Arc<KeyInfo>>>>,
    /// For the one key version of a generation, which is not known beforehand.
    single: OnceCell<(KeyVersion, Option<Arc<KeyInfo>>)>,
    failed: Cell<bool>,
}

impl<'m> Ring<'m> {
    /// A ring for a request with a permit that names `keys`.
    ///
    /// `in_use` says that the permit is for real data. No message tells a manager that all n
    /// managers signed a manifest, but a gateway verifies all signatures before its first write. So
    /// a permit for real data is taken as the sign that the key version is complete: erasing
    /// fragments that are in use would be worse than keeping a key version that nobody accepts.
    pub(crate) fn of_permit(
        keys: &'m Keys,
        named: &[KeyVersion],
        in_use: bool,
        now: Timestamp,
    ) -> Self {
        let slots = named.iter().map(|key| (*key, OnceCell::new())).collect();
        Self { keys, now, in_use, slots, single: OnceCell::new(), failed: Cell::new(false) }
    }

    /// A ring for a generation.
    pub(crate) fn of_generation(keys: &'m Keys, now: Timestamp) -> Self {
        Self::of_permit(keys, &[], false, now)
    }

    /// What to say instead of `refusal`: a store that cannot be read is no missing key.
    pub(crate) fn explain(&self, refusal: Refusal) -> Refusal {
        if self.failed.get() { Refusal::BadRecord } else { refusal }
    }

    /// Whether the store could not be read.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// Of `keys`, those that are stored as pending.
    pub(crate) fn pending<'k>(
        &self,
        keys: impl Iterator<Item = &'k KeyVersion>,
    ) -> Vec<KeyVersion> {
        let is_pending = |key: &&KeyVersion| {
            let info = self.slots.get(key).and_then(OnceCell::get).and_then(Option::as_ref);
            info.is_some_and(|info| matches!(info.record.state, KeyState::Pending { .. }))
        };
        keys.filter(is_pending).copied().collect()
    }

    fn look_up(&self, key: &KeyVersion) -> Option<Arc<KeyInfo>> {
        match self.keys.info(key) {
            Ok(info) => info.filter(|info| !info.is_expired(self.now)),
            Err(fault) => {
                tracing::error!(?fault, "a key record cannot be read");
                self.failed.set(true);
                None
            }
        }
    }
}

impl KeyRing for Ring<'_> {
    fn status(&self, key: &KeyVersion) -> Option<KeyStatus<'_>> {
        let info = match self.slots.get(key) {
            Some(slot) => slot.get_or_init(|| self.look_up(key)),
            None => {
                let (found, info) = self.single.get_or_init(|| (*key, self.look_up(key)));
                if found == key { info } else { &None }
            }
        };
        let info = info.as_ref()?;
        let stops = self.keys.stops.load();
        let state = match info.record.state {
            KeyState::Destroyed => manager_side::KeyState::Destroyed,
            _ if stops.scheduled(key).is_some() => manager_side::KeyState::Disabled,
            _ if !info.held => manager_side::KeyState::Outdated,
            KeyState::Pending { .. } if !self.in_use => manager_side::KeyState::Pending,
            KeyState::Pending { .. } | KeyState::Enabled => manager_side::KeyState::Enabled,
        };
        let frozen = stops.is_frozen(key, info.group());
        Some(KeyStatus { group: info.group(), fragment: info.fragment, state, frozen })
    }
}

/// What a gateway is told when the store fails.
pub(crate) fn store_refusal(fault: &Fault) -> Refusal {
    match fault.kind() {
        FaultKind::Conflict => Refusal::KeyExists,
        FaultKind::NotFound => Refusal::UnknownKey,
        _ => {
            tracing::error!(?fault, "the fragment store failed");
            Refusal::BadRecord
        }
    }
}
