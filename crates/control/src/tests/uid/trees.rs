//! Trees: who may make, revoke and see tokens, how deep and how many.

use keysherd_audit::action;
use keysherd_base::{Clock, FaultKind, UidTokenId};
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::role::RuleKind;
use keysherd_domain::uid::UidSettings;
use keysherd_plane::uid::{UidChild, UidGenerate, UidList, UidNamed, UidRevoke};

use super::{METHOD, child};
use crate::testing::{World, item, kind, rule};

#[tokio::test]
async fn children_live_by_themselves_within_the_limits() {
    let world = World::new().await;
    let settings = UidSettings {
        tree_length: 3,
        ttl_minutes: 30,
        child_ttl_limit_minutes: 20,
        ..UidSettings::default()
    };
    let root = world.uid_root(settings).await;
    let first = world.child_of(&root).await.unwrap();
    let second = world.child_of(&first).await.unwrap();
    assert_eq!(kind(world.child_of(&second).await), FaultKind::Forbidden, "the tree has 3 levels");
    let short = UidChild { ttl_minutes: Some(5), deny_rotate: true, ..child() };
    let short = world.ask(&first, short).await.unwrap().token;
    for minutes in [0, 21] {
        let bad = UidChild { ttl_minutes: Some(minutes), ..child() };
        assert_eq!(kind(world.ask(&root, bad).await), FaultKind::BadRequest);
    }
    let bad = UidChild { comment: "line\nbreak".to_owned(), ..child() };
    assert_eq!(kind(world.ask(&root, bad).await), FaultKind::BadRequest);
    let tree = world.tree().await;
    let shape: Vec<_> =
        tree.iter().map(|token| (token.token_id.depth(), token.ttl_minutes)).collect();
    assert_eq!(shape.len(), 4);
    assert_eq!((shape[0], shape[1]), ((1, 30), (2, 20)));
    assert_eq!(kind(world.rotate(&short).await), FaultKind::Forbidden);
    world.clock.advance_seconds(300);
    assert!(!world.lets_in(&short).await && world.lets_in(&second).await);
    world.clock.advance_seconds(1_500);
    assert!(!world.lets_in(&root).await, "the root has ended");
}

#[tokio::test]
async fn who_must_not_have_children_has_none() {
    let world = World::new().await;
    let settings = UidSettings { deny_inheritance: true, ..UidSettings::default() };
    let root = world.uid_root(settings).await;
    assert_eq!(kind(world.child_of(&root).await), FaultKind::Forbidden);
    let id = world.tree().await[0].token_id.clone();
    let by_admin = UidChild { parent: Some((item(METHOD), id)), ..child() };
    assert_eq!(kind(world.ask(&world.admin, by_admin).await), FaultKind::Forbidden);
    assert_eq!(kind(world.child_of(&world.admin).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn revoking_reaches_downwards_only() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let first = world.child_of(&root).await.unwrap();
    let second = world.child_of(&first).await.unwrap();
    let sibling = world.child_of(&root).await.unwrap();
    for (by, token) in [(&second, &first), (&sibling, &first), (&sibling, &root)] {
        assert_eq!(kind(world.revoke(by, token, true).await), FaultKind::NotFound);
    }
    world.revoke(&root, &first, false).await.unwrap();
    assert!(!world.lets_in(&first).await && world.lets_in(&second).await);
    world.revoke(&root, &first, true).await.unwrap();
    assert!(!world.lets_in(&second).await && world.lets_in(&sibling).await);
    world.revoke(&sibling, &sibling, true).await.unwrap();
    assert!(!world.lets_in(&sibling).await && world.lets_in(&root).await);
    let revoked = world.tree().await.iter().filter(|token| token.revoked).count();
    assert_eq!(revoked, 3);
}

#[tokio::test]
async fn administrators_name_tokens_by_their_ids() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let id = world.tree().await[0].token_id.clone();
    let made = UidChild { parent: Some((item(METHOD), id.clone())), ..child() };
    let made = world.ask(&world.admin, made).await.unwrap().token;
    assert!(world.lets_in(&made).await);
    let of = |id: &UidTokenId| UidRevoke {
        method: Some(item(METHOD)),
        token: UidNamed::Id(id.clone()),
        branch: true,
    };
    let stranger = UidTokenId::parse("aaaaaaaaaaaa").unwrap();
    assert_eq!(kind(world.ask(&world.admin, of(&stranger)).await), FaultKind::NotFound);
    world.ask(&world.admin, of(&id)).await.unwrap();
    assert!(!world.lets_in(&root).await && !world.lets_in(&made).await);
    let orphan = UidChild { parent: Some((item(METHOD), id)), ..child() };
    assert_eq!(kind(world.ask(&world.admin, orphan).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn one_sees_ones_own_branch_only() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let first = world.child_of(&root).await.unwrap();
    world.child_of(&first).await.unwrap();
    world.child_of(&root).await.unwrap();
    let own = UidList { method: None };
    assert_eq!(world.ask(&root, own.clone()).await.unwrap().tokens.len(), 4);
    assert_eq!(world.ask(&first, own.clone()).await.unwrap().tokens.len(), 2);
    assert_eq!(kind(world.ask(&world.admin, own).await), FaultKind::BadRequest);
    let whole = UidList { method: Some(item(METHOD)) };
    assert_eq!(kind(world.ask(&first, whole.clone()).await), FaultKind::Unauthorized);
    let user = world.user("ann", &[rule(RuleKind::AuthMethod, "/*", "list")]).await;
    assert_eq!(world.ask(&user, whole).await.unwrap().tokens.len(), 4);
}

#[tokio::test]
async fn nobody_gets_more_by_a_token_than_they_have() {
    let world = World::new().await;
    world.uid_root(UidSettings::default()).await;
    // May change the method, but not do what its role grants.
    let user = world.user("ann", &[rule(RuleKind::AuthMethod, "/uid", "update")]).await;
    let generate = UidGenerate { method: item(METHOD) };
    assert_eq!(kind(world.ask(&user, generate.clone()).await), FaultKind::Forbidden);
    let id = world.tree().await[0].token_id.clone();
    let made = UidChild { parent: Some((item(METHOD), id.clone())), ..child() };
    assert_eq!(kind(world.ask(&user, made).await), FaultKind::Forbidden);
    let revoke = UidRevoke { method: Some(item(METHOD)), token: UidNamed::Id(id), branch: true };
    assert_eq!(kind(world.ask(&user, revoke).await), FaultKind::Forbidden);
    let nobody = world.user("bob", &[]).await;
    assert_eq!(kind(world.ask(&nobody, generate).await), FaultKind::Unauthorized);
    world.api_key("/key", MethodShared::default()).await;
    let other_kind = UidGenerate { method: item("/key") };
    assert_eq!(kind(world.ask(&world.admin, other_kind).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn another_account_learns_nothing() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let id = world.tree().await[0].token_id.clone();
    let other = world.another_account("other@example.com").await;
    let login = world.login(&other.created.admin_access_id, &other.admin_key).await;
    let foreign = login.unwrap().token;
    let of = |token| UidRevoke { method: None, token, branch: true };
    let by_value = world.ask(&foreign, of(UidNamed::Value(root.clone()))).await.unwrap_err();
    let unknown = world.ask(&foreign, of(UidNamed::Value("u-00".to_owned()))).await.unwrap_err();
    assert_eq!(by_value.public(), unknown.public());
    assert_eq!(
        kind(world.ask(&foreign, of(UidNamed::Id(id)).clone()).await),
        FaultKind::BadRequest
    );
    let list = UidList { method: Some(item(METHOD)) };
    assert_eq!(kind(world.ask(&foreign, list).await), FaultKind::NotFound);
    assert!(world.lets_in(&root).await);
}

#[tokio::test]
async fn events_are_raised_once_and_the_dead_are_forgotten() {
    let mut world = World::new().await;
    let settings = UidSettings {
        ttl_minutes: 10,
        expiration_event_percents: vec![50, 90],
        ..UidSettings::default()
    };
    let root = world.uid_root(settings).await;
    let (control, clock) = (world.control.clone(), world.clock.clone());
    let tend = async || control.tend_uid_tokens(clock.now()).await.unwrap();
    assert_eq!(tend().await, 0);
    world.clock.advance_seconds(300);
    assert_eq!((tend().await, tend().await), (1, 0));
    world.clock.advance_seconds(240);
    assert_eq!((tend().await, tend().await), (1, 0));
    let new = world.rotate(&root).await.unwrap();
    assert!(world.lets_in(&new).await);
    assert_eq!(tend().await, 0, "its life began anew");
    world.clock.advance_seconds(300);
    assert_eq!(tend().await, 1);
    assert_eq!(world.count(action::UID_TOKEN_EXPIRING), 3);
    let event =
        world.records().into_iter().rfind(|it| it.draft.action == action::UID_TOKEN_EXPIRING);
    assert!(event.unwrap().draft.access_id.is_some());
    world.clock.advance_seconds(31 * 24 * 3_600);
    tend().await;
    let admin = &world.first.created.admin_access_id;
    world.admin = world.login(admin, &world.first.admin_key).await.unwrap().token;
    assert_eq!(world.tree().await, []);
}
