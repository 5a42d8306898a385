//! Where rotations stand, and the versions that nobody reads yet.

use keysherd_base::{AccessId, FaultKind, ItemId, Timestamp};
use keysherd_domain::credential_rotation::{CredentialRotation, Reason, WORK_SECONDS};
use keysherd_domain::item::ItemState;
use keysherd_domain::rotated_secret::{Interval, RotationFacts, Schedule};

use super::fixture::*;
use crate::credential_rotations::{self, StoredRotation};
use crate::key_wraps::Place;
use crate::{Store, item_versions, items, key_wraps};

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn every(minutes: u32) -> RotationFacts {
    RotationFacts {
        rotator: "custom".to_owned(),
        rotator_type: "custom".to_owned(),
        cluster: 0,
        of_target: false,
        schedule: Schedule { automatic: true, interval: Interval::Minutes(minutes), hour: 0 },
        grace: None,
        check_out: None,
        after_disconnect: false,
        by_target: false,
        notices: Vec::new(),
    }
}

fn rotation(item: ItemId, cluster: i64, minutes: u32) -> StoredRotation {
    let access_id = AccessId::parse("p-0123456789ab").unwrap();
    let rotation = CredentialRotation::new(&every(minutes), access_id, NOW);
    StoredRotation { item, account: ACCOUNT, cluster, rotation }
}

pub(super) fn rotations_are_found_when_they_are_due(store: &Store) {
    let ids = done(store, |tx| {
        let of = |path: &str| items::insert(tx, &item(path));
        Ok([of("/a")?, of("/b")?, of("/c")?, of("/d")?])
    });
    let all = [(0, 3), (0, 1), (0, 2), (7, 1)];
    let all = all.iter().zip(ids).map(|((cluster, minutes), id)| rotation(id, *cluster, *minutes));
    let all: Vec<_> = all.collect();
    let kept = all.clone();
    done(store, move |tx| kept.iter().try_for_each(|one| credential_rotations::insert(tx, one)));
    let due = |cluster, seconds, limit| {
        let found = see(store, |q| credential_rotations::due(q, cluster, at(seconds), limit));
        found.into_iter().map(|found| found.item).collect::<Vec<_>>()
    };
    assert_eq!(due(0, 59, 10), []);
    assert_eq!(due(0, 120, 10), [ids[1], ids[2]]);
    assert_eq!((due(0, 999, 1), due(7, 999, 10)), (vec![ids[1]], vec![ids[3]]));
    let next = |cluster| see(store, |q| credential_rotations::next_due(q, cluster));
    assert_eq!((next(0), next(7), next(8)), (Some(at(60)), Some(at(60)), None));

    let mut changed = all[1].rotation.clone();
    changed.begin(&every(1), Reason::Manual, &[1; 32], at(5)).unwrap();
    changed.keep(2, path("/b"));
    changed.ask(Reason::Unlock, at(900));
    let written = changed.clone();
    assert!(done(store, move |tx| credential_rotations::update(tx, ids[1], &written)));
    let read = see(store, |q| credential_rotations::get(q, ids[1])).unwrap();
    assert_eq!((read.rotation, read.cluster, read.account), (changed, 0, ACCOUNT));
    assert_eq!(next(0), Some(at(5 + WORK_SECONDS)), "who works on it has its time to go on");

    assert!(done(store, move |tx| items::delete(tx, ids[1])));
    assert_eq!(see(store, |q| credential_rotations::get(q, ids[1])), None, "it goes with its item");
    let late = all[1].rotation.clone();
    assert!(!done(store, move |tx| credential_rotations::update(tx, ids[1], &late)));
    let orphan = all[1].clone();
    let refused = change(store, move |tx| credential_rotations::insert(tx, &orphan)).unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Internal);
}

pub(super) fn candidates_are_versions_to_keys_only(store: &Store) {
    let id = done(store, |tx| {
        let id = items::insert(tx, &item("/rotated"))?;
        item_versions::put(tx, id, &version(1, b"one"))?;
        item_versions::put(tx, id, &version(2, b"two"))?;
        item_versions::put_candidate(tx, id, &version(3, b"three"))?;
        Ok(id)
    });
    let numbers = || -> Vec<u32> {
        let all = see(store, |q| item_versions::list(q, id));
        all.into_iter().map(|version| version.version).collect()
    };
    let newest = || see(store, |q| item_versions::latest(q, id)).unwrap().version;
    assert_eq!((numbers(), newest()), (vec![2, 1], 2));
    assert_eq!(see(store, |q| item_versions::newest(q, id, 9)).len(), 2);
    assert_eq!(see(store, |q| item_versions::get(q, id, 3)), None);
    assert!(!done(store, move |tx| item_versions::set_state(tx, id, 3, ItemState::Disabled)));
    assert!(!done(store, move |tx| item_versions::delete(tx, id, 3)));
    let candidate = || see(store, |q| item_versions::candidate(q, id));
    assert_eq!(candidate().unwrap(), version(3, b"three"));

    // Keys wrap it like others, and writing it again does not show it to anybody.
    let older = |newest| {
        see(store, |q| key_wraps::older(q, KEY, newest, Place::default(), 10, 4))
            .into_iter()
            .map(|wrapped| wrapped.version.version)
            .collect::<Vec<_>>()
    };
    assert_eq!(older(2), [1, 2, 3]);
    let mut wrapped = see(store, |q| item_versions::get_any(q, id, 3)).unwrap();
    wrapped.key_version = 2;
    wrapped.ciphertext = b"anew".as_slice().into();
    done(store, move |tx| item_versions::put(tx, id, &wrapped));
    assert_eq!((older(2), newest()), (vec![1, 2], 2));
    assert_eq!(&*candidate().unwrap().ciphertext, b"anew");

    let taken = change(store, move |tx| item_versions::put_candidate(tx, id, &version(2, b"no")));
    assert_eq!(taken.unwrap_err().kind(), FaultKind::Conflict);
    assert_eq!(&*candidate().unwrap().ciphertext, b"anew", "what is there stays");
    assert_eq!(done(store, move |tx| item_versions::prune(tx, id, 1)), 1);
    assert_eq!((numbers(), candidate().is_some()), (vec![2], true));
    assert!(!done(store, move |tx| item_versions::promote_candidate(tx, id, 2)));
    assert!(!done(store, move |tx| item_versions::promote_candidate(tx, id, 4)));
    assert!(done(store, move |tx| item_versions::promote_candidate(tx, id, 3)));
    assert!(!done(store, move |tx| item_versions::promote_candidate(tx, id, 3)));
    assert_eq!((numbers(), candidate()), (vec![3, 2], None));

    done(store, move |tx| item_versions::put_candidate(tx, id, &version(4, b"four")));
    done(store, move |tx| item_versions::put_candidate(tx, id, &version(5, b"five")));
    assert_eq!(candidate().unwrap().version, 5, "there is one at a time");
    done(store, move |tx| item_versions::drop_candidate(tx, id));
    assert_eq!((candidate(), numbers()), (None, vec![3, 2]));
    assert_eq!(see(store, |q| item_versions::get_any(q, id, 4)), None);
}
