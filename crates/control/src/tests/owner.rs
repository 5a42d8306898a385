//! The one owner: the event of a sign-in, the seal, and the account given to somebody else.

use keysherd_base::{FaultKind, SecretBytes};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_domain::auth_method::{MethodDetail, MethodShared, SecondFactor};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::RuleKind;
use keysherd_plane::accounts::AccountGet;
use keysherd_plane::auth::LoginSubject;
use keysherd_plane::auth_methods::{MethodCreate, MethodDelete, MethodGet};
use keysherd_plane::items::FolderCreate;
use keysherd_plane::second_factor::{OwnerSeal, OwnerTransfer, PURPOSE_TRANSFER};

use super::second_factor::{code, login, set_up};
use crate::testing::{OWNER_EMAIL, START, World, assoc, item, kind, method, role, rule};

const NEXT: &str = "next@example.com";

async fn person(world: &World, path: &str, email: &str) -> SigningKey {
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
    let create = MethodCreate { path: item(path), shared: MethodShared::default(), detail };
    world.ask(&world.admin, create).await.unwrap();
    key
}

fn transfer(world: &World, key: &SigningKey, to: &str, otp: Option<String>) -> OwnerTransfer {
    let subject = LoginSubject::Email { email: OWNER_EMAIL.to_owned(), account: None };
    let proof = world.proof(PURPOSE_TRANSFER, &subject, key);
    OwnerTransfer { path: item(to), proof, otp }
}

async fn owner_token(world: &World, seed: &SecretBytes) -> String {
    world.clock.advance_seconds(30);
    let otp = code(world, seed);
    login(world, OWNER_EMAIL, &world.first.owner_key, Some(&otp)).await.unwrap().token
}

#[tokio::test]
async fn a_sign_in_of_the_owner_is_an_event_of_its_own() {
    let world = World::new().await;
    login(&world, OWNER_EMAIL, &world.first.owner_key, None).await.unwrap();
    world.login(&world.first.created.admin_access_id, &world.first.admin_key).await.unwrap();
    let records = world.records();
    let events: Vec<_> =
        records.iter().filter(|record| record.draft.action == "owner_sign_in").collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].draft.access_id, Some(world.first.created.owner_access_id.clone()));
}

#[tokio::test]
async fn the_account_goes_to_another_person_with_the_owners_password_only() {
    let world = World::new().await;
    let next = person(&world, "/people/next", NEXT).await;
    let key = &world.first.owner_key;
    let token = login(&world, OWNER_EMAIL, key, None).await.unwrap().token;
    let stranger = SigningKey::generate(&SystemRng).unwrap();
    let attempts = [
        (world.admin.clone(), transfer(&world, key, "/people/next", None), FaultKind::Forbidden),
        (token.clone(), transfer(&world, &stranger, "/people/next", None), FaultKind::Unauthorized),
        (token.clone(), transfer(&world, key, "/cli-admin", None), FaultKind::BadRequest),
        (token.clone(), transfer(&world, key, "/owner", None), FaultKind::BadRequest),
        (token.clone(), transfer(&world, key, "/people/none", None), FaultKind::NotFound),
    ];
    for (token, message, expected) in attempts {
        assert_eq!(kind(world.ask(&token, message).await), expected);
    }
    let delete = |path: &str| MethodDelete { path: item(path) };
    assert_eq!(kind(world.ask(&world.admin, delete("/owner")).await), FaultKind::Forbidden);
    world.ask(&token, transfer(&world, key, "/people/next", None)).await.unwrap();
    // At the next request: one is the owner, and the other is not any more.
    assert_eq!(kind(world.ask(&world.admin, delete("/people/next")).await), FaultKind::Forbidden);
    let again = transfer(&world, key, "/people/next", None);
    assert_eq!(kind(world.ask(&token, again).await), FaultKind::Forbidden);
    let theirs = login(&world, NEXT, &next, None).await.unwrap().token;
    world.ask(&theirs, AccountGet).await.unwrap();
    world.ask(&theirs, MethodGet { path: item("/cli-admin") }).await.unwrap();
    world.ask(&theirs, delete("/owner")).await.unwrap();
}

#[tokio::test]
async fn an_owner_with_a_second_factor_shows_it_to_give_the_account_away() {
    let world = World::new().await;
    person(&world, "/people/next", NEXT).await;
    let key = &world.first.owner_key;
    let (seed, codes) = set_up(&world, OWNER_EMAIL, key).await;
    let token = owner_token(&world, &seed).await;
    for otp in [None, Some("123456".to_owned())] {
        let message = transfer(&world, key, "/people/next", otp);
        assert_eq!(kind(world.ask(&token, message).await), FaultKind::Unauthorized);
    }
    let message = transfer(&world, key, "/people/next", Some(codes[0].clone()));
    world.ask(&token, message).await.unwrap();
}

#[tokio::test]
async fn a_sealed_owner_reaches_nothing_and_makes_no_way_around() {
    let world = World::new().await;
    world.role("/reader", &[rule(RuleKind::Item, "/*", "read,list,create")]).await;
    world.associate("/reader", "/owner", SubClaims::default()).await;
    let key = &world.first.owner_key;
    let seal = |sealed, otp: &str| OwnerSeal { sealed, otp: otp.to_owned() };
    let token = login(&world, OWNER_EMAIL, key, None).await.unwrap().token;
    let refused = world.ask(&token, seal(true, "123456")).await;
    assert_eq!(kind(refused), FaultKind::Forbidden, "nobody could open the seal");
    let (seed, codes) = set_up(&world, OWNER_EMAIL, key).await;
    let token = owner_token(&world, &seed).await;
    let folder = |name: &str| FolderCreate {
        path: keysherd_base::FolderPath::parse(name).unwrap(),
        description: String::new(),
        tags: Vec::new(),
        delete_protection: None,
    };
    world.ask(&token, folder("/before")).await.unwrap();
    assert_eq!(kind(world.ask(&world.admin, seal(true, &codes[0])).await), FaultKind::Forbidden);
    world.ask(&token, seal(true, &codes[0])).await.unwrap();

    // Nothing that is kept in the account, neither as owner nor by a role.
    let refused = world.ask(&token, folder("/after")).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Unauthorized);
    assert!(refused.public().contains("owner-unseal"), "{}", refused.public());
    // No way around: no right is given to anybody, least of all to a method of their own making.
    world.ask(&token, AccountGet).await.unwrap();
    world.ask(&token, MethodGet { path: item("/cli-admin") }).await.unwrap();
    let mine = SigningKey::generate(&SystemRng).unwrap();
    world.ask(&token, method("/mine", MethodShared::default(), &mine)).await.unwrap();
    world.ask(&token, role("/mine")).await.unwrap();
    for role in ["/admin", "/reader"] {
        let assoc = assoc(role, "/mine", SubClaims::default());
        assert_eq!(kind(world.ask(&token, assoc).await), FaultKind::Forbidden, "{role}");
    }
    let reset = crate::testing::key_reset("/cli-admin", &mine);
    assert_eq!(kind(world.ask(&token, reset).await), FaultKind::Forbidden);

    // The seal outlives a restart and a fresh login, and opens with a code.
    let world = world.restarted();
    let token = owner_token(&world, &seed).await;
    assert_eq!(kind(world.ask(&token, folder("/after")).await), FaultKind::Unauthorized);
    assert_eq!(kind(world.ask(&token, seal(false, "123456")).await), FaultKind::Unauthorized);
    world.ask(&token, seal(false, &codes[1])).await.unwrap();
    world.ask(&token, folder("/after")).await.unwrap();
}
