//! What every engine's store must do, one function per noun over an open store.

use keysherd_base::{FaultKind, ItemId, Timestamp, Uid};
use keysherd_domain::guard_rails::Policy;
use keysherd_domain::item::ItemState;

use super::fixture::*;
use super::{credential_leases, credential_rotations};
use crate::keys::ProtectionKey;
use crate::login_guards::Counting;
use crate::revoked_tokens::RevokedToken;
use crate::{
    Store, accounts, assocs, auth_methods, folders, item_versions, items, keys, login_guards, meta,
    revoked_tokens, roles, used_proofs,
};

type Check = fn(&Store);

/// The suite: run it over a fresh store with the accounts of the fixture.
const SUITE: &[(&str, Check)] = &[
    ("accounts", accounts_are_kept),
    ("settings", settings_change_only_as_expected),
    ("auth methods", methods_are_found_every_way),
    ("roles", roles_keep_their_rules),
    ("assocs", assocs_are_unique_and_die_with_their_ends),
    ("items", items_are_found_every_way),
    ("due items", items_due_for_deletion_are_found),
    ("versions", versions_are_kept_and_pruned),
    ("folders", folders_are_kept),
    ("keys", keys_have_versions),
    ("revoked tokens", revoked_tokens_are_forgotten_in_time),
    ("meta", counters_count),
    ("wrong logins", wrong_logins_add_up),
    ("used proofs", proofs_are_used_once),
    ("associations with targets", credential_leases::associations_end_with_what_they_join),
    ("due credentials", credential_leases::credentials_are_found_when_they_are_due),
    ("due secrets", credential_leases::what_is_due_is_found_secret_by_secret),
    ("credentials of an item", credential_leases::all_credentials_of_an_item_end_together),
    ("targets", credential_leases::items_keep_their_targets_and_credentials_their_items),
    ("clusters that go", credential_leases::credentials_outlive_their_cluster),
    ("due rotations", credential_rotations::rotations_are_found_when_they_are_due),
    ("candidates", credential_rotations::candidates_are_versions_to_keys_only),
];

#[test]
pub(super) fn the_embedded_store_behaves() {
    for (name, check) in SUITE {
        println!("{name}");
        check(&Fixture::new().store);
    }
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T, keysherd_base::Fault>) -> bool {
    result.is_err_and(|fault| {
        fault.kind() == FaultKind::Conflict && fault.public().contains("already exists")
    })
}

fn accounts_are_kept(store: &Store) {
    assert_eq!(see(store, |q| accounts::get(q, ACCOUNT)), Some(account(ACCOUNT)));
    assert_eq!(see(store, |q| accounts::list(q)).len(), 2);
    assert!(is_conflict(change(store, |tx| accounts::insert(tx, &account(ACCOUNT)))));

    let mut changed = account(ACCOUNT);
    changed.owner_method = 7;
    changed.settings.company_name = "Acme".to_owned();
    let stored = changed.clone();
    assert!(done(store, move |tx| accounts::update(tx, &stored)));
    assert_eq!(see(store, |q| accounts::get(q, ACCOUNT)), Some(changed));

    let unknown = keysherd_base::AccountId(Uid([99; 16]));
    assert_eq!(see(store, |q| accounts::get(q, unknown)), None);
    assert!(!done(store, move |tx| accounts::update(tx, &account(unknown))));
}

fn settings_change_only_as_expected(store: &Store) {
    let old = account(ACCOUNT).settings;
    let mut new = old.clone();
    new.root_path = Policy::Refuse;
    let (expected, wanted) = (old.clone(), new.clone());
    let swapped = done(store, move |tx| accounts::update_settings(tx, ACCOUNT, &expected, &wanted));
    assert!(swapped);
    assert_eq!(see(store, |q| accounts::get(q, ACCOUNT)).unwrap().settings, new);

    // The second administrator still holds the old ones.
    let swapped = done(store, move |tx| accounts::update_settings(tx, ACCOUNT, &old, &old));
    assert!(!swapped);
    assert_eq!(see(store, |q| accounts::get(q, ACCOUNT)).unwrap().settings, new);
}

fn methods_are_found_every_way(store: &Store) {
    let plain = method("/ci/deploy", "p-aaaaaaaaaaaa");
    let person = email_method("/alice", "p-bbbbbbbbbbbb", "alice@example.com");
    let (one, two) = (plain.clone(), person.clone());
    let (plain_id, person_id) = change(store, move |tx| {
        Ok((auth_methods::insert(tx, &one)?, auth_methods::insert(tx, &two)?))
    })
    .unwrap();
    assert_ne!(plain_id, person_id);
    let plain = keysherd_domain::auth_method::AuthMethod { id: plain_id, ..plain };

    see(store, |q| {
        assert_eq!(auth_methods::by_id(q, ACCOUNT, plain_id)?, Some(plain.clone()));
        assert_eq!(auth_methods::by_id(q, OTHER, plain_id)?, None);
        assert_eq!(auth_methods::by_path(q, ACCOUNT, &plain.path)?, Some(plain.clone()));
        assert_eq!(auth_methods::by_access_id(q, &plain.access_id)?, Some(plain.clone()));
        let by_email = auth_methods::by_email(q, "alice@example.com")?;
        assert_eq!(by_email.iter().map(|found| found.id).collect::<Vec<_>>(), [person_id]);
        let all = auth_methods::all_of(q, ACCOUNT)?;
        assert_eq!(all.iter().map(|found| found.id).collect::<Vec<_>>(), [person_id, plain_id]);
        Ok(())
    });

    for taken in [
        method("/ci/deploy", "p-cccccccccccc"),
        method("/other", "p-aaaaaaaaaaaa"),
        email_method("/other", "p-dddddddddddd", "alice@example.com"),
    ] {
        assert!(is_conflict(change(store, move |tx| auth_methods::insert(tx, &taken))));
    }

    let mut renamed = plain.clone();
    renamed.path = path("/ci/release");
    renamed.generation = 2;
    let stored = renamed.clone();
    assert!(done(store, move |tx| auth_methods::update(tx, &stored)));
    assert_eq!(
        see(store, |q| auth_methods::by_path(q, ACCOUNT, &path("/ci/release"))),
        Some(renamed.clone())
    );
    renamed.path = path("/alice");
    assert!(is_conflict(change(store, move |tx| auth_methods::update(tx, &renamed))));
    assert!(done(store, move |tx| auth_methods::delete(tx, plain_id)));
    assert!(!done(store, move |tx| auth_methods::delete(tx, plain_id)));
}

fn roles_keep_their_rules(store: &Store) {
    let id = change(store, |tx| roles::insert(tx, &role("/ops/reader"))).unwrap();
    let mut stored = role("/ops/reader");
    stored.id = id;
    assert_eq!(
        see(store, |q| roles::by_path(q, ACCOUNT, &path("ops/reader"))),
        Some(stored.clone())
    );
    assert_eq!(see(store, |q| roles::all_of(q, ACCOUNT)), [stored.clone()]);
    assert_eq!(see(store, |q| roles::all_of(q, OTHER)), []);
    assert!(is_conflict(change(store, |tx| roles::insert(tx, &role("/ops/reader")))));

    stored.rules.clear();
    stored.admin = true;
    let changed = stored.clone();
    assert!(done(store, move |tx| roles::update(tx, &changed)));
    assert_eq!(see(store, |q| roles::by_id(q, ACCOUNT, id)), Some(stored));
    assert!(done(store, move |tx| roles::delete(tx, id)));
    assert_eq!(see(store, |q| roles::by_id(q, ACCOUNT, id)), None);
}

fn assocs_are_unique_and_die_with_their_ends(store: &Store) {
    let (reader, ci) = change(store, |tx| {
        let reader = roles::insert(tx, &role("/reader"))?;
        let ci = auth_methods::insert(tx, &method("/ci", "p-aaaaaaaaaaaa"))?;
        assocs::insert(tx, ACCOUNT, &assoc("ass-1", reader, ci))?;
        Ok((reader, ci))
    })
    .unwrap();
    let first = assoc("ass-1", reader, ci);
    assert_eq!(see(store, |q| assocs::by_id(q, ACCOUNT, &first.id)), Some(first.clone()));
    assert_eq!(see(store, |q| assocs::by_id(q, OTHER, &first.id)), None);

    let same = assoc("ass-2", reader, ci);
    assert!(is_conflict(change(store, move |tx| assocs::insert(tx, ACCOUNT, &same))));
    let mut second = assoc("ass-2", reader, ci);
    second.case_sensitive = false;
    let stored = second.clone();
    change(store, move |tx| assocs::insert(tx, ACCOUNT, &stored)).unwrap();
    assert_eq!(see(store, |q| assocs::all_of(q, ACCOUNT)), [first.clone(), second.clone()]);

    let mut now_same = second.clone();
    now_same.case_sensitive = true;
    assert!(is_conflict(change(store, move |tx| assocs::update(tx, &now_same))));
    second.sub_claims.0.clear();
    let stored = second.clone();
    assert!(done(store, move |tx| assocs::update(tx, &stored)));
    assert_eq!(see(store, |q| assocs::of_role(q, reader)), [first.clone(), second.clone()]);

    let id = first.id.clone();
    assert!(!done(store, move |tx| assocs::delete(tx, OTHER, &id)));
    assert!(done(store, move |tx| assocs::delete(tx, ACCOUNT, &first.id)));
    assert_eq!(see(store, |q| assocs::of_method(q, ci)), [second]);
    assert!(done(store, move |tx| auth_methods::delete(tx, ci)));
    assert_eq!(see(store, |q| assocs::all_of(q, ACCOUNT)), []);
    let orphan = assoc("ass-3", reader, ci);
    let fault = change(store, move |tx| assocs::insert(tx, ACCOUNT, &orphan)).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Internal);
}

fn items_are_found_every_way(store: &Store) {
    let id = change(store, |tx| items::insert(tx, &item("/team/db"))).unwrap();
    let mut stored = item("/team/db");
    stored.id = id;
    see(store, |q| {
        assert_eq!(items::by_path(q, ACCOUNT, &stored.path)?, Some(stored.clone()));
        assert_eq!(items::by_id(q, ACCOUNT, id)?, Some(stored.clone()));
        assert_eq!(items::by_display(q, ACCOUNT, &stored.display_id.0)?, Some(stored.clone()));
        assert_eq!(items::by_path(q, OTHER, &stored.path)?, None);
        assert_eq!(items::by_id(q, OTHER, id)?, None);
        assert_eq!(items::by_display(q, OTHER, &stored.display_id.0)?, None);
        assert!(items::any_below(q, ACCOUNT, &folder("/team"))?);
        assert!(!items::any_below(q, ACCOUNT, &folder("/team/db"))?);
        Ok(())
    });
    assert!(is_conflict(change(store, |tx| items::insert(tx, &item("/team/db")))));

    let mut secret = item("/team/other");
    secret.protection_key = Some(id);
    let other = change(store, move |tx| items::insert(tx, &secret)).unwrap();
    assert!(other > id);
    assert_eq!(see(store, |q| items::count_with_key(q, id)), 1);
    assert!(change(store, move |tx| items::delete(tx, id)).is_err(), "a key in use");

    stored.path = path("/team/new");
    stored.state = ItemState::Disabled;
    let changed = stored.clone();
    assert!(done(store, move |tx| items::update(tx, &changed)));
    assert_eq!(see(store, |q| items::by_id(q, ACCOUNT, id)), Some(stored.clone()));
    stored.path = path("/team/other");
    assert!(is_conflict(change(store, move |tx| items::update(tx, &stored))));

    assert!(done(store, move |tx| items::delete(tx, other)));
    assert!(!done(store, move |tx| items::delete(tx, other)));
    let next = change(store, |tx| items::insert(tx, &item("/team/next"))).unwrap();
    assert!(next > other, "an id is never used twice");
}

fn items_due_for_deletion_are_found(store: &Store) {
    change(store, |tx| {
        for (name, seconds) in [("/late", 20), ("/soon", 10), ("/far", 900)] {
            let mut pending = item(name);
            pending.deletion_at = Some(NOW.plus_seconds(seconds));
            items::insert(tx, &pending)?;
        }
        items::insert(tx, &item("/kept")).map(drop)
    })
    .unwrap();
    let due = see(store, |q| items::due_for_deletion(q, NOW.plus_seconds(20), 10));
    assert_eq!(due.iter().map(|item| item.path.bare()).collect::<Vec<_>>(), ["soon", "late"]);
    assert_eq!(see(store, |q| items::due_for_deletion(q, NOW, 10)), []);
}

fn versions_are_kept_and_pruned(store: &Store) {
    let id = change(store, |tx| {
        let id = items::insert(tx, &item("/secret"))?;
        for number in 1..=6 {
            item_versions::put(tx, id, &version(number, &[9, 9]))?;
        }
        item_versions::put(tx, id, &version(6, b"overwritten"))?;
        Ok(id)
    })
    .unwrap();
    let numbers = |found: Vec<keysherd_domain::item::ItemVersion>| {
        found.into_iter().map(|version| version.version).collect::<Vec<_>>()
    };
    see(store, |q| {
        let listed = item_versions::list(q, id)?;
        assert!(listed.iter().all(|version| version.ciphertext.is_empty()));
        assert_eq!(numbers(listed), [6, 5, 4, 3, 2, 1]);
        assert_eq!(item_versions::latest(q, id)?, Some(version(6, b"overwritten")));
        assert_eq!(item_versions::get(q, id, 2)?, Some(version(2, &[9, 9])));
        assert_eq!(item_versions::get(q, id, 7)?, None);
        assert_eq!(numbers(item_versions::newest(q, id, 2)?), [6, 5]);
        assert_eq!(item_versions::count_items_by_key(q, KEY, ItemId(0))?, 1);
        assert_eq!(item_versions::count_items_by_key(q, KEY, id)?, 0);
        Ok(())
    });

    assert!(done(store, move |tx| item_versions::delete(tx, id, 5)));
    assert!(!done(store, move |tx| item_versions::delete(tx, id, 5)));
    assert_eq!(done(store, move |tx| item_versions::prune(tx, id, 2)), 3);
    assert_eq!(numbers(see(store, |q| item_versions::list(q, id))), [6, 4]);
    assert_eq!(done(store, move |tx| item_versions::prune(tx, id, 2)), 0);

    let disabled = done(store, move |tx| item_versions::set_state(tx, id, 4, ItemState::Disabled));
    assert!(disabled);
    let stored = see(store, |q| item_versions::get(q, id, 4)).unwrap();
    assert_eq!(stored.state, ItemState::Disabled);

    assert!(done(store, move |tx| items::delete(tx, id)));
    assert_eq!(see(store, |q| item_versions::list(q, id)), []);
    let orphan = change(store, move |tx| item_versions::put(tx, id, &version(1, b"x")));
    assert_eq!(orphan.unwrap_err().kind(), FaultKind::Internal);
}

fn folders_are_kept(store: &Store) {
    let id = change(store, |tx| {
        items::insert(tx, &item("/team/db/password"))?;
        folders::insert(tx, &explicit_folder("/team/empty/deep"))?;
        folders::insert(tx, &explicit_folder("/team"))
    })
    .unwrap();
    let mut stored = explicit_folder("/team");
    stored.id = id;
    see(store, |q| {
        assert_eq!(folders::by_path(q, ACCOUNT, &folder("/team"))?, Some(stored.clone()));
        assert_eq!(folders::by_path(q, ACCOUNT, &folder("/team/db"))?, None);
        assert_eq!(folders::all_below(q, ACCOUNT, &folder("/team"))?.len(), 1);
        assert_eq!(folders::children(q, ACCOUNT, &folder("/team"))?, [folder("/team/empty")]);
        let names = folders::names_in(q, ACCOUNT, &folder("/team"))?;
        assert_eq!(names, [folder("/team/db"), folder("/team/empty")]);
        assert_eq!(folders::names_in(q, ACCOUNT, &folder("/"))?, [folder("/team")]);
        assert_eq!(folders::names_in(q, OTHER, &folder("/"))?, []);
        Ok(())
    });
    assert!(is_conflict(change(store, |tx| folders::insert(tx, &explicit_folder("/team")))));
    stored.description = "changed".to_owned();
    let changed = stored.clone();
    assert!(done(store, move |tx| folders::update(tx, &changed)));
    assert_eq!(see(store, |q| folders::by_path(q, ACCOUNT, &folder("/team"))), Some(stored));
    assert!(done(store, move |tx| folders::delete(tx, id)));
    assert!(!done(store, move |tx| folders::delete(tx, id)));
}

fn keys_have_versions(store: &Store) {
    let key = |version| ProtectionKey {
        key_id: KEY,
        version,
        account: ACCOUNT,
        state: ItemState::Enabled,
        group: "default".to_owned(),
        customer_fragment: (version == 2).then_some(Uid([8; 16])),
        managers: 3,
        threshold: 2,
        created: NOW,
        manifest: b"signed".as_slice().into(),
    };
    let (one, two) = (key(1), key(2));
    change(store, move |tx| keys::insert(tx, &one).and_then(|()| keys::insert(tx, &two))).unwrap();
    let again = key(2);
    assert!(is_conflict(change(store, move |tx| keys::insert(tx, &again))));
    see(store, |q| {
        assert_eq!(keys::get(q, KEY, 1)?, Some(key(1)));
        assert_eq!(keys::get(q, KEY, 3)?, None);
        assert_eq!(keys::latest(q, KEY)?, Some(key(2)));
        assert_eq!(keys::versions(q, KEY)?, [key(2), key(1)]);
        assert_eq!(keys::manifest(q, KEY, 1)?.as_deref(), Some(b"signed".as_slice()));
        assert_eq!(keys::manifest(q, Uid([0; 16]), 1)?, None);
        Ok(())
    });
    let changed = done(store, |tx| keys::set_state(tx, KEY, ItemState::PendingDeletion));
    assert_eq!(changed, 2);
    let state = see(store, |q| keys::get(q, KEY, 1)).unwrap().state;
    assert_eq!(state, ItemState::PendingDeletion);
    assert_eq!(done(store, |tx| keys::delete(tx, KEY)), 2);
    assert_eq!(see(store, |q| keys::latest(q, KEY)), None);
}

fn revoked_tokens_are_forgotten_in_time(store: &Store) {
    let revoked = |token, seconds| RevokedToken {
        token: Uid([token; 16]),
        account: ACCOUNT,
        expires: NOW.plus_seconds(seconds),
    };
    change(store, move |tx| {
        revoked_tokens::insert(tx, &revoked(1, 10))?;
        revoked_tokens::insert(tx, &revoked(1, 10))?;
        revoked_tokens::insert(tx, &revoked(2, 20))
    })
    .unwrap();
    assert!(see(store, |q| revoked_tokens::contains(q, Uid([1; 16]))));
    assert!(!see(store, |q| revoked_tokens::contains(q, Uid([3; 16]))));
    let at: Timestamp = NOW.plus_seconds(10);
    assert_eq!(see(store, |q| revoked_tokens::unexpired(q, at)), [revoked(2, 20)]);
    assert_eq!(done(store, move |tx| revoked_tokens::purge_expired(tx, at)), 1);
    assert!(!see(store, |q| revoked_tokens::contains(q, Uid([1; 16]))));
}

fn counters_count(store: &Store) {
    change(store, |tx| {
        meta::put(tx, "color", "red")?;
        meta::put(tx, "color", "blue")?;
        assert_eq!([meta::next(tx, "n")?, meta::next(tx, "n")?, meta::next(tx, "m")?], [1, 2, 1]);
        assert_eq!(meta::get(tx, "color")?.as_deref(), Some("blue"));
        Ok(())
    })
    .unwrap();
    assert_eq!(see(store, |q| meta::get(q, "color")).as_deref(), Some("blue"));
    assert_eq!(see(store, |q| meta::get(q, "taste")), None);
}

fn wrong_logins_add_up(store: &Store) {
    let counting =
        Counting { lock_seconds: |failures| (failures >= 3).then_some(60), forget_seconds: 1_000 };
    let subject = [5; 32];
    let add = |at| done(store, move |tx| login_guards::add_wrong(tx, &subject, at, counting));
    assert_eq!((add(NOW).failures, add(NOW).failures), (1, 2));
    let third = add(NOW);
    assert_eq!((third.failures, third.locked_until), (3, NOW.plus_seconds(60)));
    assert_eq!(see(store, |q| login_guards::guard(q, &subject)), Some(third));
    let later = NOW.plus_seconds(1_000);
    assert_eq!(add(later).failures, 1, "it was forgiven after a while");
    done(store, move |tx| login_guards::remove(tx, &subject));
    assert_eq!(see(store, |q| login_guards::guard(q, &subject)), None);
    let place = login_guards::PlaceRow { subject, place: [6; 32], seen: NOW };
    done(store, move |tx| login_guards::put_place(tx, &place));
    let subjects: Vec<[u8; 32]> = (0..100).map(|number| [number; 32]).collect();
    assert_eq!(see(store, |q| login_guards::of_all(q, &subjects)).1, [place]);
    assert_eq!(see(store, |q| login_guards::of_all(q, &[[6; 32]])), (vec![], vec![]));
    assert_eq!(see(store, |q| login_guards::of_all(q, &[])), (vec![], vec![]));
}

fn proofs_are_used_once(store: &Store) {
    let take = |mark| done(store, move |tx| used_proofs::take(tx, &[mark; 16], NOW));
    assert_eq!([take(1), take(1), take(2)], [true, false, true]);
    assert_eq!(done(store, |tx| used_proofs::forget(tx, NOW)), 0);
    assert_eq!(done(store, |tx| used_proofs::forget(tx, NOW.plus_seconds(1))), 2);
    assert!(take(1));
}
