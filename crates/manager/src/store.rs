//! The store: one file in which every record is AES-256-GCM under the epoch key (design 5.12).
//!
//! ```text
//! name   = kind u8 | account 16 | key id 16 | key version u32
//! record = epoch u64 | nonce 12 | ciphertext and tag
//! AAD    = "KSF1/at-rest" 00 | manager 16 | account 16 | key id 16 | key version u32 | epoch u64
//!          | kind u8
//! ```
//! A record that is moved to another name, another manager or another epoch does not open. Only
//! the id of the manager, its index and the format version are in clear.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use keysherd_base::{Fault, FaultKind, RngHandle, SecretBytes, Uid};
use keysherd_crypto::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use keysherd_fragments::manifest::KeyVersion;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::at_rest::EpochKey;

mod counted;
mod epochs;
mod orders;
mod record;
mod rotation;
#[cfg(test)]
mod tests;

pub(crate) use epochs::EpochWrite;
pub(crate) use record::{KeyRecord, KeyState, OrderRecord, Pin};

const CLEAR: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("clear");
const SEALED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("sealed");

const FORMAT: u8 = 1;
/// Domain separation of the additional data. A test holds it against the registry of `fragments`.
pub(crate) const AAD_LABEL: &[u8] = b"KSF1/at-rest\0";
const NAME_BYTES: usize = 1 + 16 + 16 + 4;
const EPOCH_BYTES: usize = 8;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// Identity key, index and pinned owner key.
    Pin = 1,
    /// The fragments of a key version.
    Shares = 2,
    /// What is known publicly about a key version, and its state.
    Key = 3,
    /// The trust bundle.
    Bundle = 4,
    /// The last checkpoint of the log that the store has heard of.
    LogFloor = 5,
    /// Shares that were prepared for later epochs and are not committed.
    Shelf = 16,
    /// The record of the epoch that is in force.
    Epoch = 17,
    /// When the last refresh of all key versions ended.
    Refreshed = 18,
    /// The newest order of the owner about a target.
    Order = 32,
    /// The receipt of an erased key version.
    Receipt = 33,
}

impl Kind {
    fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Pin,
            Self::Shares,
            Self::Key,
            Self::Bundle,
            Self::LogFloor,
            Self::Shelf,
            Self::Epoch,
            Self::Refreshed,
            Self::Order,
            Self::Receipt,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// Which manager a store belongs to, in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Random id of this store; part of every record's AAD.
    pub(crate) manager: Uid,
    /// The manager's index.
    pub(crate) index: u8,
}

/// The store of one manager, open.
pub(crate) struct Store {
    db: Database,
    owner: Owner,
    /// Changed by [`Store::rotate`] only.
    sealing: RwLock<Sealing>,
    /// Key versions, erased ones not included: whoever looks at the metrics asks for it.
    keys: AtomicU64,
    rng: RngHandle,
}

/// The key records are sealed under, and its epoch.
struct Sealing {
    epoch: u64,
    key: GcmKey,
}

fn broken(error: impl Into<redb::Error>) -> Fault {
    let error = error.into();
    let full = matches!(
        &error,
        redb::Error::Io(io) if matches!(
            io.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        )
    );
    if full {
        let text = "the fragment manager's disk is full; keys in use go on, new ones do not";
        return Fault::new(FaultKind::StorageFull, text).with_private(error);
    }
    let text = "the fragment manager's store cannot be read or written; its log has the details";
    Fault::new(FaultKind::Internal, text).with_private(error)
}

fn does_not_open() -> Fault {
    Fault::new(
        FaultKind::Internal,
        "a record of the fragment store does not open with the epoch key: the key belongs to \
         another store, or the store was changed; use the epoch key that was kept with this store, \
         or let this manager rejoin by repair",
    )
}

impl Store {
    /// Opens the store at `path`, or creates an empty one there.
    ///
    /// # Errors
    /// When the file is damaged or of another format, or belongs to a manager of another index.
    pub(crate) fn open(
        path: &Path,
        index: u8,
        epoch_key: &EpochKey,
        rng: RngHandle,
    ) -> Result<Self, Fault> {
        let fresh = Owner { manager: Uid::random(&*rng)?, index };
        if !path.exists() {
            create(path, fresh)?;
        }
        // A store changed from outside must be an error here, never a panic later.
        let mut builder = Database::builder();
        builder.set_check_integrity_on_open(true).set_cache_size(8 * 1024 * 1024);
        let db = builder.open(path).map_err(broken)?;
        let owner = read_or_write_owner(&db, fresh)?;
        if owner.index != index {
            return Err(Fault::conflict(format!(
                "{} belongs to fragment manager {}, not {index}; start it with its own directory",
                path.display(),
                owner.index,
            )));
        }
        let sealing = rotation::sealing(&db, epoch_key)?;
        let keys = AtomicU64::new(counted::keys(&db)?);
        Ok(Self { db, owner, sealing: RwLock::new(sealing), keys, rng })
    }

    /// Which manager it belongs to.
    pub(crate) const fn owner(&self) -> Owner {
        self.owner
    }

    /// The epoch under which records are sealed.
    pub(crate) fn epoch(&self) -> u64 {
        self.sealing().epoch
    }

    fn sealing(&self) -> RwLockReadGuard<'_, Sealing> {
        self.sealing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pinned identity; `None` in a fresh store.
    ///
    /// # Errors
    /// When the record does not open: the epoch key is of another store.
    pub(crate) fn pin(&self) -> Result<Option<Pin>, Fault> {
        let record = self.read(Kind::Pin, &NO_KEY)?;
        record.map(|record| Pin::from_bytes(&record).ok_or_else(does_not_open)).transpose()
    }

    /// Keeps the identity.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_pin(&self, pin: &Pin) -> Result<(), Fault> {
        self.write(&[(Kind::Pin, NO_KEY, Some(&pin.to_bytes()))])
    }

    /// The trust bundle that was accepted last, as it was signed.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn bundle(&self) -> Result<Option<SecretBytes>, Fault> {
        self.read(Kind::Bundle, &NO_KEY)
    }

    /// Keeps a trust bundle.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_bundle(&self, signed: Vec<u8>) -> Result<(), Fault> {
        self.write(&[(Kind::Bundle, NO_KEY, Some(&SecretBytes::new(signed)))])
    }

    /// The log checkpoint that was kept last.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn log_floor(&self) -> Result<Option<crate::log::Checkpoint>, Fault> {
        let record = self.read(Kind::LogFloor, &NO_KEY)?;
        record.map(|record| record::floor_from(&record).ok_or_else(does_not_open)).transpose()
    }

    /// Keeps a log checkpoint: a log that is shorter at the next start was cut.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_log_floor(&self, at: &crate::log::Checkpoint) -> Result<(), Fault> {
        self.write(&[(Kind::LogFloor, NO_KEY, Some(&record::floor_bytes(at)))])
    }

    /// What is known publicly about a key version.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn key(&self, key: &KeyVersion) -> Result<Option<KeyRecord>, Fault> {
        let record = self.read(Kind::Key, key)?;
        record.map(|record| KeyRecord::from_bytes(&record).ok_or_else(does_not_open)).transpose()
    }

    /// The fragments of a key version.
    ///
    /// # Errors
    /// When the record does not open.
    pub(crate) fn shares(&self, key: &KeyVersion) -> Result<Option<SecretBytes>, Fault> {
        self.read(Kind::Shares, key)
    }

    /// Keeps the fragments of a new key version together with what is known about it. Durable on
    /// return.
    ///
    /// # Errors
    /// [`FaultKind::Conflict`] when the key version exists; when the store cannot be written.
    pub(crate) fn add_key(
        &self,
        key: &KeyVersion,
        shares: &SecretBytes,
        record: &KeyRecord,
    ) -> Result<(), Fault> {
        if self.key(key)?.is_some() {
            return Err(Fault::conflict("the key version exists already"));
        }
        let record = record.to_bytes();
        self.write(&[(Kind::Shares, *key, Some(shares)), (Kind::Key, *key, Some(&record))])
    }

    /// Replaces what is known about a key version.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn set_key(&self, key: &KeyVersion, record: &KeyRecord) -> Result<(), Fault> {
        self.write(&[(Kind::Key, *key, Some(&record.to_bytes()))])
    }

    /// Erases a key version.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub(crate) fn remove_key(&self, key: &KeyVersion) -> Result<(), Fault> {
        self.write(&[
            (Kind::Shares, *key, None),
            (Kind::Shelf, *key, None),
            (Kind::Epoch, *key, None),
            (Kind::Key, *key, None),
        ])
    }

    /// Calls `visit` with every key version.
    ///
    /// # Errors
    /// When a record does not open.
    pub(crate) fn for_each_key(
        &self,
        mut visit: impl FnMut(KeyVersion, KeyRecord),
    ) -> Result<(), Fault> {
        let sealing = self.sealing();
        let transaction = self.db.begin_read().map_err(broken)?;
        let table = transaction.open_table(SEALED).map_err(broken)?;
        let first = name(Kind::Key, &NO_KEY);
        let end = [Kind::Key as u8 + 1];
        for entry in table.range(first.as_slice()..end.as_slice()).map_err(broken)? {
            let (name, record) = entry.map_err(broken)?;
            let key = key_of(name.value()).ok_or_else(does_not_open)?;
            let record = self.open_record(&sealing, Kind::Key, &key, record.value())?;
            visit(key, KeyRecord::from_bytes(&record).ok_or_else(does_not_open)?);
        }
        Ok(())
    }

    /// How many key versions there are, erased ones not included.
    pub(crate) fn key_count(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    fn read(&self, kind: Kind, key: &KeyVersion) -> Result<Option<SecretBytes>, Fault> {
        // Before the snapshot: what it shows is sealed under this key.
        let sealing = self.sealing();
        let transaction = self.db.begin_read().map_err(broken)?;
        let table = transaction.open_table(SEALED).map_err(broken)?;
        let record = table.get(name(kind, key).as_slice()).map_err(broken)?;
        record.map(|record| self.open_record(&sealing, kind, key, record.value())).transpose()
    }

    /// Writes or (with `None`) erases records in one durable transaction.
    fn write(&self, records: &[(Kind, KeyVersion, Option<&SecretBytes>)]) -> Result<(), Fault> {
        let transaction = self.db.begin_write().map_err(broken)?;
        // Taken while no other write runs: a rotation is either over or not begun.
        let sealing = self.sealing();
        let mut more = 0;
        {
            let mut table = transaction.open_table(SEALED).map_err(broken)?;
            for (kind, key, record) in records {
                let name = name(*kind, key);
                let before = match record {
                    Some(record) => {
                        let sealed = self.seal_record(&sealing, *kind, key, record)?;
                        table.insert(name.as_slice(), sealed.as_slice()).map_err(broken)?.is_some()
                    }
                    None => table.remove(name.as_slice()).map_err(broken)?.is_some(),
                };
                more += kind.counts() * (i64::from(record.is_some()) - i64::from(before));
            }
        }
        transaction.commit().map_err(broken)?;
        self.keys.fetch_add(more.cast_unsigned(), Ordering::Relaxed);
        Ok(())
    }

    fn seal_record(
        &self,
        sealing: &Sealing,
        kind: Kind,
        key: &KeyVersion,
        record: &SecretBytes,
    ) -> Result<Vec<u8>, Fault> {
        let nonce: [u8; NONCE_BYTES] = self.rng.array()?;
        let head = EPOCH_BYTES + NONCE_BYTES;
        // Room for all of it from the start: growing would leave moved copies of the plaintext.
        let mut sealed = Vec::with_capacity(head + record.expose().len() + TAG_BYTES);
        sealed.extend_from_slice(&sealing.epoch.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(record.expose());
        let aad = self.aad(kind, key, sealing.epoch);
        let tag =
            sealing.key.seal_in_place(&nonce, &aad, sealed.get_mut(head..).unwrap_or_default());
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    fn open_record(
        &self,
        sealing: &Sealing,
        kind: Kind,
        key: &KeyVersion,
        sealed: &[u8],
    ) -> Result<SecretBytes, Fault> {
        let (epoch, sealed) =
            sealed.split_first_chunk::<EPOCH_BYTES>().ok_or_else(does_not_open)?;
        let (nonce, sealed) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(does_not_open)?;
        let length = sealed.len().checked_sub(TAG_BYTES).ok_or_else(does_not_open)?;
        let aad = self.aad(kind, key, u64::from_be_bytes(*epoch));
        let mut record = SecretBytes::new(vec![0; length]);
        sealing
            .key
            .open_into(nonce, &aad, sealed, record.expose_mut())
            .map_err(|_| does_not_open())?;
        Ok(record)
    }

    fn aad(&self, kind: Kind, key: &KeyVersion, epoch: u64) -> Vec<u8> {
        let parts: [&[u8]; 7] = [
            AAD_LABEL,
            self.owner.manager.as_bytes(),
            key.account.0.as_bytes(),
            key.id.as_bytes(),
            &key.version.to_be_bytes(),
            &epoch.to_be_bytes(),
            &[kind as u8],
        ];
        parts.concat()
    }
}

/// In the name of records that belong to no key version.
const NO_KEY: KeyVersion =
    KeyVersion { account: keysherd_base::AccountId(Uid([0; 16])), id: Uid([0; 16]), version: 0 };

fn name(kind: Kind, key: &KeyVersion) -> [u8; NAME_BYTES] {
    let mut name = [0; NAME_BYTES];
    let parts: [&[u8]; 4] =
        [&[kind as u8], key.account.0.as_bytes(), key.id.as_bytes(), &key.version.to_be_bytes()];
    for (to, from) in name.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    name
}

fn key_of(name: &[u8]) -> Option<KeyVersion> {
    let (_kind, rest) = name.split_first()?;
    let (account, rest) = rest.split_first_chunk::<16>()?;
    let (id, version) = rest.split_first_chunk::<16>()?;
    Some(KeyVersion {
        account: keysherd_base::AccountId(Uid(*account)),
        id: Uid(*id),
        version: u32::from_be_bytes(version.try_into().ok()?),
    })
}

/// Reads whose store this is, or makes it `fresh`'s when it is nobody's.
/// Makes an empty store of `owner` at `path`, for its user alone. It gets its name when it is
/// complete, so that a first start that is killed leaves none or a whole one.
fn create(path: &Path, owner: Owner) -> Result<(), Fault> {
    let unfinished = path.with_extension("unfinished");
    let cannot = |error: std::io::Error| broken(redb::Error::Io(error));
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&unfinished).map_err(cannot)?;
    let backend = FileBackend::new(file).map_err(broken)?;
    let db = Database::builder().create_with_backend(backend).map_err(broken)?;
    read_or_write_owner(&db, owner)?;
    drop(db);
    std::fs::rename(&unfinished, path).map_err(cannot)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot)
}

fn read_or_write_owner(db: &Database, fresh: Owner) -> Result<Owner, Fault> {
    let transaction = db.begin_write().map_err(broken)?;
    let owner = {
        transaction.open_table(SEALED).map_err(broken)?;
        let mut table = transaction.open_table(CLEAR).map_err(broken)?;
        let found = table.get("owner").map_err(broken)?.map(|value| value.value().to_vec());
        match found {
            Some(bytes) => owner_from(&bytes)?,
            None => {
                let bytes = [[FORMAT, fresh.index].as_slice(), fresh.manager.as_bytes()].concat();
                table.insert("owner", bytes.as_slice()).map_err(broken)?;
                fresh
            }
        }
    };
    transaction.commit().map_err(broken)?;
    Ok(owner)
}

fn owner_from(bytes: &[u8]) -> Result<Owner, Fault> {
    match bytes {
        [FORMAT, index, manager @ ..] if let Ok(manager) = Uid::from_slice(manager) => {
            Ok(Owner { manager, index: *index })
        }
        _ => Err(Fault::new(
            FaultKind::Internal,
            "the fragment store has a format this version does not read; upgrade the program",
        )),
    }
}
