//! OAuth2 methods against an issuer on this machine.

use keysherd_base::FaultKind;
use rcgen::CertificateParams;
use serde_json::Value;

use super::*;
use crate::scene::tokens::{TokenKey, key_set};
use crate::scene::{REFUSED, Scene};
use crate::{FRESH_SECONDS, RETRY_SECONDS};

const NOW: i64 = Scene::NOW;

fn with_keys(scene: &Scene, more: Value) -> String {
    let mut settings = json!({
        "unique_identifier": "sub", "issuer": "https://idp.example", "audience": "vault",
        "bound_client_ids": [], "keys": {"uri": scene.keys_uri()},
    });
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings.to_string()
}

fn claims() -> Value {
    json!({"iss": "https://idp.example", "aud": "vault", "sub": "alice", "exp": NOW + 86_400})
}

fn with(name: &str, value: &str) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

const UNREACHABLE: Result<String, FaultKind> = Err(FaultKind::Unavailable);

fn alice() -> Result<String, FaultKind> {
    Ok("alice".to_owned())
}

#[tokio::test]
async fn new_keys_count_and_old_ones_stop() {
    let scene = Scene::new("ES256");
    let (old, new) = (TokenKey::new("ES256", "old"), TokenKey::new("ES256", "new"));
    scene.publish(&[&old]);
    let settings = with_keys(&scene, json!({}));
    let (by_old, by_new) = (old.sign(&claims()), new.sign(&claims()));
    assert_eq!(scene.login(&OAuth2, &settings, &by_old).await, alice());
    // The issuer changes its keys. Nobody asks it again at once, however often they try.
    scene.publish(&[&new]);
    for _ in 0..20 {
        assert_eq!(scene.login(&OAuth2, &settings, &by_new).await, REFUSED);
    }
    assert_eq!(scene.issuer.asked("/keys"), 1);
    scene.clock.advance_seconds(RETRY_SECONDS);
    assert_eq!(scene.login(&OAuth2, &settings, &by_new).await, alice());
    assert_eq!(scene.login(&OAuth2, &settings, &by_old).await, REFUSED);
    assert_eq!(scene.issuer.asked("/keys"), 2);
    // With no new key to look for, the old one is gone when the set is looked at again.
    scene.publish(&[&old]);
    scene.clock.advance_seconds(FRESH_SECONDS);
    assert_eq!(scene.login(&OAuth2, &settings, &by_new).await, REFUSED);
}

#[tokio::test]
async fn nothing_that_is_no_token_reaches_the_issuer() {
    let scene = Scene::new("ES256");
    let settings = with_keys(&scene, json!({}));
    let discovery =
        with_keys(&scene, json!({"keys": "discovery", "issuer": scene.issuer.url.clone()}));
    for token in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"] {
        assert_eq!(scene.login(&OAuth2, &settings, token).await, REFUSED);
        assert_eq!(scene.login(&OAuth2, &discovery, token).await, REFUSED);
    }
    assert_eq!(scene.issuer.asked("/keys"), 0);
    assert_eq!(scene.issuer.asked("/.well-known/openid-configuration"), 0);
    scene.issuer.answer("/keys", 500, "");
    let token = TokenKey::new("ES256", "k").sign(&claims());
    assert_eq!(scene.login(&OAuth2, &settings, &token).await, UNREACHABLE);
    assert_eq!(scene.login(&OAuth2, &discovery, &token).await, UNREACHABLE);
}

#[tokio::test]
async fn an_issuer_s_document_says_where_its_keys_are() {
    let scene = Scene::new("ES256");
    let key = TokenKey::new("RS256", "k");
    scene.publish(&[&key]);
    let url = scene.issuer.url.clone();
    let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
    let path = "/.well-known/openid-configuration";
    scene.issuer.answer(path, 200, &document.to_string());
    for issuer in [url.clone(), format!("{url}/")] {
        let settings = with_keys(&scene, json!({"keys": "discovery", "issuer": issuer}));
        assert_eq!(scene.login(&OAuth2, &settings, &key.sign(&with("iss", &url))).await, alice());
        for other in ["https://idp.example", &format!("{url}/"), ""] {
            assert_eq!(
                scene.login(&OAuth2, &settings, &key.sign(&with("iss", other))).await,
                REFUSED
            );
        }
    }
    // A document about somebody else is none.
    let scene = Scene::new("ES256");
    let document = json!({"issuer": url, "jwks_uri": format!("{}/keys", scene.issuer.url)});
    scene.issuer.answer(path, 200, &document.to_string());
    scene.publish(&[&key]);
    let issuer = scene.issuer.url.clone();
    let settings = with_keys(&scene, json!({"keys": "discovery", "issuer": issuer}));
    assert_eq!(
        scene.login(&OAuth2, &settings, &key.sign(&with("iss", &issuer))).await,
        UNREACHABLE
    );
}

#[tokio::test]
async fn key_sets_certificates_and_clients_bind() {
    let scene = Scene::new("ES256");
    let (key, other) = (TokenKey::new("ES256", "k"), TokenKey::new("ES256", "k"));
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    let current = params.clone().self_signed(key.pair()).unwrap().pem();
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let ended = params.self_signed(key.pair()).unwrap().pem();
    for source in [
        json!({"key-set": key_set(&[&key])}),
        json!({"pem": key.public_pem()}),
        json!({ "pem": current }),
    ] {
        let settings = with_keys(&scene, json!({ "keys": source }));
        assert_eq!(scene.login(&OAuth2, &settings, &key.sign(&claims())).await, alice());
        assert_eq!(scene.login(&OAuth2, &settings, &other.sign(&claims())).await, REFUSED);
    }
    let settings = with_keys(&scene, json!({"keys": {"pem": ended}}));
    assert_eq!(scene.login(&OAuth2, &settings, &key.sign(&claims())).await, REFUSED);
    let source = json!({"key-set": key_set(&[&key])});
    let settings =
        with_keys(&scene, json!({"keys": source, "bound_client_ids": ["ours", "theirs"]}));
    for (name, id, outcome) in [
        ("azp", "ours", alice()),
        ("client_id", "theirs", alice()),
        ("cid", "ours", alice()),
        ("azp", "Ours", REFUSED),
        ("azp", "", REFUSED),
        ("sub", "ours", REFUSED),
    ] {
        assert_eq!(
            scene.login(&OAuth2, &settings, &key.sign(&with(name, id))).await,
            outcome,
            "{name}"
        );
    }
}

#[test]
fn sources_of_keys_are_checked() {
    let scene = Scene::new("ES256");
    let check = |more: Value| {
        OAuth2.check(&with_keys(&scene, more)).map_err(|fault| {
            assert_eq!(fault.kind(), FaultKind::BadRequest);
            fault.public().to_owned()
        })
    };
    assert_eq!(check(json!({})), Ok(()));
    assert_eq!(check(json!({"keys": "discovery"})), Ok(()));
    for (bad, field) in [
        (json!({"keys": {"uri": "http://idp.example/keys"}}), "jwks-uri"),
        (json!({"keys": {"uri": "file:///etc/passwd"}}), "jwks-uri"),
        (json!({"keys": "discovery", "issuer": null}), "issuer"),
        (json!({"keys": "discovery", "issuer": "an issuer"}), "issuer"),
        (json!({"keys": {"key-set": "{}"}}), "jwks-json-data"),
        (json!({"keys": {"pem": "-----BEGIN CERTIFICATE-----"}}), "cert-file-data"),
        (json!({"unique_identifier": ""}), "unique-identifier"),
    ] {
        assert!(check(bad.clone()).unwrap_err().contains(field), "{bad}");
    }
}
