//! Attacks 8, 9, 17 and 19: thieves who come one after the other, crashes, helpers that lie.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use keysherd_base::{Secret, Uid};
use keysherd_fragments::combine::{DerivedKey, combine};
use keysherd_fragments::context::Context;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manager_set::{ManagerIndex, Threshold};
use keysherd_fragments::messages::PeerAnswer;
use keysherd_fragments::refusal::Refusal;
use keysherd_fragments::repair::{RepairHelp, RepairParams, RepairRun};

use super::attacks::{evaluate, guess, opens, steal};
use super::rig::{Rig, index, key_version, random};
use super::rounds::{Item, set};

/// What a thief has of one manager: its index and all that its fragments derive for an item.
type Loot = (ManagerIndex, Vec<u8>);

/// Takes the fragments of a manager from its disk, and lets it go on.
async fn rob(rig: &mut Rig, number: u8, item: &Item) -> Loot {
    rig.stop(number);
    let loot = evaluate(&steal(rig, number), &item.fields);
    rig.start(number);
    (index(number), loot)
}

#[tokio::test]
async fn t_mobile_adversary_across_refresh() {
    let mut rig = Rig::new().await;
    let (manifest, items) = rig.written().await;
    let item = &items[0];
    let first = rob(&mut rig, 1, item).await;
    rig.refresh(2, key_version(1)).await;
    let second = rob(&mut rig, 2, item).await;
    let guessed = guess(&item.fields, &[first.clone(), second.clone()]);
    assert!(!opens(item, &guessed), "shares of two epochs combine");
    rig.refresh(3, key_version(1)).await;
    let third = rob(&mut rig, 3, item).await;
    for two in [[&first, &third], [&second, &third]] {
        assert!(!opens(item, &guess(&item.fields, &two.map(Clone::clone))));
    }
    // All three, one in each epoch: still nothing.
    let all = [first.clone(), second, third.clone()];
    assert!(!opens(item, &guess(&item.fields, &all)));
    // Control: two in one epoch open it.
    let again = rob(&mut rig, 1, item).await;
    assert!(opens(item, &guess(&item.fields, &[again, third])), "the attempt itself is wrong");
    rig.reads_everywhere(&manifest, &items).await;
}

#[tokio::test]
async fn t_mobile_adversary_across_refresh_control() {
    // The same thieves, and no refresh in between.
    let mut rig = Rig::new().await;
    let (_, items) = rig.written().await;
    let item = &items[0];
    let first = rob(&mut rig, 1, item).await;
    rig.restart_all();
    let second = rob(&mut rig, 2, item).await;
    assert!(opens(item, &guess(&item.fields, &[first, second])));
}

#[tokio::test]
async fn t_security_matrix() {
    // Which legs fall to whom; all of them have to fall.
    let mut rig = Rig::new().await;
    let (_, items) = rig.written().await;
    let item = &items[0];
    let context = Context::new(&item.fields);
    let fragment = CustomerFragment::new(Uid([7; 16]), &random::<32>()).unwrap();
    let early = [rob(&mut rig, 1, item).await, rob(&mut rig, 2, item).await];
    // The true legs, for comparison only.
    let (leg_s, point) = legs(item, &early).unwrap();
    let with_fragment = combine(&context, &leg_s, &point, Some(&fragment));
    rig.refresh(1, key_version(1)).await;
    let late = rob(&mut rig, 2, item).await;
    let attempt = |stolen: &[Loot], quantum: bool, has_fragment: bool, bound: bool| {
        let guessed = attempts(item, stolen, quantum.then_some(&point), has_fragment, &fragment);
        let wanted = if bound { *with_fragment.kek.expose() } else { item.kek };
        guessed.iter().any(|key| *key.kek.expose() == wanted)
    };
    let one = &early[..1];
    let over_time = [early[0].clone(), late];
    let both = &early[..];
    // (stolen, quantum computer, customer fragment stolen, key bound to one) -> does it open?
    let rows: [(&[Loot], bool, bool, bool, bool); 12] = [
        (one, false, false, false, false),
        // Leg S: fewer than t managers were ever robbed.
        (one, true, false, false, false),
        (one, true, true, true, false),
        // Leg G: fewer than t in one epoch.
        (&over_time, false, false, false, false),
        (&over_time, false, true, true, false),
        // Both fall.
        (&over_time, true, false, false, true),
        (both, false, false, false, true),
        // Leg C stands alone.
        (&over_time, true, false, true, false),
        (both, false, false, true, false),
        (both, true, false, true, false),
        // And falls.
        (both, false, true, true, true),
        // The customer fragment alone.
        (&[], false, true, true, false),
    ];
    for (row, (stolen, quantum, has_fragment, bound, open)) in rows.into_iter().enumerate() {
        assert_eq!(attempt(stolen, quantum, has_fragment, bound), open, "row {row}");
    }
}

/// Legs S and G as two managers of one epoch give them.
fn legs(item: &Item, stolen: &[Loot]) -> Option<([u8; 32], [u8; 32])> {
    let leg_s = super::attacks::leg_s_of(stolen);
    super::attacks::points_of(stolen).into_iter().find_map(|point| {
        let key = combine(&Context::new(&item.fields), &leg_s, &point, None);
        (*key.kek.expose() == item.kek).then_some((leg_s, point))
    })
}

/// Every key a thief can compute. A quantum computer gives leg G from the public shares.
fn attempts(
    item: &Item,
    stolen: &[Loot],
    quantum: Option<&[u8; 32]>,
    has_fragment: bool,
    fragment: &CustomerFragment,
) -> Vec<DerivedKey> {
    let leg_s = super::attacks::leg_s_of(stolen);
    let mut points = super::attacks::points_of(stolen);
    points.extend(quantum);
    let context = Context::new(&item.fields);
    let fragments = [None, has_fragment.then_some(fragment)];
    let keys = points
        .iter()
        .flat_map(|point| fragments.map(|fragment| combine(&context, &leg_s, point, fragment)));
    keys.collect()
}

#[tokio::test]
async fn t_repair_share_verified() {
    let rig = Rig::new().await;
    let (_, _) = rig.written().await;
    let key = key_version(1);
    let helped = async || {
        let run = RepairRun::new(RepairParams {
            session: Uid(random()),
            manager: index(3),
            helpers: set(&[1, 2]),
            threshold: Threshold::new(2, 3).unwrap(),
            keys: vec![(key, 0)],
        })
        .unwrap();
        for helper in [1, 2] {
            let answer = rig.manager(helper).serve_peer(index(3), run.begin().expose()).await;
            assert_eq!(super::epochs::refusal_of(answer.expose()), None);
        }
        let mut help = Vec::new();
        for helper in [1, 2] {
            let answer = rig.manager(helper).serve_peer(index(3), run.collect().expose()).await;
            match PeerAnswer::from_bytes(answer.expose()).unwrap() {
                PeerAnswer::Help(given) => help.push(given),
                other => panic!("another answer: {other:?}"),
            }
        }
        (run, help)
    };
    type Lie = fn(&mut RepairHelp);
    let lies: [(Lie, Option<u8>); 4] = [
        (|help| help.sigma.expose_mut()[0] ^= 1, None),
        (|help| help.sigma = Secret::new([0; 32]), None),
        (|help| help.leg_s[0].1.expose_mut()[5] ^= 1, Some(1)),
        (|help| help.leg_s.clear(), None),
    ];
    for (number, (lie, culprit)) in lies.into_iter().enumerate() {
        let (mut run, mut help) = helped().await;
        lie(&mut help[0][0]);
        for (helper, given) in [1, 2].into_iter().zip(help) {
            run.offer(index(helper), given);
        }
        let blame = run.finish(&rig.pinned()).err().unwrap();
        assert_eq!(blame.refusal, Refusal::BadRepair, "lie {number}");
        assert_eq!(blame.culprit, culprit.map(index), "lie {number}");
    }
    // Control: without a lie the share is the manager's own.
    let (mut run, help) = helped().await;
    for (helper, given) in [1, 2].into_iter().zip(help) {
        run.offer(index(helper), given);
    }
    let admitted = run.finish(&rig.pinned()).unwrap().remove(0);
    let own = rig.shares_of(3, &key).unwrap();
    assert_eq!(admitted.shares.to_record().expose(), own.to_record().expose());
    // Help is for the manager on the line, whoever asks in its name.
    let answer = rig.manager(1).serve_peer(index(2), run.begin().expose()).await;
    assert_eq!(super::epochs::refusal_of(answer.expose()), Some(Refusal::WrongManager));
}

/// Waits until nothing of a killed manager is left, and starts it again from its disk.
async fn restart(rig: &mut Rig, number: u8) {
    let manager = rig.managers[usize::from(number) - 1].take().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut manager = Some(manager);
    while let Some(alive) = manager.take() {
        match std::sync::Arc::try_unwrap(alive) {
            Ok(last) => drop(last),
            Err(alive) => {
                assert!(Instant::now() < deadline, "manager {number} does not end");
                manager = Some(alive);
                tokio::task::yield_now().await;
            }
        }
    }
    rig.start(number);
}

/// After whatever happened: what was written is read, now and after the chores.
async fn is_whole(rig: &mut Rig, manifest: &super::rounds::Manifests, items: &[Item], case: &str) {
    rig.read_with_whom_answers(manifest, items).await.unwrap_or_else(|refusal| {
        panic!("{case}: neither the old nor the new epoch: {refusal:?}");
    });
    rig.clock.advance_seconds(700);
    for _ in 0..2 {
        for number in 1..=3 {
            rig.manager(number).maintain().await.unwrap_or_else(|fault| {
                panic!("{case}: chores of {number}: {fault}");
            });
        }
        rig.clock.advance_seconds(700);
    }
    let mut epochs = BTreeSet::new();
    for number in 1..=3 {
        epochs.insert(rig.epoch_at(number, manifest.manifest().key).await);
    }
    assert_eq!(epochs.len(), 1, "{case}: {epochs:?}");
    rig.reads_everywhere(manifest, items).await;
}

#[tokio::test]
async fn t_crash_every_step() {
    // Coordinator and participant die at each named point of a refresh.
    let points: [(&str, u32); 13] = [
        ("alive", 1),
        ("alive", 2),
        ("alive", 3),
        ("alive", 4),
        ("alive", 5),
        ("alive", 6),
        ("alive", 7),
        ("refresh.deals.before", 2),
        ("refresh.prepare.before", 1),
        ("refresh.prepare.stored", 1),
        ("refresh.prepare.after", 1),
        ("refresh.commit.before", 1),
        ("refresh.commit.after", 1),
    ];
    let coordinating = (1..=5).map(|visit| ("refresh.coordinate", visit));
    let mut rig = Rig::new().await;
    let (manifest, items) = rig.written().await;
    let of_coordinator = points.into_iter().chain(coordinating).map(|point| (1, point));
    let of_participant = points.into_iter().map(|point| (2, point));
    for (victim, (point, visit)) in of_coordinator.chain(of_participant) {
        let case = format!("manager {victim} dies at {point}, visit {visit}");
        rig.manager(victim).arm(point, visit);
        // Whether it came to something is the question.
        let _report = rig.manager(1).refresh(&[key_version(1)], false).await;
        assert!(rig.manager(victim).is_dead(), "{case}: it lives");
        restart(&mut rig, victim).await;
        is_whole(&mut rig, &manifest, &items, &case).await;
    }
}

#[tokio::test]
async fn t_crash_every_step_of_a_repair() {
    let points: [(u8, &str, u32); 7] = [
        (3, "repair.keep.before", 1),
        (3, "repair.keep.after", 1),
        (3, "refresh.coordinate", 2),
        (1, "alive", 2),
        (1, "alive", 3),
        (1, "alive", 4),
        (1, "refresh.deals.before", 2),
    ];
    let mut rig = Rig::new().await;
    let (manifest, items) = rig.written().await;
    for (victim, point, visit) in points {
        let case = format!("manager {victim} dies at {point}, visit {visit}");
        // Manager 3 misses a refresh, and knows it.
        rig.net.cut_off.lock().unwrap().insert(3);
        rig.refresh(1, key_version(1)).await;
        rig.net.cut_off.lock().unwrap().clear();
        restart(&mut rig, 3).await;
        rig.manager(3).be_current().await.unwrap();
        rig.manager(victim).arm(point, visit);
        let _repaired = rig.manager(3).repair().await;
        assert!(rig.manager(victim).is_dead(), "{case}: it lives");
        restart(&mut rig, victim).await;
        is_whole(&mut rig, &manifest, &items, &case).await;
    }
}
