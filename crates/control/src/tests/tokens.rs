//! Tokens: what ends them, and that they are good in their account only.

use keysherd_base::FaultKind;
use keysherd_domain::auth_method::MethodShared;
use keysherd_plane::accounts::AccountGet;
use keysherd_plane::auth::{OwnMethod, RevokeToken, ValidateToken};
use keysherd_plane::auth_methods::{MethodDelete, MethodGet, MethodList, MethodUpdate};
use keysherd_plane::roles::RoleGet;

use crate::testing::{START, World, item, key_reset, kind};

#[tokio::test]
async fn a_token_ends() {
    let world = World::new().await;
    world.clock.advance_seconds(3_599);
    world.ask(&world.admin, AccountGet).await.unwrap();
    world.clock.advance_seconds(1);
    let fault = world.ask(&world.admin, AccountGet).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unauthorized);
    assert!(fault.public().contains("log in again"), "{fault}");
}

#[tokio::test]
async fn only_an_unchanged_token_is_one() {
    let world = World::new().await;
    let mut changed = world.admin.clone();
    let last = changed.pop().unwrap();
    changed.push(if last == '0' { '1' } else { '0' });
    let upper = format!("t-{}", world.admin[2..].to_uppercase());
    for bad in ["", "t-", "x", &changed, &upper, &world.admin[..40]] {
        assert_eq!(kind(world.ask(bad, AccountGet).await), FaultKind::Unauthorized, "{bad:?}");
    }
}

#[tokio::test]
async fn a_token_names_its_method_to_whoever_counts_requests() {
    let world = World::new().await;
    let (access_id, key) = world.api_key("/ci", MethodShared::default()).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let token = world.login(&access_id, &key).await.unwrap().token;
        seen.push(keysherd_plane::claimed_method(&token).unwrap());
        // Asked by name, control says the same.
        assert_eq!(world.ask(&token, OwnMethod).await.unwrap().counted_as, *seen.last().unwrap());
    }
    assert_eq!(seen[0], seen[1], "two tokens of one method");
    assert_ne!(Some(seen[0]), keysherd_plane::claimed_method(&world.admin));
}

#[tokio::test]
async fn a_revoked_token_stays_dead_after_a_restart() {
    let world = World::new().await;
    let created = &world.first.created;
    let other = world.login(&created.admin_access_id, &world.first.admin_key).await.unwrap().token;
    world.ask(&world.admin, RevokeToken).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, AccountGet).await), FaultKind::Unauthorized);
    world.ask(&other, AccountGet).await.unwrap();
    let world = world.restarted();
    assert_eq!(kind(world.ask(&world.admin, AccountGet).await), FaultKind::Unauthorized);
    world.ask(&other, AccountGet).await.unwrap();
}

#[tokio::test]
async fn a_token_survives_a_restart() {
    let world = World::new().await.restarted();
    world.ask(&world.admin, AccountGet).await.unwrap();
}

#[tokio::test]
async fn deleting_a_method_kills_its_tokens() {
    let world = World::new().await;
    let (access_id, key) = world.api_key("/ci", MethodShared::default()).await;
    let token = world.login(&access_id, &key).await.unwrap().token;
    world.ask(&token, AccountGet).await.unwrap();
    world.ask(&world.admin, MethodDelete { path: item("/ci") }).await.unwrap();
    assert_eq!(kind(world.ask(&token, AccountGet).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.login(&access_id, &key).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_new_access_key_kills_the_tokens_of_the_old_one() {
    let world = World::new().await;
    let (access_id, key) = world.api_key("/ci", MethodShared::default()).await;
    let token = world.login(&access_id, &key).await.unwrap().token;
    let (_, new_key) = world.api_key("/other", MethodShared::default()).await;
    let reset = key_reset("/ci", &new_key);
    world.ask(&world.admin, reset).await.unwrap();
    assert_eq!(kind(world.ask(&token, AccountGet).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.login(&access_id, &key).await), FaultKind::Unauthorized);
    world.login(&access_id, &new_key).await.unwrap();
}

#[tokio::test]
async fn shortening_a_methods_access_binds_tokens_at_once() {
    let world = World::new().await;
    let (access_id, key) = world.api_key("/ci", MethodShared::default()).await;
    let token = world.login(&access_id, &key).await.unwrap().token;
    let shared =
        MethodShared { access_expires: Some(START.plus_seconds(10)), ..MethodShared::default() };
    let update = MethodUpdate {
        path: item("/ci"),
        new_path: None,
        shared: Some(shared),
        kind: "api_key".to_owned(),
        settings: None,
        demand_second_factor: None,
    };
    world.ask(&world.admin, update).await.unwrap();
    world.ask(&token, AccountGet).await.unwrap();
    world.clock.advance_seconds(10);
    assert_eq!(kind(world.ask(&token, AccountGet).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn validation_answers_for_good_and_bad_tokens() {
    let world = World::new().await;
    let good = world.ask(&world.admin, ValidateToken).await.unwrap();
    assert_eq!((good.expires, good.reason), (Some(START.plus_seconds(3_600)), None));
    let none = world.ask("t-00", ValidateToken).await.unwrap();
    assert!(none.expires.is_none() && none.reason.is_some());
    world.clock.advance_seconds(3_600);
    let expired = world.ask(&world.admin, ValidateToken).await.unwrap();
    assert_eq!(expired.expires, Some(START.plus_seconds(3_600)));
    assert!(expired.reason.unwrap().contains("expired"));
}

#[tokio::test]
async fn an_account_does_not_see_another() {
    let world = World::new().await;
    let other = world.another_account("other@example.com").await;
    let reply = world.login(&other.created.admin_access_id, &other.admin_key).await.unwrap();
    world.api_key("/mine", MethodShared::default()).await;
    let get = MethodGet { path: item("/mine") };
    assert_eq!(kind(world.ask(&reply.token, get).await), FaultKind::NotFound);
    let list = MethodList { filter: None, kinds: Vec::new(), after: None, limit: 100 };
    let listed = world.ask(&reply.token, list).await.unwrap().methods;
    let paths: Vec<_> = listed.iter().map(|view| view.method.path.as_str()).collect();
    assert_eq!(paths, ["/cli-admin", "/owner"]);
    assert!(listed.iter().all(|view| view.method.account == other.id));
    // The same path in both accounts is two objects.
    let role = world.ask(&reply.token, RoleGet { path: item("/admin") }).await.unwrap();
    assert_eq!(role.role.account, other.id);
    assert!(role.methods.iter().all(|(_, method)| method.account == other.id));
    let view = world.ask(&reply.token, AccountGet).await.unwrap();
    assert_eq!(view.account.id, other.id);
}
