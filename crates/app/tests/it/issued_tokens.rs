//! Signing in with tokens that issuers sign: OAuth2, Azure AD, Google.

use keysherd_base::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::kit::{Api, OidcProvider, Server, Site, records, records_of, wait_until};
use crate::walk::foreign_account;

#[path = "../../../authn/tests/provider/mod.rs"]
pub(crate) mod provider;
#[path = "../../../crypto/tests/tokens/mod.rs"]
pub(crate) mod tokens;

use provider::Provider;
use tokens::{TokenKey, key_set, sign_hs256, unsigned};

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

/// What an attacker makes of a key and the claims of somebody who may sign in.
fn forgeries(key: &TokenKey, evil: &TokenKey, good: &Value) -> Vec<(String, String)> {
    let text = good.to_string();
    let kid = |id: &str| json!({"alg": "ES256", "kid": id}).to_string();
    let mut made: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, token: String| made.push((what.to_owned(), token));
    for none in ["none", "None", "nOnE"] {
        let header = json!({"alg": none, "kid": "first"}).to_string();
        add(none, format!("{}.", unsigned(&header, &text)));
    }
    let hs256 = json!({"alg": "HS256", "kid": "first"}).to_string();
    for (what, secret) in [("PEM", key.public_pem()), ("JWK", key.jwk().to_string())] {
        add(&format!("HS256 with the {what}"), sign_hs256(&hs256, &text, secret.as_bytes()));
    }
    for other in ["RS256", "PS256", "ES384", "EdDSA"] {
        let header = json!({"alg": other, "kid": "first"}).to_string();
        add(&format!("ES256 as {other}"), key.sign_as(&header, &text));
        let rsa = TokenKey::new("RS256", "first");
        add(&format!("RS256 as {other}"), rsa.sign_as(&header, &text));
    }
    for id in ["../../../dev/null", "first' OR '1'='1", "first\u{0}", &"first".repeat(2_000)] {
        add(&format!("kid {id:.20}"), evil.sign_as(&kid(id), &text));
    }
    let alone = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let alone = alone.self_signed(evil.pair()).unwrap();
    let der = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, alone.der());
    for (name, value) in [
        ("jwk", evil.jwk()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!([der])),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "first"});
        header[name] = value;
        add(name, evil.sign_as(&header.to_string(), &text));
    }
    add("crit", key.sign_as(r#"{"alg":"ES256","kid":"first","crit":["exp"]}"#, &text));
    for (name, value) in [
        ("exp", json!(now() - 61)),
        ("exp", Value::Null),
        ("nbf", json!(now() + 600)),
        ("iat", json!(now() + 600)),
        ("iss", json!("https://other.example")),
        ("aud", json!("elsewhere")),
        ("aud", json!(["elsewhere"])),
        ("azp", json!("their-client")),
        ("sub", json!("")),
        ("sub", json!(["alice", "bob"])),
    ] {
        let mut claims = good.clone();
        claims[name] = value.clone();
        add(&format!("{name} {value}"), key.sign(&claims));
    }
    let twice = text.replacen('{', r#"{"sub":"bob","#, 1);
    add("sub twice", key.sign_as(&kid("first"), &twice));
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep = text.replacen('{', &format!(r#"{{"deep":{deep},"#), 1);
    add("deep", key.sign_as(&kid("first"), &deep));
    let mut long = good.clone();
    long["long"] = "x".repeat(60_000).into();
    add("long", key.sign(&long));
    add("another's key", evil.sign(good));
    made
}

#[test]
fn forged_tokens_are_refused_and_recorded() {
    let (site, issuer) = (Site::new(), Provider::new());
    let (key, evil) = (TokenKey::new("ES256", "first"), TokenKey::new("ES256", "first"));
    issuer.answer("/keys", 200, &key_set(&[&key]));
    issuer.answer("/other", 200, &key_set(&[&evil]));
    let server = site.start_with(LOOPBACK);
    let admin = server.admin();
    let args = |keys: &str| {
        json!({
            "jwks-uri": format!("{}{keys}", issuer.url), "issuer": issuer.url,
            "audience": "vault", "bound-client-ids": ["our-client"],
        })
    };
    let others = new_method(&admin, "/others", args("/other"));
    let mut good = claims(&issuer.url);
    good["azp"] = "our-client".into();
    let honest = key.sign(&good);
    let mut sent = Vec::new();
    let mut refuse = |what: &str, id: &str, token: &str| {
        let reply = server.nobody().call("auth", login(id, token));
        assert_eq!(reply.status, 401, "{what}: {}", reply.text());
        sent.push((what.to_owned(), reply));
    };
    // Each has a method of its own: of many refusals of one in a minute the first has a record.
    for (n, (what, token)) in forgeries(&key, &evil, &good).iter().enumerate() {
        let id = new_method(&admin, &format!("/ours/{n}"), args("/keys"));
        signed_in(&server, &id, &honest);
        refuse(what, &id, token);
    }
    // Each method believes its own issuer only, and who is unknown hears the same.
    signed_in(&server, &others, &evil.sign(&good));
    refuse("another method's issuer", &others, &honest);
    refuse("an access key's method", &server.bootstrap.access_id, &honest);
    let unknown = server.nobody().refused(401, "auth", login("p-aaaaaaaaaaaaaa", &honest));
    let message = |text: &str| text.split("Message: ").nth(1).unwrap().to_owned();
    for (what, reply) in &sent {
        assert_eq!(message(&reply.error()), message(&unknown), "{what}");
    }
    // The issuer was asked again for none of them more often than its address is asked at all.
    assert!(issuer.asked("/keys") < 20, "{}", issuer.asked("/keys"));
    server.stop();
    let all = records(&site);
    for (what, reply) in &sent {
        let found = records_of(&all, &reply.request_id());
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert_eq!(found[0]["status"], 401, "{what}: {found:?}");
    }
}

#[test]
fn a_tenant_s_token_is_good_for_its_own_method_only() {
    let (site, issuer) = (Site::new(), Provider::new());
    let key = TokenKey::new("RS256", "k");
    issuer.answer("/keys", 200, &key_set(&[&key]));
    let foreign = foreign_account(&site);
    let server = site.start_with(LOOPBACK);
    let them = server.nobody().login(&foreign.access_id, &foreign.access_key);
    let uri = format!("{}/keys", issuer.url);
    let args = |audience: &str| json!({"jwks-uri": uri, "audience": audience});
    let ours = new_method(&server.admin(), "/m", args("vault"));
    let theirs = new_method(&them, "/m", args("their-vault"));
    let token = key.sign(&claims(&issuer.url));
    signed_in(&server, &ours, &token);
    server.nobody().refused(401, "auth", login(&theirs, &token));
}

#[test]
fn an_issuer_that_does_not_answer_is_503_and_no_refusal() {
    let (site, issuer) = (Site::new(), Provider::new());
    let key = TokenKey::new("ES256", "k");
    let server = site.start_with(LOOPBACK);
    let admin = server.admin();
    let id = new_method(&admin, "/m", json!({"jwks-uri": format!("{}/keys", issuer.url)}));
    let text = server.nobody().refused(503, "auth", login(&id, &key.sign(&claims(&issuer.url))));
    assert!(!text.contains("127.0.0.1"), "{text}");
    assert!(server.process.err().contains(&format!("{}/keys", issuer.url)));
    // What is no token at all is refused without asking anybody.
    let asked = issuer.asked("/keys");
    server.nobody().refused(401, "auth", login(&id, "a.b.c"));
    assert_eq!(issuer.asked("/keys"), asked);
}

#[test]
fn methods_say_back_what_they_were_made_with_and_refuse_what_cannot_be() {
    let site = Site::new();
    let server = site.start();
    let admin = server.admin();
    let encode =
        |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let key = TokenKey::new("ES256", "k");
    let set = encode(&key_set(&[&key]));
    let pem = encode(&key.public_pem());
    for (name, args, field, shown) in [
        ("/a", json!({"jwks-uri": "https://idp.example/keys"}), "jwks_uri", None),
        ("/b", json!({"jwks-json-data": set}), "jwks_json_data", Some(&set)),
        ("/c", json!({"cert-file-data": pem}), "certificate", Some(&pem)),
        ("/d", json!({"cert": key.public_pem()}), "certificate", Some(&pem)),
    ] {
        new_method(&admin, name, args.clone());
        let shown_back = admin.ok("auth-method-get", json!({"name": name}));
        let rules = &shown_back["access_info"]["oauth2_access_rules"];
        let wanted = shown.map_or(json!("https://idp.example/keys"), |text| json!(text));
        assert_eq!(rules[field], wanted, "{shown_back}");
    }
    for (args, words) in [
        (json!({}), "jwks-uri"),
        (json!({"jwks-uri": "default_jwks_url"}), "jwks-uri"),
        (json!({"jwks-uri": "http://idp.example/keys"}), "https://"),
        (json!({"issuer": "acme"}), "issuer"),
        (json!({"jwks-uri": "https://idp.example/k", "jwks-json-data": set}), "only one"),
        (json!({"jwks-json-data": "e30="}), "jwks-json-data"),
        (json!({"cert-file-data": "/etc/ssl/cert.pem"}), "cert-file-data"),
    ] {
        let mut args = args;
        args["name"] = "/bad".into();
        args["unique-identifier"] = "sub".into();
        let text = admin.refused(400, "auth-method-create-oauth2", args.clone());
        assert!(text.contains(words), "{args}: {text}");
    }
    admin.refused(404, "auth-method-get", json!({"name": "/bad"}));
}

#[test]
fn a_real_provider_s_tokens_sign_in_and_its_old_keys_stop() {
    let (site, provider) = (Site::new(), OidcProvider::start());
    let server = site.start_with(LOOPBACK);
    let args = json!({
        "issuer": provider.issuer, "audience": "vault", "bound-client-ids": ["our-client"],
    });
    let id = new_method(&server.admin(), "/m", args);
    let old = ["ES256", "RS256"].map(|algorithm| provider.token(algorithm));
    for token in &old {
        let api = signed_in(&server, &id, token);
        let seen = api.ok("describe-sub-claims", json!({}))["sub_claims"].take();
        assert_eq!(seen["client_unique_id"], json!(["our-client"]), "{seen}");
    }
    let provider = provider.with_other_keys();
    for algorithm in ["ES256", "RS256"] {
        // Control asks the provider at most every ten seconds.
        let token = provider.token(algorithm);
        let login = || server.nobody().call("auth", login(&id, &token));
        wait_until("new keys to count", || login().status == 200);
    }
    // A new process knows nothing of the old keys, and nothing of so many wrong tries.
    server.stop();
    let server = site.start_with(LOOPBACK);
    for token in &old {
        server.nobody().refused(401, "auth", login(&id, token));
    }
}
