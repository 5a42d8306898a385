//! One-time codes: setting up, showing, and what does not let in.

use keysherd_base::{Fault, FaultKind, SecretBytes};
use keysherd_crypto::sign::SigningKey;
use keysherd_crypto::totp;
use keysherd_plane::accounts::AccountGet;
use keysherd_plane::auth::{Login, LoginReply, LoginSubject, PURPOSE_LOGIN};
use keysherd_plane::auth_methods::MethodUpdate;
use keysherd_plane::second_factor::{
    CODE_NOT_SET_UP, CODE_WANTED, FactorConfirm, FactorEnroll, FactorRemove, PURPOSE_SECOND_FACTOR,
};

use crate::testing::{OWNER_EMAIL, World, item, kind};

/// The seed in base32, back to bytes.
pub(super) fn seed(text: &str) -> SecretBytes {
    let (mut bits, mut count, mut bytes) = (0_u64, 0, Vec::new());
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            _ => letter - b'2' + 26,
        };
        bits = bits << 5 | u64::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 255) as u8);
        }
    }
    SecretBytes::new(bytes)
}

fn subject(email: &str) -> LoginSubject {
    LoginSubject::Email { email: email.to_owned(), account: None }
}

/// Sets a second factor up; gives its seed and recovery codes.
pub(super) async fn set_up(
    world: &World,
    email: &str,
    key: &SigningKey,
) -> (SecretBytes, Vec<String>) {
    let proof = || world.proof(PURPOSE_SECOND_FACTOR, &subject(email), key);
    let enroll = FactorEnroll { subject: subject(email), proof: proof() };
    let made = world.ask("", enroll).await.unwrap();
    let seed = seed(&made.secret);
    let otp = code(world, &seed);
    let confirm = FactorConfirm { subject: subject(email), proof: proof(), otp };
    let codes = world.ask("", confirm).await.unwrap().recovery_codes;
    (seed, codes)
}

/// The code of now.
pub(super) fn code(world: &World, seed: &SecretBytes) -> String {
    totp::code(seed, totp::step_at(world.now())).expose().clone()
}

pub(super) async fn login(
    world: &World,
    email: &str,
    key: &SigningKey,
    otp: Option<&str>,
) -> Result<LoginReply, Fault> {
    let proof = world.proof(PURPOSE_LOGIN, &subject(email), key);
    let otp = otp.map(str::to_owned);
    world.ask("", Login { subject: subject(email), proof, otp }).await
}

#[tokio::test]
async fn with_a_second_factor_the_password_alone_does_not_let_in() {
    let world = World::new().await;
    let key = &world.first.owner_key;
    let before = login(&world, OWNER_EMAIL, key, None).await.unwrap().token;
    let (seed, _) = set_up(&world, OWNER_EMAIL, key).await;
    // What was let in by the password alone is out.
    assert_eq!(kind(world.ask(&before, AccountGet).await), FaultKind::Unauthorized);
    let wanted = login(&world, OWNER_EMAIL, key, None).await.unwrap_err();
    assert_eq!((wanted.kind(), wanted.code()), (FaultKind::Unauthorized, CODE_WANTED));
    // The code that confirmed the seed is used up, and so is every code after its login.
    let used = code(&world, &seed);
    assert_eq!(kind(login(&world, OWNER_EMAIL, key, Some(&used)).await), FaultKind::Unauthorized);
    world.clock.advance_seconds(30);
    let next = code(&world, &seed);
    login(&world, OWNER_EMAIL, key, Some(&next)).await.unwrap();
    assert_eq!(kind(login(&world, OWNER_EMAIL, key, Some(&next)).await), FaultKind::Unauthorized);
    // Also after a restart.
    let world = world.restarted();
    let key = &world.first.owner_key;
    world.clock.advance_seconds(1);
    assert_eq!(kind(login(&world, OWNER_EMAIL, key, Some(&next)).await), FaultKind::Unauthorized);
    world.clock.advance_seconds(30);
    login(&world, OWNER_EMAIL, key, Some(&code(&world, &seed))).await.unwrap();
}

#[tokio::test]
async fn the_same_code_twice_at_once_lets_in_once() {
    let world = World::new().await;
    let key = &world.first.owner_key;
    let (seed, _) = set_up(&world, OWNER_EMAIL, key).await;
    world.clock.advance_seconds(30);
    let otp = code(&world, &seed);
    let (one, other) = tokio::join!(
        login(&world, OWNER_EMAIL, key, Some(&otp)),
        login(&world, OWNER_EMAIL, key, Some(&otp))
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1, "{one:?} {other:?}");
}

#[tokio::test]
async fn wrong_codes_are_wrong_logins_and_say_no_more_than_wrong_passwords() {
    let world = World::new().await;
    let key = &world.first.owner_key;
    let (seed, _) = set_up(&world, OWNER_EMAIL, key).await;
    let other = SigningKey::generate(&keysherd_crypto::random::SystemRng).unwrap();
    let wrong_password = login(&world, OWNER_EMAIL, &other, None).await.unwrap_err();
    for otp in ["000000", "not a code", "AAAA-BBBB-CCCC-DDDD", &"9".repeat(1_000)] {
        let wrong = login(&world, OWNER_EMAIL, key, Some(otp)).await.unwrap_err();
        assert_eq!(wrong.public(), wrong_password.public());
    }
    world.clock.advance_seconds(30);
    let right = code(&world, &seed);
    let locked = login(&world, OWNER_EMAIL, key, Some(&right)).await;
    assert_eq!(kind(locked), FaultKind::RateLimited);
}

#[tokio::test]
async fn a_recovery_code_is_good_once() {
    let world = World::new().await;
    let key = &world.first.owner_key;
    let (_, codes) = set_up(&world, OWNER_EMAIL, key).await;
    assert_eq!(codes.len(), 10);
    login(&world, OWNER_EMAIL, key, Some(&codes[3])).await.unwrap();
    let again = login(&world, OWNER_EMAIL, key, Some(&codes[3])).await;
    assert_eq!(kind(again), FaultKind::Unauthorized);
    // However it is typed.
    let typed = codes[4].to_lowercase().replace('-', " ");
    login(&world, OWNER_EMAIL, key, Some(&typed)).await.unwrap();
}

#[tokio::test]
async fn a_second_factor_is_taken_away_with_a_code_only() {
    let world = World::new().await;
    let key = &world.first.owner_key;
    let (seed, codes) = set_up(&world, OWNER_EMAIL, key).await;
    let remove = async |otp: &str| {
        let proof = world.proof(PURPOSE_SECOND_FACTOR, &subject(OWNER_EMAIL), key);
        let subject = subject(OWNER_EMAIL);
        world.ask("", FactorRemove { subject, proof, otp: otp.to_owned() }).await
    };
    // Nobody replaces a seed that is in force by knowing the password.
    let proof = world.proof(PURPOSE_SECOND_FACTOR, &subject(OWNER_EMAIL), key);
    let enroll = FactorEnroll { subject: subject(OWNER_EMAIL), proof };
    assert_eq!(kind(world.ask("", enroll).await), FaultKind::Conflict);
    assert_eq!(kind(remove("123456").await), FaultKind::Unauthorized);
    remove(&codes[0]).await.unwrap();
    login(&world, OWNER_EMAIL, key, None).await.unwrap();
    drop(seed);
}

#[tokio::test]
async fn a_demanded_second_factor_is_set_up_before_anything_else() {
    let world = World::new().await;
    let key = &world.first.owner_key;
    let token = login(&world, OWNER_EMAIL, key, None).await.unwrap().token;
    let demand = |demanded| MethodUpdate {
        path: item("/owner"),
        new_path: None,
        shared: None,
        kind: "email".to_owned(),
        settings: None,
        demand_second_factor: Some(demanded),
    };
    world.ask(&token, demand(true)).await.unwrap();
    assert_eq!(kind(world.ask(&token, AccountGet).await), FaultKind::Unauthorized);
    let wanted = login(&world, OWNER_EMAIL, key, Some("123456")).await.unwrap_err();
    assert_eq!(wanted.code(), CODE_NOT_SET_UP);
    let (seed, codes) = set_up(&world, OWNER_EMAIL, key).await;
    world.clock.advance_seconds(30);
    let otp = code(&world, &seed);
    let token = login(&world, OWNER_EMAIL, key, Some(&otp)).await.unwrap().token;
    // A token alone does not take it away, and taking it away does not take the demand away.
    assert_eq!(kind(world.ask(&token, demand(false)).await), FaultKind::Forbidden);
    let proof = world.proof(PURPOSE_SECOND_FACTOR, &subject(OWNER_EMAIL), key);
    let message = FactorRemove { subject: subject(OWNER_EMAIL), proof, otp: codes[0].clone() };
    world.ask("", message).await.unwrap();
    let wanted = login(&world, OWNER_EMAIL, key, None).await.unwrap_err();
    assert_eq!(wanted.code(), CODE_NOT_SET_UP);
}

#[tokio::test]
async fn machines_have_no_second_factor() {
    let world = World::new().await;
    let subject = LoginSubject::AccessId(world.first.created.admin_access_id.clone());
    let proof = world.proof(PURPOSE_SECOND_FACTOR, &subject, &world.first.admin_key);
    let refused = world.ask("", FactorEnroll { subject, proof }).await;
    assert_eq!(kind(refused), FaultKind::BadRequest);
}
