//! Against a stand-in that checks signatures as Chef Infra Server does, and keeps users:
//! https://docs.chef.io/server/api_chef_server, "Authentication Headers", "/users".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use keysherd_base::FaultKind;
use keysherd_crypto::jwt::JwtSigner as Expecting;
use keysherd_crypto::rsa::RsaPair;

use super::*;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, way};
use crate::{Engine, Scene};

static PAIR: LazyLock<RsaPair> = LazyLock::new(|| RsaPair::generate().unwrap());
static OTHER: LazyLock<RsaPair> = LazyLock::new(|| RsaPair::generate().unwrap());

/// Users with the organizations that they are in.
type Users = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

/// Whether a request is signed by the keeper's key, just now. These signatures are always the same
/// for the same bytes, so it is made again.
fn is_signed(asked: &Asked) -> bool {
    let (method, path) = asked.line.split_once(' ').unwrap();
    let header = |name: &str| asked.header(name).unwrap_or_default();
    let hash = STANDARD.encode(sha256(&[asked.body.as_bytes()]));
    let whole = [
        format!("Method:{method}"),
        format!("Path:{path}"),
        format!("X-Ops-Content-Hash:{hash}"),
        "X-Ops-Sign:version=1.3".to_owned(),
        "X-Ops-Timestamp:2026-01-05T10:11:12Z".to_owned(),
        "X-Ops-UserId:pivotal".to_owned(),
        "X-Ops-Server-API-Version:1".to_owned(),
    ]
    .join("\n");
    let right = Expecting::from_rsa_pem(&PAIR.private_pem).unwrap();
    let right = right.signature(whole.as_bytes()).unwrap();
    let right = STANDARD.encode(URL_SAFE_NO_PAD.decode(right).unwrap());
    let parts = (1..=10).map_while(|n| asked.header(&format!("x-ops-authorization-{n}")));
    let given: Vec<_> = parts.collect();
    given.iter().all(|part| part.len() <= 60)
        && given.concat() == right
        && header("x-ops-sign") == "algorithm=sha256;version=1.3"
        && header("x-ops-content-hash") == hash
        && header("x-ops-timestamp") == "2026-01-05T10:11:12Z"
        && header("x-ops-userid") == "pivotal"
        && header("x-ops-server-api-version") == "1"
}

async fn chef(users: Users) -> Stub {
    Stub::new(move |asked: &Asked| {
        if !is_signed(asked) {
            return (401, json!({"error": ["Invalid signature for user or client"]}).to_string());
        }
        let mut users = users.lock().unwrap();
        let (method, path) = asked.line.split_once(" /").unwrap();
        let path: Vec<_> = path.split('/').collect();
        match (method, path.as_slice()) {
            ("POST", ["users"]) => {
                let given = asked.json();
                let name = given["username"].as_str().unwrap().to_owned();
                let plain =
                    |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
                assert!(name.bytes().all(plain), "{name}");
                assert!(given["password"].as_str().unwrap().len() >= 6);
                users.insert(name, BTreeSet::new());
                (201, json!({"chef_key": {"private_key": "canary-pem"}}).to_string())
            }
            ("POST", ["organizations", organization, "users"]) => {
                let name = asked.json()["username"].as_str().unwrap().to_owned();
                if *organization == "nowhere" {
                    return (404, json!({"error": ["no such organization"]}).to_string());
                }
                users.get_mut(&name).unwrap().insert((*organization).to_owned());
                (201, json!({"uri": "x"}).to_string())
            }
            ("DELETE", ["users", name]) => {
                (if users.remove(*name).is_some() { 200 } else { 404 }, "{}".to_owned())
            }
            _ => (404, String::new()),
        }
    })
    .await
}

fn with(url: &str, key: &RsaPair, organizations: &str) -> Settings {
    let given = [
        ("chef-server-url", url),
        ("chef-server-username", "pivotal"),
        ("chef-server-key", key.private_pem.expose()),
        ("chef-orgs", organizations),
        ("custom-username-template", "Reports.{{ .DynamicSecretName }}"),
    ];
    settings(&MEMBER, &given)
}

#[tokio::test]
async fn users_are_made_in_their_organizations_and_removed() {
    let users = Users::default();
    let stub = chef(users.clone()).await;
    let (own, way) = (with(&stub.url, &PAIR, "acme, other"), way());
    assert!(MEMBER.check(&own, None).unwrap().is_empty());
    let scene = Scene { settings: &own, target: None, way: &way };
    let plan = MEMBER.plan(&scene, &Caller::with(&[]).wish()).unwrap();
    let made = MEMBER.create(&scene, &plan).await.unwrap();
    assert_eq!(made.value["private_key"], "canary-pem");
    assert_eq!(made.value["password"], plan.password.expose().as_str());
    let name = made.value["user"].as_str().unwrap();
    let both = ["acme", "other"].map(str::to_owned).into();
    assert_eq!(users.lock().unwrap().get(name), Some(&both));
    for _ in 0..2 {
        assert!(MEMBER.revoke(&scene, &plan.handle).await.unwrap().is_empty());
        assert!(users.lock().unwrap().is_empty());
    }
    assert!(MEMBER.revoke(&scene, "pivotal").await.is_err());
    // An organization that is not there: the user is left for its lease to remove.
    let own = with(&stub.url, &PAIR, "acme,nowhere");
    let scene = Scene { settings: &own, ..scene };
    let fault = MEMBER.create(&scene, &plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::BadRequest, "{fault}");
    MEMBER.revoke(&scene, &plan.handle).await.unwrap();
    assert!(users.lock().unwrap().is_empty());
    let own = with(&stub.url, &OTHER, "acme");
    let scene = Scene { settings: &own, ..scene };
    let fault = MEMBER.create(&scene, &plan).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Forbidden, "{fault}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (organizations, url, named) in [
        ("a/b", "https://chef.example", "chef-orgs"),
        ("a,b,c,d,e,f", "https://chef.example", "chef-orgs"),
        ("a", "chef.example", "chef-server-url"),
    ] {
        let fault = MEMBER.check(&with(url, &PAIR, organizations), None).unwrap_err();
        assert!(fault.public().contains(named), "{named}: {fault}");
    }
    let given = [
        ("chef-server-url", "https://chef.example"),
        ("chef-server-username", "pivotal"),
        ("chef-server-key", "canary"),
    ];
    let fault = MEMBER.check(&settings(&MEMBER, &given), None).unwrap_err();
    assert!(fault.public().contains("chef-server-key"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}
