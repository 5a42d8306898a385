//! What the store keeps of epochs: the record in force, and shares that are not committed yet.

use keysherd_base::{Fault, SecretBytes, Timestamp};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::epoch::SignedRecord;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::refresh::Shelved;
use minicbor::{Decoder, Encoder};
use redb::ReadableDatabase;
use zeroize::Zeroizing;

use super::{KeyRecord, Kind, NO_KEY, SEALED, Store, broken, does_not_open, key_of, name};

/// What is to be kept of one key version after its epoch changed. Shares of every epoch before are
/// erased with it.
pub(crate) struct EpochWrite {
    /// Which key version.
    pub(crate) key: KeyVersion,
    /// Its record.
    pub(crate) info: KeyRecord,
    /// The record of the epoch; `None` at epoch 0.
    pub(crate) record: Option<SignedRecord>,
    /// The shares; `None` when this manager has none of this epoch.
    pub(crate) shares: Option<SecretBytes>,
    /// What was prepared for later epochs.
    pub(crate) shelf: Vec<Shelved>,
}

impl Store {
    /// The record of the epoch that is in force; `None` at epoch 0.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn epoch_record(&self, key: &KeyVersion) -> Result<Option<SignedRecord>, Fault> {
        let record = self.read(Kind::Epoch, key)?;
        let open = |record: SecretBytes| SignedRecord::from_bytes(record.expose());
        record.map(open).transpose().map_err(|_| does_not_open())
    }

    /// Whether the fragments of a key version are there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn has_shares(&self, key: &KeyVersion) -> Result<bool, Fault> {
        let transaction = self.db.begin_read().map_err(broken)?;
        let table = transaction.open_table(SEALED).map_err(broken)?;
        let found = table.get(name(Kind::Shares, key).as_slice()).map_err(broken)?;
        Ok(found.is_some())
    }

    /// What was prepared for epochs that are not committed, ascending.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn shelf(&self, key: &KeyVersion) -> Result<Vec<Shelved>, Fault> {
        let Some(record) = self.read(Kind::Shelf, key)? else { return Ok(Vec::new()) };
        let mut from = Decoder::new(record.expose());
        let count = from.array().ok().flatten().ok_or_else(does_not_open)?;
        let mut shelf = Vec::new();
        for _ in 0..count {
            let shelved = from.bytes().map_err(|_| does_not_open())?;
            shelf.push(Shelved::from_record(shelved).map_err(|_| does_not_open())?);
        }
        Ok(shelf)
    }

    /// Keeps shelves, all or none. Durable on return.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_shelves(&self, shelves: &[(KeyVersion, Vec<Shelved>)]) -> Result<(), Fault> {
        let records: Vec<_> =
            shelves.iter().map(|(key, shelf)| (*key, shelf_bytes(shelf))).collect();
        let writes: Vec<_> =
            records.iter().map(|(key, record)| (Kind::Shelf, *key, Some(record))).collect();
        self.write(&writes)
    }

    /// Puts epochs in force, all or none. Durable on return.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_epochs(&self, epochs: &[EpochWrite]) -> Result<(), Fault> {
        let mut records = Vec::with_capacity(epochs.len());
        for epoch in epochs {
            let proof = epoch.record.as_ref().map(|proof| SecretBytes::new(proof.to_bytes()));
            let shelf = (!epoch.shelf.is_empty()).then(|| shelf_bytes(&epoch.shelf));
            records.push((epoch.info.to_bytes(), proof, shelf));
        }
        let mut writes = Vec::with_capacity(4 * epochs.len());
        for (epoch, (info, proof, shelf)) in epochs.iter().zip(&records) {
            writes.push((Kind::Key, epoch.key, Some(info)));
            writes.push((Kind::Epoch, epoch.key, proof.as_ref()));
            writes.push((Kind::Shares, epoch.key, epoch.shares.as_ref()));
            writes.push((Kind::Shelf, epoch.key, shelf.as_ref()));
        }
        self.write(&writes)
    }

    /// Up to `max` key versions after `after`, ascending.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn keys_after(
        &self,
        after: Option<&KeyVersion>,
        max: usize,
    ) -> Result<Vec<KeyVersion>, Fault> {
        let transaction = self.db.begin_read().map_err(broken)?;
        let table = transaction.open_table(SEALED).map_err(broken)?;
        let first = name(Kind::Key, after.unwrap_or(&NO_KEY));
        let end = [Kind::Key as u8 + 1];
        let mut keys = Vec::new();
        for entry in table.range(first.as_slice()..end.as_slice()).map_err(broken)? {
            let (name, _) = entry.map_err(broken)?;
            let key = key_of(name.value()).ok_or_else(does_not_open)?;
            if after != Some(&key) {
                keys.push(key);
            }
            if keys.len() >= max {
                break;
            }
        }
        Ok(keys)
    }

    /// When the last refresh of all key versions ended; `None` before the first.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn refreshed_at(&self) -> Result<Option<Timestamp>, Fault> {
        let Some(record) = self.read(Kind::Refreshed, &NO_KEY)? else { return Ok(None) };
        let bytes = record.expose().first_chunk::<8>().ok_or_else(does_not_open)?;
        Ok(Some(Timestamp(i64::from_be_bytes(*bytes))))
    }

    /// Keeps when the last refresh of all key versions ended.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_refreshed_at(&self, at: Timestamp) -> Result<(), Fault> {
        let record = SecretBytes::new(at.0.to_be_bytes().to_vec());
        self.write(&[(Kind::Refreshed, NO_KEY, Some(&record))])
    }
}

fn shelf_bytes(shelf: &[Shelved]) -> SecretBytes {
    const WRITES: &str = "invariant: writing to memory does not fail";
    let records: Vec<SecretBytes> = shelf.iter().map(Shelved::to_record).collect();
    let length: usize = records.iter().map(|record| record.expose().len() + 8).sum();
    let mut to = Encoder::new(Vec::with_capacity(length + 16));
    to.array(records.len() as u64).expect(WRITES);
    for record in &records {
        to.bytes(record.expose()).expect(WRITES);
    }
    let bytes = Zeroizing::new(to.into_writer());
    SecretBytes::new(bytes.to_vec())
}
