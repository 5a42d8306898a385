//! Assertions that are good, and those that attackers make of them.

use std::sync::LazyLock;

use keysherd_base::{Clock as _, FaultKind};
use keysherd_crypto::rsa::RsaPair;
use serde_json::json;

use super::*;
use crate::by_kind;
use crate::testing::{NOW, TestDesk, access_id};

static PAIR: LazyLock<RsaPair> = LazyLock::new(|| RsaPair::generate().unwrap());

fn kind(name: &str) -> &'static Kind {
    by_kind(name).unwrap().kind()
}

fn somebody() -> Identity {
    let mut claims = SubClaims::default();
    claims.set("namespace", "prod");
    Identity { unique_id: "prod/app".to_owned(), claims, ends: None }
}

fn signed(desk: &TestDesk) -> String {
    sign(kind("k8s"), &access_id(0), somebody(), &PAIR.private_pem, 300, desk).unwrap()
}

/// An assertion of which some fields say something else, well signed.
fn forged(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
    let body = json!({
        "iss": ISSUER, "aud": audience(kind("k8s"), &access_id(0)), "iat": NOW.seconds(),
        "exp": NOW.seconds() + 60, "jti": "one", "made": NOW, "unique_id": "x",
        "claims": {"a": ["b"]},
    });
    let Value::Object(mut body) = body else { panic!("an object") };
    change(&mut body);
    JwtSigner::from_rsa_pem(&PAIR.private_pem).unwrap().sign(&body).unwrap()
}

fn told(desk: &TestDesk, world: &World, evidence: &str) -> Result<Identity, FaultKind> {
    let id = access_id(0);
    let attempt = desk.attempt("", evidence, &id);
    verify(kind("k8s"), &PAIR.public_pem, &attempt, world).map_err(|fault| fault.kind())
}

#[test]
fn an_assertion_is_believed_once() {
    let desk = TestDesk::new();
    let world = desk.world();
    let evidence = signed(&desk);
    assert_eq!(told(&desk, &world, &evidence), Ok(somebody()));
    assert_eq!(told(&desk, &world, &evidence), Err(FaultKind::Unauthorized), "a replay");
    assert_eq!(told(&desk, &world, &signed(&desk)), Ok(somebody()), "another one is good");
    // A control plane that was started since cannot know whether it was used.
    let evidence = signed(&desk);
    desk.time.advance_seconds(1);
    assert_eq!(told(&desk, &desk.world(), &evidence), Err(FaultKind::Unavailable));
    assert_eq!(told(&desk, &world, &evidence), Ok(somebody()));
}

#[test]
fn a_proof_counts_once_at_a_gateway_whose_clock_is_behind_too() {
    let desk = TestDesk::new();
    let world = desk.world();
    let until = NOW.plus_seconds(300);
    let proven = |jti: &str, late: i64| {
        forged(|body| {
            let made = NOW.plus_seconds(late);
            body.insert("jti".into(), jti.into());
            body.insert("proof".into(), json!({"mark": "ticket", "made": NOW, "until": until}));
            body.insert("made".into(), json!(made));
            body.insert("iat".into(), made.seconds().into());
            body.insert("exp".into(), (made.seconds() + 60).into());
        })
    };
    told(&desk, &world, &proven("one", 0)).unwrap();
    // That gateway still takes the ticket at what it holds for the last moment.
    desk.time.advance_seconds(400);
    let again = told(&desk, &world, &proven("two", 299));
    assert_eq!(again, Err(FaultKind::Unauthorized));
}

#[test]
fn an_assertion_is_good_for_one_method_only() {
    let desk = TestDesk::new();
    let world = desk.world();
    let evidence = signed(&desk);
    let (other_id, id) = (access_id(1), access_id(0));
    let refused = |kind: &Kind, pem: &str, id: &AccessId| {
        verify(kind, pem, &desk.attempt("", &evidence, id), &world).unwrap_err().kind()
    };
    let pem = &PAIR.public_pem;
    assert_eq!(refused(kind("k8s"), pem, &other_id), FaultKind::Unauthorized, "another method");
    assert_eq!(refused(kind("oauth2/jwt"), pem, &id), FaultKind::Unauthorized, "another kind");
    let other_key = RsaPair::generate().unwrap().public_pem;
    assert_eq!(refused(kind("k8s"), &other_key, &id), FaultKind::Unauthorized, "another key");
    assert_eq!(told(&desk, &world, &evidence), Ok(somebody()), "and is not used up by that");
}

#[test]
fn an_assertion_ends_and_is_not_from_the_future() {
    let desk = TestDesk::new();
    let world = desk.world();
    let evidence = signed(&desk);
    let at = |seconds: i64| {
        desk.time.advance_seconds(NOW.seconds() + seconds - desk.time.now().seconds());
        told(&desk, &world, &evidence)
    };
    assert_eq!(at(LIFETIME_SECONDS + SKEW_SECONDS), Err(FaultKind::Unauthorized));
    assert_eq!(at(-SKEW_SECONDS - 1), Err(FaultKind::Unauthorized));
    assert_eq!(at(LIFETIME_SECONDS + SKEW_SECONDS - 1), Ok(somebody()));
    // Replayed in the very last second in which its time would do.
    assert_eq!(at(LIFETIME_SECONDS + SKEW_SECONDS - 1), Err(FaultKind::Unauthorized));
}

#[test]
fn what_no_gateway_signs_is_refused_although_the_signature_is_good() {
    let desk = TestDesk::new();
    let world = desk.world();
    assert!(told(&desk, &world, &forged(|_| {})).is_ok(), "the control");
    type Change = fn(&mut serde_json::Map<String, Value>);
    let changes: &[(&str, Change)] = &[
        ("a long life", |body| drop(body.insert("exp".into(), (NOW.seconds() + 61).into()))),
        ("no life", |body| drop(body.insert("exp".into(), NOW.seconds().into()))),
        ("no end", |body| drop(body.remove("exp"))),
        ("another time in made", |body| drop(body.insert("made".into(), (NOW.0 + 5_000).into()))),
        ("no jti", |body| drop(body.insert("jti".into(), "".into()))),
        ("another issuer", |body| drop(body.insert("iss".into(), "somebody".into()))),
        ("no unique id", |body| drop(body.insert("unique_id".into(), "".into()))),
        ("an unknown field", |body| drop(body.insert("admin".into(), true.into()))),
        ("a claim that is no list", |body| drop(body.insert("claims".into(), json!({"a": "b"})))),
        ("a claim without a name", |body| drop(body.insert("claims".into(), json!({"": ["b"]})))),
        ("too many claims", |body| {
            let many = (0..=CLAIMS_MAX).map(|n| (n.to_string(), json!(["x"])));
            body.insert("claims".into(), Value::Object(many.collect()));
        }),
        ("a proof without a mark", |body| {
            let proof = json!({"mark": "", "made": NOW, "until": NOW});
            body.insert("proof".into(), proof);
        }),
        ("a proof that fills the memory", |body| {
            let until = NOW.plus_seconds(PROOF_SECONDS_MAX + 1);
            body.insert("proof".into(), json!({"mark": "x", "made": NOW, "until": until}));
        }),
        ("too long a value", |body| {
            let long = "x".repeat(CLAIM_VALUE_BYTES_MAX + 1);
            body.insert("claims".into(), json!({"a": [long]}));
        }),
    ];
    for (what, change) in changes {
        let refused = told(&desk, &world, &forged(change));
        assert_eq!(refused, Err(FaultKind::Unauthorized), "{what}");
    }
    for text in ["", "a.b.c", &"x".repeat(100_000)] {
        assert_eq!(told(&desk, &world, text), Err(FaultKind::Unauthorized));
    }
}

#[test]
fn a_configuration_can_shorten_the_life_of_its_assertions() {
    let desk = TestDesk::new();
    let world = desk.world();
    let pem = &PAIR.private_pem;
    let evidence = sign(kind("k8s"), &access_id(0), somebody(), pem, 10, &desk).unwrap();
    desk.time.advance_seconds(10 + SKEW_SECONDS);
    assert_eq!(told(&desk, &world, &evidence), Err(FaultKind::Unauthorized));
    desk.time.advance_seconds(-1);
    assert_eq!(told(&desk, &world, &evidence), Ok(somebody()));
}
