//! A webhook as it should be, and as it should not.

use std::sync::Arc;

use keysherd_base::FaultKind;
use serde_json::json;

use super::*;
use crate::Voucher;
use crate::rotator::{Actor, Brought, Change, bring_about, is_in_force};
use crate::testing::rotation::Site;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{target_of, way};

struct Says;

impl Voucher for Says {
    fn vouch(&self, audience: &str) -> Result<SecretString, Fault> {
        let place = audience.split_once("//").and_then(|(_, rest)| rest.split_once('/'));
        Ok(SecretString::new(format!("canary-word-for-/{}", place.map_or("", |p| p.1))))
    }
}

fn site(url: &str, more: &[(&'static str, &str)]) -> Site {
    Site::with(&MEMBER, target_of("web", &[("url", url)]), Actor::Owner, more)
}

fn payload(text: &str) -> Credential {
    of_payload(&SecretString::new(text.to_owned())).unwrap()
}

async fn obtained(site: &Site, old: &Credential) -> Result<Credential, Fault> {
    let way = Way { voucher: Some(Arc::new(Says)), ..way() };
    let stage = Stage { way: &way, ..site.stage() };
    MEMBER.obtained(&stage, old).await.map(|new| new.expect("a webhook makes them"))
}

#[tokio::test]
async fn a_webhook_is_shown_the_payload_and_makes_the_next_one() {
    let answer = |asked: &Asked| {
        let old = asked.json()["payload"].as_str().unwrap().to_owned();
        (200, json!({"payload": format!("{old}+;\"'\u{e9}"), "more": 1}).to_string())
    };
    let stub = Stub::new(answer).await;
    for (url, place) in [
        (stub.url.clone(), "/sync/rotate"),
        (format!("{}/", stub.url), "/sync/rotate"),
        (format!("{}/mine/rotate?a=b", stub.url), "/mine/rotate"),
    ] {
        let site = site(&url, &[]);
        assert!(site.check().unwrap().is_empty());
        let new = obtained(&site, &payload("first")).await.unwrap();
        assert_eq!(Value::Object(new.members()), json!({"payload": "first+;\"'\u{e9}"}));
        let asked = stub.asked().pop().unwrap();
        assert!(asked.line.starts_with(&format!("POST {place}")), "{}", asked.line);
        assert_eq!(asked.json(), json!({"payload": "first"}));
        let word = asked.header("AkeylessCreds").unwrap();
        assert_eq!(word, format!("canary-word-for-{place}"), "without a query");
        // What is stored is what people read, whoever brings it to its end.
        for resumed in [false, true] {
            let old = payload("first");
            let change = Change { old: &old, new: &new, resumed, beside: false };
            let brought = bring_about(&MEMBER, &site.stage(), &change, || Ok(())).await;
            assert!(matches!(brought, Brought::Changed(_)), "{brought:?}");
        }
    }
}

#[tokio::test]
async fn what_a_webhook_says_wrong_is_said_so_and_no_secret_with_it() {
    let long = "x".repeat(PAYLOAD_BYTES_MAX + 1);
    for (status, body) in [
        (200, "canary-answer".to_owned()),
        (200, "[]".to_owned()),
        (200, "{}".to_owned()),
        (200, json!({"payload": ""}).to_string()),
        (200, json!({"payload": {"canary": "answer"}}).to_string()),
        (200, json!({ "payload": long }).to_string()),
        (500, "canary-payload canary-word".to_owned()),
        (403, String::new()),
    ] {
        let body_of = body.clone();
        let stub = Stub::new(move |_: &Asked| (status, body_of.clone())).await;
        let site = site(&stub.url, &[]);
        let fault = obtained(&site, &payload("canary-payload")).await.err().unwrap();
        let said = format!("{fault:?}");
        assert!(!said.contains("canary-payload") && !said.contains("canary-word"), "{said}");
        assert!(!fault.public().contains("canary"), "{fault}");
    }
    // Who is nobody shows nothing.
    let stub = Stub::new(|_: &Asked| (200, json!({"payload": "x"}).to_string())).await;
    let site = site(&stub.url, &[]);
    let fault = MEMBER.obtained(&site.stage(), &payload("canary")).await.err().unwrap();
    assert!(fault.kind() == FaultKind::Unavailable && fault.public().contains("identity"));
    assert!(stub.asked().is_empty());
}

#[test]
fn payloads_are_given_and_corrected() {
    let mut given = Args::new();
    assert_eq!(Value::Object(MEMBER.first(&given).unwrap().members()), json!({"payload": ""}));
    let old = payload("old");
    assert_eq!(MEMBER.corrected(&given, &old).unwrap().members(), old.members());
    given.put("custom-payload", "new".into());
    let new = MEMBER.corrected(&given, &old).unwrap();
    assert_eq!(new.members(), payload("new").members());
    given.put("custom-payload", "x".repeat(PAYLOAD_BYTES_MAX + 1).into());
    assert!(MEMBER.first(&given).err().unwrap().public().contains("custom-payload"));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (field, value) in [
        ("timeout-sec", "0"),
        ("timeout-sec", "61"),
        ("enable-password-policy", "true"),
        ("password-length", "1"),
    ] {
        let fault = site("https://hook.example", &[(field, value)]).check().unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let plain = site("http://hook.example/x", &[]).check();
    assert!(plain.is_err() || !plain.unwrap().is_empty(), "it is not encrypted");
}

/// Nobody is told that credentials are in force where nobody was asked.
#[tokio::test]
async fn a_webhook_is_not_said_to_take_what_is_stored() {
    let site = site("https://hook.example", &[]);
    let asked = is_in_force(&MEMBER, &site.stage(), &payload("x")).await;
    assert_eq!(asked.unwrap_err().kind(), FaultKind::BadRequest);
}
