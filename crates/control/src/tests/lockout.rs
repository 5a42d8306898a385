//! Wrong logins: who has to wait, who never does, what is recorded, and that nothing of it tells
//! who exists.

use keysherd_audit::Record;
use keysherd_base::{AccessId, AccountId, Fault, FaultKind, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::auth::{
    ChangePassword, Login, LoginSubject, PURPOSE_CHANGE_PASSWORD, PURPOSE_LOGIN, PasswordParams,
};

use crate::proof::SIGNATURES;
use crate::testing::{OWNER_EMAIL, World, client, kind, password};

const FREE_TRIES: usize = 5;

fn stranger() -> SigningKey {
    SigningKey::generate(&SystemRng).unwrap()
}

async fn email_from(
    world: &World,
    address: &str,
    email: &str,
    account: Option<AccountId>,
    key: &SigningKey,
) -> Result<(), Fault> {
    let subject = LoginSubject::Email { email: email.to_owned(), account };
    let proof = world.proof(PURPOSE_LOGIN, &subject, key);
    let mut caller = world.caller("");
    caller.client = client(address, "sdk");
    world.ask_as(caller, Login { subject, proof, otp: None }).await.map(drop)
}

fn of_action<'r>(records: &'r [Record], action: &str) -> Vec<&'r Record> {
    records.iter().filter(|record| record.draft.action == action).collect()
}

#[tokio::test]
async fn after_five_wrong_passwords_not_even_the_right_one_is_tried() {
    let world = World::new().await;
    let (wrong, right) = (stranger(), &world.first.owner_key);
    for _ in 0..FREE_TRIES {
        let refused = email_from(&world, "203.0.113.5", OWNER_EMAIL, None, &wrong).await;
        assert_eq!(kind(refused), FaultKind::Unauthorized);
    }
    let refused = email_from(&world, "203.0.113.5", OWNER_EMAIL, None, right).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (FaultKind::RateLimited, "TooManyWrongLogins"));
    assert_eq!(refused.retry_after_seconds(), Some(60));
    // Nobody has a password stretched in vain either.
    let params = PasswordParams { email: OWNER_EMAIL.to_owned(), account: None };
    assert_eq!(kind(world.ask("", params).await), FaultKind::RateLimited);
    let locked = of_action(&world.records(), "login_locked").len();
    assert_eq!(locked, 1);

    // A restart forgives nobody; waiting does.
    world.clock.advance_seconds(59);
    let world = world.restarted();
    let right = &world.first.owner_key;
    let refused = email_from(&world, "203.0.113.5", OWNER_EMAIL, None, right).await;
    assert_eq!(kind(refused), FaultKind::RateLimited);
    world.clock.advance_seconds(1);
    email_from(&world, "203.0.113.5", OWNER_EMAIL, None, right).await.unwrap();
    let world = world.restarted();
    for _ in 0..FREE_TRIES {
        let refused = email_from(&world, "203.0.113.5", OWNER_EMAIL, None, &wrong).await;
        assert_eq!(kind(refused), FaultKind::Unauthorized, "everything is forgiven");
    }
}

#[tokio::test]
async fn no_spelling_of_a_person_gets_more_tries() {
    let world = World::new().await;
    let wrong = stranger();
    let spellings = [
        (OWNER_EMAIL, None),
        ("OWNER@EXAMPLE.COM", None),
        ("Owner@example.com", Some(world.first.id)),
        ("owner@Example.com", Some(AccountId(Uid::random(&SystemRng).unwrap()))),
        ("oWNER@EXAMPLE.com", None),
    ];
    for (email, account) in spellings {
        let refused = email_from(&world, "203.0.113.5", email, account, &wrong).await;
        assert_eq!(kind(refused), FaultKind::Unauthorized, "{email}");
    }
    for (email, account) in spellings {
        let refused = email_from(&world, "203.0.113.6", email, account, &wrong).await;
        assert_eq!(kind(refused), FaultKind::RateLimited, "{email}");
    }
    // Under the access id of a person's method no password is tried at all.
    let owner = &world.first.created.owner_access_id;
    assert_eq!(kind(world.login(owner, &world.first.owner_key).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn strangers_cannot_lock_the_owner_out_of_where_they_usually_are() {
    let world = World::new().await;
    email_from(&world, "192.0.2.9", OWNER_EMAIL, None, &world.first.owner_key).await.unwrap();
    let world = world.restarted();
    for _ in 0..FREE_TRIES {
        email_from(&world, "203.0.113.5", OWNER_EMAIL, None, &stranger()).await.unwrap_err();
    }
    let right = &world.first.owner_key;
    let elsewhere = email_from(&world, "198.51.100.1", OWNER_EMAIL, None, right).await;
    assert_eq!(kind(elsewhere), FaultKind::RateLimited);
    email_from(&world, "192.0.2.9", OWNER_EMAIL, None, right).await.unwrap();
}

#[tokio::test]
async fn probing_a_machine_locks_nobody_and_is_recorded_once_a_minute() {
    let world = World::new().await;
    let admin = world.first.created.admin_access_id.clone();
    let before = world.records().len();
    for number in 0..1_100 {
        let refused = world.login(&admin, &stranger()).await.unwrap_err();
        let expected = if number < 999 { FaultKind::Unauthorized } else { FaultKind::RateLimited };
        assert_eq!(refused.kind(), expected, "{number}");
    }
    world.login(&admin, &world.first.admin_key).await.unwrap();
    assert_eq!(world.records().len() - before, 2, "one refusal, one login");
    world.clock.advance_seconds(60);
    let made = world.control.record_refused_logins(world.now()).await.unwrap();
    assert_eq!(made, 1);
    let records = world.records();
    let floods = of_action(&records, "logins_refused");
    assert_eq!(floods.len(), 1);
    assert_eq!(floods[0].draft.access_id, Some(admin));
    assert!(floods[0].draft.params[0].value() == Some("1099"), "{:?}", floods[0]);
}

#[tokio::test]
async fn a_flood_against_a_locked_person_writes_next_to_nothing() {
    let world = World::new().await;
    for _ in 0..FREE_TRIES {
        email_from(&world, "203.0.113.5", OWNER_EMAIL, None, &stranger()).await.unwrap_err();
    }
    let before = world.records().len();
    let key = stranger();
    for _ in 0..1_000 {
        email_from(&world, "203.0.113.6", OWNER_EMAIL, None, &key).await.unwrap_err();
    }
    assert_eq!(world.records().len() - before, 1);
    let refused = world.records().pop().unwrap();
    assert_eq!(refused.status, 429);
}

#[tokio::test]
async fn a_stolen_token_gives_no_more_guesses_at_the_password() {
    let world = World::new().await;
    let login = world.login_email(OWNER_EMAIL, None, &world.first.owner_key).await.unwrap();
    let subject = LoginSubject::Email { email: OWNER_EMAIL.to_owned(), account: None };
    let change = async |key: &SigningKey| {
        let proof = world.proof(PURPOSE_CHANGE_PASSWORD, &subject, key);
        let message = ChangePassword { proof, new: password(&stranger()) };
        world.ask(&login.token, message).await
    };
    for _ in 0..FREE_TRIES {
        assert_eq!(kind(change(&stranger()).await), FaultKind::Unauthorized);
    }
    assert_eq!(kind(change(&world.first.owner_key).await), FaultKind::RateLimited);
    assert_eq!(
        kind(world.login_email(OWNER_EMAIL, None, &world.first.owner_key).await),
        FaultKind::RateLimited
    );
    world.clock.advance_seconds(60);
    change(&world.first.owner_key).await.unwrap();
}

/// What one login costs: signatures looked at, and what the writer had to do.
async fn cost(
    world: &World,
    login: impl Future<Output = Result<(), Fault>>,
) -> (usize, bool, String) {
    let (signatures, before) = (SIGNATURES.get(), world.control.store.stats());
    let fault = login.await.unwrap_err();
    let after = world.control.store.stats();
    let waited = after.jobs + after.records > before.jobs + before.records;
    let told =
        format!("{} {} {}", fault.code(), fault.public(), fault.retry_after_seconds().is_some());
    (SIGNATURES.get() - signatures, waited, told)
}

#[tokio::test]
async fn a_refusal_costs_and_says_the_same_whether_somebody_exists_or_not() {
    let world = World::new().await;
    world.another_account(OWNER_EMAIL).await;
    let wrong = stranger();
    let unknown = AccessId::random(&SystemRng).unwrap();
    let known = world.first.created.admin_access_id.clone();
    for round in 0..12 {
        let mut costs = Vec::new();
        for email in [OWNER_EMAIL, "nobody@example.com"] {
            costs.push(cost(&world, email_from(&world, "203.0.113.5", email, None, &wrong)).await);
        }
        assert_eq!(costs[0], costs[1], "round {round}");
        let mut costs = Vec::new();
        for id in [&known, &unknown] {
            costs.push(cost(&world, async { world.login(id, &wrong).await.map(drop) }).await);
        }
        assert_eq!(costs[0], costs[1], "round {round}");
    }
    let world = world.restarted();
    let mut costs = Vec::new();
    for email in [OWNER_EMAIL, "nobody@example.com"] {
        costs.push(cost(&world, email_from(&world, "203.0.113.5", email, None, &wrong)).await);
    }
    assert_eq!(costs[0], costs[1], "after a restart");
    assert!(costs[0].2.starts_with("TooManyWrongLogins"));
}
