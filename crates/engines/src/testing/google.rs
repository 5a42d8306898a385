//! A stand-in for Google's services: tokens for signed texts (RFC 7523), accounts with their keys,
//! tokens of other accounts, policies of projects, members of groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keysherd_base::Timestamp;
use keysherd_crypto::jwt::{Expected, JwtKeys, verify};
use keysherd_crypto::rsa::RsaPair;
use serde_json::{Value, json};

use super::stub::{Asked, Stub};

static PAIR: LazyLock<RsaPair> = LazyLock::new(|| RsaPair::generate().unwrap());
/// Whose the key is.
pub(crate) const KEEPER: &str = "keeper@own-project.iam.gserviceaccount.com";

/// A key of the keeper as Google hands it out; another one's if it is to be wrong.
pub(crate) fn key(right: bool) -> String {
    let other = (!right).then(|| RsaPair::generate().unwrap());
    handed_out(KEEPER, "kid1", other.as_ref().unwrap_or(&*PAIR))
}

/// What Google has.
#[derive(Default)]
pub(crate) struct World {
    /// Keys by their ids, with their accounts.
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) accounts: BTreeSet<String>,
    /// Bindings of the project `own-project`.
    pub(crate) bindings: Vec<Value>,
    pub(crate) version: u64,
    /// How often somebody else writes the policy at the same time.
    pub(crate) others: u64,
    /// Answers 200 with a policy that is none, as something in between might.
    pub(crate) no_policy: bool,
    /// What is answered to everything but the asking for tokens of its own.
    pub(crate) odd: Option<&'static str>,
    /// Fails after it was asked to put somebody into a group.
    pub(crate) fails: bool,
    /// Members of groups, and roles of people.
    pub(crate) members: BTreeMap<String, Value>,
    /// In whose name, and for what, tokens were asked for.
    pub(crate) claims: Vec<Value>,
    /// Whether keys that are made sign in, each with its account and its public half. The keeper's
    /// first key does only where they do not, or it is one of them.
    pub(crate) real: Option<BTreeMap<String, (String, String)>>,
    /// How often a key that was made is not known yet.
    pub(crate) lag: usize,
    /// Whether answers that have made a key get lost.
    pub(crate) lost: bool,
    /// Whether nobody may do anything with keys.
    pub(crate) denied: bool,
}

/// The keeper's first key, with its account and its public half.
pub(crate) fn first() -> (String, (String, String)) {
    ("kid1".to_owned(), (KEEPER.to_owned(), PAIR.public_pem.clone()))
}

/// A key as Google hands it out.
fn handed_out(account: &str, id: &str, pair: &RsaPair) -> String {
    json!({
        "type": "service_account", "client_email": account, "private_key_id": id,
        "project_id": "own-project", "private_key": pair.private_pem.expose(),
    })
    .to_string()
}

/// The stand-in; what it has is the test's to look at.
pub(crate) async fn google(world: Arc<Mutex<World>>) -> Stub {
    Stub::new(move |asked: &Asked| {
        let mut world = world.lock().unwrap();
        let (method, path) = asked.line.split_once(" /").unwrap();
        let path: Vec<_> = path.split('/').collect();
        if path == ["oauth2.googleapis.com", "token"] {
            return world.token(asked);
        }
        assert_eq!(asked.header("authorization"), Some("Bearer canary-lent"));
        if let Some(odd) = world.odd {
            return (200, odd.to_owned());
        }
        match path.as_slice() {
            ["iamcredentials.googleapis.com", "v1", "projects", "-", "serviceAccounts", what] => {
                let account = what.strip_suffix(":generateAccessToken").unwrap();
                let given = asked.json();
                let answer = json!({
                    "accessToken": format!("canary-of-{account}"),
                    "expireTime": "2026-01-05T10:41:12Z",
                });
                if account.starts_with("nobody") {
                    return (403, json!({"error": {"status": "PERMISSION_DENIED"}}).to_string());
                }
                assert!(given["lifetime"].as_str().unwrap().ends_with('s'), "{given}");
                (200, answer.to_string())
            }
            ["iam.googleapis.com", "v1", "projects", rest @ ..] => world.iam(method, rest, asked),
            ["cloudresourcemanager.googleapis.com", "v1", "projects", what] => {
                world.policy(what, asked)
            }
            ["admin.googleapis.com", "admin", "directory", "v1", rest @ ..] => {
                world.directory(method, rest, asked)
            }
            _ => (404, String::new()),
        }
    })
    .await
}

impl World {
    fn token(&mut self, asked: &Asked) -> (u16, String) {
        let assertion = asked.body.split('&').find_map(|part| part.strip_prefix("assertion="));
        let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        assert!(asked.body.split('&').any(|part| part == grant), "{}", asked.body);
        let assertion = assertion.unwrap();
        let refused = || {
            let said = json!({"error": "invalid_grant", "error_description": asked.body});
            (400, said.to_string())
        };
        let (account, public) = match &self.real {
            None => first().1,
            Some(keys) => {
                let head = URL_SAFE_NO_PAD.decode(assertion.split('.').next().unwrap()).unwrap();
                let head: Value = serde_json::from_slice(&head).unwrap();
                let id = head["kid"].as_str().unwrap();
                let Some(key) = keys.get(id) else { return refused() };
                if id != "kid1" && self.lag > 0 {
                    self.lag -= 1;
                    return refused();
                }
                key.clone()
            }
        };
        let expected = Expected {
            issuers: &[&account],
            audiences: &["https://oauth2.googleapis.com/token"],
            now: Timestamp::from_seconds(1_767_607_872),
            skew_seconds: 0,
        };
        let keys = JwtKeys::from_public_pem(&public).unwrap();
        match verify(assertion, &keys, &expected) {
            Ok(claims) => {
                self.claims.push(Value::Object(claims));
                let answer = json!({"access_token": "canary-lent", "expires_in": 3599});
                (200, answer.to_string())
            }
            Err(_) => refused(),
        }
    }

    /// Keys that sign in.
    fn keys(&mut self, method: &str, account: &str, rest: &[&str]) -> (u16, String) {
        if self.denied {
            return (403, json!({"error": {"status": "PERMISSION_DENIED"}}).to_string());
        }
        let keys = self.real.as_mut().unwrap();
        let name = |id: &str| format!("projects/own-project/serviceAccounts/{account}/keys/{id}");
        match (method, rest) {
            ("GET", ["keys?keyTypes=USER_MANAGED"]) => {
                let of = keys.iter().filter(|(_, (of, _))| of == account);
                let all: Vec<_> = of.map(|(id, _)| json!({"name": name(id)})).collect();
                (200, json!({"keys": all}).to_string())
            }
            ("POST", ["keys"]) => {
                if keys.values().filter(|(of, _)| of == account).count() >= 10 {
                    return (400, json!({"error": {"status": "FAILED_PRECONDITION"}}).to_string());
                }
                self.version += 1;
                let (pair, id) = (RsaPair::generate().unwrap(), format!("{:040x}", self.version));
                keys.insert(id.clone(), (account.to_owned(), pair.public_pem.clone()));
                if std::mem::take(&mut self.lost) {
                    return (503, String::new());
                }
                let text = STANDARD.encode(handed_out(account, &id, &pair));
                (200, json!({"name": name(&id), "privateKeyData": text}).to_string())
            }
            ("DELETE", ["keys", id]) => {
                (if keys.remove(*id).is_some() { 200 } else { 404 }, "{}".to_owned())
            }
            _ => (404, String::new()),
        }
    }

    fn iam(&mut self, method: &str, path: &[&str], asked: &Asked) -> (u16, String) {
        match (method, path) {
            (_, ["-", "serviceAccounts", account, rest @ ..]) if self.real.is_some() => {
                self.keys(method, account, rest)
            }
            ("POST", ["-", "serviceAccounts", account, "keys"]) => {
                let id = format!("{:040x}", self.keys.len());
                self.keys.insert(id.clone(), (*account).to_owned());
                let name = format!("projects/own-project/serviceAccounts/{account}/keys/{id}");
                (200, json!({"name": name, "privateKeyData": "Y2FuYXJ5"}).to_string())
            }
            ("DELETE", ["-", "serviceAccounts", account, "keys", id]) => {
                let is = self.keys.get(*id).is_some_and(|of| of == account);
                if is {
                    self.keys.remove(*id);
                }
                (if is { 200 } else { 404 }, "{}".to_owned())
            }
            ("POST", [project, "serviceAccounts"]) => {
                let given = asked.json();
                let id = given["accountId"].as_str().unwrap();
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                assert!((6..=30).contains(&id.len()) && id.bytes().all(plain), "{id}");
                assert!(given["serviceAccount"]["displayName"].as_str().unwrap().len() <= 100);
                let email = format!("{id}@{project}.iam.gserviceaccount.com");
                self.accounts.insert(email.clone());
                (200, json!({"email": email}).to_string())
            }
            ("DELETE", [_, "serviceAccounts", account]) => {
                (if self.accounts.remove(*account) { 200 } else { 404 }, "{}".to_owned())
            }
            _ => (404, String::new()),
        }
    }

    fn policy(&mut self, what: &str, asked: &Asked) -> (u16, String) {
        match what {
            "own-project:getIamPolicy" => {
                assert_eq!(asked.json()["options"]["requestedPolicyVersion"], 3);
                let etag = self.version.to_string();
                if self.no_policy {
                    return (200, "{}".to_owned());
                }
                if self.others > 0 {
                    self.others -= 1;
                    self.version += 1;
                }
                let policy = json!({"version": 3, "etag": etag, "bindings": self.bindings});
                (200, policy.to_string())
            }
            "own-project:setIamPolicy" => {
                let given = &asked.json()["policy"];
                if given["etag"].as_str() != Some(&self.version.to_string()) {
                    return (409, json!({"error": {"status": "ABORTED"}}).to_string());
                }
                assert_eq!(given["version"], 3);
                self.version += 1;
                self.bindings = given["bindings"].as_array().unwrap().clone();
                (200, given.to_string())
            }
            _ => (403, json!({"error": {"status": "PERMISSION_DENIED"}}).to_string()),
        }
    }

    fn directory(&mut self, method: &str, path: &[&str], asked: &Asked) -> (u16, String) {
        let gone = (404, json!({"error": {"code": 404}}).to_string());
        match (method, path) {
            ("POST", ["groups", group, "members"]) => {
                let given = asked.json();
                let key = format!("{group}/{}", given["email"].as_str().unwrap());
                if self.fails {
                    self.members.insert(key, given);
                    return (500, String::new());
                }
                if self.members.contains_key(&key) {
                    return (
                        409,
                        json!({"error": {"message": "Member already exists."}}).to_string(),
                    );
                }
                self.members.insert(key, given.clone());
                (200, given.to_string())
            }
            ("GET", ["groups", group, "members", email]) => {
                let member = self.members.get(&format!("{group}/{email}"));
                member.map_or(gone, |member| (200, member.to_string()))
            }
            ("DELETE", ["groups", group, "members", email]) => {
                let removed = self.members.remove(&format!("{group}/{email}"));
                removed.map_or(gone, |_| (204, String::new()))
            }
            ("GET", ["customer", "my_customer", "roles?maxResults=100"]) => {
                let one = json!({"roleId": "77", "roleName": "Helpdesk"});
                (200, json!({"items": [one]}).to_string())
            }
            ("GET", ["users", email]) if email.starts_with("ann@") => {
                (200, json!({"id": "1001"}).to_string())
            }
            ("POST", ["customer", "my_customer", "roleassignments"]) => {
                let given = asked.json();
                let key = format!("{}/{}", given["roleId"], given["assignedTo"]);
                if self.members.contains_key(&key) {
                    return (409, json!({"error": {"message": "exists"}}).to_string());
                }
                let mut made = given.clone();
                made["roleAssignmentId"] = "5005".into();
                self.members.insert(key, made.clone());
                (200, made.to_string())
            }
            ("DELETE", ["customer", "my_customer", "roleassignments", "5005"]) => {
                let before = self.members.len();
                self.members.retain(|_, made| made["roleAssignmentId"] != "5005");
                if self.members.len() < before { (204, String::new()) } else { gone }
            }
            _ => gone,
        }
    }
}
