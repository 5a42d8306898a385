//! Writing: who lies is found out before anything is stored.

use keysherd_base::Uid;
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_fragments::gateway_side::{Confirmation, WriteOutcome};
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manager_set::{ManagerSet, Threshold};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_fragments::refusal::Refusal;

use crate::cluster::{FRAGMENT_ID, TestCluster, commitments, sealed, set};
use crate::manager::Conduct;

fn items(cluster: &mut TestCluster, key: &KeyVersion, count: usize) -> Vec<ContextFields> {
    (0..count).map(|_| cluster.fields(key, Class::SecretItem)).collect()
}

#[test]
fn an_honest_write_is_confirmed_and_every_quorum_reads_it() {
    for (t, n) in [(2, 2), (2, 3), (3, 3), (3, 5)] {
        for fragment in [Uid::default(), FRAGMENT_ID] {
            let (mut cluster, key) = TestCluster::with_key(t, n, fragment);
            let items = items(&mut cluster, &key, 3);
            let WriteOutcome::Sealed { keys, confirmation, liars, evidence } =
                cluster.write(&items)
            else {
                panic!("not sealed");
            };
            assert_eq!(confirmation, Confirmation::Confirmed);
            assert!(liars.is_empty() && evidence.is_empty());
            let threshold = Threshold::new(t, n).unwrap();
            for quorum in threshold.managers().subsets(t) {
                let report = cluster.read(&items, commitments(&keys), quorum);
                for (written, read) in keys.iter().zip(&report.keys) {
                    let read = read.as_ref().unwrap();
                    assert_eq!(written.kek.expose(), read.kek.expose(), "{t}-of-{n} {quorum}");
                }
                assert!(report.liars.is_empty());
            }
        }
    }
}

#[test]
fn different_items_versions_and_salts_have_different_keys() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    let first = cluster.fields(&key, Class::SecretItem);
    let entries = [
        first,
        ContextFields { item_version: 2, ..first },
        ContextFields { item_id: Uid([1; 16]), ..first },
        ContextFields { salt: [1; 32], ..first },
        ContextFields { class: Class::SealedKey, ..first },
    ];
    let keys = sealed(cluster.write(&entries));
    let mut distinct: Vec<[u8; 32]> = keys.iter().map(|key| *key.kek.expose()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), entries.len());
}

#[test]
fn a_liar_on_leg_g_is_named_by_its_proof_and_the_write_goes_on() {
    for conduct in [Conduct::WrongPoint, Conduct::NoPoint] {
        for liar in [1, 2, 3] {
            let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
            cluster.conduct(liar, conduct);
            let items = items(&mut cluster, &key, 2);
            let WriteOutcome::Sealed { keys, confirmation, liars, evidence } =
                cluster.write(&items)
            else {
                panic!("not sealed");
            };
            assert_eq!(liars, set(&[liar]));
            assert_eq!(confirmation, Confirmation::Unconfirmed { missing: set(&[liar]) });
            assert_eq!(evidence.len(), 1);
            assert_eq!(evidence[0].manager().get(), liar);
            cluster.conduct(liar, Conduct::Honest);
            let report = cluster.read(&items, commitments(&keys), set(&[1, 3]));
            assert!(report.keys.iter().all(Result::is_ok));
        }
    }
}

#[test]
fn a_liar_on_leg_s_stops_the_write_and_leaves_two_suspects() {
    // In 2-of-3 each manager holds two keys, each with one other manager.
    for liar in [1_u8, 2, 3] {
        for place in [0, 1] {
            let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
            cluster.conduct(liar, Conduct::WrongPartial(place));
            let items = items(&mut cluster, &key, 2);
            let WriteOutcome::Refused { suspects, entry, evidence } = cluster.write(&items) else {
                panic!("not refused");
            };
            assert_eq!(suspects.len(), 2);
            assert!(set(&[liar]).is_within(suspects));
            assert_eq!(entry, 0);
            assert_eq!(evidence.len(), 2);
        }
    }
}

#[test]
fn with_a_manager_down_a_write_is_unconfirmed() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    cluster.conduct(3, Conduct::Down);
    let items = items(&mut cluster, &key, 2);
    let WriteOutcome::Sealed { keys, confirmation, .. } = cluster.write(&items) else {
        panic!("not sealed");
    };
    assert_eq!(confirmation, Confirmation::Unconfirmed { missing: set(&[3]) });
    cluster.conduct(3, Conduct::Honest);
    let again = sealed(cluster.write(&items));
    assert_eq!(commitments(&keys), commitments(&again), "the confirm job compares these");
}

#[test]
fn with_too_few_managers_a_write_fails() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    let items = items(&mut cluster, &key, 1);
    for conduct in [Conduct::Down, Conduct::WrongSignature, Conduct::ShortAnswer] {
        cluster.conduct(1, conduct);
        cluster.conduct(2, conduct);
        let outcome = cluster.write(&items);
        let WriteOutcome::Failed { refusal, liars, .. } = outcome else {
            panic!("written with one manager that is {conduct:?}");
        };
        assert_eq!(refusal, Refusal::NotEnoughManagers);
        assert!(liars.is_empty());
    }
}

#[test]
fn a_batch_can_mix_keys_of_one_threshold_only() {
    let (mut cluster, first) = TestCluster::with_key(2, 3, Uid::default());
    let second = cluster.generate(Threshold::new(2, 3).unwrap(), FRAGMENT_ID).unwrap();
    let strict = cluster.generate(Threshold::new(3, 3).unwrap(), Uid::default()).unwrap();
    let mut entries = Vec::new();
    for key in [first, second, first, second, second] {
        entries.push(cluster.fields(&key, Class::SecretItem));
    }
    let keys = sealed(cluster.write(&entries));
    for quorum in ManagerSet::first(3).subsets(2) {
        let report = cluster.read(&entries, commitments(&keys), quorum);
        assert!(report.keys.iter().all(Result::is_ok));
    }
    // One at a time gives the same keys.
    for (fields, key) in entries.iter().zip(&keys) {
        let alone = sealed(cluster.write(std::slice::from_ref(fields)));
        assert_eq!(alone[0].kek.expose(), key.kek.expose());
    }
    entries.push(cluster.fields(&strict, Class::SecretItem));
    let fragment = crate::cluster::a_fragment();
    assert_eq!(cluster.try_batch(&entries, &fragment).err(), Some(Refusal::BadEntries));
}

#[test]
fn a_batch_needs_the_keys_own_fragment() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, FRAGMENT_ID);
    let entries = items(&mut cluster, &key, 1);
    let other = std::sync::Arc::new(CustomerFragment::new(Uid([1; 16]), &[1; 32]).unwrap());
    assert_eq!(cluster.try_batch(&entries, &other).err(), Some(Refusal::FragmentRequired));
    assert!(CustomerFragment::new(FRAGMENT_ID, &[1; 31]).is_err());
    assert!(CustomerFragment::new(FRAGMENT_ID, &[1; 33]).is_err());
    assert!(CustomerFragment::new(Uid::default(), &[1; 32]).is_err());
}

#[test]
fn a_full_batch_goes_through_in_one_request() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    let mut entries = Vec::new();
    for version in 0..1_000 {
        let fields = cluster.fields(&key, Class::SecretItem);
        entries.push(ContextFields { item_version: version, ..fields });
    }
    let keys = sealed(cluster.write(&entries));
    let report = cluster.read(&entries, commitments(&keys), set(&[1, 3]));
    assert_eq!(report.keys.iter().filter(|key| key.is_ok()).count(), 1_000);
    entries.push(entries[0]);
    let fragment = crate::cluster::a_fragment();
    assert_eq!(cluster.try_batch(&entries, &fragment).err(), Some(Refusal::BadEntries));
}

#[test]
fn a_manager_at_another_epoch_counts_as_missing_and_not_as_a_liar() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, Uid::default());
    let items = items(&mut cluster, &key, 1);
    cluster.conduct(3, Conduct::OtherEpoch(1));
    let WriteOutcome::Sealed { confirmation, liars, .. } = cluster.write(&items) else {
        panic!("not sealed");
    };
    assert_eq!(confirmation, Confirmation::Unconfirmed { missing: set(&[3]) });
    assert!(liars.is_empty());
    cluster.conduct(2, Conduct::OtherEpoch(1));
    let WriteOutcome::Failed { refusal, liars, .. } = cluster.write(&items) else {
        panic!("written across epochs");
    };
    assert_eq!(refusal, Refusal::EpochsDiffer);
    assert!(liars.is_empty());
}
