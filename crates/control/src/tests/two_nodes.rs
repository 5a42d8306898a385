//! Two control planes over one store: what one has answered is in force at the other.

use std::mem::swap;

use keysherd_base::FaultKind;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::item::ItemState;
use keysherd_domain::role::RuleKind;
use keysherd_plane::auth::{Login, LoginSubject, PURPOSE_LOGIN, RevokeToken};
use keysherd_plane::items::{ItemStateSet, ItemUpdate, ItemUpdateParts};
use keysherd_plane::roles::{RoleDelete, RuleDelete, RuleSet};
use keysherd_store::Tx;
use keysherd_store::changes::Mark;
use keysherd_store::login_guards::add_wrong;

use crate::ControlKeys;
use crate::guard::people::{COUNTING, FREE_TRIES};
use crate::testing::{GATEWAY, OWNER_EMAIL, World, item, kind, rule};

#[tokio::test]
async fn what_one_node_has_changed_is_in_force_at_the_other() {
    let mut world = World::new().await;
    let mut other = world.another_node();
    world.secrets(&["/a/b"]).await;
    let token = world.user("reader", &[]).await;
    for turn in 0..20_u32 {
        // Both have everything in memory before each change.
        let set = RuleSet {
            role: item("/roles/reader"),
            rule: rule(RuleKind::Item, "/a/*", "read,list"),
        };
        world.ask(&world.admin, set).await.unwrap();
        swap(&mut world.control, &mut other);
        let newest = world.newest(&token, "/a/b").await.unwrap();
        assert_eq!(newest, turn + 1);
        swap(&mut world.control, &mut other);
        world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
        swap(&mut world.control, &mut other);
        assert_eq!(world.newest(&token, "/a/b").await.unwrap(), turn + 2);
        let rule =
            RuleDelete { role: item("/roles/reader"), kind: RuleKind::Item, path: "/a/*".into() };
        world.ask(&world.admin, rule).await.unwrap();
        swap(&mut world.control, &mut other);
        assert_eq!(kind(world.newest(&token, "/a/b").await), FaultKind::Unauthorized);
    }
}

#[tokio::test]
async fn a_token_that_one_node_has_revoked_is_dead_at_the_other() {
    let mut world = World::new().await;
    let mut other = world.another_node();
    world.secrets(&["/a/b"]).await;
    for _ in 0..20 {
        let login = world.login(&world.first.created.admin_access_id, &world.first.admin_key);
        let token = login.await.unwrap().token;
        swap(&mut world.control, &mut other);
        world.newest(&token, "/a/b").await.unwrap();
        swap(&mut world.control, &mut other);
        world.ask(&token, RevokeToken).await.unwrap();
        swap(&mut world.control, &mut other);
        assert_eq!(kind(world.newest(&token, "/a/b").await), FaultKind::Unauthorized);
        // It stays known after everything was read again.
        world.control.followed.lose_place();
        assert_eq!(kind(world.newest(&token, "/a/b").await), FaultKind::Unauthorized);
    }
}

#[tokio::test]
async fn an_item_that_one_node_has_moved_or_disabled_is_so_at_the_other() {
    let mut world = World::new().await;
    let mut other = world.another_node();
    world.secrets(&["/a/b"]).await;
    let admin = world.admin.clone();
    for (from, to) in [("/a/b", "/a/c"), ("/a/c", "/a/b")] {
        assert_eq!(world.newest(&admin, from).await.unwrap(), 1);
        swap(&mut world.control, &mut other);
        assert_eq!(world.newest(&admin, from).await.unwrap(), 1);
        let parts = ItemUpdateParts { new_path: Some(item(to)), ..Default::default() };
        world.ask(&admin, ItemUpdate { path: item(from), parts }).await.unwrap();
        swap(&mut world.control, &mut other);
        assert_eq!(kind(world.newest(&admin, from).await), FaultKind::NotFound);
        assert_eq!(world.newest(&admin, to).await.unwrap(), 1);
    }
    let state = |state| ItemStateSet { path: item("/a/b"), version: None, state };
    world.ask(&admin, state(ItemState::Disabled)).await.unwrap();
    swap(&mut world.control, &mut other);
    assert_eq!(kind(world.newest(&admin, "/a/b").await), FaultKind::Forbidden);
}

#[tokio::test]
async fn who_lost_their_place_in_the_feed_reads_everything_again() {
    let mut world = World::new().await;
    let mut other = world.another_node();
    world.secrets(&["/a/b"]).await;
    let token = world.user("reader", &[rule(RuleKind::Item, "/a/*", "read,list")]).await;
    swap(&mut world.control, &mut other);
    world.newest(&token, "/a/b").await.unwrap();
    let place = world.control.followed.lose_place();
    assert_ne!(place, Mark::default());
    swap(&mut world.control, &mut other);
    world.ask(&world.admin, RoleDelete { path: item("/roles/reader") }).await.unwrap();
    swap(&mut world.control, &mut other);
    assert_eq!(kind(world.newest(&token, "/a/b").await), FaultKind::Unauthorized);
}

/// Whoever waits while the feed is followed does not follow it once more.
#[tokio::test]
async fn requests_that_wait_for_one_change_follow_it_together() {
    let mut world = World::new().await;
    let mut other = world.another_node();
    world.secrets(&["/a/b"]).await;
    world.put(&world.admin, "/a/b", Some(true)).await.unwrap();
    swap(&mut world.control, &mut other);
    let (before, held) = world.control.followed.hold().await;
    let waited = world.control.followed.waited();
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let control = world.control.clone();
            tokio::spawn(async move { control.catch_up().await })
        })
        .collect();
    // Each has come as far as it can.
    while world.control.followed.waited() < waited + 100 {
        assert!(requests.iter().all(|request| !request.is_finished()), "one did not wait");
        tokio::task::yield_now().await;
    }
    drop(held);
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(world.control.followed.begun(), before + 1);
    assert_eq!(world.newest(&world.admin, "/a/b").await.unwrap(), 2);
}

/// Each of a flood of wrong logins is followed, with few questions.
#[tokio::test]
async fn many_wrong_logins_at_one_node_are_known_at_the_other() {
    let mut world = World::new().await;
    let mut other = world.another_node();
    let now = world.now();
    let subjects: Vec<[u8; 32]> = (0..200_u8).map(|number| [number; 32]).collect();
    let wrong = subjects.clone();
    let job = move |tx: &Tx| {
        wrong.iter().try_for_each(|subject| {
            (0..=FREE_TRIES).try_for_each(|_| add_wrong(tx, subject, now, COUNTING).map(drop))
        })
    };
    world.control.store.commit(Vec::new(), job).await.unwrap();
    swap(&mut world.control, &mut other);
    world.control.catch_up().await.unwrap();
    let locked = |subject: &[u8; 32]| world.control.guard.is_locked(*subject, now);
    assert_eq!(subjects.iter().filter(|subject| locked(subject)).count(), 200);
}

#[tokio::test]
async fn wrong_passwords_are_counted_over_all_nodes_and_a_good_one_forgives_at_all() {
    let world = World::new().await;
    let mut world = world.sharing();
    let mut other = world.another_node();
    let wrong = SigningKey::generate(&SystemRng).unwrap();
    let right = SigningKey::from_seed(world.first.owner_key.seed());
    for turn in 0..FREE_TRIES {
        let refused = world.login_email(OWNER_EMAIL, None, &wrong).await;
        assert_eq!(kind(refused), FaultKind::Unauthorized, "try {turn}");
        swap(&mut world.control, &mut other);
    }
    for _ in 0..2 {
        // Not even the right one is tried, at either.
        let refused = world.login_email(OWNER_EMAIL, None, &right).await;
        assert_eq!(kind(refused), FaultKind::RateLimited);
        swap(&mut world.control, &mut other);
    }
    world.clock.advance_seconds(61);
    world.login_email(OWNER_EMAIL, None, &right).await.unwrap();
    swap(&mut world.control, &mut other);
    for _ in 1..FREE_TRIES {
        let refused = world.login_email(OWNER_EMAIL, None, &wrong).await;
        assert_eq!(kind(refused), FaultKind::Unauthorized, "it was forgiven");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_is_good_at_one_node_once() {
    let world = World::new().await;
    let mut world = world.sharing();
    let mut other = world.another_node();
    let subject = LoginSubject::AccessId(world.first.created.admin_access_id.clone());
    for _ in 0..20 {
        let proof = world.proof(PURPOSE_LOGIN, &subject, &world.first.admin_key);
        let login = || Login { subject: subject.clone(), proof: proof.clone(), otp: None };
        // At the same moment at both.
        let [here, there] = [&world.control, &other].map(|node| {
            let (plane, caller, login) = (node.plane_for(GATEWAY), world.caller(""), login());
            tokio::spawn(async move { plane.ask(caller, login).await.map_err(|f| f.kind()) })
        });
        let outcomes = [here.await.unwrap().is_ok(), there.await.unwrap().is_ok()];
        assert_eq!(outcomes.iter().filter(|good| **good).count(), 1, "{outcomes:?}");
        assert_eq!(kind(world.ask("", login()).await), FaultKind::Unauthorized);
        swap(&mut world.control, &mut other);
        assert_eq!(kind(world.ask("", login()).await), FaultKind::Unauthorized);
    }
}

#[tokio::test]
async fn a_login_signed_before_a_node_started_is_good_there_when_another_runs() {
    let world = World::new().await;
    let mut world = world.sharing();
    let subject = LoginSubject::AccessId(world.first.created.admin_access_id.clone());
    let used = world.proof(PURPOSE_LOGIN, &subject, &world.first.admin_key);
    let unused = world.proof(PURPOSE_LOGIN, &subject, &world.first.admin_key);
    let login = |proof| Login { subject: subject.clone(), proof, otp: None };
    world.ask("", login(used.clone())).await.unwrap();
    world.clock.advance_seconds(10);
    world.control = world.another_node();
    assert_eq!(kind(world.ask("", login(used)).await), FaultKind::Unauthorized);
    world.ask("", login(unused)).await.unwrap();
}

#[tokio::test]
async fn control_planes_with_different_keys_do_not_share_a_store() {
    let world = World::new().await;
    let world = world.sharing();
    let keys = ControlKeys::ephemeral(&SystemRng).unwrap();
    let fault = keys.check_same(&world.control.store).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains("control.keys"), "{fault}");
}
