//! Changing one's own password.

use keysherd_base::FaultKind;
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::accounts::AccountGet;
use keysherd_plane::auth::{
    ChangePassword, LoginSubject, NewPassword, OwnEmail, PURPOSE_CHANGE_PASSWORD,
};

use crate::testing::{OWNER_EMAIL, World, kind, password};

fn change(world: &World, signer: &SigningKey, new: NewPassword) -> ChangePassword {
    let subject = LoginSubject::Email { email: OWNER_EMAIL.to_owned(), account: None };
    ChangePassword { proof: world.proof(PURPOSE_CHANGE_PASSWORD, &subject, signer), new }
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one_and_ends_its_tokens() {
    let world = World::new().await;
    let old = &world.first.owner_key;
    let new = SigningKey::generate(&SystemRng).unwrap();
    let token = world.login_email(OWNER_EMAIL, None, old).await.unwrap().token;
    assert_eq!(world.ask(&token, OwnEmail).await.unwrap().email, OWNER_EMAIL);
    world.ask(&token, change(&world, old, password(&new))).await.unwrap();
    assert_eq!(kind(world.ask(&token, AccountGet).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.login_email(OWNER_EMAIL, None, old).await), FaultKind::Unauthorized);
    world.login_email(OWNER_EMAIL, None, &new).await.unwrap();
}

#[tokio::test]
async fn a_token_alone_does_not_change_a_password() {
    let world = World::new().await;
    let old = &world.first.owner_key;
    let new = SigningKey::generate(&SystemRng).unwrap();
    let token = world.login_email(OWNER_EMAIL, None, old).await.unwrap().token;
    let forged = change(&world, &new, password(&new));
    assert_eq!(kind(world.ask(&token, forged).await), FaultKind::Unauthorized);
    let mut cheap = password(&new);
    cheap.params.memory_kib = 8;
    assert_eq!(kind(world.ask(&token, change(&world, old, cheap)).await), FaultKind::BadRequest);
    let proof = change(&world, old, password(&new));
    world.ask(&token, proof.clone()).await.unwrap();
    // The password is the new one, and the proof of the old one was for once.
    let token = world.login_email(OWNER_EMAIL, None, &new).await.unwrap().token;
    assert_eq!(kind(world.ask(&token, proof).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn an_access_key_has_no_password() {
    let world = World::new().await;
    assert_eq!(kind(world.ask(&world.admin, OwnEmail).await), FaultKind::Forbidden);
    let new = password(&world.first.owner_key);
    let message = change(&world, &world.first.admin_key, new);
    assert_eq!(kind(world.ask(&world.admin, message).await), FaultKind::Forbidden);
}
