//! Reading: it works with t managers and in spite of liars, who are named.

use keysherd_base::Uid;
use keysherd_fragments::context::{Class, ContextFields};
use keysherd_fragments::derive::Mode;
use keysherd_fragments::gateway_side::{ReadCombiner, ReadReport, ReadStep};
use keysherd_fragments::manager_set::ManagerSet;
use keysherd_fragments::refusal::Refusal;

use crate::cluster::{FRAGMENT_ID, TestCluster, commitments, sealed, set};
use crate::manager::Conduct;

/// A cluster with items in it and what their ciphertexts commit to.
fn written(t: u8, n: u8, count: usize) -> (TestCluster, Vec<ContextFields>, Vec<[u8; 32]>) {
    let (mut cluster, key) = TestCluster::with_key(t, n, Uid::default());
    let items: Vec<_> = (0..count).map(|_| cluster.fields(&key, Class::SecretItem)).collect();
    let keys = sealed(cluster.write(&items));
    (cluster, items, commitments(&keys))
}

fn all_read(report: &ReadReport, commitments: &[[u8; 32]]) -> bool {
    let mut pairs = report.keys.iter().zip(commitments);
    pairs.all(|(key, wanted)| key.as_ref().is_ok_and(|key| key.commitment == *wanted))
}

#[test]
fn a_liar_is_outvoted_by_the_commitment_and_named() {
    let lies =
        [Conduct::WrongPoint, Conduct::NoPoint, Conduct::WrongPartial(0), Conduct::WrongPartial(1)];
    for conduct in lies {
        for liar in [1, 2, 3] {
            let (mut cluster, items, wanted) = written(2, 3, 2);
            cluster.conduct(liar, conduct);
            for quorum in ManagerSet::first(3).subsets(2) {
                let report = cluster.read(&items, wanted.clone(), quorum);
                assert!(all_read(&report, &wanted), "{liar} {conduct:?} {quorum}");
                let asked = quorum.contains(cluster.managers[usize::from(liar) - 1].index);
                let expected = if asked { set(&[liar]) } else { ManagerSet::EMPTY };
                assert_eq!(report.liars, expected, "{liar} {conduct:?} {quorum}");
                assert_eq!(report.evidence.len(), usize::from(asked));
            }
        }
    }
}

#[test]
fn two_liars_of_five_are_both_named() {
    let (mut cluster, items, wanted) = written(3, 5, 2);
    for (first, second) in [
        (Conduct::WrongPoint, Conduct::WrongPartial(3)),
        (Conduct::WrongPartial(0), Conduct::WrongPartial(5)),
        (Conduct::NoPoint, Conduct::WrongPoint),
    ] {
        cluster.conduct(2, first);
        cluster.conduct(4, second);
        let report = cluster.read(&items, wanted.clone(), set(&[1, 2, 4]));
        assert!(all_read(&report, &wanted), "{first:?} {second:?}");
        assert_eq!(report.liars, set(&[2, 4]), "{first:?} {second:?}");
    }
}

#[test]
fn hedged_reads_find_a_liar_without_a_second_round() {
    let (mut cluster, items, wanted) = written(2, 3, 2);
    cluster.conduct(1, Conduct::WrongPartial(1));
    let report = cluster.read(&items, wanted.clone(), set(&[1, 2, 3]));
    assert!(all_read(&report, &wanted));
    assert_eq!(report.liars, set(&[1]));
}

#[test]
fn one_manager_down_is_replaced_by_another() {
    for (t, n) in [(2, 3), (3, 5)] {
        let (mut cluster, items, wanted) = written(t, n, 2);
        cluster.conduct(1, Conduct::Down);
        let report = cluster.read(&items, wanted.clone(), ManagerSet::first(t));
        assert!(all_read(&report, &wanted));
        assert!(report.liars.is_empty());
    }
}

#[test]
fn an_unsigned_or_short_answer_counts_as_none() {
    for conduct in [Conduct::WrongSignature, Conduct::ShortAnswer] {
        let (mut cluster, items, wanted) = written(2, 3, 2);
        cluster.conduct(2, conduct);
        let report = cluster.read(&items, wanted.clone(), set(&[1, 2]));
        assert!(all_read(&report, &wanted));
        assert!(report.liars.is_empty());
    }
}

#[test]
fn below_the_threshold_nothing_is_read() {
    let (mut cluster, items, wanted) = written(2, 3, 1);
    cluster.conduct(1, Conduct::Down);
    cluster.conduct(3, Conduct::Down);
    let report = cluster.read(&items, wanted, set(&[1, 2]));
    assert_eq!(report.keys[0].as_ref().err(), Some(&Refusal::NotEnoughManagers));
}

#[test]
fn an_altered_ciphertext_is_told_from_a_liar() {
    let (mut cluster, items, mut wanted) = written(2, 3, 2);
    wanted[1][0] ^= 1;
    let report = cluster.read(&items, wanted.clone(), set(&[1, 2]));
    assert!(report.keys[0].is_ok(), "the other entry is read all the same");
    assert_eq!(report.keys[1].as_ref().err(), Some(&Refusal::CommitmentMismatch));
    assert!(report.liars.is_empty());
    cluster.conduct(3, Conduct::Down);
    let report = cluster.read(&items, wanted, set(&[1, 2]));
    assert_eq!(report.keys[1].as_ref().err(), Some(&Refusal::Undecided));
}

#[test]
fn the_wrong_customer_fragment_reads_nothing() {
    let (mut cluster, key) = TestCluster::with_key(2, 3, FRAGMENT_ID);
    let items = [cluster.fields(&key, Class::SecretItem)];
    let keys = sealed(cluster.write(&items));
    let wanted = commitments(&keys);
    assert!(all_read(&cluster.read(&items, wanted.clone(), set(&[1, 2])), &wanted));
    // The same id with another value, as after a mix-up.
    let other = keysherd_fragments::leg_c::CustomerFragment::new(FRAGMENT_ID, &[1; 32]).unwrap();
    let batch = cluster.try_batch(&items, &std::sync::Arc::new(other)).unwrap();
    let mut combiner = ReadCombiner::new(batch, wanted, set(&[1, 2])).unwrap();
    let ReadStep::Ask(first) = combiner.step() else {
        panic!("nobody is asked");
    };
    assert_eq!((first.mode, first.managers), (Mode::Read, set(&[1, 2])));
    assert_eq!(combiner.step(), ReadStep::Wait);
    let report = combiner.finish();
    assert!(report.keys[0].is_err());
}

#[test]
fn a_read_begins_with_a_quorum_and_a_commitment_for_each_entry() {
    let (cluster, items, wanted) = written(2, 3, 2);
    let batch = || cluster.batch(&items);
    let short = ReadCombiner::new(batch(), wanted[..1].to_vec(), set(&[1, 2]));
    assert_eq!(short.err(), Some(Refusal::BadEntries));
    for first in [set(&[1]), set(&[1, 4]), ManagerSet::EMPTY] {
        let few = ReadCombiner::new(batch(), wanted.clone(), first);
        assert_eq!(few.err(), Some(Refusal::NotEnoughManagers), "{first}");
    }
}

#[test]
fn only_equal_epochs_are_combined() {
    let (mut cluster, items, wanted) = written(2, 3, 2);
    cluster.conduct(2, Conduct::OtherEpoch(1));
    let report = cluster.read(&items, wanted.clone(), set(&[1, 2]));
    assert!(all_read(&report, &wanted), "managers 1 and 3 are at one epoch");
    assert!(report.liars.is_empty(), "to be behind is not to lie");
    cluster.conduct(3, Conduct::OtherEpoch(2));
    let report = cluster.read(&items, wanted, set(&[1, 2]));
    for key in &report.keys {
        assert_eq!(key.as_ref().err(), Some(&Refusal::EpochsDiffer));
    }
}
