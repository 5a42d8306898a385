//! Roles and their rules.

use keysherd_base::FaultKind;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Capabilities, Role, RuleKind};
use keysherd_plane::items::{MovedObjects, ObjectsMove};
use keysherd_plane::roles::{
    RoleCreate, RoleDelete, RoleGet, RoleList, RoleUpdate, RuleDelete, RuleSet,
};

use crate::testing::{START, World, item, kind, role, rule};

fn update(path: &str) -> RoleUpdate {
    RoleUpdate {
        path: item(path),
        new_path: None,
        comment: None,
        delete_protection: None,
        rules: Vec::new(),
    }
}

async fn read(world: &World, path: &str) -> Role {
    world.ask(&world.admin, RoleGet { path: item(path) }).await.unwrap().role
}

fn set(path: &str, rule: keysherd_domain::role::Rule) -> RuleSet {
    RuleSet { role: item(path), rule }
}

#[tokio::test]
async fn the_built_in_role_is_there_and_stays() {
    let world = World::new().await;
    let admin = read(&world, "/admin").await;
    assert!(admin.admin);
    assert_eq!(admin.comment, "Provides full access to the account resources");
    let view = world.ask(&world.admin, RoleGet { path: item("/admin") }).await.unwrap();
    let mut methods: Vec<_> = view.methods.iter().map(|(_, m)| m.path.as_str()).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["/cli-admin", "/owner"]);
    let delete = RoleDelete { path: item("/admin") };
    assert_eq!(kind(world.ask(&world.admin, delete).await), FaultKind::Forbidden);
    let rename = RoleUpdate { new_path: Some(item("/x")), ..update("/admin") };
    assert_eq!(kind(world.ask(&world.admin, rename).await), FaultKind::Forbidden);
    let deny = set("/admin", rule(RuleKind::Item, "/*", "deny"));
    assert_eq!(kind(world.ask(&world.admin, deny).await), FaultKind::Forbidden);
    let comment = RoleUpdate { comment: Some("ours".to_owned()), ..update("/admin") };
    world.ask(&world.admin, comment).await.unwrap();
    assert_eq!(read(&world, "/admin").await.comment, "ours");
}

#[tokio::test]
async fn a_rule_replaces_the_one_of_its_kind_and_path() {
    let world = World::new().await;
    world.role("/r", &[rule(RuleKind::Item, "/a/*", "read")]).await;
    world.ask(&world.admin, set("/r", rule(RuleKind::Item, "a/*", "list"))).await.unwrap();
    world.ask(&world.admin, set("/r", rule(RuleKind::Role, "/a/*", "read"))).await.unwrap();
    let rules = read(&world, "/r").await.rules;
    assert_eq!(rules, [rule(RuleKind::Item, "/a/*", "list"), rule(RuleKind::Role, "/a/*", "read")]);
    let delete =
        |path: &str| RuleDelete { role: item("/r"), kind: RuleKind::Item, path: path.to_owned() };
    assert_eq!(kind(world.ask(&world.admin, delete("/b/*")).await), FaultKind::NotFound);
    world.ask(&world.admin, delete("a/*")).await.unwrap();
    assert_eq!(read(&world, "/r").await.rules.len(), 1);
}

#[tokio::test]
async fn malformed_rules_are_refused() {
    let world = World::new().await;
    world.role("/r", &[]).await;
    let mut over = rule(RuleKind::Item, "/a", "read");
    over.expires = Some(START);
    let bad = [
        rule(RuleKind::Item, "/a/*/b", "read"),
        rule(RuleKind::Item, "", "read"),
        rule(RuleKind::Item, "/a//b", "read"),
        rule(RuleKind::Item, "/{{}}/b", "read"),
        rule(RuleKind::Item, "/a", ""),
        rule(RuleKind::Item, "/a", "allow_access"),
        rule(RuleKind::Sra, "/a", "deny"),
        rule(RuleKind::Search, "/elsewhere", "read"),
        rule(RuleKind::Search, "/*", "update"),
        over,
    ];
    for rule in bad {
        let outcome = world.ask(&world.admin, set("/r", rule.clone())).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest, "{rule:?}");
    }
    assert!(read(&world, "/r").await.rules.is_empty());
}

#[tokio::test]
async fn administrative_fields_replace_their_rules() {
    let world = World::new().await;
    let created = RoleCreate {
        rules: vec![rule(RuleKind::Search, "/self", "read"), rule(RuleKind::Reports, "/*", "read")],
        ..role("/r")
    };
    world.ask(&world.admin, created).await.unwrap();
    let none = keysherd_domain::role::Rule {
        capabilities: Capabilities::NONE,
        ..rule(RuleKind::Reports, "/*", "")
    };
    let changed =
        RoleUpdate { rules: vec![rule(RuleKind::Search, "/*", "read"), none], ..update("/r") };
    world.ask(&world.admin, changed).await.unwrap();
    assert_eq!(read(&world, "/r").await.rules, [rule(RuleKind::Search, "/*", "read")]);
    let wrong = RoleUpdate { rules: vec![rule(RuleKind::Item, "/*", "read")], ..update("/r") };
    assert_eq!(kind(world.ask(&world.admin, wrong).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn names_are_taken_once_and_renaming_keeps_the_rest() {
    let world = World::new().await;
    world.role("/a", &[rule(RuleKind::Item, "/x", "read")]).await;
    world.role("/b", &[]).await;
    assert_eq!(kind(world.ask(&world.admin, role("/a")).await), FaultKind::Conflict);
    let rename = |to: &str| RoleUpdate { new_path: Some(item(to)), ..update("/a") };
    assert_eq!(kind(world.ask(&world.admin, rename("/b")).await), FaultKind::Conflict);
    world.ask(&world.admin, rename("/a")).await.unwrap();
    world.ask(&world.admin, rename("/c")).await.unwrap();
    assert_eq!(read(&world, "/c").await.rules.len(), 1);
    let gone = world.ask(&world.admin, RoleGet { path: item("/a") }).await;
    assert_eq!(kind(gone), FaultKind::NotFound);
}

#[tokio::test]
async fn a_changed_role_is_in_force_at_the_next_request() {
    let world = World::new().await;
    let user = world.user("u", &[]).await;
    let get = RoleGet { path: item("/roles/u") };
    assert_eq!(kind(world.ask(&user, get.clone()).await), FaultKind::Unauthorized);
    let grant = set("/roles/u", rule(RuleKind::Role, "/roles/*", "list"));
    world.ask(&world.admin, grant).await.unwrap();
    world.ask(&user, get.clone()).await.unwrap();
    let deny = set("/roles/u", rule(RuleKind::Role, "/roles/u", "deny"));
    world.ask(&world.admin, deny).await.unwrap();
    assert_eq!(kind(world.ask(&user, get.clone()).await), FaultKind::Unauthorized);
    world.ask(&world.admin, RoleDelete { path: item("/roles/u") }).await.unwrap();
    assert_eq!(kind(world.ask(&user, get).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_temporary_rule_ends() {
    let world = World::new().await;
    let mut temporary = rule(RuleKind::Role, "/roles/*", "list");
    temporary.expires = Some(START.plus_seconds(60));
    let user = world.user("u", &[temporary]).await;
    let get = RoleGet { path: item("/roles/u") };
    world.clock.advance_seconds(59);
    world.ask(&user, get.clone()).await.unwrap();
    world.clock.advance_seconds(1);
    assert_eq!(kind(world.ask(&user, get).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn lists_show_what_is_permitted_in_pages() {
    let world = World::new().await;
    for path in ["/team/a", "/team/b", "/other/c"] {
        world.role(path, &[]).await;
    }
    let user = world.user("u", &[rule(RuleKind::Role, "/team/*", "read")]).await;
    let list = RoleList { filter: None, after: None, limit: 1 };
    let page = world.ask(&user, list.clone()).await.unwrap();
    assert_eq!((page.roles[0].role.path.as_str(), page.more), ("/team/a", true));
    let rest = RoleList { after: Some("/team/a".to_owned()), limit: 9, ..list.clone() };
    let page = world.ask(&user, rest).await.unwrap();
    assert_eq!((page.roles.len(), page.more), (1, false));
    let all = RoleList { limit: 1_000_000, filter: Some("team".to_owned()), ..list.clone() };
    assert_eq!(world.ask(&world.admin, all).await.unwrap().roles.len(), 2);
    let bad = RoleList { after: Some("//".to_owned()), ..list };
    assert_eq!(kind(world.ask(&world.admin, bad).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn roles_move_with_their_folder() {
    let world = World::new().await;
    for path in ["/team/a", "/team/sub/b", "/other/a"] {
        world.role(path, &[]).await;
    }
    let folder = |path| keysherd_base::FolderPath::parse(path).unwrap();
    let shift = |source, target| ObjectsMove {
        objects: MovedObjects::Roles,
        source: folder(source),
        target: folder(target),
    };
    assert_eq!(kind(world.ask(&world.admin, shift("/team", "/other")).await), FaultKind::Conflict);
    assert_eq!(kind(world.ask(&world.admin, shift("/none", "/other")).await), FaultKind::NotFound);
    assert_eq!(kind(world.ask(&world.admin, shift("/", "/other")).await), FaultKind::Forbidden);
    let moved = world.ask(&world.admin, shift("/team", "/squad")).await.unwrap();
    assert_eq!(moved.moved, 2);
    read(&world, "/squad/sub/b").await;
    let rules = [rule(RuleKind::Role, "/squad/*", "update,create")];
    let user = world.user("mover", &rules).await;
    let outcome = world.ask(&user, shift("/squad", "/elsewhere")).await;
    assert_eq!(kind(outcome), FaultKind::Unauthorized);
    assert_eq!(world.ask(&user, shift("/squad/sub", "/squad/top")).await.unwrap().moved, 1);
}

#[tokio::test]
async fn delete_protection_can_be_the_accounts_default() {
    let world = World::new().await;
    let account = world.ask(&world.admin, keysherd_plane::accounts::AccountGet).await.unwrap();
    let expected = account.account.settings;
    let mut settings = expected.clone();
    settings.protect_items_by_default = true;
    let message = keysherd_plane::accounts::AccountUpdate { expected, settings, default_key: None };
    world.ask(&world.admin, message).await.unwrap();
    world.role("/kept", &[]).await;
    world.api_key("/kept", MethodShared::default()).await;
    let fault = world.ask(&world.admin, RoleDelete { path: item("/kept") }).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "DeleteProtection"));
    let delete = keysherd_plane::auth_methods::MethodDelete { path: item("/kept") };
    assert_eq!(kind(world.ask(&world.admin, delete).await), FaultKind::Forbidden);
    let off = RoleUpdate { delete_protection: Some(false), ..update("/kept") };
    world.ask(&world.admin, off).await.unwrap();
    world.ask(&world.admin, RoleDelete { path: item("/kept") }).await.unwrap();
}

#[tokio::test]
async fn sub_claims_decide_who_gets_a_role() {
    let world = World::new().await;
    let person = world.first.created.admin_access_id.as_str().to_owned();
    let (access_id, key) = world.api_key("/shared", MethodShared::default()).await;
    world.role("/viewer", &[rule(RuleKind::Role, "/viewer", "list")]).await;
    let mut claims = SubClaims::default();
    claims.set("client_unique_id", person);
    world.associate("/viewer", "/shared", claims).await;
    let token = world.login(&access_id, &key).await.unwrap().token;
    let get = RoleGet { path: item("/viewer") };
    assert_eq!(kind(world.ask(&token, get.clone()).await), FaultKind::Unauthorized);
    let mut claims = SubClaims::default();
    claims.0.insert("client_ip".to_owned(), vec!["10.*".to_owned(), "192.0.2.?".to_owned()]);
    world.associate("/viewer", "/shared", claims).await;
    world.ask(&token, get).await.unwrap();
}

#[tokio::test]
async fn rules_that_are_set_at_the_same_time_are_all_kept() {
    let world = World::new().await;
    world.role("/r", &[rule(RuleKind::Item, "/old", "read")]).await;
    let plane = world.control.plane_for(crate::testing::GATEWAY);
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (plane, caller) = (plane.clone(), world.caller(&world.admin));
        changes.spawn(async move {
            let change = set("/r", rule(RuleKind::Item, &format!("/n/{number}"), "read"));
            plane.call(caller, change.into()).await.map(drop)
        });
    }
    let rename = RoleUpdate { comment: Some("c".to_owned()), ..update("/r") };
    let described = world.ask(&world.admin, rename).await;
    while let Some(done) = changes.join_next().await {
        done.unwrap().unwrap();
    }
    described.unwrap();
    let role = read(&world, "/r").await;
    assert_eq!((role.rules.len(), role.comment.as_str()), (41, "c"));
}
