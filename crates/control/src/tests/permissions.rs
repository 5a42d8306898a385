//! Questions about permissions.

use keysherd_base::FaultKind;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::roles::{PermissionsDescribe, ReverseRbac};

use crate::testing::{World, kind, rule};

fn about(kind: RuleKind, path: &str) -> ReverseRbac {
    ReverseRbac { kind, path: path.to_owned() }
}

#[tokio::test]
async fn a_caller_is_told_what_they_may_do() {
    let world = World::new().await;
    let rules =
        [rule(RuleKind::Item, "/team/*", "read,update"), rule(RuleKind::Item, "/team/x", "deny")];
    let user = world.user("u", &rules).await;
    let ask = async |token: &str, path: &str| {
        let message = PermissionsDescribe { kind: RuleKind::Item, path: path.to_owned() };
        let held = world.ask(token, message).await.unwrap().permissions;
        held.iter().map(Capability::name).collect::<Vec<_>>().join(",")
    };
    assert_eq!(ask(&user, "/team/db").await, "read,update,list");
    assert_eq!(ask(&user, "/team/x").await, "");
    assert_eq!(ask(&user, "/other").await, "");
    assert_eq!(ask(&world.admin, "/team/x").await, "read,create,update,delete,list");
    let long = PermissionsDescribe { kind: RuleKind::Item, path: "/x".repeat(600) };
    assert_eq!(kind(world.ask(&user, long).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn an_access_review_names_everyone_who_may() {
    let world = World::new().await;
    let reader = rule(RuleKind::Item, "/team/*", "read");
    world.user("reader", &[reader.clone(), rule(RuleKind::Item, "/else", "read")]).await;
    world.user("denied", &[reader.clone(), rule(RuleKind::Item, "/team/db", "deny")]).await;
    world.user("other", &[rule(RuleKind::Item, "/other", "read")]).await;
    world.role("/own", &[rule(RuleKind::Item, "/{{team}}/*", "update")]).await;
    world.api_key("/people", MethodShared::default()).await;
    let mut claims = SubClaims::default();
    claims.set("team", "team");
    world.associate("/own", "/people", claims).await;
    let reply = world.ask(&world.admin, about(RuleKind::Item, "/team/db")).await.unwrap();
    let found: Vec<_> = reply
        .reaches
        .iter()
        .map(|reach| (reach.method.path.as_str(), reach.role.path.as_str(), reach.role.rules.len()))
        .collect();
    let expected = [
        ("/cli-admin", "/admin", 0),
        ("/owner", "/admin", 0),
        ("/people", "/own", 1),
        ("/users/reader", "/roles/reader", 1),
    ];
    assert_eq!(found, expected);
    assert_eq!(reply.reaches[3].role.rules, [reader]);
    assert!(reply.reaches[2].permissions.has(Capability::Update));
}

#[tokio::test]
async fn an_access_review_takes_a_rule_and_stays_in_its_scope() {
    let world = World::new().await;
    let item_rule = rule(RuleKind::Item, "/x", "read");
    world.user("seen", std::slice::from_ref(&item_rule)).await;
    world.user("unseen", &[item_rule]).await;
    let none = world.user("none", &[]).await;
    let refused = world.ask(&none, about(RuleKind::Item, "/x")).await;
    assert_eq!(kind(refused), FaultKind::Unauthorized);
    let rules = [
        rule(RuleKind::ReverseRbac, "/scoped", "read"),
        rule(RuleKind::AuthMethod, "/users/seen", "list"),
        rule(RuleKind::Role, "/roles/*", "list"),
    ];
    let scoped = world.user("scoped", &rules).await;
    let reply = world.ask(&scoped, about(RuleKind::Item, "/x")).await.unwrap();
    assert_eq!(reply.reaches.len(), 1);
    assert_eq!(reply.reaches[0].method.path.as_str(), "/users/seen");
    let all = world.user("all", &[rule(RuleKind::ReverseRbac, "/*", "read")]).await;
    let reply = world.ask(&all, about(RuleKind::Item, "/x")).await.unwrap();
    assert_eq!(reply.reaches.len(), 4);
}
