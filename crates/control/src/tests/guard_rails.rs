//! Guard rails warn, refuse or keep silent as the account says, about what is being changed only.

use keysherd_base::{Fault, FaultKind, FolderPath};
use keysherd_domain::account::AccountSettings;
use keysherd_domain::auth_method::MethodShared;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::guard_rails::{Policy, Rail};
use keysherd_domain::role::RuleKind;
use keysherd_plane::accounts::{AccountEdit, AccountGet, AccountUpdate};
use keysherd_plane::auth_methods::{MethodCreate, MethodUpdate};
use keysherd_plane::items::{MovedObjects, ObjectsMove};
use keysherd_plane::roles::{AssocUpdate, RoleGet, RoleUpdate, RuleSet};

use crate::testing::{World, assoc, item, kind, method, role, rule};

async fn settings(world: &World, change: impl FnOnce(&mut AccountSettings)) -> Result<(), Fault> {
    let expected = world.ask(&world.admin, AccountEdit).await?.account.settings;
    let mut settings = expected.clone();
    change(&mut settings);
    let update = AccountUpdate { expected, settings, default_key: None };
    world.ask(&world.admin, update).await.map(drop)
}

async fn policy(world: &World, rail: Rail, policy: Policy) {
    settings(world, |settings| settings.set_policy(rail, policy)).await.unwrap();
}

fn api_key(path: &str) -> MethodCreate {
    let rng = keysherd_crypto::random::SystemRng;
    let key = keysherd_crypto::sign::SigningKey::generate(&rng).unwrap();
    method(path, MethodShared::default(), &key)
}

fn set(path: &str, kind: RuleKind, pattern: &str, capability: &str) -> RuleSet {
    RuleSet { role: item(path), rule: rule(kind, pattern, capability) }
}

fn refused<T>(outcome: Result<T, Fault>, rail: Rail) {
    let Err(fault) = outcome else { panic!("{} was not refused", rail.name()) };
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "GuardRail"));
    assert!(fault.public().contains(rail.name()), "{}", fault.public());
}

#[tokio::test]
async fn rights_on_identities_belong_to_administrators() {
    let world = World::new().await;
    let rail = Rail::RolesOverIdentities;
    world.role("/r", &[]).await;
    let mut give = set("/r", RuleKind::AuthMethod, "/team/*", "create");
    let warned = world.ask(&world.admin, give.clone()).await.unwrap();
    assert!(warned.warnings[0].contains("/team/*"), "{warned:?}");
    let deny = set("/r", RuleKind::Role, "/x", "deny");
    policy(&world, rail, Policy::Refuse).await;
    // A rule that is there already stands in nobody's way.
    let rename = RoleUpdate {
        path: item("/r"),
        new_path: Some(item("/s")),
        comment: None,
        delete_protection: None,
        rules: Vec::new(),
    };
    assert!(world.ask(&world.admin, rename).await.unwrap().warnings.is_empty());
    give.role = item("/s");
    give.rule.path = "/other/*".to_owned();
    refused(world.ask(&world.admin, give.clone()).await, rail);
    world.role("/t", &[]).await;
    let denied = RuleSet { role: item("/t"), ..deny };
    assert!(world.ask(&world.admin, denied).await.unwrap().warnings.is_empty());
    let rules = world.ask(&world.admin, RoleGet { path: item("/s") }).await.unwrap().role.rules;
    assert_eq!(rules.len(), 1, "what was refused changed nothing");
    policy(&world, rail, Policy::Off).await;
    assert!(world.ask(&world.admin, give).await.unwrap().warnings.is_empty());
}

#[tokio::test]
async fn all_of_the_audit_log_is_for_roles_that_do_nothing_else() {
    let world = World::new().await;
    let rail = Rail::AccountWideAudit;
    let audit = || vec![rule(RuleKind::Search, "/*", "read")];
    let auditor = keysherd_plane::roles::RoleCreate { rules: audit(), ..role("/auditors") };
    assert!(world.ask(&world.admin, auditor).await.unwrap().warnings.is_empty());
    world.role("/mixed", &[rule(RuleKind::Item, "/a/*", "read")]).await;
    let wide = |path: &str| RoleUpdate {
        path: item(path),
        new_path: None,
        comment: None,
        delete_protection: None,
        rules: audit(),
    };
    assert_eq!(world.ask(&world.admin, wide("/mixed")).await.unwrap().warnings.len(), 1);
    policy(&world, rail, Policy::Refuse).await;
    world.role("/later", &[rule(RuleKind::Item, "/a/*", "read")]).await;
    refused(world.ask(&world.admin, wide("/later")).await, rail);
    let other_way = set("/auditors", RuleKind::Item, "/a/*", "read");
    refused(world.ask(&world.admin, other_way).await, rail);
}

#[tokio::test]
async fn api_keys_are_kept_out_of_production() {
    let world = World::new().await;
    let rail = Rail::ProductionApiKeys;
    assert!(world.ask(&world.admin, api_key("/prod/early")).await.unwrap().warnings.is_empty());
    let production = |settings: &mut AccountSettings| {
        settings.guard_rails.production_paths = vec!["/prod/*".to_owned()];
    };
    settings(&world, production).await.unwrap();
    let created = world.ask(&world.admin, api_key("/prod/app")).await.unwrap();
    assert!(created.warnings[0].contains("/prod/*"), "{:?}", created.warnings);
    assert!(world.ask(&world.admin, api_key("/dev/app")).await.unwrap().warnings.is_empty());
    world.role("/reader", &[rule(RuleKind::Item, "/+/db", "read")]).await;
    let give = || assoc("/reader", "/dev/app", SubClaims::default());
    policy(&world, rail, Policy::Refuse).await;
    refused(world.ask(&world.admin, give()).await, rail);
    refused(world.ask(&world.admin, api_key("/prod/late")).await, rail);
    let rename = MethodUpdate {
        path: item("/dev/app"),
        new_path: Some(item("/prod/moved")),
        shared: None,
        kind: "api_key".to_owned(),
        settings: None,
        demand_second_factor: None,
    };
    refused(world.ask(&world.admin, rename).await, rail);
    let moved = ObjectsMove {
        objects: MovedObjects::AuthMethods,
        source: FolderPath::parse("/dev").unwrap(),
        target: FolderPath::parse("/prod/dev").unwrap(),
    };
    refused(world.ask(&world.admin, moved).await, rail);
    policy(&world, rail, Policy::Warn).await;
    assert_eq!(world.ask(&world.admin, give()).await.unwrap().warnings.len(), 1);
}

#[tokio::test]
async fn several_roles_of_one_rule_are_told_to_be_merged() {
    let world = World::new().await;
    world.ask(&world.admin, api_key("/app")).await.unwrap();
    for name in ["/a", "/b", "/c"] {
        world.role(name, &[rule(RuleKind::Item, &format!("{name}/*"), "read")]).await;
    }
    world
        .role("/two", &[rule(RuleKind::Item, "/x", "read"), rule(RuleKind::Item, "/y", "read")])
        .await;
    let give = async |role: &str, pairs: &[(&str, &str)]| {
        let mut claims = SubClaims::default();
        pairs.iter().for_each(|(name, value)| claims.set(name, *value));
        world.ask(&world.admin, assoc(role, "/app", claims)).await
    };
    assert!(give("/a", &[]).await.unwrap().warnings.is_empty());
    assert!(give("/two", &[]).await.unwrap().warnings.is_empty());
    assert!(give("/b", &[("team", "x")]).await.unwrap().warnings.is_empty(), "other bearers");
    let warned = give("/b", &[]).await.unwrap().warnings;
    assert!(warned[0].contains("roles-merge"), "{warned:?}");
    policy(&world, Rail::SinglePathRoles, Policy::Refuse).await;
    refused(give("/c", &[]).await, Rail::SinglePathRoles);
}

#[tokio::test]
async fn production_paths_are_paths_and_told_to_administrators_only() {
    let world = World::new().await;
    for bad in ["/a//b", "/home/{{user}}/*", ""] {
        let change = |settings: &mut AccountSettings| {
            settings.guard_rails.production_paths = vec![bad.to_owned()];
        };
        let outcome = settings(&world, change).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest, "{bad:?}");
    }
    let good = |settings: &mut AccountSettings| {
        settings.guard_rails.production_paths = vec!["/prod/*".to_owned()];
    };
    settings(&world, good).await.unwrap();
    let user = world.user("u", &[]).await;
    let shown = async |token: &str| {
        let view = world.ask(token, AccountGet).await.unwrap();
        view.account.settings.guard_rails.production_paths
    };
    assert_eq!(shown(&world.admin).await, ["/prod/*"]);
    assert!(shown(&user).await.is_empty());
}

#[tokio::test]
async fn a_shared_method_gets_its_roles_by_sub_claims() {
    let world = World::new().await;
    let rail = Rail::SharedWithoutSubClaims;
    world.shared_method("/people").await;
    world.role("/r", &[]).await;
    let mut claims = SubClaims::default();
    claims.set("team", "dev");
    let warned = world.ask(&world.admin, assoc("/r", "/people", SubClaims::default())).await;
    assert!(warned.unwrap().warnings[0].contains("/people"));
    policy(&world, rail, Policy::Refuse).await;
    world.role("/s", &[]).await;
    refused(world.ask(&world.admin, assoc("/s", "/people", SubClaims::default())).await, rail);
    let made = world.ask(&world.admin, assoc("/s", "/people", claims)).await.unwrap();
    assert!(made.warnings.is_empty());
    // What is not shared needs none.
    world.ask(&world.admin, api_key("/app")).await.unwrap();
    let own = world.ask(&world.admin, assoc("/s", "/app", SubClaims::default())).await.unwrap();
    assert!(own.warnings.is_empty());
    let loosen =
        AssocUpdate { id: made.id, sub_claims: Some(SubClaims::default()), case_sensitive: None };
    refused(world.ask(&world.admin, loosen).await, rail);
}
