//! Signing in with tokens that issuers sign: OAuth2, Azure AD, Google.

use keysherd_base::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::kit::{Api, Server, Site};

#[path = "../../../authn/tests/provider/mod.rs"]
mod provider;
#[path = "../../../crypto/tests/tokens/mod.rs"]
mod tokens;

use provider::Provider;
use tokens::{TokenKey, key_set};

/// What a server needs to ask an issuer on this machine.
const LOOPBACK: &[&str] = &["--identity-loopback-http"];

fn now() -> i64 {
    SystemClock.now().seconds()
}

fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": "vault", "sub": "alice", "exp": now() + 600,
        "groups": ["dev", "ops"], "client_ip": "10.9.8.7", "client_unique_id": "root",
    })
}

/// Makes an OAuth2 method; gives its access id.
fn new_method(admin: &Api, name: &str, mut args: Value) -> String {
    args["name"] = name.into();
    args["unique-identifier"] = "sub".into();
    let made = admin.ok("auth-method-create-oauth2", args);
    made["access_id"].as_str().unwrap().to_owned()
}

fn login(access_id: &str, token: &str) -> Value {
    json!({"access-type": "jwt", "access-id": access_id, "jwt": token})
}

fn signed_in(server: &Server, access_id: &str, token: &str) -> Api {
    let answer = server.nobody().ok("auth", login(access_id, token));
    server.nobody().with_token(answer["token"].as_str().unwrap())
}

#[test]
fn a_token_of_an_issuer_signs_in_and_roles_see_its_claims() {
    let (site, issuer) = (Site::new(), Provider::new());
    let key = TokenKey::new("ES256", "first");
    issuer.answer("/keys", 200, &key_set(&[&key]));
    let document = json!({"issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url)});
    issuer.answer("/.well-known/openid-configuration", 200, &document.to_string());
    let server = site.start_with(LOOPBACK);
    let admin = server.admin();
    admin.store("/dev/a", "open");
    let by_uri = json!({"jwks-uri": format!("{}/keys", issuer.url), "audience": "vault"});
    let by_document = json!({"issuer": issuer.url, "audience": "vault"});
    for (name, args) in [("/uri", by_uri), ("/document", by_document)] {
        let id = new_method(&admin, name, args);
        let api = signed_in(&server, &id, &key.sign(&claims(&issuer.url)));
        let seen = api.ok("describe-sub-claims", json!({}))["sub_claims"].take();
        assert_eq!(seen["groups"], json!(["dev", "ops"]), "{seen}");
        assert_eq!(seen["client_unique_id"], json!(["alice"]), "{seen}");
        assert_eq!(seen["client_ip"], json!(["127.0.0.1"]), "{seen}");
        admin.new_role(name, &[("item-rule", "/dev/*", "read")]);
        let assoc = json!({"role-name": name, "am-name": name, "sub-claims": {"groups": "dev"}});
        admin.ok("assoc-role-am", assoc);
        assert_eq!(api.read("/dev/a"), "open");
        let mut other = claims(&issuer.url);
        other["groups"] = json!(["sales"]);
        let other = signed_in(&server, &id, &key.sign(&other));
        assert_eq!(other.try_read("/dev/a"), None);
        // The issuer's keys are fetched once for both.
        assert_eq!(issuer.asked("/keys"), 1);
    }
}
