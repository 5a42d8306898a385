//! Against a stand-in that lends tokens to whoever signs as the App, and ends them for whoever has
//! them: https://docs.github.com/rest/apps/apps and rest/apps/installations.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};

use keysherd_base::{FaultKind, Timestamp};
use keysherd_crypto::jwt::{Expected, JwtKeys, verify};
use keysherd_crypto::rsa::RsaPair;
use keysherd_targets::by_name as target_by_name;
use serde_json::json;

use super::*;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, target_of, way};
use crate::{Engine, Plan, Scene, TargetUse, Way};

static PAIR: LazyLock<RsaPair> = LazyLock::new(|| RsaPair::generate().unwrap());
static OTHER: LazyLock<RsaPair> = LazyLock::new(|| RsaPair::generate().unwrap());
const TOKEN: &str = "ghs_canary0123456789012345678901234567890";

/// Whether a request is signed in as the App 7 for a few minutes.
fn is_app(asked: &Asked) -> bool {
    let token = asked.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
    let now = Timestamp::from_seconds(1_767_607_872);
    let expected = Expected { issuers: &["7"], audiences: &[], now, skew_seconds: 0 };
    let keys = JwtKeys::from_public_pem(&PAIR.public_pem).unwrap();
    token.and_then(|token| verify(token, &keys, &expected).ok()).is_some_and(|claims| {
        let (from, to) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        from < now.seconds() && to - from <= 600
    })
}

/// The stand-in, with the tokens that live.
async fn github(live: Arc<Mutex<BTreeSet<String>>>) -> Stub {
    Stub::new(move |asked: &Asked| {
        let mut live = live.lock().unwrap();
        if asked.line == "DELETE /installation/token" {
            let bearer = asked.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
            return (if live.remove(bearer) { 204 } else { 401 }, String::new());
        }
        if !is_app(asked) {
            return (401, json!({"message": "A JSON web token could not be decoded"}).to_string());
        }
        match asked.line.as_str() {
            "GET /app" => (200, json!({"id": 7}).to_string()),
            "GET /orgs/acme/installation" | "GET /repos/acme/app/installation" => {
                (200, json!({"id": 42}).to_string())
            }
            "POST /app/installations/42/access_tokens" => {
                let given = asked.json();
                assert_eq!(given["permissions"], json!({"contents": "read", "issues": "write"}));
                assert_eq!(given["repositories"], json!(["app"]));
                live.insert(TOKEN.to_owned());
                let answer = json!({"token": TOKEN, "expires_at": "2026-01-05T11:11:12Z"});
                (201, answer.to_string())
            }
            _ => (404, json!({"message": "Not Found"}).to_string()),
        }
    })
    .await
}

struct Stage {
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(url: &str, key: &RsaPair, more: &[(&'static str, &str)]) -> Self {
        let given = [
            ("token-permissions", "{\"contents\": \"read\", \"issues\": \"write\"}"),
            ("token-repositories", "app"),
        ];
        let given: Vec<_> = given.iter().chain(more).copied().collect();
        let key = key.private_pem.expose();
        let target =
            [("github-app-id", "7"), ("github-base-url", url), ("github-app-private-key", key)];
        Self {
            settings: settings(&MEMBER, &given),
            target: target_of("github", &target),
            way: way(),
        }
    }

    fn scene(&self) -> Scene<'_> {
        let target = TargetUse { type_name: "github", settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        MEMBER.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }
}

#[tokio::test]
async fn tokens_are_lent_to_the_app_and_ended_by_what_is_sealed() {
    let live = Arc::<Mutex<BTreeSet<String>>>::default();
    let stub = github(live.clone()).await;
    let target = target_by_name("github").unwrap();
    for place in [
        ("installation-id", "42"),
        ("installation-organization", "acme"),
        ("installation-repository", "acme/app"),
    ] {
        let stage = Stage::new(&stub.url, &PAIR, &[place]);
        assert!(MEMBER.check(&stage.settings, stage.scene().target.as_ref()).unwrap().is_empty());
        target.probe(&stage.target, &stage.way).await.unwrap();
        let plan = stage.plan();
        let mut made = MEMBER.create(&stage.scene(), &plan).await.unwrap();
        assert_eq!(made.value["token"], TOKEN);
        let handle = made.handle.take().unwrap();
        assert!(!handle.contains("canary") && handle.len() <= 1_024, "{handle}");
        assert_eq!(handle[handle.len() - 16..], plan.handle[plan.handle.len() - 16..]);
        // Another lease's mark, another App's key, or a name alone end nothing.
        let moved = format!("{}.aaaaaaaaaaaaaaaa", &handle[..handle.len() - 17]);
        let other = Stage::new(&stub.url, &OTHER, &[place]);
        for (stage, handle) in [(&stage, &moved), (&other, &handle), (&stage, &plan.handle)] {
            let warned = MEMBER.revoke(&stage.scene(), handle).await.unwrap();
            assert!(warned[0].contains("its own time"), "{warned:?}");
            assert!(live.lock().unwrap().contains(TOKEN));
        }
        for _ in 0..2 {
            assert!(MEMBER.revoke(&stage.scene(), &handle).await.unwrap().is_empty());
            assert!(live.lock().unwrap().is_empty());
        }
        assert!(MEMBER.revoke(&stage.scene(), "sealed").await.is_err());
    }
}

#[tokio::test]
async fn who_is_not_the_app_gets_nothing_and_reads_nothing() {
    let stub = github(Arc::default()).await;
    let stage = Stage::new(&stub.url, &OTHER, &[("installation-id", "42")]);
    let fault = MEMBER.create(&stage.scene(), &stage.plan()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    let fault = target_by_name("github").unwrap().probe(&stage.target, &stage.way).await;
    assert_eq!(fault.unwrap_err().kind(), FaultKind::Forbidden);
    for place in [("installation-id", "43"), ("installation-organization", "other")] {
        let stage = Stage::new(&stub.url, &PAIR, &[place]);
        let fault = MEMBER.create(&stage.scene(), &stage.plan()).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
    }
    // What answers otherwise was no GitHub.
    let stub = Stub::new(|_: &Asked| (200, "{\"id\": 42, \"token\": \"\"}".to_owned())).await;
    let stage = Stage::new(&stub.url, &PAIR, &[("installation-organization", "acme")]);
    let fault = MEMBER.create(&stage.scene(), &stage.plan()).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |given: &[(&'static str, &str)]| {
        let stage = Stage::new("https://api.github.example", &PAIR, given);
        MEMBER.check(&stage.settings, stage.scene().target.as_ref())
    };
    let id = ("installation-id", "42");
    assert_eq!(check(&[id, ("token-permissions", "{}")]).unwrap().len(), 1);
    for (given, named) in [
        (&[][..], "installation-id"),
        (&[("installation-id", "-1")], "installation-id"),
        (&[("installation-organization", "a/b")], "installation-organization"),
        (&[("installation-repository", "acme")], "installation-repository"),
        (&[("installation-repository", "acme/..")], "installation-repository"),
        (&[id, ("token-ttl", "61m")], "token-ttl"),
        (&[id, ("token-permissions", "contents")], "token-permissions"),
        (&[id, ("token-permissions", "{")], "token-permissions"),
        (&[id, ("token-repositories", "acme/app")], "token-repositories"),
    ] {
        let fault = check(given).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
    }
    let target = target_by_name("github").unwrap();
    for (app, key, named) in
        [("0", "x", "github-app-id"), ("7", "x", "private-key"), ("7", "LS0t", "private-key")]
    {
        let given = [("github-app-id", app), ("github-app-private-key", key)];
        let fault = target.check(&target_of("github", &given)).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
    }
    let broken = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
    let given = [("github-app-id", "7"), ("github-app-private-key", broken)];
    let fault = target.check(&target_of("github", &given)).unwrap_err();
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}
