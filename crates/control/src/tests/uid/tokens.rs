//! Bearer tokens exchanged for universal-identity tokens, and what is asked of both.

use keysherd_audit::action;
use keysherd_base::FaultKind;
use keysherd_domain::auth_method::{IpNetwork, MethodShared};
use keysherd_domain::uid::UidSettings;
use keysherd_plane::auth::{DescribeClaims, RevokeToken, ValidateToken};
use keysherd_plane::auth_methods::MethodDelete;
use keysherd_plane::roles::RuleSet;
use keysherd_plane::uid::UidLogin;

use super::{METHOD, child};
use crate::testing::{START, World, client, item, kind, rule};
use keysherd_domain::role::RuleKind;
use keysherd_plane::auth_methods::MethodGet;
use keysherd_plane::uid::UidChild;

#[tokio::test]
async fn an_exchanged_token_lives_and_dies_with_its_origin() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let child = world.child_of(&root).await.unwrap();
    let token = world.ask(&child, UidLogin).await.unwrap().token;
    assert!(token.starts_with("t-"));
    assert!(world.lets_in(&token).await);
    let other = world.ask(&root, UidLogin).await.unwrap().token;
    // Rotation does not touch it, a restart neither.
    let rotated = world.rotate(&child).await.unwrap();
    assert!(world.lets_in(&rotated).await && world.lets_in(&token).await);
    let world = world.restarted();
    assert!(world.lets_in(&token).await);
    world.revoke(&root, &rotated, false).await.unwrap();
    let text = world.refusal(&token).await;
    assert!(text.contains("revoked"), "{text}");
    assert!(world.lets_in(&other).await);
    world.generate(METHOD).await;
    assert!(!world.lets_in(&other).await && !world.lets_in(&root).await);
}

#[tokio::test]
async fn an_exchanged_token_ends_with_the_value_it_was_exchanged_for() {
    let world = World::new().await;
    let settings = UidSettings { ttl_minutes: 10, ..UidSettings::default() };
    let root = world.uid_root(settings).await;
    world.clock.advance_seconds(300);
    let reply = world.ask(&root, UidLogin).await.unwrap();
    assert_eq!(reply.expires, START.plus_seconds(600));
    assert_eq!(kind(world.ask(&world.admin, UidLogin).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask("", UidLogin).await), FaultKind::Unauthorized);
    world.clock.advance_seconds(300);
    assert_eq!(kind(world.ask(&root, UidLogin).await), FaultKind::Unauthorized);
    let refused = world.records().into_iter().rfind(|it| it.draft.action == action::AUTHENTICATE);
    assert_eq!(refused.unwrap().status, 401, "a refused login is recorded as one");
}

#[tokio::test]
async fn a_deleted_method_and_a_changed_role_are_in_force_at_once() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let token = world.ask(&root, UidLogin).await.unwrap().token;
    world.api_key("/visible/one", MethodShared::default()).await;
    let get = || MethodGet { path: item("/visible/one") };
    for token in [&root, &token] {
        world.ask(token, get()).await.unwrap();
    }
    let deny = rule(RuleKind::AuthMethod, "/visible/*", "deny");
    let set = RuleSet { role: item("/uid-role"), rule: deny };
    world.ask(&world.admin, set).await.unwrap();
    for token in [&root, &token] {
        assert_eq!(kind(world.ask(token, get()).await), FaultKind::Unauthorized);
    }
    world.ask(&world.admin, MethodDelete { path: item(METHOD) }).await.unwrap();
    assert!(!world.lets_in(&root).await && !world.lets_in(&token).await);
}

#[tokio::test]
async fn where_a_method_may_be_used_from_binds_its_tokens() {
    let world = World::new().await;
    let shared = MethodShared {
        bound_ips: vec![IpNetwork::parse("192.0.2.0/24").unwrap()],
        ..MethodShared::default()
    };
    world.uid_method("/bound", UidSettings::default(), shared).await;
    let root = world.generate("/bound").await;
    let new = world.rotate(&root).await.unwrap();
    let mut elsewhere = world.caller(&new);
    elsewhere.client = client("198.51.100.1", "sdk");
    let refused = world.ask_as(elsewhere, DescribeClaims).await;
    assert_eq!(kind(refused), FaultKind::Unauthorized);
    assert!(world.lets_in(&root).await, "a refused use acknowledges nothing");
}

#[tokio::test]
async fn a_token_says_what_it_is() {
    let world = World::new().await;
    let settings = UidSettings { ttl_minutes: 10, ..UidSettings::default() };
    let root = world.uid_root(settings).await;
    world.clock.advance_seconds(60);
    let root = world.rotate(&root).await.unwrap();
    let known = world.ask(&root, ValidateToken).await.unwrap();
    assert_eq!(known.expires, Some(START.plus_seconds(660)));
    assert_eq!(known.ttl_minutes, Some(10));
    assert_eq!(known.last_rotate, Some(START.plus_seconds(60)));
    assert_eq!(known.reason, None);
    let claims = world.ask(&root, DescribeClaims).await.unwrap().claims;
    let id = world.tree().await[0].token_id.clone();
    assert_eq!(claims.values("client_unique_id"), [id.as_str()]);
    assert_eq!(claims.0.len(), 2, "{claims:?}");
    let token = world.ask(&root, UidLogin).await.unwrap().token;
    let known = world.ask(&token, ValidateToken).await.unwrap();
    assert_eq!((known.ttl_minutes, known.last_rotate), (Some(10), None));
    let none = world.ask("u-00", ValidateToken).await.unwrap();
    assert!(none.reason.is_some() && none.expires.is_none());
}

#[tokio::test]
async fn a_comment_is_for_the_audit_log_only() {
    let world = World::new().await;
    let shared =
        MethodShared { audit_claims: vec!["uid_comment".to_owned()], ..MethodShared::default() };
    world.uid_method("/named", UidSettings::default(), shared).await;
    let root = world.generate("/named").await;
    let message = UidChild { comment: "nightly build".to_owned(), ..child() };
    let child = world.ask(&root, message).await.unwrap().token;
    let claims = world.ask(&child, DescribeClaims).await.unwrap().claims;
    // Whoever makes a child chooses the text, so no role may depend on it.
    assert!(claims.values("uid_comment").is_empty());
    let token = world.ask(&child, UidLogin).await.unwrap().token;
    world.ask(&token, DescribeClaims).await.unwrap();
    let last = world.records().pop().unwrap();
    assert_eq!(last.draft.sub_claims["uid_comment"], ["nightly build"]);
}

#[tokio::test]
async fn revoking_ones_own_credential_ends_the_token_alone() {
    let world = World::new().await;
    let root = world.uid_root(UidSettings::default()).await;
    let child = world.child_of(&root).await.unwrap();
    let token = world.ask(&root, UidLogin).await.unwrap().token;
    let second = world.ask(&root, UidLogin).await.unwrap().token;
    world.ask(&token, RevokeToken).await.unwrap();
    assert!(!world.lets_in(&token).await && world.lets_in(&second).await);
    world.ask(&root, RevokeToken).await.unwrap();
    assert!(!world.lets_in(&root).await && !world.lets_in(&second).await);
    assert!(world.lets_in(&child).await);
}

#[tokio::test]
async fn a_token_of_another_control_plane_is_nothing_here() {
    let (here, there) = (World::new().await, World::new().await);
    let root = here.uid_root(UidSettings::default()).await;
    there.uid_root(UidSettings::default()).await;
    assert!(here.lets_in(&root).await && !there.lets_in(&root).await);
}
