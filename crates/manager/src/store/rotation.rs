//! Sealing the whole store anew: what lay in it before is erased with the old epoch key.
//!
//! Files, backups and disk blocks keep old ciphertexts for as long as they like. Erasing the key
//! they are sealed under erases them all at once (design 5.12). At every moment the provider keeps
//! the key of what is on the disk: first the new key is kept beside the old one, then everything is
//! sealed anew in one transaction, then the old key is forgotten.

use keysherd_base::{Fault, Secret};
use keysherd_crypto::aead::GcmKey;
use redb::{Database, ReadableDatabase, ReadableTable};

use super::{
    EPOCH_BYTES, EpochKey, Kind, PoisonError, SEALED, Sealing, Store, broken, does_not_open, key_of,
};
use crate::at_rest::AtRestKey;

/// The key the records of `db` are sealed under: after a crash in the middle of a rotation that
/// can be the next one.
pub(super) fn sealing(db: &Database, kept: &EpochKey) -> Result<Sealing, Fault> {
    let current = || Sealing { epoch: kept.epoch, key: GcmKey::aes256(kept.key.expose()) };
    let Some(next) = &kept.next else { return Ok(current()) };
    let transaction = db.begin_read().map_err(broken)?;
    let table = transaction.open_table(SEALED).map_err(broken)?;
    let first = table.first().map_err(broken)?;
    let epoch = first.and_then(|(_, sealed)| sealed.value().first_chunk::<EPOCH_BYTES>().copied());
    if epoch.map(u64::from_be_bytes) == Some(kept.epoch.saturating_add(1)) {
        let key = GcmKey::aes256(next.expose());
        return Ok(Sealing { epoch: kept.epoch.saturating_add(1), key });
    }
    Ok(current())
}

impl Store {
    /// Seals every record under a fresh key and has `at_rest` forget the old one, so that nothing
    /// that was erased or replaced before can be read again, wherever a copy of it lies.
    ///
    /// # Errors
    /// When a record does not open, or the store or the key cannot be written. The store is then as
    /// before, or is sealed anew with both keys still kept; calling again finishes it.
    pub(crate) fn rotate(&self, at_rest: &dyn AtRestKey) -> Result<(), Fault> {
        self.settle(at_rest)?;
        let kept = at_rest.load()?.ok_or_else(does_not_open)?;
        let mut next = Secret::new([0; 32]);
        self.rng.fill(next.expose_mut())?;
        let epoch = kept.epoch.saturating_add(1);
        let key = GcmKey::aes256(next.expose());
        at_rest.replace(&EpochKey { next: Some(next), ..kept })?;
        self.seal_anew(Sealing { epoch, key })?;
        self.settle(at_rest)
    }

    /// Has `at_rest` keep the one key that is in use, when a rotation left two.
    ///
    /// # Errors
    /// When the key cannot be read or kept.
    pub(crate) fn settle(&self, at_rest: &dyn AtRestKey) -> Result<(), Fault> {
        let kept = at_rest.load()?.ok_or_else(does_not_open)?;
        let Some(next) = kept.next else { return Ok(()) };
        let used = if self.epoch() == kept.epoch {
            EpochKey::only(kept.epoch, kept.key)
        } else {
            EpochKey::only(kept.epoch.saturating_add(1), next)
        };
        at_rest.replace(&used)
    }

    fn seal_anew(&self, next: Sealing) -> Result<(), Fault> {
        let transaction = self.db.begin_write().map_err(broken)?;
        // Nobody reads or writes meanwhile: a record belongs to the key it is sealed under.
        let mut sealing = self.sealing.write().unwrap_or_else(PoisonError::into_inner);
        {
            let mut table = transaction.open_table(SEALED).map_err(broken)?;
            let mut anew = Vec::new();
            for entry in table.iter().map_err(broken)? {
                let (name, sealed) = entry.map_err(broken)?;
                let name = name.value().to_vec();
                let number = name.first().copied().unwrap_or_default();
                let kind = Kind::from_number(number).ok_or_else(does_not_open)?;
                let key = key_of(&name).ok_or_else(does_not_open)?;
                let record = self.open_record(&sealing, kind, &key, sealed.value())?;
                anew.push((name, self.seal_record(&next, kind, &key, &record)?));
            }
            for (name, sealed) in &anew {
                table.insert(name.as_slice(), sealed.as_slice()).map_err(broken)?;
            }
        }
        transaction.commit().map_err(broken)?;
        *sealing = next;
        Ok(())
    }
}
