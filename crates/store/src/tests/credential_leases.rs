//! Temporary credentials and the targets they are on: what is due, what is whose, and what stays.

use std::collections::BTreeMap;

use keysherd_base::{AccessId, AssocId, FaultKind, ItemId, Timestamp, Uid};
use keysherd_domain::cluster::Cluster;
use keysherd_domain::credential_lease::{CredentialLease, Intent, LeaseState};

use super::fixture::*;
use crate::credential_leases::{self, StoredLease};
use crate::target_assocs::{self, TargetAssoc};
use crate::{Store, clusters, item_targets, items};

fn lease(number: u8, item: ItemId, cluster: i64, ttl_seconds: i64) -> StoredLease {
    let intent = Intent {
        handle: format!("tmp.{number}"),
        target: None,
        ttl_seconds,
        access_id: AccessId::parse("p-0123456789ab").unwrap(),
        sub_claims: BTreeMap::from([("team".to_owned(), vec!["a".to_owned()])]),
        gateway: [1; 32],
    };
    let mut lease = CredentialLease::intend(intent, NOW);
    lease.activate(&[1; 32], None, None);
    StoredLease { id: Uid([number; 16]), account: ACCOUNT, item, cluster, lease }
}

fn add(store: &Store, leases: Vec<StoredLease>) {
    done(store, move |tx| leases.iter().try_for_each(|one| credential_leases::insert(tx, one)));
}

fn due(store: &Store, cluster: i64, at: Timestamp, limit: usize) -> Vec<u8> {
    let found = see(store, |q| credential_leases::due(q, cluster, at, limit));
    found.into_iter().map(|found| found.id.0[0]).collect()
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

pub(super) fn credentials_are_found_when_they_are_due(store: &Store) {
    let item_id = done(store, |tx| items::insert(tx, &item("/dynamic")));
    let of = move |number, cluster, ttl| lease(number, item_id, cluster, ttl);
    add(store, vec![of(3, 0, 30), of(1, 0, 10), of(2, 0, 20), of(4, 7, 5)]);
    let again = of(1, 0, 99);
    let taken = change(store, move |tx| credential_leases::insert(tx, &again)).unwrap_err();
    assert_eq!(taken.kind(), FaultKind::Conflict);
    assert_eq!(see(store, |q| credential_leases::get(q, Uid([1; 16]))), Some(of(1, 0, 10)));

    assert_eq!(due(store, 0, at(9), 10), [0_u8; 0]);
    assert_eq!(due(store, 0, at(20), 10), [1, 2]);
    assert_eq!(due(store, 0, at(99), 2), [1, 2]);
    assert_eq!(due(store, 7, at(99), 10), [4]);
    let next = |cluster| see(store, |q| credential_leases::next_due(q, cluster));
    assert_eq!((next(0), next(7), next(8)), (Some(at(10)), Some(at(5)), None));

    let mut quarantined = of(1, 0, 10).lease;
    quarantined.state = LeaseState::Quarantined;
    quarantined.due = None;
    quarantined.attempts = 12;
    quarantined.last_error = "refused".to_owned();
    let kept = quarantined.clone();
    assert!(done(store, move |tx| credential_leases::update(tx, Uid([1; 16]), &kept)));
    assert_eq!(due(store, 0, at(99), 10), [2, 3]);
    let read = see(store, |q| credential_leases::get(q, Uid([1; 16]))).unwrap();
    assert_eq!(read.lease, quarantined);

    let page = |after: Option<u8>, limit| {
        let after = after.map(|number| Uid([number; 16]));
        let found = see(store, |q| credential_leases::page(q, item_id, after, limit));
        found.into_iter().map(|found| found.id.0[0]).collect::<Vec<_>>()
    };
    assert_eq!(
        (page(None, 2), page(Some(2), 9), page(Some(4), 9)),
        (vec![1, 2], vec![3, 4], vec![])
    );
    let count = |most| see(store, |q| credential_leases::count(q, item_id, most));
    assert_eq!((count(0), count(3), count(100)), (0, 3, 4));
    assert!(done(store, |tx| credential_leases::delete(tx, Uid([2; 16]))));
    assert!(!done(store, |tx| credential_leases::delete(tx, Uid([2; 16]))));
    assert!(!done(store, move |tx| credential_leases::update(
        tx,
        Uid([2; 16]),
        &of(2, 0, 1).lease
    )));
}

pub(super) fn all_credentials_of_an_item_end_together(store: &Store) {
    let (one, other) = done(store, |tx| {
        Ok((items::insert(tx, &item("/one"))?, items::insert(tx, &item("/other"))?))
    });
    let unsettled = |number: u8| {
        let mut made = lease(number, one, 0, 60);
        made.lease.settled = false;
        made.lease.due = Some(at(120));
        made.lease.state = LeaseState::Intended;
        made
    };
    let mut tried = lease(2, one, 0, 60);
    tried.lease.state = LeaseState::Quarantined;
    (tried.lease.due, tried.lease.attempts) = (None, 12);
    add(store, vec![lease(1, one, 0, 60), tried, unsettled(3), lease(4, other, 0, 60)]);
    assert_eq!(done(store, move |tx| credential_leases::revoke_all(tx, one, at(5))), 3);
    // Alike what is done with one.
    for (number, before) in [(1, lease(1, one, 0, 60)), (3, unsettled(3))] {
        let mut expected = before.lease;
        expected.revoke(at(5));
        let read = see(store, |q| credential_leases::get(q, Uid([number; 16]))).unwrap();
        assert_eq!(read.lease, expected, "{number}");
    }
    assert_eq!(due(store, 0, at(5), 10), [1, 2]);
    assert_eq!(due(store, 0, at(120), 10), [1, 2, 4, 3]);
    // What somebody may be making stays.
    assert_eq!(done(store, move |tx| credential_leases::delete_all(tx, one)), 2);
    assert_eq!(due(store, 0, at(999), 10), [4, 3]);
}

pub(super) fn what_is_due_is_found_secret_by_secret(store: &Store) {
    let ids = done(store, |tx| {
        let target = items::insert(tx, &item("/.targets/one"))?;
        let new = |path: &str| items::insert(tx, &item(path));
        let ids = [new("/one")?, new("/two")?, new("/three")?, new("/four")?];
        item_targets::set(tx, ids[1], Some(target))?;
        Ok((target, ids))
    });
    let (target, [one, two, three, four]) = ids;
    let many = (0..40).map(|number| lease(number, one, 0, 10 + i64::from(number)));
    let others = [lease(41, two, 0, 60), lease(42, three, 0, 20), lease(43, four, 7, 5)];
    add(store, many.chain(others).collect());
    let seen = |cluster, after, seconds, looked_at| {
        let (place, now) = ((cluster, ItemId(after)), at(seconds));
        let found = see(store, |q| credential_leases::secrets_due(q, place, now, looked_at));
        found.into_iter().map(|one| (one.item, one.target, one.due)).collect::<Vec<_>>()
    };
    let (first, second) = ((one, None, at(10)), (two, Some(target), at(60)));
    let third = (three, None, at(20));
    assert_eq!(seen(0, 0, 60, 10), [first, second, third]);
    assert_eq!(seen(0, 0, 20, 10), [first, third], "what is not due yet is left out");
    assert_eq!((seen(0, one.0, 60, 10), seen(0, 0, 60, 1)), (vec![second, third], vec![first]));
    assert_eq!((seen(0, three.0, 60, 10), seen(8, 0, 60, 10)), (vec![], vec![]));
    assert_eq!(seen(7, 0, 60, 10), [(four, None, at(5))]);
    let last = |cluster| see(store, |q| credential_leases::last_secret(q, cluster));
    assert_eq!((last(0), last(7), last(8)), (Some(three), Some(four), None));
    let of = |item, seconds, limit| {
        let now = at(seconds);
        let found = see(store, |q| credential_leases::due_of(q, (0, item), now, limit));
        found.into_iter().map(|found| found.id.0[0]).collect::<Vec<_>>()
    };
    assert_eq!(
        (of(one, 12, 10), of(one, 99, 2), of(four, 99, 9)),
        (vec![0, 1, 2], vec![0, 1], vec![])
    );
    let accounts = see(store, |q| credential_leases::secrets_due(q, (0, ItemId(0)), at(60), 9));
    assert!(accounts.iter().all(|one| one.account == ACCOUNT));
}

pub(super) fn items_keep_their_targets_and_credentials_their_items(store: &Store) {
    let (secret, first, second) = done(store, |tx| {
        let secret = items::insert(tx, &item("/dynamic"))?;
        let first = items::insert(tx, &item("/.targets/one"))?;
        Ok((secret, first, items::insert(tx, &item("/.targets/two"))?))
    });
    let set = |target| done(store, move |tx| item_targets::set(tx, secret, target));
    let target = || see(store, |q| item_targets::of_item(q, secret));
    let users = |target| see(store, |q| item_targets::of_target(q, target, 10));
    set(Some(first));
    set(Some(first));
    assert_eq!((target(), users(first)), (Some(first), vec![secret]));
    set(Some(second));
    assert_eq!((target(), users(first), users(second)), (Some(second), vec![], vec![secret]));
    assert!(done(store, move |tx| items::delete(tx, second)));
    assert_eq!(target(), None, "a target takes its associations along");
    set(Some(first));
    let nobody = ItemId(i64::MAX);
    let to_nobody = change(store, move |tx| item_targets::set(tx, secret, Some(nobody)));
    assert_eq!(to_nobody.unwrap_err().kind(), FaultKind::Internal);

    add(store, vec![lease(1, secret, 0, 60)]);
    let refused = change(store, move |tx| items::delete(tx, secret)).unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Internal, "its credentials would be forgotten");
    let orphan = lease(2, nobody, 0, 60);
    let refused = change(store, move |tx| credential_leases::insert(tx, &orphan)).unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Internal);
    assert!(done(store, |tx| credential_leases::delete(tx, Uid([1; 16]))));
    assert!(done(store, move |tx| items::delete(tx, secret)));
    assert_eq!(users(first), []);
}

pub(super) fn associations_end_with_what_they_join(store: &Store) {
    let [secret, other, first, second] = done(store, |tx| {
        let new = |path: &str| items::insert(tx, &item(path));
        Ok([new("/secret")?, new("/other")?, new("/.targets/one")?, new("/.targets/two")?])
    });
    let one = |id: &str, item, target, seconds| TargetAssoc {
        id: AssocId(id.into()),
        item,
        target,
        created: at(seconds),
    };
    let put = |assoc: &TargetAssoc| {
        let assoc = assoc.clone();
        change(store, move |tx| target_assocs::insert(tx, ACCOUNT, &assoc))
    };
    assert!(!see(store, |q| target_assocs::any(q, ACCOUNT)));
    let all = [one("b", secret, first, 1), one("a", secret, second, 2), one("c", other, first, 3)];
    all.iter().for_each(|assoc| put(assoc).unwrap());
    for again in [one("d", secret, first, 4), one("a", other, second, 4)] {
        assert_eq!(put(&again).unwrap_err().kind(), FaultKind::Conflict);
    }
    let to_nobody = put(&one("e", secret, ItemId(i64::MAX), 1));
    assert_eq!(to_nobody.unwrap_err().kind(), FaultKind::Internal);
    assert!(see(store, |q| target_assocs::any(q, ACCOUNT)));
    assert!(!see(store, |q| target_assocs::any(q, OTHER)));
    let of_item = |item, limit| see(store, |q| target_assocs::of_item(q, item, limit));
    let of_target = |target| see(store, |q| target_assocs::of_target(q, target, 9));
    assert_eq!(of_item(secret, 9), all[..2]);
    assert_eq!(of_item(secret, 1), all[..1]);
    assert_eq!(of_target(first), [all[0].clone(), all[2].clone()]);
    let gone = |account, id: &str| {
        let id = AssocId(id.into());
        done(store, move |tx| target_assocs::delete(tx, account, &id))
    };
    assert_eq!((gone(OTHER, "a"), gone(ACCOUNT, "a"), gone(ACCOUNT, "a")), (false, true, false));
    assert_eq!(of_target(second), []);
    assert!(done(store, move |tx| items::delete(tx, secret)));
    assert_eq!((of_item(secret, 9), of_target(first)), (vec![], vec![all[2].clone()]));
    assert!(done(store, move |tx| items::delete(tx, first)));
    assert_eq!(of_item(other, 9), []);
    assert!(!see(store, |q| target_assocs::any(q, ACCOUNT)));
}

pub(super) fn credentials_outlive_their_cluster(store: &Store) {
    let item_id = done(store, |tx| items::insert(tx, &item("/dynamic")));
    let cluster = Cluster {
        id: 0,
        uid: Uid([3; 16]),
        account: ACCOUNT,
        access_id: AccessId::parse("p-0123456789ab").unwrap(),
        name: "prod".to_owned(),
        display_name: String::new(),
        url: String::new(),
        protection_key: None,
        created: NOW,
    };
    let id = done(store, move |tx| clusters::insert(tx, &cluster));
    add(store, vec![lease(1, item_id, id, 60), lease(2, item_id, id + 1, 60)]);
    assert!(!done(store, move |tx| clusters::delete(tx, OTHER, id)));
    assert_eq!(due(store, 0, at(60), 10), [0_u8; 0]);
    assert!(done(store, move |tx| clusters::delete(tx, ACCOUNT, id)));
    assert_eq!((due(store, 0, at(60), 10), due(store, id + 1, at(60), 10)), (vec![1], vec![2]));
}
