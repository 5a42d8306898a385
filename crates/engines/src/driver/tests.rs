//! The table's rows against stand-ins that keep tokens as the services do, and answer as they do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::FaultKind;
use keysherd_targets::by_name as target_by_name;
use serde_json::json;

use super::*;
use crate::by_name;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, target_of, way};

const SECRET: &str = "canary-password";

/// Tokens by what the stand-in knows them by, with their names.
type Tokens = Arc<Mutex<BTreeMap<String, String>>>;

/// A form's members.
fn form(asked: &Asked) -> BTreeMap<String, String> {
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    asked
        .body
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let plain = value.replace("%3A", ":").replace("%40", "@").replace("%2A", "*");
            (name.to_owned(), plain.replace('+', " "))
        })
        .collect()
}

/// As Artifactory's: https://jfrog.com/help, "Create Token", "Get Tokens", "Revoke Token".
async fn artifactory(tokens: Tokens) -> Stub {
    let basic = format!("Basic {}", STANDARD.encode(format!("admin:{SECRET}")));
    Stub::new(move |asked: &Asked| {
        if asked.header("authorization") != Some(basic.as_str()) {
            return (401, format!("{{\"errors\":[{{\"message\":\"bad {SECRET}\"}}]}}"));
        }
        let mut tokens = tokens.lock().unwrap();
        let id = format!("id-{}", tokens.len());
        match asked.line.as_str() {
            "POST /artifactory/api/security/token" => {
                let given = form(asked);
                assert_eq!(given["scope"], "member-of-groups:readers api:*");
                assert_eq!(given["audience"], "jfrt@*");
                assert_eq!(given["expires_in"], "3600");
                assert_eq!(given["grant_type"], "client_credentials");
                tokens.insert(id, given["username"].clone());
                (200, json!({"access_token": "canary-token", "expires_in": 3600}).to_string())
            }
            "GET /artifactory/api/security/token" => {
                let entry = |(id, name): (&String, &String)| {
                    json!({"token_id": id, "subject": format!("jfrt@01/users/{name}")})
                };
                (200, json!({"tokens": tokens.iter().map(entry).collect::<Vec<_>>()}).to_string())
            }
            "POST /artifactory/api/security/token/revoke" => {
                let removed = tokens.remove(&form(asked)["token_id"]).is_some();
                (if removed { 200 } else { 404 }, String::new())
            }
            line => panic!("{line}"),
        }
    })
    .await
}

/// As Docker Hub's: https://docs.docker.com/reference/api/hub, "Personal Access Tokens".
async fn dockerhub(tokens: Tokens) -> Stub {
    Stub::new(move |asked: &Asked| {
        let mut tokens = tokens.lock().unwrap();
        if asked.line == "POST /v2/users/login" {
            let want = json!({"username": "admin", "password": SECRET});
            let is = asked.json() == want;
            return if is {
                (200, json!({"token": "lent"}).to_string())
            } else {
                (401, String::new())
            };
        }
        if asked.header("authorization") != Some("Bearer lent") {
            return (401, String::new());
        }
        let id = format!("id-{}", tokens.len());
        if asked.line == "POST /v2/access-tokens" {
            let given = asked.json();
            assert_eq!(given["scopes"], json!(["repo:write", "repo:read"]));
            tokens.insert(id, given["token_label"].as_str().unwrap().to_owned());
            return (201, json!({"uuid": "x", "token": "canary-token"}).to_string());
        }
        if let Some(page) = asked.line.strip_prefix("GET /v2/access-tokens?page_size=100&page=") {
            let skipped = (page.parse::<usize>().unwrap() - 1) * 100;
            let entry = |(id, name): (&String, &String)| json!({"uuid": id, "token_label": name});
            let entries: Vec<_> = tokens.iter().map(entry).skip(skipped).take(100).collect();
            return (200, json!({"results": entries}).to_string());
        }
        let id = asked.line.strip_prefix("DELETE /v2/access-tokens/").unwrap();
        (if tokens.remove(id).is_some() { 202 } else { 404 }, String::new())
    })
    .await
}

/// As GitLab's: https://docs.gitlab.com/api/project_access_tokens and group_access_tokens.
async fn gitlab(tokens: Tokens) -> Stub {
    Stub::new(move |asked: &Asked| {
        if asked.header("private-token") != Some(SECRET) {
            return (401, json!({"message": "401 Unauthorized"}).to_string());
        }
        if asked.line == "GET /api/v4/user" {
            return (200, json!({"id": 1}).to_string());
        }
        let mut tokens = tokens.lock().unwrap();
        let (method, rest) = asked.line.split_once(" /api/v4/projects/a%2Fb%2Fc/").unwrap();
        let rest = rest.strip_prefix("access_tokens").unwrap();
        if method == "POST" {
            let given = asked.json();
            assert_eq!(given["scopes"], json!(["read_api", "read_repository"]));
            assert_eq!(given["access_level"], 20);
            assert_eq!(given["expires_at"], "2026-01-06");
            let id = (1_000 + tokens.len()).to_string();
            tokens.insert(id, given["name"].as_str().unwrap().to_owned());
            return (201, json!({"id": 7, "token": "canary-token"}).to_string());
        }
        if let Some(page) = rest.strip_prefix("?per_page=100&page=") {
            let skipped = (page.parse::<usize>().unwrap() - 1) * 100;
            let entry = |(id, name): (&String, &String)| {
                json!({"id": id.parse::<i64>().unwrap(), "name": name, "revoked": false})
            };
            let entries: Vec<_> = tokens.iter().map(entry).skip(skipped).take(100).collect();
            return (200, json!(entries).to_string());
        }
        assert_eq!(method, "DELETE");
        let id = rest.strip_prefix('/').unwrap();
        (if tokens.remove(id).is_some() { 204 } else { 404 }, String::new())
    })
    .await
}

struct Stage {
    engine: &'static dyn Engine,
    settings: Settings,
    target: Settings,
    way: Way,
}

impl Stage {
    fn new(kind: &'static str, url: &str, given: &[(&'static str, &str)], secret: &str) -> Self {
        let mut way = way();
        let base = format!("{url}/artifactory");
        let target = match kind {
            "artifactory" => vec![
                ("base-url", base.as_str()),
                ("artifactory-admin-name", "admin"),
                ("artifactory-admin-pwd", secret),
            ],
            "gitlab" => vec![("gitlab-url", url), ("gitlab-access-token", secret)],
            _ => vec![("dockerhub-username", "admin"), ("dockerhub-password", secret)],
        };
        way.endpoints.dockerhub = Some(url.to_owned());
        let engine = by_name(kind).unwrap();
        Self { engine, settings: settings(engine, given), target: target_of(kind, &target), way }
    }

    fn scene(&self) -> Scene<'_> {
        let type_name = self.engine.kind().name;
        let target = TargetUse { type_name, settings: &self.target };
        Scene { settings: &self.settings, target: Some(target), way: &self.way }
    }

    fn plan(&self) -> Plan {
        self.engine.plan(&self.scene(), &Caller::with(&[]).wish()).unwrap()
    }

    fn check(&self) -> Result<Vec<String>, Fault> {
        self.engine.check(&self.settings, self.scene().target.as_ref())
    }
}

const ARTIFACTORY: [(&str, &str); 2] = [
    ("artifactory-token-scope", "member-of-groups:readers api:*"),
    ("artifactory-token-audience", "jfrt@*"),
];
const DOCKERHUB: [(&str, &str); 1] = [("dockerhub-token-scopes", "repo:write, repo:read")];

const GITLAB: [(&str, &str); 4] = [
    ("gitlab-access-type", "project"),
    ("installation-organization", "/a/b/c"),
    ("gitlab-token-scopes", "read_api, read_repository"),
    ("gitlab-role", "ReporterPermissions"),
];

#[tokio::test]
async fn tokens_are_made_found_by_their_names_and_removed() {
    let all =
        [("artifactory", &ARTIFACTORY[..]), ("dockerhub", &DOCKERHUB[..]), ("gitlab", &GITLAB[..])];
    for (kind, given) in all {
        let tokens = Tokens::default();
        let stub = match kind {
            "artifactory" => artifactory(tokens.clone()).await,
            "gitlab" => gitlab(tokens.clone()).await,
            _ => dockerhub(tokens.clone()).await,
        };
        // Somebody else's, more than a page of them.
        for number in 0..250 {
            tokens.lock().unwrap().insert(number.to_string(), format!("other{number}"));
        }
        let stage = Stage::new(kind, &stub.url, given, SECRET);
        stage.check().unwrap();
        let target = target_by_name(kind).unwrap();
        target.probe(&stage.target, &stage.way).await.unwrap();
        let (plan, other) = (stage.plan(), stage.plan());
        let made = stage.engine.create(&stage.scene(), &plan).await.unwrap();
        stage.engine.create(&stage.scene(), &other).await.unwrap();
        assert_eq!(made.value["token"], "canary-token", "{kind}");
        let has = |name: &str| tokens.lock().unwrap().values().any(|there| there == name);
        assert!(has(&plan.handle) && has(&other.handle), "{kind}");
        for _ in 0..2 {
            assert!(stage.engine.revoke(&stage.scene(), &plan.handle).await.unwrap().is_empty());
            assert!(!has(&plan.handle) && has(&other.handle), "{kind}");
        }
        assert_eq!(tokens.lock().unwrap().len(), 251, "{kind}");
        for handle in ["", "other1", "a/b.aaaaaaaaaaaaaaaa"] {
            assert!(stage.engine.revoke(&stage.scene(), handle).await.is_err(), "{handle}");
        }
        // A wrong password is nobody's to see.
        let wrong = Stage::new(kind, &stub.url, given, "canary-wrong");
        let fault = wrong.engine.create(&wrong.scene(), &wrong.plan()).await.err().unwrap();
        assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
        let fault = target.probe(&wrong.target, &wrong.way).await.unwrap_err();
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[tokio::test]
async fn answers_that_are_none_make_nothing_look_done() {
    for (answer, which) in [
        ("<html>canary-token</html>", "both"),
        ("{}", "both"),
        ("{\"access_token\": 7, \"tokens\": {}}", "both"),
        ("{\"access_token\": \"\", \"tokens\": null}", "both"),
        ("{\"access_token\": \"x\", \"tokens\": \"x\"}", "list"),
    ] {
        let stub = Stub::new(move |_: &Asked| (200, answer.to_owned())).await;
        let stage = Stage::new("artifactory", &stub.url, &ARTIFACTORY, SECRET);
        let plan = stage.plan();
        let made = stage.engine.create(&stage.scene(), &plan).await;
        assert_eq!(made.is_err(), which == "both", "{answer}");
        let fault = stage.engine.revoke(&stage.scene(), &plan.handle).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    // A service whose pages never end.
    let page: Vec<_> = (0..100).map(|n| json!({"uuid": n, "token_label": "other"})).collect();
    let page = json!({"results": page, "token": "lent"}).to_string();
    let stub = Stub::new(move |_: &Asked| (200, page.clone())).await;
    let stage = Stage::new("dockerhub", &stub.url, &DOCKERHUB, SECRET);
    let fault = stage.engine.revoke(&stage.scene(), &stage.plan().handle).await.unwrap_err();
    assert!(fault.public().contains("more credentials"), "{fault}");
    assert_eq!(stub.asked().len(), PAGES_MAX + 1);
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let check = |kind, given: &[(&'static str, &str)]| {
        Stage::new(kind, "https://service.example", given, SECRET).check()
    };
    let wide = [("dockerhub-token-scopes", "repo:admin")];
    assert_eq!(check("dockerhub", &wide).unwrap().len(), 1);
    let wide = [("artifactory-token-scope", "jfrt@*:admin"), ARTIFACTORY[1]];
    assert_eq!(check("artifactory", &wide).unwrap().len(), 1);
    for (kind, field, given) in [
        ("dockerhub", "dockerhub-token-scopes", &[("dockerhub-token-scopes", "repo:own")][..]),
        ("artifactory", "artifactory-token-scope", &[ARTIFACTORY[1]]),
        ("artifactory", "artifactory-token-audience", &[ARTIFACTORY[0]]),
    ] {
        let fault = check(kind, given).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let with = |field: &'static str, value: &'static str| {
        GITLAB.into_iter().chain([(field, value)]).collect::<Vec<_>>()
    };
    assert_eq!(check("gitlab", &with("gitlab-token-scopes", "api")).unwrap().len(), 1);
    assert_eq!(check("gitlab", &with("gitlab-role", "OwnerPermissions")).unwrap().len(), 1);
    for (field, value, named) in [
        ("gitlab-access-type", "user", "gitlab-access-type"),
        ("gitlab-access-type", "group", "group-name"),
        ("installation-organization", "a/../b", "installation-organization"),
        ("installation-organization", "a//b", "installation-organization"),
        ("installation-organization", "..", "installation-organization"),
        ("installation-organization", "a\nb", "installation-organization"),
        ("gitlab-token-scopes", "read_api&x=y", "gitlab-token-scopes"),
        ("gitlab-token-scopes", ",", "gitlab-token-scopes"),
        ("gitlab-role", "Root", "gitlab-role"),
        ("ttl", "x", "ttl"),
    ] {
        let fault = check("gitlab", &with(field, value)).unwrap_err();
        assert!(fault.public().contains(named), "{field}: {fault}");
    }
    let target = target_by_name("artifactory").unwrap();
    let plain = [("artifactory-admin-name", "admin"), ("artifactory-admin-pwd", "x")];
    let elsewhere: Vec<_> = plain.into_iter().chain([("base-url", "https://h.example")]).collect();
    assert!(target.check(&target_of("artifactory", &elsewhere)).is_err());
}
