//! Dynamic secrets that a webhook makes, with a webhook that believes nobody: it asks the gateway's
//! own API about each call, as the webhooks of others do, and keeps what it made.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::sync::{Arc, Mutex};

use keysherd_base::{Clock as _, Secret, SystemClock, Uid};
use keysherd_crypto::sign::SigningKey;
use keysherd_engines::vouching::{Vouched, vouch};
use serde_json::{Value, json};

use crate::kit::{Api, Asked, Server, Site, Stub, json_answer as answering, wait_until};

const ITEM: &str = "/dyn/Hook";
const PAYLOAD: &str = "canary-payload";

/// What a webhook remembers.
#[derive(Default)]
struct Memory {
    /// Whom it asks, and which access id its gateways have.
    gateway: Mutex<Option<(Api, String)>>,
    url: Mutex<String>,
    made: Mutex<BTreeSet<String>>,
    number: Mutex<usize>,
}

impl Memory {
    /// Whether the call came from a gateway that the hook is for, meant for this address.
    fn believes(&self, asked: &Asked) -> bool {
        let gateway = self.gateway.lock().unwrap();
        let Some((api, access_id)) = gateway.as_ref() else { return false };
        let word = asked.header("AkeylessCreds").unwrap_or_default();
        let reply = api.call("validate-producer-credentials", question(word, access_id, ITEM));
        let path = asked.line.split(' ').nth(1).unwrap_or_default();
        let here = format!("{}{path}", self.url.lock().unwrap());
        reply.status == 200 && reply.json()["audience"] == here.as_str()
    }

    fn answer(&self, asked: &Asked) -> (u16, Value) {
        if !self.believes(asked) || asked.json()["payload"] != PAYLOAD {
            return (403, json!({"message": "hook-says-no"}));
        }
        let mut made = self.made.lock().unwrap();
        if asked.line.contains("/create") {
            let mut number = self.number.lock().unwrap();
            *number += 1;
            let id = format!("user-{number}");
            made.insert(id.clone());
            let input = asked.json()["input"].clone();
            return (200, json!({"id": id, "response": {"login": id, "input": input}}));
        }
        let ids = asked.json()["ids"].as_array().unwrap().clone();
        let gone: Vec<_> = ids.into_iter().filter(|id| made.remove(id.as_str().unwrap())).collect();
        (200, json!({"revoked": gone}))
    }

    fn left(&self) -> usize {
        self.made.lock().unwrap().len()
    }
}

fn question(word: &str, access_id: &str, item: &str) -> Value {
    json!({"creds": word, "expected_access_id": access_id, "expected_item_name": item})
}

struct Scene {
    site: Site,
    server: Server,
    admin: Api,
    hook: Stub,
    memory: Arc<Memory>,
    access_id: String,
}

impl Scene {
    /// A gateway of a cluster; `before` sees it while it is in none.
    fn start(before: impl Fn(&Api, &Stub)) -> Self {
        let memory = Arc::<Memory>::default();
        let hook = Stub::new(|_| (503, Vec::new(), Vec::new()));
        let own = memory.clone();
        hook.answer(answering(move |asked: &Asked| own.answer(asked)));
        (*memory.url.lock().unwrap()).clone_from(&hook.url);
        let site = Site::new();
        let data = site.data();
        fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
        let trusted = data.join("hook.pem");
        fs::write(&trusted, &hook.ca_pem).unwrap();
        let launch = |args: &[&str]| {
            let mut command = site.server(&data);
            command.args(args).env("SSL_CERT_FILE", &trusted);
            site.launch(command).ready()
        };
        let server = launch(&[]);
        let admin = server.admin();
        before(&admin, &hook);
        let wish = json!({"name": "/gateways/prod", "allowed-client-type": ["gateway-admin"]});
        let made = admin.ok("auth-method-create-api-key", wish);
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        let (access_id, key_file) = (text("access_id"), data.join("access-key"));
        let mut file = fs::File::options();
        let mut file = file.create_new(true).write(true).mode(0o600).open(&key_file).unwrap();
        file.write_all(text("access_key").as_bytes()).unwrap();
        server.stop();
        let key_file = key_file.to_str().unwrap();
        let server = launch(&[
            "--gateway-access-id",
            &access_id,
            "--gateway-access-key-file",
            key_file,
            "--cluster-name",
            "prod",
        ]);
        let admin = server.admin();
        wait_until("the gateway to be in its cluster", || {
            admin.http().get("/status").unwrap().json()["cluster"]["connected"] == true
        });
        *memory.gateway.lock().unwrap() = Some((server.nobody(), access_id.clone()));
        Self { site, server, admin, hook, memory, access_id }
    }

    fn wish(&self, name: &str) -> Value {
        wish(&self.hook, name)
    }

    /// A text that the hook was shown and asked nobody about.
    fn unasked(&self) -> String {
        self.hook.answer(answering(|_: &Asked| (500, json!({}))));
        self.hook.asked();
        let refused = self.admin.call("dynamic-secret-get-value", json!({"name": ITEM}));
        assert!(!refused.is_success(), "{}", refused.text());
        let own = self.memory.clone();
        self.hook.answer(answering(move |asked: &Asked| own.answer(asked)));
        self.hook.asked()[0].header("AkeylessCreds").unwrap().to_owned()
    }

    fn is_believed(&self, word: &str, access_id: &str, item: &str) -> bool {
        let nobody = self.server.nobody();
        let reply = nobody.call("validate-producer-credentials", question(word, access_id, item));
        if reply.status != 200 {
            assert_eq!(reply.status, 401, "{}", reply.text());
            let text = reply.text();
            assert!(text.contains("the credentials of this call are not valid"), "{text}");
        }
        reply.status == 200
    }
}

fn wish(hook: &Stub, name: &str) -> Value {
    json!({
        "name": name, "payload": PAYLOAD,
        "create-sync-url": format!("{}/create", hook.url),
        "revoke-sync-url": format!("{}/revoke", hook.url),
    })
}

#[test]
fn a_webhook_that_believes_nobody_makes_credentials_and_revokes_them() {
    let scene = Scene::start(|admin, hook| {
        // A gateway of no cluster has nothing to show.
        let mut wish = wish(hook, "/dyn/early");
        wish["skip-dry-run"] = true.into();
        admin.ok("dynamic-secret-create-custom", wish);
        let args = json!({"name": "/dyn/early"});
        let said = admin.refused(503, "dynamic-secret-get-value", args.clone());
        assert!(said.contains("--gateway-access-id"), "{said}");
        assert!(hook.asked().is_empty());
        admin.ok("dynamic-secret-delete", args);
    });
    let made = scene.admin.ok("dynamic-secret-create-custom", scene.wish(ITEM));
    assert!(!made.to_string().contains(PAYLOAD), "{made}");
    let tried: Vec<_> = scene.hook.asked();
    assert_eq!(
        tried.iter().map(|asked| asked.line.as_str()).collect::<Vec<_>>(),
        ["POST /create", "POST /revoke"]
    );
    let client = json!({"access_id": "p-custom", "sub_claims": {}});
    assert_eq!(tried[0].json()["client_info"], client);
    assert_eq!(scene.memory.left(), 0, "a trial left something");

    let rules = [("item-rule", "/dyn/*", "read")];
    let person = scene.admin.person_who_may("app", &rules);
    let value = person.api.ok("dynamic-secret-get-value", json!({"name": ITEM}));
    assert_eq!(value, json!({"login": "user-2", "input": ""}));
    let args = json!({"name": ITEM, "args": ["csr=abc"]});
    let other = person.api.ok("get-dynamic-secret-value", args);
    assert_eq!(other["input"], json!({"csr": "abc"}));
    let asked = scene.hook.asked();
    assert_eq!(asked[0].json()["client_info"]["access_id"], person.access_id.as_str());
    assert_eq!(scene.memory.left(), 2);
    let listed = scene.admin.ok("dynamic-secret-tmp-creds-get", json!({"name": ITEM}));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let all = json!({"name": ITEM, "revoke-all": true});
    scene.admin.ok("dynamic-secret-tmp-creds-delete", all);
    assert_eq!(scene.memory.left(), 0);

    // A hook that refuses makes nothing; nothing of what it says, or was told, comes through.
    let mut wrong = scene.wish("/dyn/wrong");
    let refused = scene.admin.call("dynamic-secret-create-custom", wrong.clone());
    // It is for the other item alone.
    assert!(!refused.is_success());
    for secret in [PAYLOAD, "hook-says-no"] {
        assert!(!refused.text().contains(secret), "{}", refused.text());
    }
    scene.admin.refused(404, "describe-item", json!({"name": "/dyn/wrong"}));
    wrong["timeout-sec"] = 0.into();
    scene.admin.refused(400, "dynamic-secret-create-custom", wrong);
    scene.server.stop();
    scene.site.audit(&["verify"]).expect(0);
}

#[test]
fn only_what_a_gateway_of_the_account_said_lately_is_believed_and_once() {
    let scene = Scene::start(|_, _| ());
    scene.admin.ok("dynamic-secret-create-custom", scene.wish(ITEM));
    let own = scene.access_id.as_str();
    let stranger = scene.admin.new_person("/people/stranger").access_id;
    let word = scene.unasked();
    // Of another gateway, and for another secret: these ask nothing that would use it up.
    assert!(!scene.is_believed(&word, &stranger, ITEM));
    assert!(!scene.is_believed(&word, "p-nobody", ITEM));
    assert!(!scene.is_believed(&word, own, "/dyn/other"));
    // A signature that is not that of the text.
    let (head, tail) = word.rsplit_once('.').unwrap();
    let turned = if tail.starts_with('A') { "B" } else { "A" };
    assert!(!scene.is_believed(&format!("{head}.{turned}{}", &tail[1..]), own, ITEM));
    assert!(!scene.is_believed("not.a.text", own, ITEM));
    // Somebody's own key, which no gateway has.
    let account = word_account(&word);
    let vouched = Vouched {
        account,
        access_id: own.to_owned(),
        item: ITEM.to_owned(),
        audience: format!("{}/create", scene.hook.url),
    };
    let key = SigningKey::from_seed(&Secret::new([5; 32]));
    let forged = vouch(&key, &vouched, SystemClock.now(), [5; 16]);
    assert!(!scene.is_believed(forged.expose(), own, ITEM));
    // What it is, once.
    assert!(scene.is_believed(&word, own, "dyn/Hook"));
    assert!(!scene.is_believed(&word, own, ITEM), "it was believed twice");
    let found = scene.admin.ok("audit-search", json!({"action": "validate_producer_credentials"}));
    let mut stati: Vec<_> =
        found["records"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    stati.sort_by_key(Value::to_string);
    // Two of the trial, the one above, and the one that came again.
    assert_eq!(stati, [200, 200, 200, 401], "{found}");
    // Without what it takes, nothing is asked.
    let nobody = scene.server.nobody();
    nobody.refused(400, "validate-producer-credentials", json!({"creds": word}));
    nobody.refused(400, "validate-producer-credentials", json!({"expected-access-id": own}));
}

/// The account that a text is about.
fn word_account(word: &str) -> Uid {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let body = URL_SAFE_NO_PAD.decode(word.split('.').nth(1).unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    Uid::parse(body["account"].as_str().unwrap()).unwrap()
}
