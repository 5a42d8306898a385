//! Trees of universal-identity tokens.

use keysherd_base::{FaultKind, Timestamp, UidTokenId};
use keysherd_domain::uid::{LivingValue, UidToken, UidValue, end_of_life};

use super::fixture::*;
use crate::{Store, auth_methods, uid_tokens};

pub(super) fn token(method: i64, id: &str) -> UidToken {
    let value = UidValue { number: 1, verifier: [4; 32] };
    UidToken {
        id: 0,
        account: ACCOUNT,
        method,
        token_id: UidTokenId::parse(id).unwrap(),
        comment: "ci".to_owned(),
        ttl_minutes: 60,
        deny_rotate: false,
        deny_inheritance: true,
        created: NOW,
        revoked: None,
        current: LivingValue { value, made: NOW, expires: end_of_life(NOW, 60) },
        pending: None,
        replaced: None,
        numbers_used: 1,
    }
}

fn insert(store: &Store, token: &UidToken) -> UidToken {
    let mut kept = token.clone();
    let token = token.clone();
    kept.id = done(store, move |tx| uid_tokens::insert(tx, &token, None));
    kept
}

fn ids(tokens: &[UidToken]) -> Vec<&str> {
    tokens.iter().map(|token| token.token_id.as_str()).collect()
}

pub(super) const ROOT: &str = "rootrootroot";
const LEFT: &str = "rootrootrootaaaa";
const LEFT_CHILD: &str = "rootrootrootaaaazzzz";
const RIGHT: &str = "rootrootrootaaab";

#[test]
pub(super) fn branches_are_found_and_revoked_as_one() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let (one, two) = (method("/uid", "p-aaaaaaaaaaaa"), method("/two", "p-bbbbbbbbbbbb"));
    let method = done(store, move |tx| auth_methods::insert(tx, &one));
    let other = done(store, move |tx| auth_methods::insert(tx, &two));
    let kept = [ROOT, LEFT, LEFT_CHILD, RIGHT].map(|id| insert(store, &token(method, id)));
    let foreign = insert(store, &token(other, LEFT));
    let again = token(method, LEFT);
    let taken = change(store, move |tx| uid_tokens::insert(tx, &again, None));
    assert_eq!(taken.unwrap_err().kind(), FaultKind::Conflict);

    assert_eq!(see(store, |q| uid_tokens::by_id(q, kept[1].id)), Some(kept[1].clone()));
    let by_token_id = see(store, |q| uid_tokens::by_token_id(q, method, &kept[2].token_id));
    assert_eq!(by_token_id, Some(kept[2].clone()));
    let tree = see(store, |q| uid_tokens::branch(q, method, None));
    assert_eq!(ids(&tree), [ROOT, LEFT, LEFT_CHILD, RIGHT]);
    let left = see(store, |q| uid_tokens::branch(q, method, Some(&kept[1].token_id)));
    assert_eq!(ids(&left), [LEFT, LEFT_CHILD]);

    let top = kept[1].token_id.clone();
    let revoke = move |tx: &crate::Tx| uid_tokens::revoke_branch(tx, method, &top, Timestamp(5));
    assert_eq!(done(store, revoke.clone()), 2);
    assert_eq!(done(store, revoke), 0, "they were revoked before");
    let revoked = see(store, |q| uid_tokens::branch(q, method, None));
    let at: Vec<_> = revoked.iter().map(|token| token.revoked).collect();
    assert_eq!(at, [None, Some(Timestamp(5)), Some(Timestamp(5)), None]);
    assert_eq!(see(store, |q| uid_tokens::by_id(q, foreign.id)).unwrap().revoked, None);
}

#[test]
pub(super) fn a_tree_goes_with_its_method_and_events_come_due() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let one = method("/uid", "p-aaaaaaaaaaaa");
    let method = done(store, move |tx| auth_methods::insert(tx, &one));
    let [root, left] = [ROOT, LEFT].map(|id| insert(store, &token(method, id)));
    let mut changed = root.clone();
    changed.comment = "changed".to_owned();
    let stored = changed.clone();
    assert!(done(store, move |tx| uid_tokens::update(tx, &stored, Some(Timestamp(50)))));
    assert_eq!(see(store, |q| uid_tokens::due(q, Timestamp(49), 10)), []);
    assert_eq!(see(store, |q| uid_tokens::due(q, Timestamp(50), 10)), [changed.clone()]);
    let dead = end_of_life(NOW, 60).plus_seconds(1);
    let forget = move |tx: &crate::Tx| uid_tokens::forget(tx, dead, 1);
    assert_eq!(done(store, move |tx| uid_tokens::forget(tx, end_of_life(NOW, 60), 1)), 0);
    assert_eq!(done(store, forget), 1, "the leaf goes first");
    assert_eq!(see(store, |q| uid_tokens::by_id(q, left.id)), None);
    assert_eq!(see(store, |q| uid_tokens::count(q, method)), 1);
    done(store, move |tx| auth_methods::delete(tx, method));
    assert_eq!(see(store, |q| uid_tokens::by_id(q, root.id)), None);
    assert!(!done(store, move |tx| uid_tokens::update(tx, &changed, None)));
    assert_eq!(done(store, move |tx| uid_tokens::delete_tree(tx, method)), 0);
}
