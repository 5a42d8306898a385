//! Providers of the epoch key: each keeps it, none in clear but the one that says so.

use std::path::Path;
use std::sync::Arc;

use keysherd_base::{Secret, SecretString};
use keysherd_crypto::random::SystemRng;

use crate::{
    AtRestKey, EpochKey, KeyFile, Moving, PassphraseWrapping, SystemdWrapping, WrappedKeyFile,
};

fn under_passphrase(path: &Path, text: &str) -> WrappedKeyFile<PassphraseWrapping> {
    let passphrase = SecretString::new(text.to_owned());
    WrappedKeyFile::new(path, PassphraseWrapping::new(passphrase, SystemRng::handle()))
}

fn key(epoch: u64) -> EpochKey {
    EpochKey::only(epoch, Secret::new([0xa5; 32]))
}

fn kept(provider: &dyn AtRestKey) -> Option<(u64, [u8; 32])> {
    provider.load().unwrap().map(|key| (key.epoch, *key.key.expose()))
}

/// What every provider must do; `shows` says whether the key may be read from its file.
fn behaves(provider: &dyn AtRestKey, path: &Path, shows: bool) {
    assert!(kept(provider).is_none());
    for epoch in [1, 2] {
        provider.replace(&key(epoch)).unwrap();
        assert_eq!(kept(provider), Some((epoch, [0xa5; 32])));
    }
    let file = std::fs::read(path).unwrap();
    let found = file.windows(16).any(|bytes| bytes == [0xa5; 16]);
    assert_eq!(found, shows, "{} and the key in clear", provider.name());
    let mut damaged = file.clone();
    let last = damaged.len() - 2;
    damaged[last] ^= 1;
    std::fs::write(path, damaged).unwrap();
    provider.load().err().expect("a damaged key loads");
    std::fs::write(path, file).unwrap();
    assert_eq!(kept(provider), Some((2, [0xa5; 32])));
    provider.erase().unwrap();
    assert!(kept(provider).is_none());
    provider.erase().unwrap();
}

#[test]
fn every_provider_keeps_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("epoch.key");
    behaves(&KeyFile::new(&path), &path, true);
    behaves(&under_passphrase(&path, "open sesame"), &path, false);
    // The real tool, with the key of this host: it is part of systemd, and wants root.
    behaves(&WrappedKeyFile::new(&path, SystemdWrapping::default()), &path, false);
}

#[test]
fn a_wrong_passphrase_says_so_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("epoch.key");
    under_passphrase(&path, "open sesame").replace(&key(1)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let fault = under_passphrase(&path, "open barley").load().err().unwrap();
    assert!(fault.public().contains("the passphrase is wrong"), "{fault}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_key_moves_from_one_provider_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, wrapped) = (dir.path().join("epoch.key"), dir.path().join("epoch.key.passphrase"));
    KeyFile::new(&plain).replace(&key(3)).unwrap();
    let from = Arc::new(KeyFile::new(&plain));
    let to = Arc::new(under_passphrase(&wrapped, "open sesame"));
    let moving = Moving::new(from.clone(), to.clone());
    assert_eq!(kept(&moving), Some((3, [0xa5; 32])));
    assert!(!plain.exists(), "the key is still in clear");
    assert_eq!(kept(&*to), Some((3, [0xa5; 32])));
    // A crash between the two steps leaves it at both; the next start finishes.
    from.replace(&key(3)).unwrap();
    assert_eq!(kept(&moving), Some((3, [0xa5; 32])));
    assert!(!plain.exists());
    moving.replace(&key(4)).unwrap();
    assert_eq!(kept(&*to), Some((4, [0xa5; 32])));
}
