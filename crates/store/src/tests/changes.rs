//! The change feed: what is told, to whom, and when everything has to be forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use keysherd_base::{AccountId, Fault, ItemId, ManualClock, Timestamp, Uid};
use keysherd_domain::item::ItemState;

use super::fixture::*;
use super::uid_tokens::{ROOT, token as token_of};
use crate::changes::{self, Change, Mark, Since, Touched};
use crate::login_guards::{Counting, PlaceRow};
use crate::revoked_tokens::RevokedToken;
use crate::{
    Store, Tx, accounts, assocs, auth_methods, item_versions, items, login_guards, meta,
    revoked_tokens, roles, uid_tokens,
};

/// Tables whose rows nobody keeps in memory beyond a request, or that are followed in another way.
const NOT_FOLLOWED: &[&str] = &[
    "meta",
    "folders",
    "keys",
    "key_rotations",
    "bearer_groups",
    "second_factors",
    "gateway_clusters",
    "gateway_instances",
    "gateway_leases",
    "gateway_journal_gaps",
    "gateway_journals",
    "gateway_places",
    "gateway_access",
    "used_proofs",
    // Read from the store at each use.
    "item_targets",
    "target_assocs",
    "credential_leases",
    "credential_rotations",
    "audit",
    "audit_heads",
    "changes",
];
/// Tables whose changes are told.
const FOLLOWED: &[&str] = &[
    "accounts",
    "auth_methods",
    "roles",
    "assocs",
    "items",
    "item_versions",
    "revoked_tokens",
    "uid_tokens",
    "login_guards",
    "login_places",
];

fn newest(store: &Store) -> Mark {
    wait(store.newest_change()).unwrap()
}

fn since(store: &Store, mark: Mark) -> Since {
    let (newest_there, since) = store.read(|q| changes::since(q, mark, None, 100)).unwrap();
    assert_eq!(newest_there, newest(store));
    since
}

/// What a job touches, of [`ACCOUNT`] only.
fn touched<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&Tx) -> Result<T, Fault> + Send + 'static,
) -> (T, Vec<Touched>) {
    let before = newest(store);
    let done = done(store, job);
    let Since::Changes(changes) = since(store, before) else { panic!("a lost place") };
    assert!(changes.iter().all(|change| change.account == ACCOUNT), "{changes:?}");
    (done, changes.into_iter().map(|change| change.what).collect())
}

fn item_at(id: ItemId, name: &str) -> Touched {
    Touched::Item { id, path: path(name) }
}

#[test]
pub(super) fn identities_are_told_whatever_changes_of_them() {
    let Fixture { store, .. } = &Fixture::new();
    let identities = vec![Touched::Identities];
    let (method_id, told) =
        touched(store, |tx| auth_methods::insert(tx, &method("/m", "p-aaaaaaaaaaaa")));
    assert_eq!(told, identities);
    let (role_id, told) = touched(store, |tx| roles::insert(tx, &role("/r")));
    assert_eq!(told, identities);
    let one = assoc("ass-1", role_id, method_id);
    let mut changed = one.clone();
    changed.case_sensitive = false;
    let id = one.id.clone();
    let mut other_role = role("/s");
    other_role.id = role_id;
    let mut other_method = method("/n", "p-aaaaaaaaaaaa");
    other_method.id = method_id;
    let (_, told) = touched(store, move |tx| assocs::insert(tx, ACCOUNT, &one));
    assert_eq!(told, identities);
    let (found, told) = touched(store, move |tx| assocs::update(tx, &changed));
    assert_eq!((found, told), (true, identities.clone()));
    let (found, told) = touched(store, move |tx| assocs::delete(tx, ACCOUNT, &id));
    assert_eq!((found, told), (true, identities.clone()));
    let (found, told) = touched(store, move |tx| roles::update(tx, &other_role));
    assert_eq!((found, told), (true, identities.clone()));
    let (found, told) = touched(store, move |tx| auth_methods::update(tx, &other_method));
    assert_eq!((found, told), (true, identities.clone()));
    let (from, to) = (folder("/"), folder("/below/"));
    let (_, told) = touched(store, move |tx| roles::move_folder(tx, ACCOUNT, &from, &to, NOW));
    assert_eq!(told, identities);
    let (found, told) = touched(store, move |tx| roles::delete(tx, role_id));
    assert_eq!((found, told), (true, identities.clone()));
    let (found, told) = touched(store, move |tx| auth_methods::delete(tx, method_id));
    assert_eq!((found, told), (true, identities.clone()));
    let (_, told) = touched(store, |tx| accounts::update(tx, &account(ACCOUNT)));
    assert_eq!(told, identities);
    let settings = account(ACCOUNT).settings;
    let (_, told) =
        touched(store, move |tx| accounts::update_settings(tx, ACCOUNT, &settings, &settings));
    assert_eq!(told, identities);
}

#[test]
pub(super) fn items_are_told_by_every_path_they_have_had() {
    let Fixture { store, .. } = &Fixture::new();
    let (id, told) = touched(store, |tx| items::insert(tx, &item("/a")));
    assert_eq!(told, [item_at(id, "/a")]);
    let (_, told) = touched(store, move |tx| item_versions::put(tx, id, &version(1, b"x")));
    assert_eq!(told, [item_at(id, "/a")]);
    let disable = move |tx: &Tx| item_versions::set_state(tx, id, 1, ItemState::Disabled);
    assert_eq!(touched(store, disable), (true, vec![item_at(id, "/a")]));
    let renamed = items::by_path;
    let (_, told) = touched(store, move |tx| {
        let mut found = renamed(tx, ACCOUNT, &path("/a"))?.unwrap();
        found.path = path("/b");
        items::update(tx, &found)?;
        item_versions::put(tx, id, &version(2, b"y"))
    });
    assert_eq!(told, [item_at(id, "/a"), item_at(id, "/b")]);
    let (_, told) = touched(store, move |tx| item_versions::prune(tx, id, 1));
    assert_eq!(told, [item_at(id, "/b")]);
    let (from, to) = (folder("/"), folder("/below/"));
    let (_, told) = touched(store, move |tx| items::move_folder(tx, ACCOUNT, &from, &to, NOW));
    assert_eq!(told, [Touched::Items]);
    let (found, told) = touched(store, move |tx| items::delete(tx, id));
    assert_eq!((found, told), (true, vec![item_at(id, "/below/b")]));
}

#[test]
pub(super) fn revocations_are_told_with_their_end() {
    let Fixture { store, .. } = &Fixture::new();
    let (token, expires) = (Uid([8; 16]), NOW.plus_seconds(60));
    let revoked = RevokedToken { token, account: ACCOUNT, expires };
    let (_, told) = touched(store, move |tx| revoked_tokens::insert(tx, &revoked));
    assert_eq!(told, [Touched::Token { token, expires }]);
    let one = method("/uid", "p-aaaaaaaaaaaa");
    let method = done(store, move |tx| auth_methods::insert(tx, &one));
    let mut root = token_of(method, ROOT);
    let stored = root.clone();
    root.id = done(store, move |tx| uid_tokens::insert(tx, &stored, None));
    let top = root.token_id.clone();
    let uid = vec![Touched::UidTokens { method }];
    let (found, told) = touched(store, move |tx| uid_tokens::update(tx, &root, None));
    assert_eq!((found, told), (true, uid.clone()));
    let (count, told) = touched(store, move |tx| uid_tokens::revoke_branch(tx, method, &top, NOW));
    assert_eq!((count, told), (1, uid.clone()));
    assert_eq!(touched(store, move |tx| uid_tokens::delete_tree(tx, method)), (1, uid));
}

#[test]
pub(super) fn logins_are_told_of_nobodys_account() {
    let Fixture { store, .. } = &Fixture::new();
    let subject = [5; 32];
    let counting = Counting { lock_seconds: |_| None, forget_seconds: 60 };
    let place = PlaceRow { subject, place: [6; 32], seen: NOW };
    let told = |job: fn(&Tx, PlaceRow, Counting) -> Result<(), Fault>| {
        let before = newest(store);
        done(store, move |tx| job(tx, place, counting));
        since(store, before)
    };
    let account = AccountId::default();
    let logins = Since::Changes(vec![Change { account, what: Touched::Logins { subject } }]);
    let wrong = told(|tx, place, counting| {
        login_guards::add_wrong(tx, &place.subject, NOW, counting).map(drop)
    });
    assert_eq!(wrong, logins);
    assert_eq!(told(|tx, place, _| login_guards::remove(tx, &place.subject)), logins);
    assert_eq!(told(|tx, place, _| login_guards::put_place(tx, &place)), logins);
    let removed = told(|tx, place, _| login_guards::remove_place(tx, &place.subject, &place.place));
    assert_eq!(removed, logins);
}

#[test]
pub(super) fn what_fails_or_concerns_nobody_is_not_told() {
    let Fixture { store, .. } = &Fixture::new();
    let before = newest(store);
    done(store, |tx| meta::put(tx, "color", "red"));
    wait(store.record(vec![(draft(ACCOUNT), None)])).unwrap();
    let failed = change(store, |tx| {
        items::insert(tx, &item("/a"))?;
        Err::<(), _>(Fault::conflict("no"))
    });
    assert!(failed.is_err());
    assert_eq!(newest(store), before);
    // In one transaction with a change that succeeds, too.
    let held = hold_writer(store);
    let failing = store.commit(Vec::new(), |tx| {
        items::insert(tx, &item("/lost"))?;
        Err::<(), _>(Fault::conflict("no"))
    });
    let fine = store.commit(Vec::new(), |tx| items::insert(tx, &item("/kept")));
    drop(held);
    assert!(wait(failing).is_err());
    let id = wait(fine).unwrap();
    let told = Since::Changes(vec![Change { account: ACCOUNT, what: item_at(id, "/kept") }]);
    assert_eq!(since(store, before), told);
}

#[test]
pub(super) fn a_place_is_lost_when_rows_are_gone_too_many_or_of_another_history() {
    let Fixture { store, clock, .. } = &Fixture::new();
    let start = newest(store);
    let change_once = || {
        done(store, |tx| roles::insert(tx, &role("/r")).and_then(|id| roles::delete(tx, id)));
    };
    (0..100).for_each(|_| change_once());
    assert!(matches!(since(store, start), Since::Changes(told) if told.len() == 100));
    let account = Some(AccountId(Uid([2; 16])));
    let (_, others) = store.read(|q| changes::since(q, start, account, 100)).unwrap();
    assert_eq!(others, Since::Changes(Vec::new()));
    change_once();
    assert_eq!(since(store, start), Since::Forget, "too many");
    let now = newest(store);
    let other_history = Mark { time: Timestamp(now.time.0 + 1), ..now };
    assert_eq!(since(store, other_history), Since::Forget, "the row is another one");
    let ahead = Mark { number: now.number + 1, ..now };
    assert_eq!(since(store, ahead), Since::Forget, "the store was put back");
    assert_eq!(since(store, now), Since::Changes(Vec::new()));
    clock.advance_seconds(3_601);
    (0..256).for_each(|_| change_once());
    assert_eq!(since(store, now), Since::Forget, "the row is gone");
    assert!(matches!(since(store, Mark::default()), Since::Forget));
}

#[test]
pub(super) fn many_items_of_one_account_are_told_as_any() {
    let Fixture { store, .. } = &Fixture::new();
    let (_, told) = touched(store, |tx| {
        (0..300).try_for_each(|n| items::insert(tx, &item(&format!("/{n}"))).map(drop))
    });
    assert_eq!(told, [Touched::Items]);
}

#[test]
pub(super) fn whoever_is_told_that_a_change_was_made_finds_it_in_the_feed() {
    let Fixture { store, folder, clock } = Fixture::new();
    let mut watch = store.watch_changes();
    let before = newest(&store);
    watch.mark_unchanged();
    done(&store, |tx| items::insert(tx, &item("/a")));
    let after = newest(&store);
    assert_eq!(after.number, before.number + 1);
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), after);
    drop((watch, store));
    let again = Store::open(config(folder.path(), &clock)).unwrap();
    assert_eq!(newest(&again), after, "it is known after a restart");
}

#[test]
fn every_table_is_followed_or_known_not_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let store = Store::open(super::fixture::embedded(folder.path(), &clock)).unwrap();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let tables = see(&store, |q| crate::query::all(q, sql, &[], |row| Ok(row.text(0)?.to_owned())));
    let tables: BTreeSet<&str> = tables.iter().map(String::as_str).collect();
    let known: BTreeSet<&str> = FOLLOWED.iter().chain(NOT_FOLLOWED).copied().collect();
    assert_eq!(tables, known, "decide whether changes of a new table are told");
}
