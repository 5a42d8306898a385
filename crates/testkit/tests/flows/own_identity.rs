//! A gateway whose own identity is a universal one: it keeps its token alive whatever happens, and
//! a token that was stolen from it is of no use.

use std::path::PathBuf;

use keysherd_api::Ctx;
use keysherd_base::{Clock as _, Fault, FaultKind, SecretString};
use keysherd_gateway::{CLIENT_TYPE, OwnUid, OwnUidSettings, ROTATE_EVERY};
use keysherd_plane::Client;
use keysherd_plane::auth::LoginReply;
use keysherd_plane::uid::{UidLogin, UidRotate};
use keysherd_testkit::{Rig, Settings};
use serde_json::{Value, json};

const METHOD: &str = "/gateways/prod";
const FILE: &str = "own-uid-token";
/// No round of a test has as many steps.
const STEPS_MAX: usize = 40;

/// A deployment with a method of universal identity, and its root.
async fn setting(more: Value) -> (Rig, String) {
    let rig = Rig::new(Settings::default()).await;
    let mut args = json!({"name": METHOD, "ttl": 30, "allowed-client-type": [CLIENT_TYPE]});
    args.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
    rig.call("auth-method-create-universal-identity", args).await.unwrap();
    let root = new_root(&rig).await;
    (rig, root)
}

async fn new_root(rig: &Rig) -> String {
    let made = rig.call("uid-generate-token", json!({"auth-method-name": METHOD})).await.unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn home(rig: &Rig, name: &str) -> PathBuf {
    rig.gateway_home().join(name)
}

fn open(rig: &Rig, name: &str, token: &str, own_child: bool) -> OwnUid {
    let token = token.to_owned();
    OwnUid::new(OwnUidSettings {
        initial: Box::new(move || Ok(SecretString::new(token.clone()))),
        own_child,
        rotate_every: ROTATE_EVERY,
        home: home(rig, name),
        comment: name.to_owned(),
    })
}

async fn sign_in(rig: &Rig, own: &OwnUid) -> Result<LoginReply, Fault> {
    let under = |token: &SecretString, command: &str| Ok(ctx(rig, token.expose(), command));
    own.sign_in(&under, rig.clock.now()).await
}

/// A request of a gateway under this token.
fn ctx(rig: &Rig, token: &str, command: &str) -> Ctx {
    let mut caller = rig.caller(command);
    caller.token = Some(token.into());
    caller.client = Client { kind: CLIENT_TYPE.into(), ..caller.client };
    Ctx::new(rig.services.clone(), caller)
}

fn kept(rig: &Rig, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home(rig, name).join(FILE)).unwrap()).unwrap()
}

/// Whether anybody who presents this value is let in.
async fn lets_in(rig: &Rig, value: &str) -> bool {
    ctx(rig, value, "auth").ask(UidLogin).await.is_ok()
}

async fn tokens(rig: &Rig) -> u64 {
    let tree = rig.call("uid-list-children", json!({"auth-method-name": METHOD})).await.unwrap();
    tree["number_of_tokens"].as_u64().unwrap_or_else(|| panic!("{tree}"))
}

/// How often control found that a token was in two hands.
async fn thefts(rig: &Rig) -> usize {
    let found = rig.call("audit-search", json!({"action": "uid-token-reuse"})).await.unwrap();
    found["records"].as_array().unwrap().len()
}

fn minutes_later(rig: &Rig, minutes: i64) {
    rig.clock.advance_seconds(60 * minutes);
}

#[tokio::test]
async fn gateways_of_a_cluster_do_not_rotate_each_others_token() {
    let (mut rig, root) = setting(json!({})).await;
    let both = [open(&rig, "a", &root, true), open(&rig, "b", &root, true)];
    // The root is not rotated by them, so for it only its own 30 minutes count.
    for round in 0..12 {
        for own in &both {
            sign_in(&rig, own).await.unwrap_or_else(|fault| panic!("round {round}: {fault:?}"));
        }
        minutes_later(&rig, 11);
    }
    rig.sign_in().await;
    assert_eq!((tokens(&rig).await, thefts(&rig).await), (3, 0));
    assert_ne!(kept(&rig, "a")["value"], kept(&rig, "b")["value"]);
    assert_eq!(kept(&rig, "a")["next"], Value::Null);
    // One that comes late finds that nobody kept the root alive.
    let late = sign_in(&rig, &open(&rig, "late", &root, true)).await.unwrap_err();
    assert_eq!(late.kind(), FaultKind::Unauthorized, "{late:?}");
}

#[tokio::test]
async fn a_gateway_that_dies_at_any_step_signs_in_again_with_the_token_it_has() {
    let (rig, root) = setting(json!({})).await;
    sign_in(&rig, &open(&rig, "a", &root, true)).await.unwrap();
    let mut deaths = 0;
    for step in 0..STEPS_MAX {
        minutes_later(&rig, 2);
        rig.steps.stop_at(Some(step));
        let dying = open(&rig, "a", &root, true);
        let done = tokio::select! {
            reply = sign_in(&rig, &dying) => { reply.unwrap(); true }
            () = rig.steps.stopped() => false,
        };
        rig.steps.stop_at(None);
        let next = open(&rig, "a", &root, true);
        sign_in(&rig, &next).await.unwrap_or_else(|fault| panic!("step {step}: {fault:?}"));
        if done {
            break;
        }
        deaths += 1;
    }
    assert!((4..STEPS_MAX).contains(&deaths), "{deaths} steps");
    assert_eq!((tokens(&rig).await, thefts(&rig).await), (2, 0), "no other token was needed");
}

#[tokio::test]
async fn a_stolen_copy_of_its_file_is_worth_nothing_and_ends_nobody_but_itself() {
    let (rig, root) = setting(json!({})).await;
    let own = open(&rig, "a", &root, true);
    sign_in(&rig, &own).await.unwrap();
    let stolen = kept(&rig, "a")["value"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        minutes_later(&rig, 2);
        sign_in(&rig, &own).await.unwrap();
    }
    assert!(!lets_in(&rig, &stolen).await);
    assert_eq!(thefts(&rig).await, 1);
    // Its branch is revoked; the gateway makes another child, also after a restart.
    minutes_later(&rig, 2);
    let after = kept(&rig, "a")["value"].clone();
    sign_in(&rig, &open(&rig, "a", &root, true)).await.unwrap();
    assert_ne!(kept(&rig, "a")["value"], after);
}

#[tokio::test]
async fn the_token_that_it_rotated_itself_is_never_presented_again() {
    let (mut rig, root) = setting(json!({})).await;
    let own = open(&rig, "a", &root, false);
    sign_in(&rig, &own).await.unwrap();
    for _ in 0..3 {
        minutes_later(&rig, 2);
        sign_in(&rig, &own).await.unwrap();
    }
    assert_eq!(tokens(&rig).await, 1);
    // It was away for too long.
    minutes_later(&rig, 60);
    for own in [&own, &open(&rig, "a", &root, false)] {
        let refused = sign_in(&rig, own).await.unwrap_err();
        assert!(refused.public().contains("expired"), "{refused:?}");
    }
    rig.sign_in().await;
    assert_eq!(thefts(&rig).await, 0);
    let other = new_root(&rig).await;
    sign_in(&rig, &open(&rig, "a", &other, false)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_cannot_be_rotated_is_used_until_its_end() {
    let (rig, root) = setting(json!({"deny-rotate": true})).await;
    let own = open(&rig, "a", &root, false);
    for _ in 0..5 {
        sign_in(&rig, &own).await.unwrap();
        minutes_later(&rig, 5);
    }
    assert_eq!(kept(&rig, "a")["value"], root.as_str());
}

#[tokio::test]
async fn a_new_value_that_cannot_be_kept_is_not_used() {
    let (rig, root) = setting(json!({})).await;
    let own = open(&rig, "a", &root, true);
    sign_in(&rig, &own).await.unwrap();
    let before = kept(&rig, "a");
    // Nothing can be written any more, as on a full disk.
    let blocked = home(&rig, "a").join(format!("{FILE}.part"));
    std::fs::create_dir(&blocked).unwrap();
    for _ in 0..2 {
        minutes_later(&rig, 2);
        sign_in(&rig, &own).await.unwrap();
        assert_eq!(kept(&rig, "a"), before);
    }
    std::fs::remove_dir(&blocked).unwrap();
    // Neither did it lock itself out by that, nor does it after a restart.
    sign_in(&rig, &open(&rig, "a", &root, true)).await.unwrap();
    assert_ne!(kept(&rig, "a"), before);
    assert_eq!((tokens(&rig).await, thefts(&rig).await), (2, 0));
}

#[tokio::test]
async fn a_gateway_that_died_in_a_rotation_and_comes_back_late_accuses_nobody_of_theft() {
    let (mut rig, _) = setting(json!({})).await;
    let mut with_both = 0;
    for step in 0..STEPS_MAX {
        let name = format!("g{step}");
        let root = new_root(&rig).await;
        sign_in(&rig, &open(&rig, &name, &root, true)).await.unwrap();
        minutes_later(&rig, 2);
        rig.steps.stop_at(Some(step));
        let dying = open(&rig, &name, &root, true);
        let done = tokio::select! {
            reply = sign_in(&rig, &dying) => { reply.unwrap(); true }
            () = rig.steps.stopped() => false,
        };
        rig.steps.stop_at(None);
        with_both += u32::from(kept(&rig, &name)["next"] != Value::Null);
        minutes_later(&rig, 61);
        rig.sign_in().await;
        // Its own token and that of the operators have both ended.
        let refused = sign_in(&rig, &open(&rig, &name, &root, true)).await.unwrap_err();
        assert_eq!(refused.kind(), FaultKind::Unauthorized, "step {step}: {refused:?}");
        assert_eq!(thefts(&rig).await, 0, "step {step}");
        if done {
            break;
        }
    }
    assert!(with_both >= 2, "it died with both values in its file {with_both} times");
}

#[tokio::test]
async fn a_value_that_was_rotated_while_nothing_could_be_kept_is_rotated_again() {
    let (rig, root) = setting(json!({})).await;
    sign_in(&rig, &open(&rig, "a", &root, true)).await.unwrap();
    // The new value is in the file, and then the disk is full.
    let mut both = kept(&rig, "a");
    let value = both["value"].as_str().unwrap().to_owned();
    let rotating = ctx(&rig, &value, "uid-rotate-token");
    let rotated = rotating.ask(UidRotate { manual: false }).await.unwrap();
    both["next"] = rotated.token.as_str().into();
    std::fs::write(home(&rig, "a").join(FILE), both.to_string()).unwrap();
    let blocked = home(&rig, "a").join(format!("{FILE}.part"));
    std::fs::create_dir(&blocked).unwrap();
    let own = open(&rig, "a", &root, true);
    for _ in 0..3 {
        sign_in(&rig, &own).await.unwrap();
        minutes_later(&rig, 6);
    }
    assert_eq!(kept(&rig, "a"), both);
    std::fs::remove_dir(&blocked).unwrap();
    sign_in(&rig, &open(&rig, "a", &root, true)).await.unwrap();
    assert_ne!(kept(&rig, "a"), both);
    assert_eq!((tokens(&rig).await, thefts(&rig).await), (2, 0));
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged_and_nothing_of_it_is_shown() {
    let (rig, root) = setting(json!({})).await;
    std::fs::create_dir_all(home(&rig, "a")).unwrap();
    std::fs::write(home(&rig, "a").join(FILE), b"{\"value\":\"u-canary\"").unwrap();
    let refused = sign_in(&rig, &open(&rig, "a", &root, true)).await.unwrap_err();
    assert!(refused.public().contains("damaged"), "{refused:?}");
    assert!(!format!("{refused:?}").contains("canary"));
}

#[tokio::test]
async fn a_gateway_that_can_keep_nothing_makes_one_child_and_no_more() {
    let (rig, root) = setting(json!({})).await;
    let own = open(&rig, "a", &root, true);
    let blocked = home(&rig, "a").join(format!("{FILE}.part"));
    std::fs::create_dir_all(&blocked).unwrap();
    for _ in 0..5 {
        sign_in(&rig, &own).await.unwrap_err();
    }
    assert_eq!(tokens(&rig).await, 2);
    std::fs::remove_dir(&blocked).unwrap();
    sign_in(&rig, &own).await.unwrap();
    // Nor does one whose child is refused again and again.
    let args = json!({"auth-method-name": METHOD});
    let tree = rig.call("uid-list-children", args).await.unwrap();
    let id = tree["root"]["children"].as_object().unwrap().keys().next().unwrap();
    let revoke = json!({
        "auth-method-name": METHOD, "revoke-token": id, "revoke-type": "revokeAll",
    });
    rig.call("uid-revoke-token", revoke).await.unwrap();
    let count = tokens(&rig).await;
    for _ in 0..5 {
        sign_in(&rig, &own).await.unwrap_err();
    }
    assert_eq!((tokens(&rig).await, thefts(&rig).await), (count, 0));
    minutes_later(&rig, 11);
    sign_in(&rig, &own).await.unwrap();
}
