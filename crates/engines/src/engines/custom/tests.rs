//! A webhook as it should be, and as it should not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use keysherd_base::FaultKind;

use super::*;
use crate::Voucher;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, way};

struct Says(&'static str);

impl Voucher for Says {
    fn vouch(&self, audience: &str) -> Result<SecretString, Fault> {
        let place = audience.split_once("/hook/").map_or("", |(_, place)| place);
        Ok(SecretString::new(format!("{}-for-{place}", self.0)))
    }
}

fn vouched_way() -> Way {
    Way { voucher: Some(Arc::new(Says("canary-word"))), ..way() }
}

/// A hook that keeps what it made.
async fn hook(made: Arc<Mutex<BTreeSet<String>>>) -> Stub {
    Stub::new(move |asked: &Asked| {
        let body = asked.json();
        let mut made = made.lock().unwrap();
        if asked.line == "POST /hook/create?a=b" {
            let id = format!("id-{};\"'\\\u{e9}", made.len());
            made.insert(id.clone());
            return (200, json!({"id": id, "response": {"user": "u", "deep": [1]}}).to_string());
        }
        let ids: Vec<_> = body["ids"].as_array().unwrap().clone();
        let gone: Vec<_> = ids.into_iter().filter(|id| made.remove(id.as_str().unwrap())).collect();
        (200, json!({"revoked": gone, "message": "hook-says-no"}).to_string())
    })
    .await
}

fn given(url: &str) -> [(&'static str, String); 3] {
    [
        ("create-sync-url", format!("{url}/hook/create?a=b")),
        ("revoke-sync-url", format!("{url}/hook/undo")),
        ("payload", "canary-payload".to_owned()),
    ]
}

fn made_settings(url: &str) -> Settings {
    let given = given(url);
    settings(&Custom, &given.each_ref().map(|(name, value)| (*name, value.as_str())))
}

async fn create(settings: &Settings, args: &[&str]) -> Result<Created, Fault> {
    let way = vouched_way();
    let scene = Scene { settings, target: None, way: &way };
    let args: Vec<_> = args.iter().map(|text| (*text).to_owned()).collect();
    let caller = Caller::with(&[("email", "o'neil;\"\n\\$@example")]);
    let plan = Custom.plan(&scene, &Wish { args: &args, ..caller.wish() })?;
    assert_eq!(plan.handle, "");
    Custom.create(&scene, &plan).await
}

async fn revoke(settings: &Settings, handle: &str) -> Result<Vec<String>, Fault> {
    let way = vouched_way();
    Custom.revoke(&Scene { settings, target: None, way: &way }, handle).await
}

#[tokio::test]
async fn a_webhook_is_told_what_it_is_to_know_and_its_answer_is_given_on() {
    let kept = Arc::<Mutex<BTreeSet<String>>>::default();
    let stub = hook(kept.clone()).await;
    let settings = made_settings(&stub.url);
    assert!(Custom.check(&settings, None).unwrap().is_empty());
    let mut one = create(&settings, &[]).await.unwrap();
    assert_eq!(Value::Object(one.take_value()), json!({"user": "u", "deep": [1]}));
    let two = create(&settings, &["csr=a=b;\"", "{\"n\": {\"x\": \"\\u0000'\"}}"]).await.unwrap();
    let asked = stub.asked();
    for call in &asked {
        // For this address alone; what is in its query is not said.
        assert_eq!(call.header("AkeylessCreds"), Some("canary-word-for-create"));
        assert_eq!(call.header("content-type"), Some("application/json"));
    }
    let client = json!({
        "access_id": "p-abc123def456",
        "sub_claims": {"email": ["o'neil;\"\n\\$@example", "second"]},
    });
    let want = json!({"payload": "canary-payload", "input": "", "client_info": client});
    assert_eq!(asked[0].json(), want);
    let input = json!({"csr": "a=b;\"", "n": {"x": "\0'"}});
    assert_eq!(asked[1].json()["input"], input);
    // A trial names nobody.
    let (way, caller) = (vouched_way(), Caller::with(&[("email", "somebody")]));
    let scene = Scene { settings: &settings, target: None, way: &way };
    let plan = Custom.plan(&scene, &Wish { is_trial: true, ..caller.wish() }).unwrap();
    let client = json!({"access_id": "p-custom", "sub_claims": {}});
    assert_eq!(plan.more.0["client_info"], client);
    // The ids are what the hook said, and only what was made by a lease goes.
    let (first, second) = (one.handle.clone().unwrap(), two.handle.clone().unwrap());
    assert!(revoke(&settings, &first).await.unwrap().is_empty());
    assert_eq!(*kept.lock().unwrap(), BTreeSet::from([second]));
    assert_eq!(stub.asked()[2].header("AkeylessCreds"), Some("canary-word-for-undo"));
    let want = json!({"payload": "canary-payload", "ids": [first]});
    assert_eq!(stub.asked()[2].json(), want);
    // A hook that was never heard has nothing to revoke; one that does not revoke is asked again.
    assert!(revoke(&settings, "").await.unwrap().is_empty());
    assert_eq!(stub.asked().len(), 3);
    let fault = revoke(&settings, "id-of-nobody").await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(!fault.public().contains("hook-says"), "{fault}");
    assert!(fault.private().unwrap().contains("hook-says-no"));
}

#[tokio::test]
async fn a_webhook_that_misspeaks_leaves_nothing_that_nobody_knows() {
    for (status, answer, kind, revoked) in [
        (500, "canary-payload leaks", FaultKind::Unavailable, false),
        (401, "{}", FaultKind::Forbidden, false),
        (302, "{}", FaultKind::BadRequest, false),
        (200, "<html>", FaultKind::Unavailable, false),
        (200, "[]", FaultKind::Unavailable, false),
        (200, "{\"response\": {\"a\": \"canary-payload\"}}", FaultKind::Unavailable, false),
        (200, "{\"id\": 7, \"response\": {}}", FaultKind::Unavailable, false),
        (200, "{\"id\": \"a\\nb\", \"response\": {}}", FaultKind::Unavailable, false),
        (200, "{\"id\": \"x\"}", FaultKind::Unavailable, true),
        (200, "{\"id\": \"x\", \"response\": \"text\"}", FaultKind::Unavailable, true),
    ] {
        let stub = Stub::new(move |_: &Asked| (status, answer.to_owned())).await;
        let settings = made_settings(&stub.url);
        let fault = create(&settings, &[]).await.err().unwrap();
        assert_eq!(fault.kind(), kind, "{answer}: {fault}");
        assert!(!format!("{fault:?}").contains("canary-payload"), "{fault:?}");
        let lines: Vec<_> = stub.asked().into_iter().map(|asked| asked.line).collect();
        assert_eq!(lines.contains(&"POST /hook/undo".to_owned()), revoked, "{answer}: {lines:?}");
    }
}

#[tokio::test]
async fn a_webhook_has_no_longer_than_it_was_given() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let given = given(&format!("http://{}", silent.local_addr().unwrap()));
    let mut given: Vec<_> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
    given.push(("timeout-sec", "1"));
    let fault = create(&settings(&Custom, &given), &[]).await.err().unwrap();
    assert!(fault.public().contains("in time"), "{fault}");
    // Without an identity to show, nobody is called.
    let settings = made_settings("http://127.0.0.1:1");
    let way = way();
    let scene = Scene { settings: &settings, target: None, way: &way };
    let fault = Custom.revoke(&scene, "id").await.unwrap_err();
    assert!(fault.public().contains("identity"), "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let plain = given("https://hook.example");
    for (field, value) in [
        ("create-sync-url", "ftp://hook.example"),
        ("revoke-sync-url", "https://a:b@hook.example"),
        ("rotate-sync-url", "hook.example"),
        ("create-sync-url", "https://hook.example/#x"),
        ("timeout-sec", "0"),
        ("timeout-sec", "61"),
        ("enable-admin-rotation", "true"),
        ("user-ttl", "x"),
    ] {
        let mut given: Vec<_> = plain.iter().map(|(name, value)| (*name, value.as_str())).collect();
        given.push((field, value));
        let fault = Custom.check(&settings(&Custom, &given), None).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let warned = Custom.check(&made_settings("http://hook.example"), None).unwrap();
    assert_eq!(warned.len(), 2, "{warned:?}");
    // The payload does not follow a hook that moves.
    let mut args = keysherd_wire::Args::new();
    args.put("create-sync-url", "https://evil.example".into());
    let moved = Custom.merged(&args, made_settings("https://hook.example")).unwrap();
    assert_eq!(moved.text(&PAYLOAD), None);
}
