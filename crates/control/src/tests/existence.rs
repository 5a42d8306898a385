//! What a caller learns about roles and methods they may not use: the 404-or-401 table.

use keysherd_base::{Fault, FaultKind};
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::role::RuleKind;
use keysherd_plane::auth_methods::MethodDelete;
use keysherd_plane::roles::RoleDelete;

use crate::testing::{World, item, rule};

const NOT_FOUND: FaultKind = FaultKind::NotFound;
const UNAUTHORIZED: FaultKind = FaultKind::Unauthorized;

#[tokio::test]
async fn the_table_holds_for_roles_and_methods() {
    let world = World::new().await;
    // What the caller has under /team, and what deleting tells of an object there and of none.
    let table = [
        ("may-do", "delete", None, NOT_FOUND),
        ("may-list", "list", Some(UNAUTHORIZED), NOT_FOUND),
        ("may-read", "read", Some(UNAUTHORIZED), NOT_FOUND),
        ("may-nothing", "", Some(UNAUTHORIZED), UNAUTHORIZED),
        ("is-denied", "deny", Some(UNAUTHORIZED), UNAUTHORIZED),
    ];
    for (name, capabilities, existing, absent) in table {
        let kinds = [RuleKind::Role, RuleKind::AuthMethod];
        let rules: Vec<_> = kinds
            .into_iter()
            .filter(|_| !capabilities.is_empty())
            .map(|kind| rule(kind, "/team/*", capabilities))
            .collect();
        let user = world.user(name, &rules).await;
        let path = format!("/team/{name}");
        world.role(&path, &[]).await;
        world.api_key(&path, MethodShared::default()).await;
        let delete_role = async |path: &str| {
            world.ask(&user, RoleDelete { path: item(path) }).await.map_err(|f| f.kind())
        };
        let delete_method = async |path: &str| {
            world.ask(&user, MethodDelete { path: item(path) }).await.map_err(|f| f.kind())
        };
        assert_eq!(delete_role("/team/none").await.err(), Some(absent), "{name}");
        assert_eq!(delete_role(&path).await.err(), existing, "{name}");
        assert_eq!(delete_method("/team/none").await.err(), Some(absent), "{name}");
        assert_eq!(delete_method(&path).await.err(), existing, "{name}");
    }
}

#[tokio::test]
async fn absent_and_denied_read_alike_for_those_who_may_not_know() {
    let world = World::new().await;
    let user = world.user("u", &[]).await;
    world.role("/secret/a", &[]).await;
    let ask = async |path: &str| -> Fault {
        world.ask(&user, RoleDelete { path: item(path) }).await.unwrap_err()
    };
    let (existing, absent) = (ask("/secret/a").await, ask("/secret/b").await);
    assert_eq!(existing.public().replace("/secret/a", "/secret/b"), absent.public());
    assert_eq!(existing.code(), absent.code());
}
