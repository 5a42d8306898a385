//! Against a stand-in that keeps clients as PingFederate's administrative API does
//! (`/pf-admin-api/v1/oauth/clients`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;

use super::*;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, target_of, way};
use crate::{Engine, Scene, TargetUse};

const SECRET: &str = "canary-password";

async fn federate(clients: Arc<Mutex<BTreeMap<String, Value>>>) -> Stub {
    let basic = format!("Basic {}", STANDARD.encode(format!("admin:{SECRET}")));
    Stub::new(move |asked: &Asked| {
        if asked.header("x-xsrf-header") != Some("PingFederate") {
            return (403, String::new());
        }
        if asked.header("authorization") != Some(basic.as_str()) {
            return (401, format!("{{\"message\":\"no canary {SECRET}\"}}"));
        }
        let mut clients = clients.lock().unwrap();
        match asked.line.as_str() {
            "GET /pf-admin-api/v1/version" => (200, json!({"version": "12.1"}).to_string()),
            "POST /pf-admin-api/v1/oauth/clients" => {
                let given = asked.json();
                let id = given["clientId"].as_str().unwrap().to_owned();
                clients.insert(id, given.clone());
                (201, given.to_string())
            }
            line => {
                let id = line.strip_prefix("DELETE /pf-admin-api/v1/oauth/clients/").unwrap();
                (if clients.remove(id).is_some() { 204 } else { 404 }, String::new())
            }
        }
    })
    .await
}

fn target(url: &str, secret: &str) -> Settings {
    let (base, port) = url.rsplit_once(':').unwrap();
    let given = [
        ("ping-url", base),
        ("administrative-port", port),
        ("privileged-user", "admin"),
        ("password", secret),
    ];
    target_of("ping", &given)
}

#[tokio::test]
async fn clients_are_made_and_removed_by_their_names() {
    let clients = Arc::<Mutex<BTreeMap<String, Value>>>::default();
    let stub = federate(clients.clone()).await;
    let (target, way) = (target(&stub.url, SECRET), way());
    target_by_name("ping").unwrap().probe(&target, &way).await.unwrap();
    let used = TargetUse { type_name: "ping", settings: &target };
    let secret = [("ping-restricted-scopes", "read"), ("ping-atm-id", "atm")];
    let certificate = [
        ("ping-client-authentication-type", "certificate"),
        ("ping-cert-subject-dn", "CN=reports"),
    ];
    let signing = [
        ("ping-client-authentication-type", "PRIVATE_KEY_JWT"),
        ("ping-jwks-url", "https://keys.example"),
        ("ping-grant-types", "CLIENT_CREDENTIALS"),
    ];
    for (given, kind) in
        [(&secret[..], "SECRET"), (&certificate, "CERTIFICATE"), (&signing, "PRIVATE_KEY_JWT")]
    {
        let own = settings(&MEMBER, given);
        assert!(MEMBER.check(&own, Some(&used)).unwrap().is_empty());
        let scene = Scene { settings: &own, target: Some(used), way: &way };
        let plan = MEMBER.plan(&scene, &Caller::with(&[]).wish()).unwrap();
        let made = MEMBER.create(&scene, &plan).await.unwrap();
        assert_eq!(made.value["client_id"], plan.handle.as_str());
        {
            let clients = clients.lock().unwrap();
            let client = &clients[&plan.handle];
            assert_eq!(client["clientAuth"]["type"], kind);
            assert_eq!(client["clientAuth"].get("secret"), made.value.get("client_secret"));
            assert_eq!(made.value.contains_key("client_secret"), kind == "SECRET");
            assert_eq!(client["restrictScopes"], kind == "SECRET");
        }
        for _ in 0..2 {
            assert!(MEMBER.revoke(&scene, &plan.handle).await.unwrap().is_empty());
            assert!(clients.lock().unwrap().is_empty());
        }
        assert!(MEMBER.revoke(&scene, "admin-client").await.is_err());
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_to_be_wrong_and_told_nobody() {
    let stub = federate(Arc::default()).await;
    let (target, way) = (target(&stub.url, "canary-wrong"), way());
    let fault = target_by_name("ping").unwrap().probe(&target, &way).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let plain = target("https://ping.example:9999", "x");
    let used = TargetUse { type_name: "ping", settings: &plain };
    let auth = "ping-client-authentication-type";
    for (given, named) in [
        (&[(auth, "NONE")][..], auth),
        (&[(auth, "CERTIFICATE")], "ping-cert-subject-dn"),
        (&[(auth, "PRIVATE_KEY_JWT")], "ping-jwks-url"),
        (&[("ping-grant-types", "ALL")], "ping-grant-types"),
        (&[("ping-jwks", "{}"), ("ping-jwks-url", "https://keys.example")], "ping-jwks"),
        (&[("user-ttl", "x")], "user-ttl"),
    ] {
        let fault = MEMBER.check(&settings(&MEMBER, given), Some(&used)).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
    }
    for (field, value) in [("administrative-port", "0"), ("ping-url", "ping.example")] {
        let given =
            [("ping-url", "https://p.example"), ("privileged-user", "a"), ("password", "x")];
        let given: Vec<_> = given.into_iter().chain([(field, value)]).collect();
        let fault = target_by_name("ping").unwrap().check(&target_of("ping", &given)).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
}
