//! Logins with tokens of a real cluster: its API server makes them and reviews them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keysherd_base::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::logins::{Cluster, Logins};
use super::stand_in::{self, OWN_AUDIENCE, REVIEWS};
use crate::kit::mounts::Way;
use crate::kit::openssl::{Authority, Issued, Order, rsa_key};
use crate::kit::{KEYSHERD, Kube, Site, Stub, kube, wait_until};

/// A cluster with namespaces, accounts and a pod, and logins over the configuration `prod`.
struct Setting {
    logins: Logins,
    kube: Kube,
    account_uid: String,
    pod_uid: String,
}

impl std::ops::Deref for Setting {
    type Target = Logins;

    fn deref(&self) -> &Logins {
        &self.logins
    }
}

impl Setting {
    fn new(method: Value) -> Option<Self> {
        let logins = Logins::new(method);
        let kube = Kube::start()?;
        for namespace in ["prod", "test"] {
            kube.namespace(namespace);
            kube.account(namespace, "other");
        }
        let account_uid = kube.account("prod", "app");
        kube.node("node-1");
        let pod_uid = kube.pod("prod", "app-1", "app", "node-1");
        let setting = Self { logins, kube, account_uid, pod_uid };
        let config = setting.config_of("prod", Some(&setting.kube.reviewer()));
        setting.admin.ok("gateway-create-k8s-auth-config", config);
        Some(setting)
    }

    fn config_of(&self, name: &str, reviewer: Option<&str>) -> Value {
        let Kube { url, ca_pem, .. } = &self.kube;
        self.logins.config(name, &Cluster { url, ca_pem, reviewer })
    }

    /// Replaces the configuration `prod`.
    fn configure(&self, mut config: Value) {
        config["new-name"] = "prod".into();
        self.admin.ok("gateway-update-k8s-auth-config", config);
    }

    /// The claims of a token of `prod/app`, to be changed and signed again.
    fn claims_to_forge(&self) -> Value {
        let now = SystemClock.now().seconds();
        json!({
            "iss": OWN_AUDIENCE, "aud": [OWN_AUDIENCE], "iat": now - 200, "nbf": now - 200,
            "exp": now + 600, "jti": "2f9d7f0c-1d8b-4f0e-8a53-5a5d6c1f1a11",
            "sub": "system:serviceaccount:prod:app",
            "kubernetes.io": {
                "namespace": "prod",
                "serviceaccount": {"name": "app", "uid": self.account_uid},
            },
        })
    }
}

#[test]
fn a_pod_of_a_real_cluster_signs_in_as_what_its_objects_say() {
    let Some(setting) = Setting::new(json!({"bound-namespaces": ["prod"]})) else { return };
    let token = setting.kube.token(("prod", "app"), &[], "app-1");
    let claims = setting.claims(&token);
    for (name, value) in [
        ("namespace", "prod"),
        ("service_account_name", "app"),
        ("service_account_uid", &setting.account_uid),
        ("pod_name", "app-1"),
        ("pod_uid", &setting.pod_uid),
        ("node_name", "node-1"),
        ("aud", OWN_AUDIENCE),
        ("config_name", "prod"),
        ("client_unique_id", "prod/prod/app"),
    ] {
        assert_eq!(claims[name], json!([value]), "{name} of {claims}");
    }
    // The same account without a pod, in base64 as the official clients send it.
    let alone = setting.claims(&STANDARD.encode(setting.kube.token(("prod", "app"), &[], "")));
    assert_eq!(alone["service_account_uid"], json!([setting.account_uid]));
    assert!(alone.get("pod_name").is_none() && alone.get("node_name").is_none(), "{alone}");
    let admin = &setting.admin;
    admin.store("/prod/db", "value");
    admin.new_role("/prod", &[("item-rule", "/prod/*", "read")]);
    admin.ok(
        "assoc-role-am",
        json!({
            "role-name": "/prod", "am-name": "/k8s/apps",
            "sub-claims": {"namespace": "prod", "pod_name": "app-*"},
        }),
    );
    assert_eq!(setting.enter(&token).read("/prod/db"), "value");
    let other = setting.kube.token(("prod", "other"), &[], "");
    assert_eq!(setting.enter(&other).try_read("/prod/db"), None);
    setting.refused(401, &setting.kube.token(("test", "other"), &[], ""));
    // Bounds on accounts and pods.
    let update = json!({
        "name": "/k8s/apps", "bound-sa-names": ["a??"], "bound-pod-names": ["app-*"],
    });
    admin.ok("auth-method-update-k8s", update);
    setting.claims(&token);
    setting.refused(401, &other);
    setting.refused(401, &setting.kube.token(("prod", "app"), &[], ""));
}

#[test]
fn tokens_of_a_real_cluster_for_an_audience_open_that_door_only() {
    let Some(setting) = Setting::new(json!({"audience": "keysherd"})) else { return };
    let token = |audiences: &[&str]| setting.kube.token(("prod", "app"), audiences, "app-1");
    let ours = token(&["keysherd"]);
    let claims = setting.claims(&ours);
    assert_eq!(claims["aud"], json!(["keysherd"]));
    assert_eq!(claims["pod_uid"], json!([setting.pod_uid]), "{claims}");
    let both = setting.claims(&token(&["vault", "keysherd", OWN_AUDIENCE]));
    assert_eq!(both["aud"], json!([OWN_AUDIENCE, "keysherd", "vault"]));
    setting.refused(401, &token(&["vault"]));
    setting.refused(401, &token(&[]));
    // Without an audience of its own, the method takes tokens for the API server only.
    setting.admin.ok("auth-method-update-k8s", json!({"name": "/k8s/apps"}));
    setting.claims(&token(&[]));
    setting.refused(401, &ours);
    // The issuer is compared where one is named; what official clients send unasked is none.
    let reviewer = setting.kube.token(("kube-system", "reviewer"), &[], "");
    for (issuer, status) in [
        (OWN_AUDIENCE, 200),
        ("kubernetes/serviceaccount", 200),
        ("https://kubernetes.default.svc.cluster.local", 401),
    ] {
        let mut config = setting.config_of("prod", Some(&reviewer));
        config["k8s-issuer"] = issuer.into();
        setting.configure(config);
        let reply = setting.server.nobody().call("auth", setting.login(&token(&[])));
        assert_eq!(reply.status, status, "{issuer}: {}", reply.text());
    }
}

#[test]
fn tokens_that_a_real_cluster_did_not_make_or_that_ended_open_nothing() {
    let Some(setting) = Setting::new(json!({})) else { return };
    let good = setting.kube.token(("prod", "app"), &[], "");
    setting.claims(&good);
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let claims = setting.claims_to_forge();
    // What is forged below would be good if it were not changed.
    setting.claims(&setting.kube.sign(&header, &claims));
    let with = |changes: &[(&str, Value)]| {
        let mut claims = claims.clone();
        for (name, value) in changes {
            claims[name] = value.clone();
        }
        setting.kube.sign(&header, &claims)
    };
    let now = SystemClock.now().seconds();
    let about = |field: &str, value: &str| {
        let mut about = claims["kubernetes.io"].clone();
        about["serviceaccount"][field] = value.into();
        ("kubernetes.io", about)
    };
    let another_uid = about("uid", "00000000-0000-0000-0000-000000000000");
    let elsewhere = Kube::start().unwrap();
    elsewhere.namespace("prod");
    elsewhere.account("prod", "app");
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("{good}") };
    let changed = stand_in::claims(&good).to_string().replace("prod", "test");
    let changed = URL_SAFE_NO_PAD.encode(changed);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let dir = tempfile::tempdir().unwrap();
    let other_key = dir.path().join("other.key");
    rsa_key(&other_key);
    for (what, token) in [
        ("one of another cluster", elsewhere.token(("prod", "app"), &[], "")),
        ("one that another key signed", kube::sign(&other_key, &stand_in::header(&good), &claims)),
        ("one with claims of another", format!("{head}.{changed}.{signature}")),
        ("one with half a signature", format!("{head}.{body}.{}", &signature[..171])),
        ("one without a signature", format!("{none}.{body}.AA")),
        ("one that ended just now", with(&[("exp", (now - 100).into())])),
        ("one that has not begun", with(&[("nbf", (now + 500).into())])),
        ("one of another issuer", with(&[("iss", "https://other.example".into())])),
        ("one of an account that is another", with(&[another_uid])),
        ("one of an account there is not", with(&[about("name", "nobody")])),
        ("one for somebody else", with(&[("aud", json!(["vault"]))])),
    ] {
        let reply = setting.server.nobody().call("auth", setting.login(&token));
        let text = reply.text();
        assert_eq!(reply.status, 401, "{what}: {text}");
        assert!(!text.contains(&token), "{what}: {text}");
    }
    setting.claims(&good);
}

#[test]
fn tokens_of_a_real_cluster_end_with_what_they_are_bound_to() {
    let Some(setting) = Setting::new(json!({})) else { return };
    let kube = &setting.kube;
    let of_pod = kube.token(("prod", "app"), &[], "app-1");
    let of_account = kube.token(("prod", "app"), &[], "");
    let of_other = kube.token(("prod", "other"), &[], "");
    for token in [&of_pod, &of_account, &of_other] {
        setting.claims(token);
    }
    // An API server remembers what it said of a token for some ten seconds.
    let ends = |what: &str, token: &str| {
        let login = setting.login(token);
        wait_until(what, || {
            let status = setting.server.nobody().call("auth", login.clone()).status;
            assert!(matches!(status, 200 | 401), "{what}: {status}");
            status == 401
        });
    };
    kube.remove("/api/v1/namespaces/prod/pods/app-1");
    ends("the end of a removed pod's token", &of_pod);
    setting.claims(&of_account);
    // Another pod of that name is another one.
    kube.pod("prod", "app-1", "app", "node-1");
    setting.refused(401, &of_pod);
    kube.remove("/api/v1/namespaces/prod/serviceaccounts/app");
    ends("the end of a removed account's token", &of_account);
    kube.account("prod", "app");
    setting.refused(401, &of_account);
    setting.claims(&kube.token(("prod", "app"), &[], ""));
    setting.claims(&of_other);
}

#[test]
fn a_token_kept_in_a_secret_counts_as_long_as_the_secret_is_there() {
    let Some(setting) = Setting::new(json!({})) else { return };
    let name = |what: &str| format!("kubernetes.io/serviceaccount/{what}");
    let claims = json!({
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:prod:app",
        (name("namespace")): "prod", (name("secret.name")): "app-token",
        (name("service-account.name")): "app", (name("service-account.uid")): setting.account_uid,
    });
    let token = setting.kube.sign(&json!({"alg": "RS256"}), &claims);
    setting.refused(401, &token);
    setting.kube.secret(("prod", "app"), &setting.account_uid, "app-token", &token);
    let held = setting.claims(&token);
    assert_eq!(held["service_account_secret_name"], json!(["app-token"]), "{held}");
    assert_eq!(held["service_account_uid"], json!([setting.account_uid]));
    setting.kube.remove("/api/v1/namespaces/prod/secrets/app-token");
    wait_until("the end of a removed secret's token", || {
        setting.server.nobody().call("auth", setting.login(&token)).status == 401
    });
}

#[test]
fn a_real_cluster_answers_only_those_who_may_ask_for_reviews() {
    let Some(setting) = Setting::new(json!({})) else { return };
    let kube = &setting.kube;
    let good = kube.token(("prod", "app"), &[], "");
    setting.claims(&good);
    // Whoever says nothing about themselves may not ask, nor may they ask for themselves.
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": good},
    });
    assert_eq!(kube.ask("POST", REVIEWS, None, &review).status, 403);
    assert_eq!(kube.ask("POST", REVIEWS, Some(&good), &review).status, 403);
    assert_eq!(kube.ask("POST", REVIEWS, Some("nonsense"), &review).status, 401);
    // A reviewer that may not is the operator's business, not the bearer's fault.
    let powerless = kube.token(("prod", "other"), &[], "");
    for reviewer in [powerless.as_str(), "nonsense", &kube.token(("prod", "other"), &["x"], "")] {
        setting.configure(setting.config_of("prod", Some(reviewer)));
        setting.refused(503, &good);
    }
    // Without one, the bearer's own token asks about itself.
    setting.configure(setting.config_of("prod", None));
    setting.refused(401, &good);
    kube.may_review(json!({"kind": "ServiceAccount", "name": "app", "namespace": "prod"}));
    wait_until("the right to be in force", || {
        kube.ask("POST", REVIEWS, Some(&good), &review).is_success()
    });
    setting.claims(&good);
    // By certificate: one that may, one that may not, one of an authority nobody knows.
    kube.may_review(json!({"kind": "User", "name": "gateway"}));
    let with = |client: &Issued| {
        let mut config = setting.config_of("prod", None);
        config["k8s-auth-type"] = "certificate".into();
        config["k8s-client-certificate"] = client.text().into();
        config["k8s-client-key"] = client.key_text().into();
        config
    };
    setting.configure(with(&kube.client("gateway")));
    wait_until("the user's right to be in force", || {
        setting.server.nobody().call("auth", setting.login(&good)).is_success()
    });
    setting.configure(with(&kube.client("somebody")));
    setting.refused(503, &good);
    let stranger = Authority::new("/CN=strangers");
    let order = Order::client("/CN=gateway");
    setting.configure(with(&stranger.issue("gateway", &order)));
    setting.refused(503, &good);
}

#[test]
fn a_gateway_in_a_pod_asks_with_its_own_account() {
    let Some(way) = Way::find() else { return };
    let Some(kube) = Kube::start() else { return };
    kube.namespace("prod");
    kube.account("prod", "app");
    let reviewer = kube.reviewer();
    let site = Site::new();
    // A pod sees its account where nobody else sees anything.
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let (token_file, ca_file) = (site.path("token"), site.path("ca.crt"));
    std::fs::write(&token_file, format!("{reviewer}\n")).unwrap();
    std::fs::write(&ca_file, &kube.ca_pem).unwrap();
    let script = format!(
        "mount -t tmpfs tmpfs \"$(readlink -f /var/run)\" && mkdir -p {account} && \
         cp \"$0\" {account}/token && cp \"$1\" {account}/ca.crt && shift && exec \"$@\""
    );
    let mut command = std::process::Command::new("unshare");
    command.args(way.unshare).args(["sh", "-c", &script]).arg(&token_file).arg(&ca_file);
    command.args([KEYSHERD, "server", "--listen", "127.0.0.1:0", "--data-dir"]).arg(site.data());
    command.args(["--sandbox-path", "/var/run/secrets/kubernetes.io"]).env("HOME", site.home());
    let (_, port) = kube.url.rsplit_once(':').unwrap();
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", port);
    let server = site.launch(command).ready();
    // `/var/run` is a link on most machines, and an absolute one leads outside again.
    let run = std::fs::canonicalize("/var/run").unwrap();
    let secrets = account.strip_prefix("/var/run").unwrap();
    let inside = format!("/proc/{}/root{}{secrets}/token", server.process.pid(), run.display());
    let logins = Logins::at(site, server, json!({}));
    let mut config = logins.config("prod", &Cluster { url: &kube.url, ca_pem: "", reviewer: None });
    config.as_object_mut().unwrap().remove("k8s-ca-cert");
    config["use-gw-service-account"] = true.into();
    // Whoever configures chooses no host that the pod's token would be shown to.
    let stranger = Stub::json(|_| (201, json!({})));
    let mut elsewhere = config.clone();
    elsewhere["k8s-host"] = stranger.url.as_str().into();
    elsewhere["k8s-ca-cert"] = STANDARD.encode(&stranger.ca_pem).into();
    let good = kube.token(("prod", "app"), &[], "");
    logins.admin.refused(400, "gateway-create-k8s-auth-config", elsewhere);
    logins.refused(401, &good);
    logins.admin.ok("gateway-create-k8s-auth-config", config.clone());
    assert_eq!(logins.claims(&good)["namespace"], json!(["prod"]));
    // The file is replaced while the gateway runs, as in every pod.
    std::fs::write(&inside, "nonsense").unwrap();
    logins.refused(503, &good);
    std::fs::remove_file(&inside).unwrap();
    logins.refused(503, &good);
    std::fs::write(&inside, reviewer).unwrap();
    logins.claims(&good);
    // The name of every API server within its cluster means this one, over its own authority.
    config["new-name"] = "prod".into();
    config["k8s-host"] = "https://kubernetes.default.svc".into();
    logins.admin.ok("gateway-update-k8s-auth-config", config.clone());
    logins.claims(&good);
    config["k8s-ca-cert"] = STANDARD.encode(&stranger.ca_pem).into();
    logins.admin.ok("gateway-update-k8s-auth-config", config);
    logins.refused(503, &good);
    assert!(stranger.asked().is_empty(), "the pod's token was shown to a stranger");
}

/// What is compared: everything but the words of refusals.
fn shape(mut status: Value) -> Value {
    if let Some(error) = status.get_mut("error") {
        assert!(error.as_str().is_some_and(|text| !text.is_empty()), "{error}");
        *error = "said".into();
    }
    status
}

#[test]
fn the_stand_in_of_a_cluster_answers_as_a_real_one() {
    let Some(setting) = Setting::new(json!({})) else { return };
    let kube = &setting.kube;
    let reviewer = kube.token(("kube-system", "reviewer"), &[], "");
    let token = |audiences: &[&str], pod: &str| kube.token(("prod", "app"), audiences, pod);
    let known = [token(&[], "app-1"), token(&[], ""), token(&["keysherd", "vault"], "app-1")];
    let mut asked = 0;
    for token in known.iter().chain([&"e30.e30.e30".to_owned()]) {
        for audiences in [json!(null), json!(["keysherd"]), json!(["x", OWN_AUDIENCE, "vault"])] {
            let mut spec = json!({ "token": token });
            if !audiences.is_null() {
                spec["audiences"] = audiences;
            }
            let review = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec,
            });
            let reply = kube.ask("POST", REVIEWS, Some(&reviewer), &review);
            assert_eq!(reply.status, 201, "{}", reply.text());
            let real = reply.json();
            assert_eq!(real["spec"], spec);
            let stand_in = stand_in::status(&known, &spec);
            assert_eq!(shape(real["status"].clone()), shape(stand_in), "{spec}");
            asked += 1;
        }
    }
    assert_eq!(asked, 12);
}
