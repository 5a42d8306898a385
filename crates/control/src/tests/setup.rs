//! An account through a gateway: with control's token, once, by a gateway that is known.

use std::fs;

use keysherd_base::{AccessId, FaultKind, Uid};
use keysherd_crypto::random::SystemRng;
use keysherd_crypto::sign::SigningKey;
use keysherd_plane::setup::{SetupBegin, SetupComplete, SetupLook, SetupToken};
use keysherd_plane::{Caller, Note};

use crate::testing::{STRANGER, World, kind, password};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn begin(token: &str, account: Uid) -> SetupBegin {
    SetupBegin {
        token: SetupToken(token.into()),
        account,
        key_id: Uid([2; 16]),
        self_test_salt: [3; 32],
    }
}

fn complete(token: &str, account: Uid) -> SetupComplete {
    let key = SigningKey::generate(&SystemRng).unwrap();
    SetupComplete {
        token: SetupToken(token.into()),
        account,
        owner_email: "another@example.com".to_owned(),
        owner_password: password(&key),
        admin_public_key: key.public().0,
        admin_access_id: AccessId::random(&SystemRng).unwrap(),
        key_id: Uid([2; 16]),
        manifest: b"manifest".as_slice().into(),
        managers: 3,
        threshold: 2,
        customer_fragment: None,
    }
}

#[tokio::test]
async fn a_setup_token_makes_one_account() {
    let world = World::new().await;
    let account = Uid([1; 16]);
    // No token, no account.
    assert_eq!(kind(world.ask("", begin(TOKEN, account)).await), FaultKind::Unauthorized);
    fs::write(world.setup_token(), format!("{TOKEN}\n")).unwrap();
    for wrong in ["", "0123", "0123456789abcdef0123456789abcdee"] {
        assert_eq!(kind(world.ask("", begin(wrong, account)).await), FaultKind::Unauthorized);
        assert_eq!(kind(world.ask("", complete(wrong, account)).await), FaultKind::Unauthorized);
    }
    assert_eq!(world.ask("", begin(TOKEN, account)).await.unwrap().group, "default");
    assert!(!world.ask("", SetupLook { account }).await.unwrap().exists);
    world.ask("", complete(TOKEN, account)).await.unwrap();
    assert!(world.ask("", SetupLook { account }).await.unwrap().exists);
    assert!(!world.setup_token().exists());
    let second = Uid([9; 16]);
    assert_eq!(kind(world.ask("", complete(TOKEN, second)).await), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_setup_that_fails_keeps_its_token() {
    let world = World::new().await;
    fs::write(world.setup_token(), TOKEN).unwrap();
    let mut message = complete(TOKEN, Uid([1; 16]));
    message.owner_email = "nobody".to_owned();
    assert_eq!(kind(world.ask("", message).await), FaultKind::BadRequest);
    world.ask("", complete(TOKEN, Uid([1; 16]))).await.unwrap();
}

#[tokio::test]
async fn an_empty_token_file_admits_nobody() {
    let world = World::new().await;
    fs::write(world.setup_token(), "\n").unwrap();
    let refused = world.ask("", begin("", Uid([1; 16]))).await;
    assert_eq!(kind(refused), FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_gateway_that_no_bundle_names_is_answered_nothing() {
    let world = World::new().await;
    fs::write(world.setup_token(), TOKEN).unwrap();
    let plane = world.control.plane_for(STRANGER);
    let caller = Caller::of_the_server(Uid([5; 16]));
    let note = Note::success();
    assert_eq!(kind(plane.ask(caller.clone(), note).await), FaultKind::Forbidden);
    let setup = plane.ask(caller, begin(TOKEN, Uid([1; 16]))).await;
    assert_eq!(kind(setup), FaultKind::Forbidden);
}
