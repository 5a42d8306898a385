//! Audit records: what is recorded before it is answered, and what is not.

use keysherd_audit::Record;
use keysherd_base::{AccessId, Fault, FaultKind};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::{Signature, SigningKey};
use keysherd_domain::auth_method::MethodShared;
use keysherd_plane::Note;
use keysherd_plane::accounts::AccountGet;
use keysherd_plane::auth::{OwnEmail, ValidateToken};
use keysherd_plane::auth_methods::MethodDelete;
use keysherd_plane::roles::RoleGet;

use crate::testing::{World, item, kind, role};

/// The records that `ask` adds, as status, action and code.
async fn added<T>(world: &World, ask: impl Future<Output = T>) -> Vec<(u16, String, String)> {
    let before = world.records().len();
    let _ = ask.await;
    let added = world.records().split_off(before);
    let shown = |record: Record| {
        let code = record.error.map(String::from).unwrap_or_default();
        (record.status, record.draft.action.into_owned(), code)
    };
    added.into_iter().map(shown).collect()
}

fn one(status: u16, action: &str, code: &str) -> Vec<(u16, String, String)> {
    vec![(status, action.to_owned(), code.to_owned())]
}

#[tokio::test]
async fn answers_changes_and_refusals_are_recorded_once_each() {
    let world = World::new().await;
    let user = world.user("u", &[]).await;
    let done = added(&world, world.ask(&world.admin, AccountGet)).await;
    assert_eq!(done, one(200, "get_account_settings", ""));
    let done = added(&world, world.ask(&world.admin, role("/a"))).await;
    assert_eq!(done, one(200, "create_role", ""));
    let done = added(&world, world.ask(&world.admin, role("/a"))).await;
    assert_eq!(done, one(409, "create_role", "AlreadyExists"));
    let get = RoleGet { path: item("/a") };
    let done = added(&world, world.ask(&user, get)).await;
    assert_eq!(done, one(401, "get_role", "UnauthorizedAccess"));
    let delete = MethodDelete { path: item("/owner") };
    let done = added(&world, world.ask(&world.admin, delete)).await;
    assert_eq!(done, one(403, "delete_auth_method", "Forbidden"));
    let done = added(&world, world.ask(&world.admin, OwnEmail)).await;
    assert_eq!(done, one(403, "change_password", "Forbidden"));
    let owner = world.login_email("owner@example.com", None, &world.first.owner_key).await;
    let owner = owner.unwrap().token;
    let done = added(&world, world.ask(&owner, OwnEmail)).await;
    assert_eq!(done, []);
}

#[tokio::test]
async fn logins_and_dead_tokens_are_recorded_when_they_lead_to_an_account() {
    let world = World::new().await;
    let created = &world.first.created;
    let stranger = SigningKey::generate(&SystemRng).unwrap();
    let wrong = world.login(&created.admin_access_id, &stranger);
    assert_eq!(added(&world, wrong).await, one(401, "authenticate", "UnauthorizedAccess"));
    let unknown = AccessId::random(&SystemRng).unwrap();
    let wrong = world.login(&unknown, &stranger);
    assert_eq!(added(&world, wrong).await, []);
    assert_eq!(added(&world, world.ask("", AccountGet)).await, []);
    assert_eq!(added(&world, world.ask("t-00", AccountGet)).await, []);
    let good = world.login(&created.admin_access_id, &world.first.admin_key);
    assert_eq!(added(&world, good).await, one(200, "authenticate", ""));
    world.clock.advance_seconds(10_000);
    let late = world.ask(&world.admin, AccountGet);
    assert_eq!(added(&world, late).await, one(401, "refused_request", "UnauthorizedAccess"));
    let late = world.ask(&world.admin, ValidateToken);
    assert_eq!(added(&world, late).await, one(200, "validate_token", ""));
}

#[tokio::test]
async fn a_record_says_who_from_where_and_what() {
    let world = World::new().await;
    let shared =
        MethodShared { audit_claims: vec!["client_ip".to_owned()], ..MethodShared::default() };
    let (access_id, key) = world.api_key("/ci", shared).await;
    let token = world.login(&access_id, &key).await.unwrap().token;
    drop(world.ask(&token, RoleGet { path: item("/admin") }).await);
    let record = world.records().pop().unwrap();
    assert_eq!(record.draft.access_id, Some(access_id.clone()));
    assert_eq!(&*record.draft.unique_id, access_id.as_str());
    assert_eq!(record.draft.access_type, "api_key");
    assert_eq!(record.draft.client_address, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(&*record.draft.client_type, "sdk");
    assert_eq!(&*record.draft.command, "test-command");
    assert_eq!(record.draft.sub_claims["client_ip"], ["192.0.2.7"]);
    assert_eq!(record.draft.params[0].value(), Some("/admin"));
}

#[tokio::test]
async fn notes_are_recorded_for_those_who_can_be_told() {
    let world = World::new().await;
    let failure = Note::failure(&Fault::bad_request("'name' is missing"));
    let told = async { world.ask(&world.admin, failure.clone()).await.unwrap() };
    assert_eq!(added(&world, told).await, one(400, "refused_request", "BadRequest"));
    let untold = async { world.ask("t-00", failure.clone()).await.unwrap() };
    assert_eq!(added(&world, untold).await, []);
    let success = Note::success();
    let told = async { world.ask(&world.admin, success.clone()).await.unwrap() };
    assert_eq!(added(&world, told).await, one(200, "test_command", ""));
    assert_eq!(kind(world.ask("t-00", success.clone()).await), FaultKind::Unauthorized);
    world.ask("", success.clone()).await.unwrap();
    world.clock.advance_seconds(10_000);
    let late = async { world.ask(&world.admin, failure).await.unwrap() };
    assert_eq!(added(&world, late).await, one(400, "refused_request", "BadRequest"));
    assert_eq!(kind(world.ask(&world.admin, success).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn the_chain_of_records_verifies() {
    let world = World::new().await;
    world.user("u", &[]).await;
    let (account, key) = (world.first.id, world.audit_key);
    let verified = world.control.store.read(|reader| {
        keysherd_store::audit::verify(reader, account, sha256, |body, signature| {
            key.verify(keysherd_audit::HEAD_LABEL, body, &Signature(*signature))
        })
    });
    let verified = verified.unwrap().unwrap();
    assert_eq!(verified.records, world.records().len() as u64);
    assert!(verified.records > 5);
}
