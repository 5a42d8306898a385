//! Starting, stopping, what a directory belongs to, and trust bundles.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use keysherd_base::{FaultKind, Secret};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::messages::{ManagerAnswer, ManagerRequest};
use keysherd_fragments::permit::Op;
use keysherd_fragments::refusal::Refusal;

use super::rig::{Rig, index, key_version, random, signing_key};
use super::rounds::{entry, fresh_item, set};
use crate::log::{Comparison, compare};
use crate::{AtRestKey, EpochKey, KeyFile, Manager};

#[tokio::test]
async fn the_second_start_finds_everything_again() {
    let mut rig = Rig::new().await;
    let before = rig.manager(1).status();
    assert_eq!(rig.home(1).metadata().unwrap().mode() & 0o777, 0o700);
    for file in ["epoch.key", "lock", "log/0000000000000001.log"] {
        let mode = rig.home(1).join(file).metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    rig.stop(1);
    rig.start(1);
    let after = rig.manager(1).status();
    assert_eq!(after.identity, before.identity);
    assert_eq!(after.manager_id, before.manager_id);
    assert_eq!(after.bundle_version, 1);
    assert!(after.serving);
    assert!(after.checkpoint.size > before.checkpoint.size);
    assert_eq!(after.at_rest, "key file");
}

#[tokio::test]
async fn a_directory_in_use_is_refused() {
    let rig = Rig::new().await;
    let fault = rig.open(1, None).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Conflict);
    assert!(fault.public().contains("in use"), "{fault}");
}

#[tokio::test]
async fn a_directory_of_another_manager_is_refused() {
    let mut rig = Rig::new().await;
    rig.stop(1);
    rig.stop(2);
    // Another index.
    let mut config = rig.config(1);
    config.index = index(2);
    let fault = Manager::open(config, rig.owner.public(), None, rig.link(1)).err().unwrap();
    assert!(fault.public().contains("belongs to fragment manager 1, not 2"), "{fault}");
    // The same index in another deployment: the bundle lists another key.
    let other = Rig::new().await;
    let fault = rig.open(1, Some(&other.signed_bundle())).err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unauthorized, "{fault}");
    let fault =
        Manager::open(rig.config(1), other.owner.public(), None, rig.link(1)).err().unwrap();
    assert!(fault.public().contains("installed with owner key"), "{fault}");
    // A bundle of the right owner that puts another machine at this index.
    let mut replaced = rig.bundle.clone();
    replaced.version += 1;
    replaced.managers[0].key = signing_key().public();
    let signed = replaced.seal(&rig.owner).to_bytes();
    let fault = rig.open(1, Some(&signed)).err().unwrap();
    assert!(fault.public().contains("does not list this manager's key"), "{fault}");
    rig.start(2);
}

#[tokio::test]
async fn a_wrong_or_missing_epoch_key_is_refused() {
    let mut rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    rig.stop(1);
    let path = rig.home(1).join("epoch.key");
    let right = std::fs::read(&path).unwrap();
    // Another key.
    let file = KeyFile::new(&path);
    file.replace(&EpochKey::only(1, Secret::new(random()))).unwrap();
    let fault = rig.open(1, None).err().unwrap();
    assert!(fault.public().contains("does not open with the epoch key"), "{fault}");
    // A damaged file, at every byte.
    for at in 0..right.len() {
        let mut damaged = right.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let fault = rig.open(1, None).err().unwrap();
        assert!(fault.public().contains("is damaged"), "{fault}");
    }
    // Readable by others.
    std::fs::write(&path, &right).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let fault = rig.open(1, None).err().unwrap();
    assert!(fault.public().contains("open to other users"), "{fault}");
    // Missing.
    std::fs::remove_file(&path).unwrap();
    let fault = rig.open(1, None).err().unwrap();
    assert!(fault.public().contains("missing"), "{fault}");
    // Back again.
    std::fs::write(&path, &right).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    rig.start(1);
}

#[tokio::test]
async fn a_directory_open_to_others_is_refused() {
    let mut rig = Rig::new().await;
    rig.stop(1);
    let open = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(rig.home(1), open).unwrap();
    let fault = rig.open(1, None).err().unwrap();
    assert!(fault.public().contains("open to other users"), "{fault}");
}

#[tokio::test]
async fn without_a_bundle_nothing_is_served() {
    let mut rig = Rig::new().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = rig.config(1);
    config.dir = dir.path().join("fresh");
    config.at_rest = Arc::new(KeyFile::new(config.dir.join("epoch.key")));
    let fresh = Manager::open(config, rig.owner.public(), None, rig.link(1)).unwrap();
    let permit = rig.permit(Op::Read, vec![entry(&fresh_item(&key_version(1)))], |_| {});
    let old = rig.managers[0].replace(fresh);
    let mode = keysherd_fragments::derive::Mode::Read;
    let refused = rig.derive_at(1, &permit, vec![0], mode).await;
    assert_eq!(refused.unwrap_err(), Refusal::BundleStale);
    rig.managers[0] = old;
}

#[tokio::test]
async fn bundles_only_go_forward_and_survive_a_restart() {
    let mut rig = Rig::new().await;
    let first = rig.signed_bundle();
    rig.change_bundle(|bundle| bundle.cache_ttl_seconds_max = 30).await;
    let second = rig.signed_bundle();
    let manager = rig.manager(1).clone();
    assert_eq!(manager.status().bundle_version, 2);
    // The same again changes nothing.
    let entries = manager.status().checkpoint.size;
    assert_eq!(manager.accept_bundle(&second).await.unwrap(), 2);
    assert_eq!(manager.status().checkpoint.size, entries);
    // Older, forked, by somebody else, of another deployment, no bundle at all.
    let fault = manager.accept_bundle(&first).await.unwrap_err();
    assert!(fault.public().contains("older"), "{fault}");
    let mut forked = rig.bundle.clone();
    forked.cache_ttl_seconds_max = 31;
    let fault = manager.accept_bundle(&forked.seal(&rig.owner).to_bytes()).await.unwrap_err();
    assert!(fault.public().contains("one version"), "{fault}");
    forked.version += 1;
    let forged = forked.seal(&signing_key()).to_bytes();
    let fault = manager.accept_bundle(&forged).await.unwrap_err();
    assert!(fault.public().contains("not signed by the pinned owner"), "{fault}");
    forked.deployment = keysherd_base::Uid([1; 16]);
    let fault = manager.accept_bundle(&forked.seal(&rig.owner).to_bytes()).await.unwrap_err();
    assert!(fault.public().contains("another deployment"), "{fault}");
    manager.accept_bundle(b"\x80").await.unwrap_err();
    drop(manager);
    rig.restart_all();
    assert_eq!(rig.manager(1).status().bundle_version, 2);
    // Relayed by whoever, through the protocol.
    rig.bundle.version += 1;
    let request = ManagerRequest::Bundle(rig.bundle.seal(&rig.owner));
    match rig.ask(1, [0; 32], &request).await.unwrap() {
        ManagerAnswer::BundlePinned { version } => assert_eq!(version, 3),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_replaced_manager_serves_no_more() {
    let mut rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    let item = fresh_item(&key_version(1));
    let items = rig.write(&manifest, &[item]).await.unwrap();
    rig.change_bundle(|bundle| {
        let entry = &mut bundle.managers[0];
        entry.former_keys.push(entry.key);
        entry.key = signing_key().public();
    })
    .await;
    assert!(!rig.manager(1).status().serving);
    let permit = rig.permit(Op::Read, vec![entry(&item)], |_| {});
    let mode = keysherd_fragments::derive::Mode::Read;
    let refused = rig.derive_at(1, &permit, vec![0], mode).await;
    assert_eq!(refused.unwrap_err(), Refusal::WrongManager);
    rig.read(&manifest, &items, set(&[2, 3])).await.unwrap();
    rig.stop(1);
    assert!(rig.open(1, None).is_err());
}

#[tokio::test]
async fn the_status_answer_says_how_the_manager_is() {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    match rig.ask(2, [0; 32], &ManagerRequest::Status).await.unwrap() {
        ManagerAnswer::Status(status) => {
            assert_eq!(status.manager, index(2));
            assert_eq!((status.bundle_version, status.key_versions), (1, 1));
            let (manager, at) = crate::log::Checkpoint::read_signed(&status.checkpoint).unwrap();
            let own = rig.manager(2).status();
            assert_eq!((manager, at), (own.manager_id, own.checkpoint));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn peers_are_told_by_their_certificates() {
    let rig = Rig::new().await;
    assert_eq!(rig.manager(1).peer_index(&[2; 32]), Some(index(2)));
    assert_eq!(rig.manager(1).peer_index(&[9; 32]), None);
    assert_eq!(rig.manager(1).peer_index(&rig.gateway.public().spki_sha256()), None);
}

#[test]
fn a_replaced_epoch_key_is_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("epoch.key");
    let file = KeyFile::new(&path);
    assert!(file.load().unwrap().is_none());
    for epoch in [1, 2] {
        file.replace(&EpochKey::only(epoch, Secret::new([7; 32]))).unwrap();
        let kept = file.load().unwrap().unwrap();
        assert_eq!((kept.epoch, *kept.key.expose()), (epoch, [7; 32]));
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    }
    // Nothing else stays behind, and what cannot be kept is an error.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let nowhere = KeyFile::new(dir.path().join("nowhere/epoch.key"));
    nowhere.replace(&EpochKey::only(1, Secret::new([7; 32]))).unwrap_err();
    assert!(KeyFile::new(dir.path()).load().is_err());
}

#[test]
fn a_replaced_epoch_key_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("epoch.key");
    let file = KeyFile::new(&path);
    file.replace(&EpochKey::only(1, Secret::new([7; 32]))).unwrap();
    // A second name keeps the old file visible.
    let old = dir.path().join("old");
    std::fs::hard_link(&path, &old).unwrap();
    assert!(std::fs::read(&old).unwrap().windows(32).any(|bytes| bytes == [7; 32]));
    file.replace(&EpochKey::only(2, Secret::new([8; 32]))).unwrap();
    assert!(std::fs::read(&old).unwrap().iter().all(|byte| *byte == 0));
    assert_eq!(*file.load().unwrap().unwrap().key.expose(), [8; 32]);
}

#[tokio::test]
async fn a_killed_manager_loses_nothing_it_answered() {
    let mut rig = Rig::new().await;
    let manifest = rig.generate(key_version(1)).await;
    let items = rig.write(&manifest, &[fresh_item(&key_version(1))]).await.unwrap();
    // What is on disk at this moment is what a kill leaves; nothing was closed.
    let before = rig.manager(1).status();
    let killed = rig.dir.path().join("killed");
    std::fs::create_dir(&killed).unwrap();
    std::fs::create_dir(killed.join("log")).unwrap();
    for dir in [&killed, &killed.join("log")] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    for (path, _) in rig.disk_of(1) {
        let name = path.strip_prefix(rig.home(1)).unwrap();
        std::fs::copy(&path, killed.join(name)).unwrap();
    }
    let mut config = rig.config(1);
    config.dir = killed.clone();
    config.at_rest = Arc::new(KeyFile::new(killed.join("epoch.key")));
    let again = Manager::open(config, rig.owner.public(), None, rig.link(1)).unwrap();
    let after = again.status();
    assert_eq!((after.identity, after.bundle_version), (before.identity, 1));
    assert_eq!(after.key_versions, 1);
    assert_eq!(compare(&killed.join("log"), &before.checkpoint).unwrap(), Comparison::Contained);
    rig.managers[0] = Some(again);
    rig.read(&manifest, &items, set(&[1, 2])).await.unwrap();
}
