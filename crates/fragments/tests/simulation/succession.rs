//! A new owner key: who believes it, and what relays can do to the statements.

use keysherd_base::{Timestamp, Uid};
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::{SUCCESSIONS_MAX, SignedBundle, Succession};
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::refusal::Refusal;

use crate::cluster::TestCluster;

/// Owners 0, 1, 2 of one deployment, one after the other.
struct Owners {
    bundle: Bundle,
    keys: Vec<SigningKey>,
}

impl Owners {
    fn new() -> Self {
        let cluster = TestCluster::new(3);
        let keys = (0..3).map(|number| SigningKey::from_seed(&[50 + number; 32].into()));
        Self { keys: keys.collect(), bundle: cluster.bundle }
    }

    fn statement(&self, from: usize, to: usize) -> Signed {
        let statement = Succession {
            deployment: self.bundle.deployment,
            former: self.keys[from].public(),
            next: self.keys[to].public(),
            issued_at: Timestamp(1_800_000_000_000),
        };
        statement.seal(&self.keys[from])
    }

    fn bundle(&self, version: u64, owner: usize, statements: &[Signed]) -> SignedBundle {
        let bundle = Bundle { version, ..self.bundle.clone() };
        let signed = bundle.seal(&self.keys[owner]).with_successions(statements.to_vec());
        SignedBundle::from_bytes(&signed.to_bytes()).unwrap()
    }

    fn pinned(&self, owner: usize) -> PinnedBundle {
        PinnedBundle::open(self.keys[owner].public(), self.bundle(1, owner, &[])).unwrap()
    }
}

#[test]
fn whoever_pinned_the_old_key_believes_the_new_one_by_its_statement_only() {
    let owners = Owners::new();
    let first = owners.pinned(0);
    assert_eq!(first.accept(owners.bundle(2, 1, &[])).err(), Some(Refusal::BadBundleSignature));
    // The new key speaks for itself: no statement of the old one.
    let own = owners.statement(1, 1);
    let refused = first.accept(owners.bundle(2, 1, &[own])).err();
    assert_eq!(refused, Some(Refusal::BadBundleSignature));
    let statement = owners.statement(0, 1);
    let second = first.accept(owners.bundle(2, 1, std::slice::from_ref(&statement))).unwrap();
    assert_eq!(second.owner(), owners.keys[1].public());
    // From then on the old key, lost or stolen, is nobody.
    let refused = second.accept(owners.bundle(3, 0, &[])).err();
    assert_eq!(refused, Some(Refusal::BadBundleSignature));
    let usurped = owners.bundle(3, 2, &[owners.statement(0, 2)]);
    assert_eq!(second.accept(usurped).err(), Some(Refusal::BadBundleSignature));
    assert_eq!(second.accept(owners.bundle(3, 1, &[])).unwrap().version(), 3);
    // Neither does an older bundle come back under the new key.
    let older = owners.bundle(1, 1, &[statement]);
    assert_eq!(second.accept(older).err(), Some(Refusal::BundleOlder));
}

#[test]
fn who_missed_a_change_follows_the_whole_chain() {
    let owners = Owners::new();
    let chain = [owners.statement(0, 1), owners.statement(1, 2)];
    let newest = owners.bundle(5, 2, &chain);
    for pin in 0..3 {
        let key = owners.keys[pin].public();
        let installed = PinnedBundle::open(key, newest.clone()).unwrap();
        assert_eq!(installed.owner(), owners.keys[2].public(), "pinned {pin}");
        // Whoever holds it can relay it to those who pinned an older key.
        let relayed = installed.signed().clone();
        assert!(PinnedBundle::open(owners.keys[0].public(), relayed).is_ok(), "pinned {pin}");
        if pin < 2 {
            let held = owners.pinned(pin);
            assert_eq!(held.accept(newest.clone()).unwrap().owner(), owners.keys[2].public());
        }
    }
    let backwards = [owners.statement(1, 2), owners.statement(0, 1)];
    let refused = owners.pinned(0).accept(owners.bundle(5, 2, &backwards)).err();
    assert_eq!(refused, Some(Refusal::BadBundleSignature));
}

#[test]
fn what_is_kept_opens_again_whatever_a_relay_leaves_out_or_adds() {
    let owners = Owners::new();
    let key = owners.keys[0].public();
    let chain = [owners.statement(0, 1), owners.statement(1, 2)];
    let junk = owners.statement(2, 1);
    let steps = [
        owners.bundle(2, 1, &chain[..1]),
        owners.bundle(3, 1, &[]),
        owners.bundle(4, 1, &vec![junk.clone(); SUCCESSIONS_MAX]),
        owners.bundle(5, 2, &[junk, chain[1].clone()]),
        owners.bundle(6, 2, &[]),
    ];
    let mut held = owners.pinned(0);
    for step in steps {
        held = held.accept(step).unwrap();
        let kept = held.signed().to_bytes();
        let again = PinnedBundle::open(key, SignedBundle::from_bytes(&kept).unwrap()).unwrap();
        assert_eq!((again.owner(), again.version()), (held.owner(), held.version()));
    }
    assert_eq!(held.owner(), owners.keys[2].public());
}

#[test]
fn a_statement_for_another_deployment_leads_nowhere() {
    let mut owners = Owners::new();
    let mine = owners.bundle.deployment;
    owners.bundle.deployment = Uid([0x0d; 16]);
    let elsewhere = owners.statement(0, 1);
    owners.bundle.deployment = mine;
    let refused = owners.pinned(0).accept(owners.bundle(2, 1, &[elsewhere])).err();
    assert_eq!(refused, Some(Refusal::BadSuccession));
}

#[test]
fn a_change_takes_a_newer_bundle() {
    let owners = Owners::new();
    let statement = owners.statement(0, 1);
    let held = owners.pinned(0);
    let same = held.accept(owners.bundle(1, 1, &[statement])).unwrap();
    assert_eq!(same.owner(), owners.keys[0].public(), "the same bundle changes nothing");
}

#[test]
fn more_statements_than_are_kept_are_refused() {
    let owners = Owners::new();
    let many = vec![owners.statement(0, 1); SUCCESSIONS_MAX + 1];
    let signed = owners.bundle.seal(&owners.keys[1]).with_successions(many);
    assert_eq!(SignedBundle::from_bytes(&signed.to_bytes()), Err(Refusal::TooLarge));
}
