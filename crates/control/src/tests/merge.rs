//! Making one role of several: only when no decision changes by it.

use keysherd_base::FaultKind;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Rule, RuleKind};
use keysherd_plane::merge::RolesMerge;
use keysherd_plane::roles::{PermissionsDescribe, RoleGet, RoleUpdate};

use crate::testing::{START, World, item, kind, rule};

fn merge(roles: &[&str], into: Option<&str>, apply: bool) -> RolesMerge {
    RolesMerge { roles: roles.iter().map(|path| item(path)).collect(), into: into.map(item), apply }
}

/// A user with the roles `/a`, `/b` and `/c` of one rule each; gives the user's token.
async fn world_of_three(world: &World) -> String {
    let (id, key) = world.api_key("/user", MethodShared::default()).await;
    for (name, path, capability) in
        [("/a", "/x/*", "read"), ("/b", "/x/*", "update"), ("/c", "/x/no", "deny")]
    {
        world.role(name, &[rule(RuleKind::Item, path, capability)]).await;
        world.associate(name, "/user", SubClaims::default()).await;
    }
    world.login(&id, &key).await.unwrap().token
}

async fn held(world: &World, token: &str, path: &str) -> u16 {
    let ask = PermissionsDescribe { kind: RuleKind::Item, path: path.to_owned() };
    world.ask(token, ask).await.unwrap().permissions.0
}

#[tokio::test]
async fn a_plan_changes_nothing_and_what_is_applied_no_decision() {
    let world = World::new().await;
    let user = world_of_three(&world).await;
    let paths = ["/x/y", "/x/no", "/x/", "/x", "/other"];
    let mut before = Vec::new();
    for path in paths {
        before.push(held(&world, &user, path).await);
    }
    let found = world.ask(&world.admin, merge(&[], None, false)).await.unwrap().plans;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].roles.len(), found[0].rules.len(), found[0].applied), (3, 2, false));
    assert!(found[0].decisions_compared > 100);
    for (into, applied) in [(Some("/one"), true), (None, true)] {
        let roles: &[&str] = if into.is_some() { &["/a", "/b"] } else { &["/one", "/c"] };
        let done = world.ask(&world.admin, merge(roles, into, applied)).await.unwrap().plans;
        assert!(done[0].applied);
        for (path, before) in paths.iter().zip(&before) {
            assert_eq!(held(&world, &user, path).await, *before, "{path} after {roles:?}");
        }
    }
    let gone = world.ask(&world.admin, RoleGet { path: item("/a") }).await;
    assert_eq!(kind(gone), FaultKind::NotFound);
    let one = world.ask(&world.admin, RoleGet { path: item("/one") }).await.unwrap();
    assert_eq!((one.role.rules.len(), one.methods.len()), (2, 1));
    assert!(world.ask(&world.admin, merge(&[], None, false)).await.unwrap().plans.is_empty());
}

#[tokio::test]
async fn roles_of_other_bearers_of_other_ends_and_protected_ones_stay() {
    let world = World::new().await;
    let user = world_of_three(&world).await;
    let refused = async |roles: &[&str], into, expected: FaultKind| {
        let outcome = world.ask(&world.admin, merge(roles, into, true)).await;
        assert_eq!(kind(outcome), expected, "{roles:?}");
    };
    world.role("/alone", &[rule(RuleKind::Item, "/y", "read")]).await;
    refused(&["/a", "/alone"], None, FaultKind::BadRequest).await;
    refused(&["/a", "/a"], None, FaultKind::BadRequest).await;
    refused(&["/a"], None, FaultKind::BadRequest).await;
    refused(&["/a", "/absent"], None, FaultKind::NotFound).await;
    refused(&["/a", "/b"], Some("/alone"), FaultKind::Conflict).await;
    let ending =
        Rule { expires: Some(START.plus_seconds(60)), ..rule(RuleKind::Item, "/x/*", "list") };
    world.role("/ending", &[ending]).await;
    world.associate("/ending", "/user", SubClaims::default()).await;
    refused(&["/a", "/ending"], None, FaultKind::BadRequest).await;
    let protect = RoleUpdate {
        path: item("/b"),
        new_path: None,
        comment: None,
        delete_protection: Some(true),
        rules: Vec::new(),
    };
    world.ask(&world.admin, protect).await.unwrap();
    refused(&["/a", "/b"], None, FaultKind::Forbidden).await;
    let rules = world.ask(&world.admin, RoleGet { path: item("/a") }).await.unwrap().role.rules;
    assert_eq!(rules, [rule(RuleKind::Item, "/x/*", "read")], "nothing changed");
    assert_eq!(kind(world.ask(&user, merge(&[], None, false)).await), FaultKind::Unauthorized);
}
