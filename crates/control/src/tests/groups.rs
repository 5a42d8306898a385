//! Groups, and deleting roles by the folder.

use keysherd_base::{AccessId, FaultKind, FolderPath};
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::group::GroupMember;
use keysherd_domain::role::RuleKind;
use keysherd_plane::groups::{GroupCreate, GroupDelete, GroupGet, GroupList, GroupUpdate};
use keysherd_plane::roles::{RoleList, RolesDelete};

use crate::testing::{World, item, kind, rule};

fn group(path: &str, alias: &str, members: Vec<GroupMember>) -> GroupCreate {
    GroupCreate { path: item(path), alias: alias.to_owned(), description: String::new(), members }
}

fn member(access_id: &AccessId) -> GroupMember {
    let mut sub_claims = SubClaims::default();
    sub_claims.set("team", "ops");
    GroupMember { access_id: access_id.clone(), sub_claims }
}

fn update(path: &str) -> GroupUpdate {
    GroupUpdate { path: item(path), new_path: None, alias: None, description: None, members: None }
}

#[tokio::test]
async fn a_group_lives_from_its_creation_to_its_deletion() {
    let world = World::new().await;
    let (id, _) = world.api_key("/people", MethodShared::default()).await;
    let made = world.ask(&world.admin, group("/ops", "ops", vec![member(&id)])).await.unwrap();
    assert!(made.id.starts_with("grp-"));
    let read = world.ask(&world.admin, GroupGet { path: item("/ops") }).await.unwrap();
    assert_eq!(read, made);
    let taken = [group("/ops", "other", vec![]), group("/other", "ops", vec![])];
    for taken in taken {
        assert_eq!(kind(world.ask(&world.admin, taken).await), FaultKind::Conflict);
    }
    let rename = GroupUpdate {
        new_path: Some(item("/operators")),
        members: Some(Vec::new()),
        ..update("/ops")
    };
    let renamed = world.ask(&world.admin, rename).await.unwrap();
    assert_eq!((renamed.id, renamed.alias.as_str(), renamed.members), (made.id, "ops", vec![]));
    let list = GroupList { filter: Some("oper".to_owned()), after: None, limit: 10 };
    assert_eq!(world.ask(&world.admin, list).await.unwrap().groups.len(), 1);
    let gone = || GroupDelete { path: item("/operators") };
    world.ask(&world.admin, gone()).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, gone()).await), FaultKind::NotFound);
    assert_eq!(kind(world.ask(&world.admin, update("/ops")).await), FaultKind::NotFound);
}

#[tokio::test]
async fn members_exist_in_the_account_and_texts_are_well_formed() {
    let world = World::new().await;
    let foreign = world.another_account("other@example.com").await.created.admin_access_id;
    let nobody = AccessId::parse("p-0123456789ab").unwrap();
    let mut texts = Vec::new();
    for id in [&foreign, &nobody] {
        let fault = world.ask(&world.admin, group("/g", "g", vec![member(id)])).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest);
        texts.push(fault.public().replace(id.as_str(), "X"));
    }
    assert_eq!(texts[0], texts[1], "another account's ids are as good as none");
    for alias in ["", "a b", "a/b", &"x".repeat(300)] {
        let outcome = world.ask(&world.admin, group("/g", alias, vec![])).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest, "{alias:?}");
    }
}

#[tokio::test]
async fn groups_are_for_administrators() {
    let world = World::new().await;
    world.ask(&world.admin, group("/ops", "ops", vec![])).await.unwrap();
    let rules = [rule(RuleKind::Role, "/*", "read,create,update,delete,list")];
    let user = world.user("u", &rules).await;
    let list = GroupList { filter: None, after: None, limit: 10 };
    assert_eq!(kind(world.ask(&user, list).await), FaultKind::Unauthorized);
    let get = GroupGet { path: item("/ops") };
    assert_eq!(kind(world.ask(&user, get).await), FaultKind::Unauthorized);
    let create = group("/mine", "mine", vec![]);
    assert_eq!(kind(world.ask(&user, create).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&user, update("/ops")).await), FaultKind::Unauthorized);
    let delete = GroupDelete { path: item("/ops") };
    assert_eq!(kind(world.ask(&user, delete).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn roles_below_a_folder_are_deleted_all_or_none() {
    let world = World::new().await;
    for name in ["/team/a", "/team/b", "/team/deep/c", "/teams"] {
        world.role(name, &[]).await;
    }
    let below = |path: &str| RolesDelete { folder: FolderPath::parse(path).unwrap() };
    let left = async || {
        let list = RoleList { filter: Some("/team".to_owned()), after: None, limit: 10 };
        world.ask(&world.admin, list).await.unwrap().roles.len()
    };
    let partly =
        [rule(RuleKind::Role, "/team/a", "delete"), rule(RuleKind::Role, "/team/b", "list")];
    let partly = world.user("partly", &partly).await;
    assert_eq!(kind(world.ask(&partly, below("/team")).await), FaultKind::Unauthorized);
    assert_eq!(left().await, 4, "none was deleted");
    assert_eq!(kind(world.ask(&world.admin, below("/nothing")).await), FaultKind::NotFound);
    assert_eq!(kind(world.ask(&partly, below("/nothing")).await), FaultKind::Unauthorized);
    // What the caller does not see stays and is not spoken of.
    let sees = world.user("sees", &[rule(RuleKind::Role, "/team/deep/*", "delete")]).await;
    world.ask(&sees, below("/team")).await.unwrap();
    assert_eq!(left().await, 3);
    world.ask(&world.admin, below("/team")).await.unwrap();
    assert_eq!(left().await, 1, "/teams lies elsewhere");
}
