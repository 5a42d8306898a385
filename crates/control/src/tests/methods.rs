//! Auth methods: creating, changing, listing, deleting.

use keysherd_base::{FaultKind, FolderPath};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::auth_method::{MethodDetail, MethodShared, SecondFactor};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::auth_methods::{
    MethodCreate, MethodDelete, MethodGet, MethodList, MethodUpdate, MethodsDelete,
};
use keysherd_plane::items::{MovedObjects, ObjectsMove};

use crate::testing::{OWNER_EMAIL, START, World, item, key_reset, kind, method, rule};

fn update(path: &str) -> MethodUpdate {
    MethodUpdate {
        path: item(path),
        new_path: None,
        shared: None,
        kind: "api_key".to_owned(),
        settings: None,
        demand_second_factor: None,
    }
}

fn list() -> MethodList {
    MethodList { filter: None, kinds: Vec::new(), after: None, limit: 1_000 }
}

fn person(path: &str, email: &str) -> MethodCreate {
    let key = SigningKey::generate(&SystemRng).unwrap();
    let detail = MethodDetail::Email {
        email: email.to_owned(),
        public_key: key.public().0,
        salt: [1; 16],
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
        password_set: START,
        second_factor: SecondFactor::None,
    };
    MethodCreate { path: item(path), shared: MethodShared::default(), detail }
}

#[tokio::test]
async fn names_and_addresses_are_taken_once() {
    let world = World::new().await;
    let key = SigningKey::generate(&SystemRng).unwrap();
    let message = method("/ci", MethodShared::default(), &key);
    world.ask(&world.admin, message.clone()).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, message).await), FaultKind::Conflict);
    let taken = person("/second", &OWNER_EMAIL.to_uppercase());
    assert_eq!(kind(world.ask(&world.admin, taken).await), FaultKind::Conflict);
    for bad in ["", "no-at-sign", "@example.com", "a@", "a b@example.com"] {
        let outcome = world.ask(&world.admin, person("/third", bad)).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest, "{bad:?}");
    }
}

#[tokio::test]
async fn renaming_finds_conflicts_and_forgives_the_same_name() {
    let world = World::new().await;
    world.api_key("/a", MethodShared::default()).await;
    world.api_key("/b", MethodShared::default()).await;
    let rename = |to: &str| MethodUpdate { new_path: Some(item(to)), ..update("/a") };
    assert_eq!(kind(world.ask(&world.admin, rename("/b")).await), FaultKind::Conflict);
    world.ask(&world.admin, rename("/a")).await.unwrap();
    world.ask(&world.admin, rename("/c")).await.unwrap();
    let get = MethodGet { path: item("/a") };
    assert_eq!(kind(world.ask(&world.admin, get).await), FaultKind::NotFound);
    world.ask(&world.admin, MethodGet { path: item("/c") }).await.unwrap();
}

#[tokio::test]
async fn settings_out_of_bounds_are_refused() {
    let world = World::new().await;
    let key = SigningKey::generate(&SystemRng).unwrap();
    let bad = [
        MethodShared { token_ttl_minutes: 4, ..MethodShared::default() },
        MethodShared { token_ttl_minutes: 721, ..MethodShared::default() },
        MethodShared { access_expires: Some(START), ..MethodShared::default() },
        MethodShared { description: "d".repeat(16_385), ..MethodShared::default() },
        MethodShared { audit_claims: vec![String::new()], ..MethodShared::default() },
        MethodShared { product_types: vec!["x".repeat(65)], ..MethodShared::default() },
    ];
    for shared in bad {
        let outcome = world.ask(&world.admin, method("/bad", shared.clone(), &key)).await;
        assert_eq!(kind(outcome), FaultKind::BadRequest, "{shared:?}");
    }
    let mut empty = method("/bad", MethodShared::default(), &key);
    empty.detail = MethodDetail::ApiKey { public_key: [0; 32], key_created: START };
    assert_eq!(kind(world.ask(&world.admin, empty).await), FaultKind::BadRequest);
    let other_kind = MethodUpdate { kind: "email".to_owned(), ..update("/cli-admin") };
    assert_eq!(kind(world.ask(&world.admin, other_kind).await), FaultKind::BadRequest);
}

#[tokio::test]
async fn an_end_that_has_come_can_be_sent_again() {
    let world = World::new().await;
    let shared =
        MethodShared { access_expires: Some(START.plus_seconds(10)), ..MethodShared::default() };
    world.api_key("/ci", shared.clone()).await;
    world.clock.advance_seconds(20);
    let again = MethodUpdate { shared: Some(shared), ..update("/ci") };
    world.ask(&world.admin, again).await.unwrap();
}

#[tokio::test]
async fn the_owners_method_is_the_owners_own() {
    let world = World::new().await;
    let delete = MethodDelete { path: item("/owner") };
    assert_eq!(kind(world.ask(&world.admin, delete.clone()).await), FaultKind::Forbidden);
    let rename = MethodUpdate {
        new_path: Some(item("/moved/owner")),
        kind: "email".to_owned(),
        ..update("/owner")
    };
    assert_eq!(kind(world.ask(&world.admin, rename.clone()).await), FaultKind::Forbidden);
    let owner = world.login_email(OWNER_EMAIL, None, &world.first.owner_key).await.unwrap().token;
    world.ask(&owner, rename).await.unwrap();
    let delete = MethodDelete { path: item("/moved/owner") };
    assert_eq!(kind(world.ask(&owner, delete).await), FaultKind::Forbidden);
    let shove = ObjectsMove {
        objects: MovedObjects::AuthMethods,
        source: keysherd_base::FolderPath::parse("/moved").unwrap(),
        target: keysherd_base::FolderPath::parse("/away").unwrap(),
    };
    assert_eq!(kind(world.ask(&world.admin, shove).await), FaultKind::Forbidden);
}

#[tokio::test]
async fn delete_protection_is_a_403_of_its_own() {
    let world = World::new().await;
    let shared = MethodShared { delete_protection: true, ..MethodShared::default() };
    world.api_key("/kept", shared).await;
    let delete = MethodDelete { path: item("/kept") };
    let fault = world.ask(&world.admin, delete.clone()).await.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (FaultKind::Forbidden, "DeleteProtection"));
    let off = MethodUpdate { shared: Some(MethodShared::default()), ..update("/kept") };
    world.ask(&world.admin, off).await.unwrap();
    world.ask(&world.admin, delete).await.unwrap();
}

#[tokio::test]
async fn lists_are_filtered_permitted_and_paged() {
    let world = World::new().await;
    for path in ["/team/a", "/team/b", "/team/c", "/other/d"] {
        world.api_key(path, MethodShared::default()).await;
    }
    let rules = [rule(RuleKind::AuthMethod, "/team/*", "list")];
    let user = world.user("lister", &rules).await;
    let paths = async |token: &str, message: MethodList| {
        let reply = world.ask(token, message).await.unwrap();
        let paths = reply.methods.iter().map(|view| view.method.path.to_string());
        (paths.collect::<Vec<_>>(), reply.more)
    };
    let (seen, more) = paths(&user, list()).await;
    assert_eq!((seen.join(" ").as_str(), more), ("/team/a /team/b /team/c", false));
    let page = MethodList { limit: 2, ..list() };
    let (seen, more) = paths(&user, page.clone()).await;
    assert_eq!((seen.join(" ").as_str(), more), ("/team/a /team/b", true));
    let next = MethodList { after: Some("/team/b".to_owned()), ..page };
    let (seen, more) = paths(&user, next).await;
    assert_eq!((seen.join(" ").as_str(), more), ("/team/c", false));
    let filtered = MethodList { filter: Some("am/b".to_owned()), ..list() };
    assert_eq!(paths(&world.admin, filtered).await.0, ["/team/b"]);
    let people = MethodList { kinds: vec!["email".to_owned()], ..list() };
    assert_eq!(paths(&world.admin, people).await.0, ["/owner"]);
    let reply = world.ask(&user, list()).await.unwrap();
    let held = reply.methods[0].permissions;
    assert!(held.has(Capability::List) && !held.has(Capability::Update));
    assert_eq!(reply.methods[0].token_ttl_minutes, 60);
}

#[tokio::test]
async fn a_view_shows_only_roles_the_caller_may_see() {
    let world = World::new().await;
    world.user("someone", &[]).await;
    let rules = [rule(RuleKind::AuthMethod, "/users/*", "list")];
    let blind = world.user("blind", &rules).await;
    let get = MethodGet { path: item("/users/someone") };
    assert_eq!(world.ask(&world.admin, get.clone()).await.unwrap().roles.len(), 1);
    assert!(world.ask(&blind, get).await.unwrap().roles.is_empty());
}

#[tokio::test]
async fn forcing_sub_claims_needs_all_associations_to_have_some() {
    let world = World::new().await;
    world.user("plain", &[]).await;
    let force = MethodShared { force_sub_claims: true, ..MethodShared::default() };
    let message = MethodUpdate { shared: Some(force.clone()), ..update("/users/plain") };
    assert_eq!(kind(world.ask(&world.admin, message).await), FaultKind::BadRequest);
    world.api_key("/forced", force).await;
    let bare = crate::testing::assoc("/roles/plain", "/forced", SubClaims::default());
    assert_eq!(kind(world.ask(&world.admin, bare).await), FaultKind::BadRequest);
    let mut claims = SubClaims::default();
    claims.set("groups", "ops");
    let guarded = crate::testing::assoc("/roles/plain", "/forced", claims);
    world.ask(&world.admin, guarded).await.unwrap();
}

#[tokio::test]
async fn a_token_alone_does_not_reset_ones_own_password() {
    let world = World::new().await;
    let owner = world.login_email(OWNER_EMAIL, None, &world.first.owner_key).await.unwrap().token;
    let new = SigningKey::generate(&SystemRng).unwrap();
    assert_eq!(kind(world.ask(&owner, key_reset("/owner", &new)).await), FaultKind::Forbidden);
    // An administrator resets that of others, who have to sign in again.
    world.ask(&world.admin, person("/dana", "dana@example.com")).await.unwrap();
    world.ask(&world.admin, key_reset("/dana", &new)).await.unwrap();
    world.login_email("dana@example.com", None, &new).await.unwrap();
}

#[tokio::test]
async fn methods_below_a_folder_are_deleted_all_or_none() {
    let world = World::new().await;
    for name in ["/team/a", "/team/deep/b", "/teams"] {
        world.api_key(name, MethodShared::default()).await;
    }
    let below = |path: &str| MethodsDelete { folder: FolderPath::parse(path).unwrap() };
    let left = async || {
        let list = MethodList { filter: Some("/team".to_owned()), ..list() };
        world.ask(&world.admin, list).await.unwrap().methods.len()
    };
    let method_rule = |path, capabilities| rule(RuleKind::AuthMethod, path, capabilities);
    let partly = [method_rule("/team/a", "delete"), method_rule("/team/deep/b", "list")];
    let partly = world.user("partly", &partly).await;
    assert_eq!(kind(world.ask(&partly, below("/team")).await), FaultKind::Unauthorized);
    assert_eq!(left().await, 3, "none was deleted");
    assert_eq!(kind(world.ask(&partly, below("/nothing")).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&world.admin, below("/nothing")).await), FaultKind::NotFound);
    // Below `/` is the owner, without whom nobody would be left.
    assert_eq!(kind(world.ask(&world.admin, below("/")).await), FaultKind::Forbidden);
    let protected = MethodShared { delete_protection: true, ..MethodShared::default() };
    world.api_key("/team/kept", protected).await;
    assert_eq!(kind(world.ask(&world.admin, below("/team")).await), FaultKind::Forbidden);
    assert_eq!(left().await, 4, "none was deleted");
    // What the caller does not see stays and is not spoken of.
    let sees = world.user("sees", &[method_rule("/team/deep/*", "delete")]).await;
    world.ask(&sees, below("/team")).await.unwrap();
    assert_eq!(left().await, 3);
    let (id, key) = world.api_key("/gone/one", MethodShared::default()).await;
    let token = world.login(&id, &key).await.unwrap().token;
    world.ask(&world.admin, below("/gone")).await.unwrap();
    let list = world.ask(&token, list()).await;
    assert_eq!(kind(list), FaultKind::Unauthorized, "tokens of deleted methods are dead");
}
