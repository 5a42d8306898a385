//! Associations of roles with auth methods.

use keysherd_base::{AssocId, FaultKind};
use keysherd_crypto::random::SystemRng;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::RuleKind;
use keysherd_plane::roles::{AssocDelete, AssocGet, AssocUpdate, RoleGet};

use crate::testing::{World, assoc, item, kind, rule};

fn claims(name: &str, value: &str) -> SubClaims {
    let mut claims = SubClaims::default();
    claims.set(name, value);
    claims
}

async fn world() -> World {
    let world = World::new().await;
    world.role("/r", &[]).await;
    world.api_key("/m", MethodShared::default()).await;
    world
}

#[tokio::test]
async fn the_same_association_is_made_once() {
    let world = world().await;
    let bare = assoc("/r", "/m", SubClaims::default());
    world.ask(&world.admin, bare.clone()).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, bare.clone()).await), FaultKind::Conflict);
    let mut other_case = bare;
    other_case.case_sensitive = false;
    assert_eq!(kind(world.ask(&world.admin, other_case).await), FaultKind::Conflict);
    let ops = assoc("/r", "/m", claims("groups", "ops"));
    world.ask(&world.admin, ops.clone()).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, ops.clone()).await), FaultKind::Conflict);
    let mut any_case = ops;
    any_case.case_sensitive = false;
    world.ask(&world.admin, any_case).await.unwrap();
    let view = world.ask(&world.admin, RoleGet { path: item("/r") }).await.unwrap();
    assert_eq!(view.methods.len(), 3);
}

#[tokio::test]
async fn an_association_is_read_changed_and_deleted() {
    let world = world().await;
    let id = world.ask(&world.admin, assoc("/r", "/m", SubClaims::default())).await.unwrap().id;
    let update = AssocUpdate {
        id: id.clone(),
        sub_claims: Some(claims("groups", "ops")),
        case_sensitive: Some(false),
    };
    world.ask(&world.admin, update.clone()).await.unwrap();
    let view = world.ask(&world.admin, AssocGet { id: id.clone() }).await.unwrap();
    assert_eq!(view.assoc.sub_claims, claims("groups", "ops"));
    assert!(!view.assoc.case_sensitive);
    assert_eq!((view.role.path.as_str(), view.method.path.as_str()), ("/r", "/m"));
    let bad = AssocUpdate { sub_claims: Some(claims("", "ops")), ..update };
    assert_eq!(kind(world.ask(&world.admin, bad).await), FaultKind::BadRequest);
    world.ask(&world.admin, AssocDelete { id: id.clone() }).await.unwrap();
    let again = AssocDelete { id: id.clone() };
    assert_eq!(kind(world.ask(&world.admin, again).await), FaultKind::NotFound);
    assert_eq!(kind(world.ask(&world.admin, AssocGet { id }).await), FaultKind::NotFound);
}

#[tokio::test]
async fn both_ends_must_exist_and_be_permitted() {
    let world = world().await;
    for (role, method) in [("/none", "/m"), ("/r", "/none")] {
        let outcome = world.ask(&world.admin, assoc(role, method, SubClaims::default())).await;
        assert_eq!(kind(outcome), FaultKind::NotFound, "{role} {method}");
    }
    let id = world.ask(&world.admin, assoc("/r", "/m", SubClaims::default())).await.unwrap().id;
    let one_end = world.user("one-end", &[rule(RuleKind::Role, "/r", "update")]).await;
    let nobody = world.user("nobody", &[]).await;
    for token in [&one_end, &nobody] {
        let get = AssocGet { id: id.clone() };
        assert_eq!(kind(world.ask(token, get).await), FaultKind::Unauthorized);
        let delete = AssocDelete { id: id.clone() };
        assert_eq!(kind(world.ask(token, delete).await), FaultKind::Unauthorized);
        let again = assoc("/r", "/m", claims("a", "b"));
        assert_eq!(kind(world.ask(token, again).await), FaultKind::Unauthorized);
    }
    let unknown = AssocGet { id: AssocId::random(&SystemRng).unwrap() };
    assert_eq!(kind(world.ask(&one_end, unknown.clone()).await), FaultKind::NotFound);
    assert_eq!(kind(world.ask(&nobody, unknown).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn deleting_an_end_deletes_the_association() {
    let world = world().await;
    let id = world.ask(&world.admin, assoc("/r", "/m", SubClaims::default())).await.unwrap().id;
    let delete = keysherd_plane::roles::RoleDelete { path: item("/r") };
    world.ask(&world.admin, delete).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, AssocGet { id }).await), FaultKind::NotFound);
}
