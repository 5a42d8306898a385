//! Service accounts of Kubernetes: their tokens are reviewed at the gateway and go no further.
//!
//! The cluster is a stand-in that speaks TokenReview and misbehaves on request; `real` has an API
//! server, and holds the stand-in's answers against its.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::kit::{Stub, json_answer};
use logins::{Cluster, Logins};
use stand_in::{OWN_AUDIENCE, REVIEWER, pod_token, review, token};

mod canary;
mod logins;
mod real;
mod stand_in;

/// A server whose method and configuration are for a stand-in of a cluster.
struct Setting {
    logins: Logins,
    cluster: Stub,
    known: Arc<Mutex<Vec<String>>>,
}

impl std::ops::Deref for Setting {
    type Target = Logins;

    fn deref(&self) -> &Logins {
        &self.logins
    }
}

impl Setting {
    fn new(method: Value) -> Self {
        let known: Arc<Mutex<Vec<String>>> = Arc::default();
        let believed = known.clone();
        let cluster = Stub::json(move |asked| review(&believed.lock().unwrap(), asked));
        let setting = Self { logins: Logins::new(method), cluster, known };
        setting.admin.ok("gateway-create-k8s-auth-config", setting.config("prod"));
        setting
    }

    fn config(&self, name: &str) -> Value {
        let Stub { url, ca_pem, .. } = &self.cluster;
        self.logins.config(name, &Cluster { url, ca_pem, reviewer: Some(REVIEWER) })
    }

    /// A token that the cluster knows.
    fn issue(&self, namespace: &str, account: &str, audience: &str) -> String {
        let token = pod_token(namespace, account, audience);
        self.known.lock().unwrap().push(token.clone());
        token
    }
}

#[test]
fn a_service_account_signs_in_with_claims_that_roles_can_ask_for() {
    let setting = Setting::new(json!({"bound-namespaces": ["prod", "test-*"]}));
    let token = setting.issue("prod", "billing", OWN_AUDIENCE);
    let claims = setting.claims(&token);
    for (name, value) in [
        ("namespace", "prod"),
        ("service_account_name", "billing"),
        ("service_account_uid", "account-uid"),
        ("pod_name", "billing-7d9f-x"),
        ("pod_uid", "pod-uid"),
        ("aud", OWN_AUDIENCE),
        ("config_name", "prod"),
        ("client_unique_id", "prod/prod/billing"),
    ] {
        assert_eq!(claims[name], json!([value]), "{name} of {claims}");
    }
    // The official clients send it in base64.
    assert_eq!(setting.claims(&STANDARD.encode(&token))["namespace"], json!(["prod"]));
    let admin = &setting.admin;
    admin.store("/prod/db", "value");
    admin.new_role("/prod", &[("item-rule", "/prod/*", "read")]);
    let assoc = json!({
        "role-name": "/prod", "am-name": "/k8s/apps",
        "sub-claims": {"namespace": "prod", "service_account_name": "billing"},
    });
    admin.ok("assoc-role-am", assoc);
    assert_eq!(setting.enter(&token).read("/prod/db"), "value");
    let other = setting.issue("test-1", "billing", OWN_AUDIENCE);
    assert_eq!(setting.enter(&other).try_read("/prod/db"), None);
}

#[test]
fn what_is_shown_of_methods_and_configurations_has_no_secret() {
    let setting = Setting::new(json!({"bound-sa-names": ["a"], "audience": "keysherd"}));
    let admin = &setting.admin;
    let method = admin.ok("auth-method-get", json!({"name": "/k8s/apps"}));
    let rules = &method["access_info"]["k8s_access_rules"];
    assert_eq!(method["access_info"]["rules_type"], "k8s");
    assert_eq!(rules["bound_service_account_names"], json!(["a"]));
    assert_eq!((&rules["audience"], &rules["gen_key_pair"]), (&json!("keysherd"), &json!("true")));
    let public = STANDARD.decode(rules["pub_key"].as_str().unwrap()).unwrap();
    assert!(public.starts_with(b"-----BEGIN PUBLIC KEY-----"), "{rules}");
    let private = STANDARD.decode(&setting.signing_key).unwrap();
    assert!(private.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    let shown = admin.ok("gateway-get-k8s-auth-config", json!({"name": "/prod"}));
    assert_eq!(shown["auth_method_access_id"], setting.access_id.as_str());
    assert_eq!(shown["k8s_host"], setting.cluster.url.as_str());
    let text = shown.to_string();
    let pem = String::from_utf8(private).unwrap();
    let secret = pem.lines().nth(3).unwrap();
    assert!(!text.contains(secret) && !text.contains(REVIEWER), "{text}");
    // An update that says nothing of the key keeps it; the configuration goes on.
    let update = json!({"name": "/k8s/apps", "bound-namespaces": ["prod"]});
    assert!(admin.ok("auth-method-update-k8s", update).get("prv_key").is_none());
    setting.claims(&setting.issue("prod", "b", OWN_AUDIENCE));
    // A new pair ends what the old one could sign.
    let renewed =
        admin.ok("auth-method-update-k8s", json!({"name": "/k8s/apps", "gen-key": "true"}));
    assert_ne!(renewed["prv_key"], setting.signing_key.as_str());
    setting.refused(401, &setting.issue("prod", "c", OWN_AUDIENCE));
    let mut config = setting.config("prod");
    config["signing-key"] = renewed["prv_key"].clone();
    config["new-name"] = "prod-2".into();
    admin.ok("gateway-update-k8s-auth-config", config);
    let mut login = setting.login(&setting.issue("prod", "d", OWN_AUDIENCE));
    setting.server.nobody().refused(401, "auth", login.clone());
    login["k8s-auth-config-name"] = "prod-2".into();
    setting.server.nobody().ok("auth", login.clone());
    admin.ok("gateway-delete-k8s-auth-config", json!({"name": "prod-2"}));
    setting.server.nobody().refused(401, "auth", login);
    admin.refused(404, "gateway-get-k8s-auth-config", json!({"name": "prod-2"}));
    admin.refused(404, "gateway-delete-k8s-auth-config", json!({"name": "prod-2"}));
}

#[test]
fn tokens_that_are_not_good_or_not_meant_for_the_method_are_refused() {
    let setting = Setting::new(json!({
        "bound-namespaces": ["prod"], "bound-sa-names": ["app", "job-?"],
        "bound-pod-names": ["app-*", "job-*"],
    }));
    let issue = |namespace: &str, account: &str| setting.issue(namespace, account, OWN_AUDIENCE);
    setting.claims(&issue("prod", "app"));
    setting.claims(&issue("prod", "job-1"));
    setting.cluster.asked();
    for (what, token) in [
        ("another namespace", issue("prod2", "app")),
        ("a name that only begins so", issue("prod-x", "app")),
        ("another account", issue("prod", "application")),
        ("an account that the pattern does not fit", issue("prod", "job-12")),
        ("a token the cluster does not know", pod_token("prod", "app", "elsewhere")),
        ("a token for somebody else", setting.issue("prod", "app", "vault")),
        ("a user that is no service account", {
            let human = json!({"sub": "kubernetes-admin", "aud": [OWN_AUDIENCE]});
            setting.known.lock().unwrap().push(token(&human));
            token(&human)
        }),
        ("a made-up account", {
            let odd = json!({"sub": "system:serviceaccount:prod:app:x", "aud": [OWN_AUDIENCE]});
            setting.known.lock().unwrap().push(token(&odd));
            token(&odd)
        }),
    ] {
        let text = setting.refused(401, &token);
        assert!(!text.contains(&token), "{what}: {text}");
        assert!(!setting.cluster.asked().is_empty(), "{what} was not reviewed");
    }
    // Some need no question.
    let expired = json!({"exp": 1_000_000_000, "sub": "system:serviceaccount:prod:app"});
    for text in [token(&expired), "not-a-token".to_owned(), "a.b".to_owned(), "e30".repeat(20_000)]
    {
        setting.refused(401, &text);
        assert!(setting.cluster.asked().is_empty(), "{text:.50}");
    }
    // The first refusal in a minute is recorded as it happened.
    let args = json!({"access-id": setting.access_id, "status": "failed"});
    let found = setting.admin.ok("audit-search", args)["records"].take();
    let refused = &found[0];
    assert_eq!((&refused["action"], &refused["status"]), (&json!("authenticate"), &json!(401)));
    assert_eq!(refused["access_type"], "k8s", "{refused}");
    assert_eq!(refused["remote_addr"], "127.0.0.1", "{refused}");
    assert!(!found.to_string().contains(&issue("prod", "application")), "{found}");
}

#[test]
fn an_audience_that_the_method_names_is_demanded() {
    let setting = Setting::new(json!({"audience": "keysherd"}));
    let claims = setting.claims(&setting.issue("prod", "app", "keysherd"));
    assert_eq!(claims["aud"], json!(["keysherd"]));
    setting.refused(401, &setting.issue("prod", "app", OWN_AUDIENCE));
    setting.refused(401, &setting.issue("prod", "app", "vault"));
    // One token for both.
    let both = json!({
        "aud": ["vault", "keysherd", OWN_AUDIENCE], "sub": "system:serviceaccount:prod:app",
        "kubernetes.io": {"pod": {"name": "p", "uid": "u"}},
    });
    setting.known.lock().unwrap().push(token(&both));
    let claims = setting.claims(&token(&both));
    assert_eq!(claims["aud"], json!([OWN_AUDIENCE, "keysherd", "vault"]));
}

#[test]
fn a_cluster_that_misbehaves_lets_nobody_in_and_is_not_the_bearers_fault() {
    let setting = Setting::new(json!({}));
    let good = setting.issue("prod", "app", OWN_AUDIENCE);
    setting.claims(&good);
    let elsewhere = Stub::json(|_| {
        let user = json!({"username": "system:serviceaccount:prod:app", "uid": "u"});
        (201, json!({"kind": "TokenReview", "status": {"authenticated": true, "user": user}}))
    });
    let location = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", elsewhere.url);
    for status in [301, 302, 307, 308] {
        let location = location.clone();
        setting
            .cluster
            .answer(move |_| (status, vec![("Location".to_owned(), location.clone())], Vec::new()));
        setting.refused(503, &good);
    }
    assert!(elsewhere.asked().is_empty(), "a redirect was followed, with the reviewer's token");
    for (status, body) in [
        (200, "".to_owned()),
        (200, "[]".to_owned()),
        (200, "{}".to_owned()),
        (200, "{\"kind\":\"Status\",\"status\":{\"authenticated\":true}}".to_owned()),
        (200, format!("{{\"status\":{}", "[".repeat(10_000))),
        (200, format!("{{\"x\":\"{}\"}}", "x".repeat(300_000))),
        (401, "{}".to_owned()),
        (403, "{}".to_owned()),
        (404, "{}".to_owned()),
        (500, "{}".to_owned()),
    ] {
        let answer = body.clone().into_bytes();
        setting.cluster.answer(move |_| (status, Vec::new(), answer.clone()));
        setting.refused(503, &good);
    }
    // Answers that look like a yes and are none.
    for status in [
        json!({}),
        json!({"authenticated": false, "user": {"username": "system:serviceaccount:prod:app"}}),
        json!({"authenticated": true, "user": {}}),
        json!({"authenticated": true, "user": {"username": "system:serviceaccount:a:"}}),
        json!({"user": {"username": "system:serviceaccount:prod:app"}, "audiences": ["a"]}),
    ] {
        let answer = json!({"kind": "TokenReview", "status": status, "authenticated": true});
        let shown = answer.to_string();
        setting.cluster.answer(json_answer(move |_| (201, answer.clone())));
        assert!(setting.refused(401, &good).contains("401"), "{shown}");
    }
    // Somebody else at the same address has another certificate.
    let other = Stub::json(|_| (201, json!({})));
    let mut config = setting.config("prod");
    config["k8s-host"] = other.url.as_str().into();
    config["new-name"] = "prod".into();
    setting.admin.ok("gateway-update-k8s-auth-config", config);
    setting.refused(503, &good);
    assert!(other.asked().is_empty(), "the reviewer's token was shown to a stranger");
}

#[test]
fn configurations_are_for_administrators_and_for_methods_of_their_account() {
    let setting = Setting::new(json!({}));
    let admin = &setting.admin;
    let person = admin.person_who_may("/people/p", &[("auth-method-rule", "/*", "create,update")]);
    let commands = [
        ("gateway-create-k8s-auth-config", setting.config("mine")),
        ("gateway-update-k8s-auth-config", {
            let mut config = setting.config("prod");
            config["new-name"] = "stolen".into();
            config
        }),
        ("gateway-get-k8s-auth-config", json!({"name": "prod"})),
        ("gateway-delete-k8s-auth-config", json!({"name": "prod"})),
    ];
    for (command, args) in commands {
        person.api.refused(401, command, args);
    }
    admin.refused(409, "gateway-create-k8s-auth-config", setting.config("prod"));
    let with = |field: &str, value: Value| {
        let mut config = setting.config("other");
        config[field] = value;
        config
    };
    let other_kind = person.access_id.as_str();
    for bad in [
        with("access-id", other_kind.into()),
        with("access-id", "p-aaaaaaaaaaaaaa".into()),
        with("access-id", "nonsense".into()),
        with("signing-key", "nonsense".into()),
        with("signing-key", STANDARD.encode(&setting.cluster.ca_pem).into()),
        with("k8s-host", "http://127.0.0.1:1".into()),
        with("k8s-host", "https://user:password@127.0.0.1".into()),
        with("k8s-host", "https://127.0.0.1/?x=1".into()),
        with("k8s-host", "file:///etc/passwd".into()),
        with("k8s-ca-cert", "nonsense".into()),
        with("cluster-api-type", "rancher".into()),
        with("k8s-auth-type", "certificate".into()),
        with("token-exp", 0.into()),
        with("name", "/".into()),
    ] {
        admin.refused(400, "gateway-create-k8s-auth-config", bad);
    }
    admin.refused(404, "gateway-get-k8s-auth-config", json!({"name": "other"}));
    let short =
        "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----";
    for args in [
        json!({"name": "/k8s/x", "gen-key": "false"}),
        json!({"name": "/k8s/x", "public-key": short}),
        json!({"name": "/k8s/x", "public-key": "nonsense"}),
    ] {
        admin.refused(400, "auth-method-create-k8s", args);
    }
}
