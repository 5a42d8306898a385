//! OAuth2 methods against an issuer on this machine.

use std::sync::Arc;

use keysherd_base::{ClockHandle, FaultKind, ManualClock, Rng, RngFailed};
use rcgen::CertificateParams;
use serde_json::Value;

use super::*;
use crate::RETRY_SECONDS;
use crate::web::tests::{Provider, open};

#[path = "../../../../crypto/tests/tokens/mod.rs"]
#[expect(dead_code, reason = "forged tokens are a matter of the crate that verifies them")]
mod tokens;

use tokens::{TokenKey, key_set};

const NOW: i64 = 1_800_000_000;

struct NoRng;

impl Rng for NoRng {
    fn fill(&self, _: &mut [u8]) -> Result<(), RngFailed> {
        Err(RngFailed)
    }
}

struct Scene {
    issuer: Provider,
    clock: Arc<ManualClock>,
    world: World,
}

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(NOW)));
        let world = World::new(clock.clone(), Arc::new(NoRng), open());
        Self { issuer: Provider::new(), clock, world }
    }

    fn publish(&self, keys: &[&TokenKey]) {
        self.issuer.answer("/keys", 200, &key_set(keys));
    }

    fn settings(&self, more: Value) -> Settings {
        let mut settings = json!({
            "unique_identifier": "sub", "issuer": "https://idp.example", "audience": "vault",
            "bound_client_ids": [], "keys": {"uri": format!("{}/keys", self.issuer.url)},
        });
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        serde_json::from_value(settings).unwrap()
    }

    async fn login(&self, settings: &Settings, token: &str) -> Result<String, FaultKind> {
        let settings = serde_json::to_string(settings).unwrap();
        OAuth2.check(&settings).unwrap();
        let clock: &ClockHandle = self.world.clock();
        let attempt = Attempt {
            settings: &settings,
            evidence: token,
            access_id: &keysherd_base::AccessId::parse("p-aaaaaaaaaaaaaa").unwrap(),
            client: "127.0.0.1".parse().unwrap(),
            delimiters: &[],
            now: clock.now(),
        };
        let outcome = OAuth2.verify(attempt, &self.world).await;
        outcome.map(|identity| identity.unique_id).map_err(|fault| fault.kind())
    }
}

fn claims() -> Value {
    json!({"iss": "https://idp.example", "aud": "vault", "sub": "alice", "exp": NOW + 86_400})
}

fn with(name: &str, value: &str) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

const REFUSED: Result<String, FaultKind> = Err(FaultKind::Unauthorized);
const UNREACHABLE: Result<String, FaultKind> = Err(FaultKind::Unavailable);

fn alice() -> Result<String, FaultKind> {
    Ok("alice".to_owned())
}

#[tokio::test]
async fn new_keys_count_and_old_ones_stop() {
    let scene = Scene::new();
    let (old, new) = (TokenKey::new("ES256", "old"), TokenKey::new("ES256", "new"));
    scene.publish(&[&old]);
    let settings = scene.settings(json!({}));
    let (by_old, by_new) = (old.sign(&claims()), new.sign(&claims()));
    assert_eq!(scene.login(&settings, &by_old).await, alice());
    // The issuer changes its keys. Nobody asks it again at once, however often they try.
    scene.publish(&[&new]);
    for _ in 0..20 {
        assert_eq!(scene.login(&settings, &by_new).await, REFUSED);
    }
    assert_eq!(scene.issuer.asked("/keys"), 1);
    scene.clock.advance_seconds(RETRY_SECONDS);
    assert_eq!(scene.login(&settings, &by_new).await, alice());
    assert_eq!(scene.login(&settings, &by_old).await, REFUSED);
    assert_eq!(scene.issuer.asked("/keys"), 2);
    // With no new key to look for, the old one is gone when the set is looked at again.
    scene.publish(&[&old]);
    scene.clock.advance_seconds(crate::FRESH_SECONDS);
    assert_eq!(scene.login(&settings, &by_new).await, REFUSED);
}

#[tokio::test]
async fn nothing_that_is_no_token_reaches_the_issuer() {
    let scene = Scene::new();
    let settings = scene.settings(json!({}));
    let discovery =
        scene.settings(json!({"keys": "discovery", "issuer": scene.issuer.url.clone()}));
    for token in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"] {
        assert_eq!(scene.login(&settings, token).await, REFUSED);
        assert_eq!(scene.login(&discovery, token).await, REFUSED);
    }
    assert_eq!(scene.issuer.asked("/keys"), 0);
    assert_eq!(scene.issuer.asked("/.well-known/openid-configuration"), 0);
    let token = TokenKey::new("ES256", "k").sign(&claims());
    assert_eq!(scene.login(&settings, &token).await, UNREACHABLE);
    assert_eq!(scene.login(&discovery, &token).await, UNREACHABLE);
}

#[tokio::test]
async fn an_issuer_s_document_says_where_its_keys_are() {
    let scene = Scene::new();
    let key = TokenKey::new("RS256", "k");
    scene.publish(&[&key]);
    let url = scene.issuer.url.clone();
    let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
    let path = "/.well-known/openid-configuration";
    scene.issuer.answer(path, 200, &document.to_string());
    for issuer in [url.clone(), format!("{url}/")] {
        let settings = scene.settings(json!({"keys": "discovery", "issuer": issuer}));
        assert_eq!(scene.login(&settings, &key.sign(&with("iss", &url))).await, alice());
        for other in ["https://idp.example", &format!("{url}/"), ""] {
            assert_eq!(scene.login(&settings, &key.sign(&with("iss", other))).await, REFUSED);
        }
    }
    // A document about somebody else is none.
    let scene = Scene::new();
    let document = json!({"issuer": url, "jwks_uri": format!("{}/keys", scene.issuer.url)});
    scene.issuer.answer(path, 200, &document.to_string());
    scene.publish(&[&key]);
    let issuer = scene.issuer.url.clone();
    let settings = scene.settings(json!({"keys": "discovery", "issuer": issuer}));
    assert_eq!(scene.login(&settings, &key.sign(&with("iss", &issuer))).await, UNREACHABLE);
}

#[tokio::test]
async fn key_sets_certificates_and_clients_bind() {
    let scene = Scene::new();
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
        let settings = scene.settings(json!({ "keys": source }));
        assert_eq!(scene.login(&settings, &key.sign(&claims())).await, alice());
        assert_eq!(scene.login(&settings, &other.sign(&claims())).await, REFUSED);
    }
    let settings = scene.settings(json!({"keys": {"pem": ended}}));
    assert_eq!(scene.login(&settings, &key.sign(&claims())).await, REFUSED);
    let source = json!({"key-set": key_set(&[&key])});
    let settings = scene.settings(json!({"keys": source, "bound_client_ids": ["ours", "theirs"]}));
    for (name, id, outcome) in [
        ("azp", "ours", alice()),
        ("client_id", "theirs", alice()),
        ("cid", "ours", alice()),
        ("azp", "Ours", REFUSED),
        ("azp", "", REFUSED),
        ("sub", "ours", REFUSED),
    ] {
        assert_eq!(scene.login(&settings, &key.sign(&with(name, id))).await, outcome, "{name}");
    }
}

#[test]
fn sources_of_keys_are_checked() {
    let scene = Scene::new();
    let check = |more: Value| {
        OAuth2.check(&serde_json::to_string(&scene.settings(more)).unwrap()).map_err(|fault| {
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
