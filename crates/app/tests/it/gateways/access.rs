//! Two people of one auth method, of whom one may configure the cluster's gateways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::Pair;
use crate::issued_tokens::tokens::{TokenKey, key_set};
use crate::kit::{Api, Cluster, Person, wait_until};

const CREATE: &str = "gateway-create-allowed-access";
const UPDATE: &str = "gateway-update-allowed-access";
const GET_K8S: &str = "gateway-get-k8s-auth-config";
const CREATE_K8S: &str = "gateway-create-k8s-auth-config";

/// An issuer whose keys the method has, so that nobody asks it.
struct Issuer {
    key: TokenKey,
    access_id: String,
}

impl Issuer {
    fn new(admin: &Api) -> Self {
        let key = TokenKey::new("ES256", "first");
        let set = STANDARD.encode(key_set(&[&key]));
        let args = json!({
            "name": "/people", "unique-identifier": "sub", "jwks-json-data": set,
            "audience": "vault",
        });
        let made = admin.ok("auth-method-create-oauth2", args);
        Self { key, access_id: made["access_id"].as_str().unwrap().to_owned() }
    }

    fn person(&self, cluster: &Cluster, name: &str, team: &str) -> Api {
        let exp = SystemClock.now().seconds() + 600;
        let claims = json!({
            "iss": "issuer", "aud": "vault", "sub": name, "exp": exp, "team": team,
        });
        let login = json!({
            "access-type": "jwt", "access-id": self.access_id, "jwt": self.key.sign(&claims),
        });
        let answer = cluster.nobody().ok("auth", login);
        cluster.nobody().with_token(answer["token"].as_str().unwrap())
    }
}

#[test]
fn of_two_people_of_one_method_the_one_who_is_meant_configures() {
    let Pair { mut cluster, second: _second, here, there, .. } = Pair::start();
    let issuer = Issuer::new(&here);
    let alice = issuer.person(&cluster, "alice", "ops");
    let bob = issuer.person(&cluster, "bob", "sales");
    let method = here.ok("auth-method-create-k8s", json!({"name": "/k8s/prod"}));
    let config = |name: &str| {
        json!({
            "name": name, "access-id": method["access_id"], "signing-key": method["prv_key"],
            "k8s-host": "https://127.0.0.1:6443",
        })
    };
    for person in [&alice, &bob] {
        person.refused(401, CREATE_K8S, config("prod"));
    }
    let wish = json!({
        "name": "ops", "access-id": issuer.access_id, "sub-claims": {"team": "ops"},
        "permissions": "k8s_auth", "description": "Those who run clusters",
    });
    alice.refused(401, CREATE, wish.clone());
    let made = here.ok(CREATE, wish.clone());
    assert_eq!((&made["access_type"], &made["is_valid"]), (&json!("oauth2/jwt"), &json!(true)));
    assert_eq!(made["permissions"], json!(["k8s_auth"]));
    alice.ok(CREATE_K8S, config("prod"));
    bob.refused(401, CREATE_K8S, config("other"));
    bob.refused(401, GET_K8S, json!({"name": "prod"}));
    alice.ok(GET_K8S, json!({"name": "prod"}));
    // At the other gateway of the cluster as well, and nothing else at either.
    let elsewhere = Api::new(there.http().clone()).with_token(alice.token());
    wait_until("the other gateway to have it", || {
        elsewhere.call(GET_K8S, json!({"name": "prod"})).status == 201
    });
    for command in ["gateway-get-ldap-auth-config", "gateway-list-log-forwarding"] {
        alice.refused(401, command, json!({}));
    }
    alice.refused(401, UPDATE, wish.clone());
    // Without permissions is not with all of them; what is no permission is told.
    let mut bad = wish.clone();
    for wrong in ["", " , ", "everything", "k8s_auth,root"] {
        bad["permissions"] = wrong.into();
        let text = here.refused(400, UPDATE, bad.clone());
        assert!(text.contains("permissions"), "{text}");
    }
    // Somebody with all of them lets others in, and is no administrator of anything else.
    let mut all = wish;
    all["permissions"] = "admin".into();
    here.ok(UPDATE, all.clone());
    alice.ok(UPDATE, all);
    alice.ok("gateway-list-log-forwarding", json!({}));
    alice.refused(401, "create-role", json!({"name": "/mine"}));
    assert_eq!(listed(&alice)["action_allowed"], true);
    assert_eq!(listed(&bob)["action_allowed"], false);
    let gone = here.ok("gateway-delete-allowed-access", json!({"name": "ops"}));
    assert_eq!(gone, json!({"allowed_access_name": "ops"}));
    alice.refused(401, GET_K8S, json!({"name": "prod"}));
    cluster.control.stop();
    cluster.audit(&["verify"]).expect(0);
}

fn listed(api: &Api) -> Value {
    api.ok("list-gateways", json!({}))["clusters"][0].take()
}

#[test]
fn who_may_not_use_a_gateway_gets_nothing_from_it() {
    let mut cluster = Cluster::start();
    let admin = cluster.admin();
    admin.store("/team/db", "a value");
    let rules = [("item-rule", "/*", "read")];
    let [alice, bob] = ["/alice", "/bob"].map(|name| admin.person_who_may(name, &rules));
    let read = json!({"names": ["/team/db"]});
    assert_eq!(bob.api.read("/team/db"), "a value");
    let login =
        |person: &Person| json!({"access-id": person.access_id, "access-key": person.access_key});
    cluster.gateway.stop();
    cluster.gateway.take_args(&["--blocklist-access-ids", &bob.access_id]);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    let text = bob.api.refused(403, "get-secret-value", read.clone());
    assert!(text.contains("may not use this gateway"), "{text}");
    bob.api.refused(403, "describe-sub-claims", json!({}));
    cluster.nobody().refused(403, "auth", login(&bob));
    // Not with a forged or dead token either, and everybody else as before.
    cluster.nobody().with_token("t-forged").refused(401, "get-secret-value", read.clone());
    let dead = json!({"token": "t-forged"});
    assert_eq!(cluster.nobody().ok("validate-token", dead)["is_valid"], false);
    assert_eq!(alice.api.read("/team/db"), "a value");
    cluster.nobody().ok("auth", login(&alice));
    cluster.gateway.stop();
    let only = format!("{}, {}", alice.access_id, bob.access_id);
    cluster.gateway.take_args(&["--restrict-service-to-access-ids", &only]);
    cluster.gateway.start(&cluster.site);
    cluster.wait_until_healthy();
    assert_eq!(alice.api.read("/team/db"), "a value");
    for refused in [&admin, &bob.api] {
        refused.refused(403, "get-secret-value", read.clone());
    }
    // Each refusal is in the log, under who it was.
    cluster.gateway.stop();
    cluster.control.stop();
    let listed = cluster.audit(&["list", "--json", "--limit", "10000000"]).expect(0).out;
    let refused = listed.lines().filter(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        let bobs = record["access_id"] == bob.access_id.as_str();
        bobs && record["action"] == "refused_request" && record["status"] == 403
    });
    assert_eq!(refused.count(), 3, "{listed}");
    cluster.audit(&["verify"]).expect(0);
}
