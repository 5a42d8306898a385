//! Tests of `store`: records open under their own name, manager and epoch key, and nowhere else.

use std::path::{Path, PathBuf};

use keysherd_base::{AccountId, Secret, SecretBytes, Timestamp};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::PublicKey;
use tempfile::TempDir;

use super::*;
use crate::at_rest::AtRestKey;
use crate::log::Checkpoint;

fn key_version(number: u8) -> KeyVersion {
    KeyVersion { account: AccountId(Uid([1; 16])), id: Uid([number; 16]), version: 7 }
}

fn record() -> KeyRecord {
    KeyRecord {
        state: KeyState::Pending { expires_at: Timestamp(99) },
        session: Uid([3; 16]),
        gateway: [4; 32],
        manifest: vec![5; 300],
    }
}

fn open_with(path: &Path, index: u8, epoch: u64, key: u8) -> Result<Store, Fault> {
    let key = EpochKey::only(epoch, Secret::new([key; 32]));
    Store::open(path, index, &key, SystemRng::handle())
}

fn fresh() -> (TempDir, PathBuf, Store) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fragments.redb");
    let store = open_with(&path, 1, 1, 9).unwrap();
    (dir, path, store)
}

/// Reads, changes and writes sealed records behind the store's back.
fn tamper(path: &Path, change: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>)) {
    let db = Database::create(path).unwrap();
    let transaction = db.begin_write().unwrap();
    change(&mut transaction.open_table(SEALED).unwrap());
    transaction.commit().unwrap();
}

fn sealed(table: &redb::Table<'_, &[u8], &[u8]>, name: &[u8]) -> Vec<u8> {
    table.get(name).unwrap().unwrap().value().to_vec()
}

#[test]
fn what_is_kept_comes_back() {
    let (_dir, path, store) = fresh();
    let owner = store.owner();
    let pin = Pin { seed: Secret::new([6; 32]), owner: PublicKey([7; 32]) };
    assert!(store.pin().unwrap().is_none());
    store.set_pin(&pin).unwrap();
    store.set_bundle(vec![1, 2, 3]).unwrap();
    let floor = Checkpoint { size: 12, head: [8; 32] };
    store.set_log_floor(&floor).unwrap();
    let shares = SecretBytes::new(vec![0x5e; 100]);
    store.add_key(&key_version(1), &shares, &record()).unwrap();
    let states = [KeyState::Enabled, KeyState::Destroyed];
    for (state, number) in states.into_iter().zip(2..) {
        let record = KeyRecord { state, ..record() };
        store.add_key(&key_version(number), &shares, &record).unwrap();
    }
    drop(store);

    let store = open_with(&path, 1, 1, 9).unwrap();
    assert_eq!(store.owner(), owner);
    let kept = store.pin().unwrap().unwrap();
    assert_eq!((kept.seed.expose(), kept.owner), (&[6; 32], PublicKey([7; 32])));
    assert_eq!(store.bundle().unwrap().unwrap().expose(), &[1, 2, 3]);
    assert_eq!(store.log_floor().unwrap(), Some(floor));
    assert_eq!(store.key(&key_version(1)).unwrap(), Some(record()));
    assert_eq!(store.shares(&key_version(1)).unwrap().unwrap().expose(), shares.expose());
    assert_eq!(store.key_count(), 3);
    let mut seen = Vec::new();
    store.for_each_key(|key, record| seen.push((key, record.state))).unwrap();
    let pending = KeyState::Pending { expires_at: Timestamp(99) };
    assert_eq!(seen[0], (key_version(1), pending));
    assert_eq!(seen[1..], [2, 3].map(|n: u8| (key_version(n), states[usize::from(n) - 2])));
    store.remove_key(&key_version(1)).unwrap();
    assert!(store.key(&key_version(1)).unwrap().is_none());
    assert!(store.shares(&key_version(1)).unwrap().is_none());
    assert_eq!(store.key_count(), 2);
    // Writing what is known anew, or erasing what is not there, changes nothing.
    store.set_key(&key_version(2), &self::record()).unwrap();
    store.remove_key(&key_version(1)).unwrap();
    assert_eq!(store.key_count(), 2);
    drop(store);
    assert_eq!(open_with(&path, 1, 1, 9).unwrap().key_count(), 2, "as it is counted anew");
}

#[test]
fn an_existing_key_version_is_not_written_over() {
    let (_dir, _path, store) = fresh();
    let (first, second) = (SecretBytes::new(vec![1]), SecretBytes::new(vec![2]));
    store.add_key(&key_version(1), &first, &record()).unwrap();
    let fault = store.add_key(&key_version(1), &second, &record()).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Conflict);
    assert_eq!(store.shares(&key_version(1)).unwrap().unwrap().expose(), &[1]);
}

#[test]
fn a_record_does_not_open_elsewhere() {
    let (_dir, path, store) = fresh();
    let (one, two) = (SecretBytes::new(vec![1; 40]), SecretBytes::new(vec![2; 40]));
    store.add_key(&key_version(1), &one, &record()).unwrap();
    store.add_key(&key_version(2), &two, &record()).unwrap();
    drop(store);
    let names = [(1, Kind::Shares), (2, Kind::Shares), (1, Kind::Key)]
        .map(|(number, kind)| name(kind, &key_version(number)));
    let [shares_1, shares_2, key_1] = names;
    // Under the name of another key version, or of another kind.
    for (from, to) in [(shares_2, shares_1), (key_1, shares_1), (shares_1, key_1)] {
        let copy = path.with_extension("copy");
        std::fs::copy(&path, &copy).unwrap();
        tamper(&copy, |table| {
            let moved = sealed(table, &from);
            table.insert(to.as_slice(), moved.as_slice()).unwrap();
        });
        let store = open_with(&copy, 1, 1, 9).unwrap();
        let read = if to == key_1 {
            store.key(&key_version(1)).err()
        } else {
            store.shares(&key_version(1)).err()
        };
        assert!(read.unwrap().public().contains("does not open"));
    }
    // Under another epoch than the one it was sealed for.
    tamper(&path, |table| {
        let mut changed = sealed(table, &shares_1);
        changed[7] ^= 1;
        table.insert(shares_1.as_slice(), changed.as_slice()).unwrap();
    });
    let store = open_with(&path, 1, 1, 9).unwrap();
    assert!(store.shares(&key_version(1)).is_err());
    drop(store);
    // In the store of another manager with the same epoch key.
    let other = path.with_extension("other");
    drop(open_with(&other, 1, 1, 9).unwrap());
    let mut moved = Vec::new();
    tamper(&path, |table| moved = sealed(table, &shares_2));
    tamper(&other, |table| {
        table.insert(shares_2.as_slice(), moved.as_slice()).unwrap();
    });
    let store = open_with(&other, 1, 1, 9).unwrap();
    assert!(store.shares(&key_version(2)).is_err());
}

#[test]
fn every_changed_bit_of_a_record_is_seen() {
    let (_dir, path, store) = fresh();
    store.add_key(&key_version(1), &SecretBytes::new(vec![1; 8]), &record()).unwrap();
    drop(store);
    let name = name(Kind::Shares, &key_version(1));
    let mut good = Vec::new();
    tamper(&path, |table| good = sealed(table, &name));
    for bit in (0..good.len() * 8).step_by(37) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        tamper(&path, |table| {
            table.insert(name.as_slice(), bad.as_slice()).unwrap();
        });
        let store = open_with(&path, 1, 1, 9).unwrap();
        assert!(store.shares(&key_version(1)).is_err(), "bit {bit}");
    }
    for length in [0, 7, 8, 19, 20, 35, good.len() - 1] {
        tamper(&path, |table| {
            table.insert(name.as_slice(), &good[..length]).unwrap();
        });
        let store = open_with(&path, 1, 1, 9).unwrap();
        assert!(store.shares(&key_version(1)).is_err(), "length {length}");
    }
}

#[test]
fn a_store_of_another_manager_or_key_is_refused() {
    let (_dir, path, store) = fresh();
    store.set_pin(&Pin { seed: Secret::new([6; 32]), owner: PublicKey([7; 32]) }).unwrap();
    drop(store);
    let fault = open_with(&path, 2, 1, 9).err().unwrap();
    assert!(fault.public().contains("belongs to fragment manager 1, not 2"), "{fault}");
    let store = open_with(&path, 1, 1, 8).unwrap();
    assert!(store.pin().err().unwrap().public().contains("epoch key"));
    drop(store);
    // No store at all.
    std::fs::write(&path, b"something else").unwrap();
    assert!(open_with(&path, 1, 1, 9).is_err());
}

#[test]
fn one_record_written_twice_has_two_ciphertexts() {
    let (_dir, path, store) = fresh();
    let name = name(Kind::Bundle, &NO_KEY);
    let mut seen = Vec::new();
    store.set_bundle(vec![1; 32]).unwrap();
    drop(store);
    tamper(&path, |table| seen.push(sealed(table, &name)));
    let store = open_with(&path, 1, 1, 9).unwrap();
    store.set_bundle(vec![1; 32]).unwrap();
    drop(store);
    tamper(&path, |table| seen.push(sealed(table, &name)));
    assert_ne!(seen[0][8..20], seen[1][8..20], "a nonce was used twice");
    assert_ne!(seen[0][20..], seen[1][20..]);
}

/// Keeps the epoch key in memory, and fails when told to.
#[derive(Default)]
struct InMemory {
    kept: std::sync::Mutex<Vec<u8>>,
    /// How many more replacements succeed; `None`: all.
    left: std::sync::Mutex<Option<u32>>,
}

impl AtRestKey for InMemory {
    fn load(&self) -> Result<Option<EpochKey>, Fault> {
        Ok(EpochKey::from_bytes(&self.kept.lock().unwrap()))
    }

    fn replace(&self, key: &EpochKey) -> Result<(), Fault> {
        if let Some(left) = self.left.lock().unwrap().as_mut() {
            *left = left.checked_sub(1).ok_or_else(|| Fault::internal("no more"))?;
        }
        *self.kept.lock().unwrap() = key.to_bytes().expose().clone();
        Ok(())
    }

    fn erase(&self) -> Result<(), Fault> {
        self.kept.lock().unwrap().clear();
        Ok(())
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

#[test]
fn a_rotated_store_opens_under_the_new_key_only() {
    let (_dir, path, store) = fresh();
    let at_rest = InMemory::default();
    at_rest.replace(&EpochKey::only(1, Secret::new([9; 32]))).unwrap();
    store.add_key(&key_version(1), &SecretBytes::new(vec![1; 40]), &record()).unwrap();
    store.rotate(&at_rest).unwrap();
    assert_eq!(store.epoch(), 2);
    assert_eq!(store.shares(&key_version(1)).unwrap().unwrap().expose(), &vec![1; 40]);
    drop(store);
    let kept = at_rest.load().unwrap().unwrap();
    assert_eq!((kept.epoch, kept.next.is_none()), (2, true));
    let store = Store::open(&path, 1, &kept, SystemRng::handle()).unwrap();
    assert_eq!(store.key(&key_version(1)).unwrap(), Some(record()));
    drop(store);
    let store = open_with(&path, 1, 1, 9).unwrap();
    assert!(store.shares(&key_version(1)).is_err(), "the old key still opens a record");
}

#[test]
fn a_rotation_that_is_cut_off_loses_nothing() {
    // Killed after the first replacement, and after the store was sealed anew.
    for (replacements, sealed_anew) in [(0, false), (1, true)] {
        let (_dir, path, store) = fresh();
        let at_rest = InMemory::default();
        at_rest.replace(&EpochKey::only(1, Secret::new([9; 32]))).unwrap();
        store.add_key(&key_version(1), &SecretBytes::new(vec![1; 40]), &record()).unwrap();
        *at_rest.left.lock().unwrap() = Some(replacements);
        store.rotate(&at_rest).unwrap_err();
        drop(store);
        *at_rest.left.lock().unwrap() = None;
        if !sealed_anew {
            // As if it had been killed between the two.
            let mut kept = at_rest.load().unwrap().unwrap();
            kept.next = Some(Secret::new([5; 32]));
            at_rest.replace(&kept).unwrap();
        }
        let kept = at_rest.load().unwrap().unwrap();
        assert!(kept.next.is_some());
        let store = Store::open(&path, 1, &kept, SystemRng::handle()).unwrap();
        assert_eq!(store.shares(&key_version(1)).unwrap().unwrap().expose(), &vec![1; 40]);
        assert_eq!(store.epoch(), if sealed_anew { 2 } else { 1 });
        store.settle(&at_rest).unwrap();
        assert!(at_rest.load().unwrap().unwrap().next.is_none());
        assert_eq!(at_rest.load().unwrap().unwrap().epoch, store.epoch());
        store.rotate(&at_rest).unwrap();
        assert_eq!(store.key(&key_version(1)).unwrap(), Some(record()));
    }
}
