//! Signing in: what is accepted once, and what never.

use keysherd_base::{AccessId, FaultKind};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::auth_method::{IpNetwork, MethodShared};
use keysherd_plane::accounts::AccountGet;
use keysherd_plane::auth::{
    DescribeClaims, Login, LoginSubject, PURPOSE_CHANGE_PASSWORD, PURPOSE_LOGIN, PasswordParams,
};

use crate::testing::{OWNER_EMAIL, START, World, client, kind, signed};

#[tokio::test]
async fn an_access_key_gives_a_token_that_works() {
    let world = World::new().await;
    let created = &world.first.created;
    let reply = world.login(&created.admin_access_id, &world.first.admin_key).await.unwrap();
    assert!(reply.token.starts_with("t-"));
    assert!(reply.token[2..].bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(reply.expires, START.plus_seconds(3_600));
    let view = world.ask(&reply.token, AccountGet).await.unwrap();
    assert_eq!(view.account.id, world.first.id);
    let claims = world.ask(&reply.token, DescribeClaims).await.unwrap().claims;
    assert_eq!(claims.values("client_ip"), ["192.0.2.7"]);
    assert_eq!(claims.values("client_unique_id"), [created.admin_access_id.as_str()]);
}

#[tokio::test]
async fn the_owner_signs_in_by_email_in_any_letter_case() {
    let world = World::new().await;
    let reply = world.login_email("Owner@Example.COM", None, &world.first.owner_key).await.unwrap();
    assert_eq!(reply.access_id, world.first.created.owner_access_id);
    let claims = world.ask(&reply.token, DescribeClaims).await.unwrap().claims;
    assert_eq!(claims.values("email"), [OWNER_EMAIL]);
    assert_eq!(claims.values("client_unique_id"), [OWNER_EMAIL]);
}

#[tokio::test]
async fn a_proof_is_accepted_once() {
    let world = World::new().await;
    let subject = LoginSubject::AccessId(world.first.created.admin_access_id.clone());
    let proof = world.proof(PURPOSE_LOGIN, &subject, &world.first.admin_key);
    let login = Login { subject, proof, otp: None };
    world.ask("", login.clone()).await.unwrap();
    assert_eq!(kind(world.ask("", login.clone()).await), FaultKind::Unauthorized);
    world.clock.advance_seconds(50);
    assert_eq!(kind(world.ask("", login).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_proof_is_accepted_within_a_minute_both_ways() {
    let world = World::new().await;
    world.clock.advance_seconds(1_000);
    let subject = LoginSubject::AccessId(world.first.created.admin_access_id.clone());
    for (offset, accepted) in [(-61, false), (-60, true), (0, true), (60, true), (61, false)] {
        let at = world.now().plus_seconds(offset);
        let proof = signed(PURPOSE_LOGIN, &subject, &world.first.admin_key, at);
        let outcome = world.ask("", Login { subject: subject.clone(), proof, otp: None }).await;
        assert_eq!(outcome.is_ok(), accepted, "{offset} seconds");
    }
}

#[tokio::test]
async fn a_proof_made_before_a_restart_is_not_accepted_after_it() {
    let world = World::new().await;
    let subject = LoginSubject::AccessId(world.first.created.admin_access_id.clone());
    let proof = world.proof(PURPOSE_LOGIN, &subject, &world.first.admin_key);
    let login = Login { subject, proof, otp: None };
    world.ask("", login.clone()).await.unwrap();
    world.clock.advance_seconds(5);
    let world = world.restarted();
    assert_eq!(kind(world.ask("", login).await), FaultKind::Unavailable);
    let created = &world.first.created;
    world.login(&created.admin_access_id, &world.first.admin_key).await.unwrap();
}

#[tokio::test]
async fn unknown_subject_and_wrong_key_are_told_alike() {
    let world = World::new().await;
    let stranger = SigningKey::generate(&SystemRng).unwrap();
    let unknown = AccessId::random(&SystemRng).unwrap();
    let known = &world.first.created.admin_access_id;
    let texts = [
        world.login(&unknown, &stranger).await.unwrap_err(),
        world.login(known, &stranger).await.unwrap_err(),
    ];
    assert_eq!(texts[0].public(), texts[1].public());
    assert_eq!(texts[0].kind(), FaultKind::Unauthorized);
    let texts = [
        world.login_email("nobody@example.com", None, &stranger).await.unwrap_err(),
        world.login_email(OWNER_EMAIL, None, &stranger).await.unwrap_err(),
    ];
    assert_eq!(texts[0].public(), texts[1].public());
}

#[tokio::test]
async fn a_proof_for_another_purpose_or_subject_does_not_sign_in() {
    let world = World::new().await;
    let subject = LoginSubject::AccessId(world.first.created.admin_access_id.clone());
    let proof = world.proof(PURPOSE_CHANGE_PASSWORD, &subject, &world.first.admin_key);
    let outcome = world.ask("", Login { subject: subject.clone(), proof, otp: None }).await;
    assert_eq!(kind(outcome), FaultKind::Unauthorized);
    let other = LoginSubject::AccessId(AccessId::random(&SystemRng).unwrap());
    let proof = world.proof(PURPOSE_LOGIN, &other, &world.first.admin_key);
    assert_eq!(
        kind(world.ask("", Login { subject, proof, otp: None }).await),
        FaultKind::Unauthorized
    );
}

#[tokio::test]
async fn stretching_parameters_do_not_tell_who_exists() {
    let world = World::new().await;
    let ask = async |email: &str| {
        world.ask("", PasswordParams { email: email.to_owned(), account: None }).await.unwrap()
    };
    let known = ask(OWNER_EMAIL).await;
    assert_eq!(known.salt, [5; 16]);
    let unknown = ask("nobody@example.com").await;
    assert_eq!(ask("NOBODY@example.com").await, unknown);
    assert_ne!(ask("somebody@example.com").await.salt, unknown.salt);
    assert_eq!(
        (known.memory_kib, known.iterations, known.parallelism),
        (unknown.memory_kib, unknown.iterations, unknown.parallelism)
    );
    let world = world.restarted();
    let again = PasswordParams { email: "nobody@example.com".to_owned(), account: None };
    assert_eq!(world.ask("", again).await.unwrap(), unknown);
}

#[tokio::test]
async fn an_address_in_two_accounts_needs_to_say_which() {
    let world = World::new().await;
    let other = world.another_account(OWNER_EMAIL).await;
    let reply = world.login_email(OWNER_EMAIL, Some(other.id), &other.owner_key).await.unwrap();
    assert_eq!(reply.access_id, other.created.owner_access_id);
    // Without the account, the key decides.
    let reply = world.login_email(OWNER_EMAIL, None, &other.owner_key).await.unwrap();
    assert_eq!(reply.access_id, other.created.owner_access_id);
    let wrong = world.login_email(OWNER_EMAIL, Some(world.first.id), &other.owner_key).await;
    assert_eq!(kind(wrong), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_method_is_bound_to_networks_client_types_and_its_end() {
    let world = World::new().await;
    let shared = MethodShared {
        bound_ips: vec![IpNetwork::parse("198.51.100.0/24").unwrap()],
        allowed_client_types: vec!["cli".to_owned()],
        access_expires: Some(START.plus_seconds(600)),
        ..MethodShared::default()
    };
    let (access_id, key) = world.api_key("/bound", shared).await;
    let subject = LoginSubject::AccessId(access_id);
    let login = async |address: &str, kind: &str| {
        let proof = world.proof(PURPOSE_LOGIN, &subject, &key);
        let mut caller = world.caller("");
        caller.client = client(address, kind);
        world.ask_as(caller, Login { subject: subject.clone(), proof, otp: None }).await
    };
    assert_eq!(kind(login("192.0.2.7", "cli").await), FaultKind::Unauthorized);
    assert_eq!(kind(login("198.51.100.9", "sdk").await), FaultKind::Unauthorized);
    let reply = login("::ffff:198.51.100.9", "cli").await.unwrap();
    assert_eq!(reply.expires, START.plus_seconds(600), "a token ends with its method");
    // The token is bound as the login was.
    let mut caller = world.caller(&reply.token);
    assert_eq!(kind(world.ask_as(caller.clone(), AccountGet).await), FaultKind::Unauthorized);
    caller.client = client("198.51.100.10", "cli");
    world.ask_as(caller, AccountGet).await.unwrap();
    world.clock.advance_seconds(601);
    assert_eq!(kind(login("198.51.100.9", "cli").await), FaultKind::Unauthorized);
}
