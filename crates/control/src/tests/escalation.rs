//! A user with power over some roles and methods tries to get more than that.

use keysherd_base::{Fault, FaultKind};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Rule, RuleKind};
use keysherd_plane::accounts::{AccountGet, AccountUpdate};
use keysherd_plane::auth_methods::{MethodDelete, MethodGet, MethodUpdate};
use keysherd_plane::roles::{
    AssocDelete, AssocUpdate, RoleCreate, RoleDelete, RoleGet, RoleUpdate, RuleDelete, RuleSet,
};

use crate::testing::{START, World, assoc, item, key_reset, kind, method, role, rule};

const ALL: &str = "read,create,update,delete,list";

/// A user who governs all roles and methods by name, holds the items of the team, and is denied
/// its vault.
async fn governor(world: &World) -> String {
    let rules = [
        rule(RuleKind::Role, "/*", ALL),
        rule(RuleKind::AuthMethod, "/*", ALL),
        rule(RuleKind::Item, "/team/*", "read,list"),
        rule(RuleKind::Item, "/team/vault/*", "deny"),
    ];
    world.user("governor", &rules).await
}

fn set(path: &str, rule: Rule) -> RuleSet {
    RuleSet { role: item(path), rule }
}

#[track_caller]
fn refused<T>(outcome: Result<T, Fault>, what: &str) {
    match outcome {
        Ok(_) => panic!("{what} was not refused"),
        Err(fault) => assert_eq!(
            (fault.kind(), fault.code()),
            (FaultKind::Forbidden, "PrivilegeEscalation"),
            "{what}: {fault}"
        ),
    }
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let world = World::new().await;
    let governor = governor(&world).await;
    world.role("/r", &[]).await;
    let matrix = [
        (rule(RuleKind::Item, "/team/db", "read"), true),
        (rule(RuleKind::Item, "/team/db/*", "read,list"), true),
        (rule(RuleKind::Item, "/team/db", "update"), false),
        (rule(RuleKind::Item, "/other", "read"), false),
        (rule(RuleKind::Item, "/*", "read"), false),
        (rule(RuleKind::Item, "/team/*", "read"), false),
        (rule(RuleKind::Item, "/team/vault/x", "read"), false),
        (rule(RuleKind::Item, "/team/{{group}}/x", "read"), false),
        (rule(RuleKind::Item, "/team/a-{{group}}/x", "read"), true),
        (rule(RuleKind::Item, "/anything", "deny"), true),
        (rule(RuleKind::Role, "/any/*", "read"), true),
        (rule(RuleKind::Target, "/team/db", "read"), false),
        (rule(RuleKind::Search, "/*", "read"), false),
        (rule(RuleKind::Sra, "/team/db", "allow_access"), false),
    ];
    for (rule, permitted) in matrix {
        let outcome = world.ask(&governor, set("/r", rule.clone())).await;
        if permitted {
            outcome.unwrap_or_else(|fault| panic!("{rule:?}: {fault}"));
        } else {
            refused(outcome, &format!("{rule:?}"));
            let create = RoleCreate { rules: vec![rule.clone()], ..role("/fresh") };
            refused(world.ask(&governor, create).await, &format!("a role with {rule:?}"));
        }
    }
    let field = RoleUpdate {
        path: item("/r"),
        new_path: None,
        comment: None,
        delete_protection: None,
        rules: vec![rule(RuleKind::Reports, "/*", "read")],
    };
    refused(world.ask(&governor, field).await, "an administrative field");
}

#[tokio::test]
async fn a_temporary_right_is_not_given_for_longer() {
    let world = World::new().await;
    let mut temporary = rule(RuleKind::Item, "/x", "read");
    temporary.expires = Some(START.plus_seconds(100));
    let user = world.user("u", &[rule(RuleKind::Role, "/*", ALL), temporary.clone()]).await;
    world.role("/r", &[]).await;
    refused(world.ask(&user, set("/r", rule(RuleKind::Item, "/x", "read"))).await, "for ever");
    world.ask(&user, set("/r", temporary.clone())).await.unwrap();
    temporary.expires = Some(START.plus_seconds(101));
    refused(world.ask(&user, set("/r", temporary)).await, "a second longer");
}

#[tokio::test]
async fn a_created_role_inherits_the_creators_denies() {
    let world = World::new().await;
    let governor = governor(&world).await;
    world.ask(&governor, role("/mine")).await.unwrap();
    let get = RoleGet { path: item("/mine") };
    let rules = world.ask(&world.admin, get).await.unwrap().role.rules;
    assert_eq!(rules, [rule(RuleKind::Item, "/team/vault/*", "deny")]);
    world.ask(&world.admin, role("/free")).await.unwrap();
    let get = RoleGet { path: item("/free") };
    assert!(world.ask(&world.admin, get).await.unwrap().role.rules.is_empty());
}

#[tokio::test]
async fn nobody_removes_a_deny_that_binds_them() {
    let world = World::new().await;
    let governor = governor(&world).await;
    let delete = RuleDelete {
        role: item("/roles/governor"),
        kind: RuleKind::Item,
        path: "/team/vault/*".to_owned(),
    };
    refused(world.ask(&governor, delete.clone()).await, "deleting the deny");
    let mut short = rule(RuleKind::Item, "/team/vault/*", "deny");
    short.expires = Some(START.plus_seconds(1));
    refused(world.ask(&governor, set("/roles/governor", short)).await, "shortening the deny");
    let grant = rule(RuleKind::Item, "/team/vault/*", "read");
    refused(world.ask(&governor, set("/roles/governor", grant)).await, "replacing the deny");
    let role = RoleDelete { path: item("/roles/governor") };
    refused(world.ask(&governor, role).await, "deleting the role");
    let get = RoleGet { path: item("/roles/governor") };
    let id = world.ask(&governor, get).await.unwrap().methods[0].0.id.clone();
    refused(world.ask(&governor, AssocDelete { id: id.clone() }).await, "deleting the association");
    let mut nobody = SubClaims::default();
    nobody.set("client_ip", "10.0.0.1");
    let narrow = AssocUpdate { id, sub_claims: Some(nobody), case_sensitive: None };
    refused(world.ask(&governor, narrow).await, "narrowing the association");
    world.ask(&world.admin, delete).await.unwrap();
}

#[tokio::test]
async fn nobody_joins_a_role_that_grants_more() {
    let world = World::new().await;
    let governor = governor(&world).await;
    world.role("/strong", &[rule(RuleKind::Item, "/other/*", "read")]).await;
    world.role("/weak", &[rule(RuleKind::Item, "/team/db", "read")]).await;
    let own = "/users/governor";
    let joins = |role| assoc(role, own, SubClaims::default());
    refused(world.ask(&governor, joins("/admin")).await, "the admin role");
    refused(world.ask(&governor, joins("/strong")).await, "a stronger role");
    world.ask(&governor, joins("/weak")).await.unwrap();
    let get = RoleGet { path: item("/admin") };
    let id = world.ask(&governor, get).await.unwrap().methods[0].0.id.clone();
    let widen = AssocUpdate { id, sub_claims: Some(SubClaims::default()), case_sensitive: None };
    refused(world.ask(&governor, widen).await, "widening the admin role");
}

#[tokio::test]
async fn nobody_takes_over_a_stronger_method() {
    let world = World::new().await;
    let governor = governor(&world).await;
    let key = SigningKey::generate(&SystemRng).unwrap();
    let reset = |path| key_reset(path, &key);
    refused(world.ask(&governor, reset("/cli-admin")).await, "the administrator's key");
    assert_eq!(kind(world.ask(&governor, reset("/owner")).await), FaultKind::Forbidden);
    let created = method("/fresh", MethodShared::default(), &key);
    world.ask(&governor, created).await.unwrap();
    world.ask(&governor, reset("/fresh")).await.unwrap();
    // One's own key may be replaced, whatever one holds.
    world.ask(&governor, reset("/users/governor")).await.unwrap();
}

#[tokio::test]
async fn nobody_strips_a_stronger_method_to_take_it_over() {
    let world = World::new().await;
    let governor = governor(&world).await;
    let strong = [rule(RuleKind::Item, "/other/*", "read")];
    world.user("strong", &strong).await;
    for name in ["/cli-admin", "/users/strong"] {
        let get = MethodGet { path: item(name) };
        let (assoc, role) = world.ask(&world.admin, get.clone()).await.unwrap().roles.remove(0);
        let delete = AssocDelete { id: assoc.id.clone() };
        refused(world.ask(&governor, delete).await, "taking the role away");
        let mut nobody = SubClaims::default();
        nobody.set("client_ip", "10.0.0.1");
        let narrow = AssocUpdate { id: assoc.id, sub_claims: Some(nobody), case_sensitive: None };
        refused(world.ask(&governor, narrow).await, "narrowing the association");
        if !role.admin {
            let delete = RoleDelete { path: role.path.clone() };
            refused(world.ask(&governor, delete).await, "deleting the role");
            let delete = RuleDelete {
                role: role.path.clone(),
                kind: RuleKind::Item,
                path: strong[0].path.clone(),
            };
            refused(world.ask(&governor, delete).await, "deleting its rule");
            let weaker = rule(RuleKind::Item, "/other/*", "deny");
            refused(world.ask(&governor, set(role.path.as_str(), weaker)).await, "replacing it");
        }
        let update = |new_path, shared| MethodUpdate {
            path: item(name),
            kind: "api_key".to_owned(),
            new_path,
            shared,
            settings: None,
            demand_second_factor: None,
        };
        let renamed = update(Some(item("/elsewhere")), None);
        refused(world.ask(&governor, renamed).await, "renaming it");
        let expired =
            MethodShared { access_expires: Some(START.plus_seconds(1)), ..MethodShared::default() };
        let expired = update(None, Some(expired));
        refused(world.ask(&governor, expired).await, "locking its bearers out");
        let delete = MethodDelete { path: item(name) };
        refused(world.ask(&governor, delete).await, "deleting it");
        assert_eq!(world.ask(&world.admin, get).await.unwrap().roles.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn users_without_rules_change_nothing() {
    let world = World::new().await;
    let user = world.user("u", &[rule(RuleKind::Item, "/*", ALL)]).await;
    let key = SigningKey::generate(&SystemRng).unwrap();
    let grant = set("/roles/u", rule(RuleKind::Role, "/*", "update"));
    assert_eq!(kind(world.ask(&user, grant).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&user, role("/mine")).await), FaultKind::Unauthorized);
    let created = method("/mine", MethodShared::default(), &key);
    assert_eq!(kind(world.ask(&user, created).await), FaultKind::Unauthorized);
    let reset = key_reset("/users/u", &key);
    assert_eq!(kind(world.ask(&user, reset).await), FaultKind::Unauthorized);
    let joins = assoc("/admin", "/users/u", SubClaims::default());
    assert_eq!(kind(world.ask(&user, joins).await), FaultKind::Unauthorized);
    let account = world.ask(&user, AccountGet).await.unwrap().account;
    let expected = account.settings.clone();
    let message = AccountUpdate { expected, settings: account.settings, default_key: None };
    assert_eq!(kind(world.ask(&user, message).await), FaultKind::Unauthorized);
}
