//! All managers are lost; custodians and exports bring their fragments back. And who gets nothing.

use keysherd_base::{FaultKind, Secret};
use keysherd_crypto::hpke;
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::escrow::{Export, SignedExport, recover};
use keysherd_fragments::recovery_share::{ShareProblem, combine_recovery_key, split_recovery_key};
use keysherd_fragments::refusal::Refusal;

use super::rig::{Rig, index, key_version};
use super::rounds::{fresh_item, set};

fn seed() -> Secret<[u8; 32]> {
    Secret::new([0x5e; 32])
}

/// A deployment whose owner wants escrow.
async fn rig() -> Rig {
    Rig::with(3, |bundle| bundle.recovery_key = Some(hpke::public_key(&seed()))).await
}

fn export(rig: &Rig, number: u8) -> SignedExport {
    let made = rig.manager(number).export_recovery().unwrap();
    assert_eq!(made.missing, 0);
    SignedExport::from_bytes(&made.bytes).unwrap()
}

fn verified(rig: &Rig, number: u8) -> Export {
    export(rig, number).verify(&rig.pinned()).unwrap()
}

#[tokio::test]
async fn all_managers_are_lost_and_two_exports_bring_every_one_back() {
    let mut rig = rig().await;
    let key = key_version(1);
    let manifest = rig.generate(key).await;
    let items = rig.write(&manifest, &[fresh_item(&key)]).await.unwrap();
    let shares = split_recovery_key(&seed(), 3, 5, &SystemRng).unwrap();
    let exports = [verified(&rig, 1), verified(&rig, 3)];
    for number in 1..=3 {
        rig.stop(number);
        std::fs::remove_dir_all(rig.home(number)).unwrap();
    }
    let recovered_seed = combine_recovery_key(&shares[1..4]).unwrap();
    let old_bundle = rig.pinned();
    let mut opened = Vec::new();
    for number in 1..=3_u8 {
        let recovered = recover(&old_bundle, index(number), &exports, &recovered_seed).unwrap();
        assert!(recovered.left.is_empty());
        let manager = rig.open(number, None).unwrap();
        assert_eq!(manager.import_recovered(recovered.admitted).unwrap(), 1);
        // A second time there is something already.
        let again = recover(&old_bundle, index(number), &exports, &recovered_seed).unwrap();
        let fault = manager.import_recovered(again.admitted).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Conflict);
        let entry = &mut rig.bundle.managers[usize::from(number) - 1];
        entry.former_keys.push(entry.key);
        entry.key = manager.identity();
        opened.push((number, manager));
    }
    rig.bundle.version += 1;
    let signed = rig.signed_bundle();
    for (number, manager) in opened {
        manager.accept_bundle(&signed).await.unwrap();
        rig.adopt(number, manager);
    }
    for quorum in [set(&[1, 2]), set(&[1, 3]), set(&[2, 3])] {
        rig.read(&manifest, &items, quorum).await.unwrap();
    }
    // Everything goes on: shares are refreshed, and what was written is still read.
    rig.refresh(1, key).await;
}

#[tokio::test]
async fn t_fewer_custodians_open_nothing() {
    let shares = split_recovery_key(&seed(), 3, 5, &SystemRng).unwrap();
    assert_eq!(combine_recovery_key(&shares[..2]).err(), Some(ShareProblem::TooFew(2, 3)));
    // Even when the shares lie about how many are needed: what they give is another key.
    let mut lying = split_recovery_key(&seed(), 3, 5, &SystemRng).unwrap();
    lying.iter_mut().for_each(|share| share.threshold = 2);
    assert_eq!(combine_recovery_key(&lying[..2]).err(), Some(ShareProblem::WrongKey));
    // Control: enough of them.
    let opened = combine_recovery_key(&shares[2..]).unwrap();
    assert_eq!(opened.expose(), seed().expose());
    // They are no customer fragment.
    let combined = keysherd_fragments::recovery_share::combine(&shares);
    assert_eq!(combined.err(), Some(ShareProblem::OtherKind));
}

#[tokio::test]
async fn t_export_under_wrong_context_stays_shut() {
    let rig = rig().await;
    let key = key_version(1);
    rig.generate(key).await;
    let (one, two) = (verified(&rig, 1), verified(&rig, 2));
    let sealed = &two.keys[0];
    // Control.
    assert!(two.open_key(sealed, &seed()).is_ok());
    assert!(two.open_key(sealed, &Secret::new([1; 32])).is_err());
    // As another manager's, another identity's, another deployment's.
    assert_eq!(one.open_key(sealed, &seed()).err(), Some(Refusal::BadRecord));
    for change in [
        (|export| export.manager = index(1)) as fn(&mut Export),
        |export| export.identity.0[0] ^= 1,
        |export| export.deployment.0[0] ^= 1,
    ] {
        let mut changed = two.clone();
        change(&mut changed);
        assert_eq!(changed.open_key(sealed, &seed()).err(), Some(Refusal::BadRecord));
    }
    // As of another epoch, another version, another key, another account.
    for change in [
        (|sealed| sealed.epoch += 1) as fn(&mut keysherd_fragments::escrow::ExportedKey),
        |sealed| sealed.key.version += 1,
        |sealed| sealed.key.id.0[0] ^= 1,
        |sealed| sealed.key.account.0.0[0] ^= 1,
    ] {
        let mut changed = sealed.clone();
        change(&mut changed);
        assert_eq!(two.open_key(&changed, &seed()).err(), Some(Refusal::BadRecord));
    }
}

#[tokio::test]
async fn t_too_few_exports_of_one_epoch_give_nothing() {
    let rig = rig().await;
    let key = key_version(1);
    rig.generate(key).await;
    let old = verified(&rig, 1);
    rig.refresh(1, key).await;
    let (new_one, new_two) = (verified(&rig, 1), verified(&rig, 2));
    let left = |exports: &[Export]| {
        let recovered = recover(&rig.pinned(), index(3), exports, &seed()).unwrap();
        assert!(recovered.admitted.is_empty());
        recovered.left[0].1.refusal
    };
    assert_eq!(left(&[old.clone(), new_two.clone()]), Refusal::NotEnoughManagers);
    assert_eq!(left(std::slice::from_ref(&new_two)), Refusal::NotEnoughManagers);
    let twice = recover(&rig.pinned(), index(3), &[old, new_one.clone()], &seed());
    assert!(twice.is_err(), "one manager does not count twice");
    // Control: two of one epoch.
    let exports = [new_one, new_two];
    let recovered = recover(&rig.pinned(), index(3), &exports, &seed()).unwrap();
    assert_eq!((recovered.admitted.len(), recovered.left.len()), (1, 0));
}

#[tokio::test]
async fn t_forged_export_refused() {
    let rig = rig().await;
    rig.generate(key_version(1)).await;
    let good = export(&rig, 2);
    assert!(good.verify(&rig.pinned()).is_ok());
    // Anybody can seal to the recovery key; nobody else signs as manager 2.
    let export = good.verify(&rig.pinned()).unwrap();
    let forged = export.seal(&super::rig::signing_key());
    assert_eq!(forged.verify(&rig.pinned()).err(), Some(Refusal::WrongManager));
    let as_other = Export { manager: index(1), ..export };
    let forged = as_other.seal(rig.manager(2).identity_key());
    assert_eq!(forged.verify(&rig.pinned()).err(), Some(Refusal::WrongManager));
}

#[tokio::test]
async fn without_a_recovery_key_nothing_is_exported() {
    let rig = Rig::new().await;
    rig.generate(key_version(1)).await;
    let fault = rig.manager(1).export_recovery().err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
}
