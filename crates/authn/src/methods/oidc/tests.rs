//! OIDC methods against a provider on this machine that can be made to lie.

use std::sync::Arc;

use keysherd_base::{AccessId, FaultKind, ManualClock, Timestamp};
use keysherd_wire::PageRequest;
use serde_json::{Value, json};

use super::*;
use crate::scene::NoRng;
use crate::scene::tokens::{TokenKey, key_set};
use crate::web::tests::{Provider, open};
use crate::{Departure, Kept, Trip};

const NOW: i64 = 1_800_000_000;
const CALLBACK: &str = "https://gw.example/login/callback";
const NONCE: &str = "0123456789abcdef0123456789abcdef";

struct Scene {
    provider: Provider,
    key: TokenKey,
    world: World,
    id: AccessId,
}

impl Scene {
    fn new(more: Value) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(NOW)));
        let world = World::new(clock, Arc::new(NoRng), open());
        let (provider, key) = (Provider::new(), TokenKey::new("ES256", "k"));
        let url = &provider.url;
        let mut document = json!({
            "issuer": url, "jwks_uri": format!("{url}/keys"),
            "authorization_endpoint": format!("{url}/auth?tenant=a"),
            "token_endpoint": format!("{url}/token"),
        });
        for (name, value) in more.as_object().unwrap() {
            document[name] = value.clone();
        }
        provider.answer("/.well-known/openid-configuration", 200, &document.to_string());
        provider.answer("/keys", 200, &key_set(&[&key]));
        Self { provider, key, world, id: AccessId::parse("p-aaaaaaaaaaaaaa").unwrap() }
    }

    fn settings(&self, more: Value) -> String {
        let mut settings = json!({
            "unique_identifier": "sub", "issuer": self.provider.url, "client_id": "app",
            "client_secret": {"plain": "s3cret"}, "audience": null, "required_scopes": [],
            "required_scopes_prefix": "", "allowed_redirect_uris": [],
        });
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        settings.to_string()
    }

    fn claims(&self) -> Value {
        json!({"iss": self.provider.url, "aud": "app", "sub": "alice", "exp": NOW + 600,
               "iat": NOW, "nonce": NONCE})
    }

    fn answers(&self, claims: &Value, scope: Option<&str>) {
        let mut answer = json!({"id_token": self.key.sign(claims), "token_type": "Bearer"});
        if let Some(scope) = scope {
            answer["scope"] = scope.into();
        }
        self.provider.answer("/token", 200, &answer.to_string());
    }

    async fn verify(&self, settings: &str, evidence: &str) -> Result<String, FaultKind> {
        Oidc.check(settings).unwrap();
        let now = Timestamp::from_seconds(NOW);
        let client = "127.0.0.1".parse().unwrap();
        let attempt = Attempt {
            settings,
            evidence,
            access_id: &self.id,
            admitted: None,
            client,
            delimiters: &[],
            now,
        };
        let outcome = Oidc.verify(attempt, &self.world).await;
        outcome.map(|identity| identity.unique_id).map_err(|fault| fault.kind())
    }

    async fn by_code(&self, settings: &str, iss: Option<&str>) -> Result<String, FaultKind> {
        let mut fields = vec![("code".to_owned(), "c0de".to_owned())];
        fields.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
        let brought = PageRequest { fields, cookies: Vec::new() };
        let evidence = OidcBrowser.evidence(&brought, self.trip()).unwrap();
        self.verify(settings, &evidence).await
    }

    fn trip(&self) -> Trip<'_> {
        Trip { access_id: &self.id, callback: CALLBACK, nonce: NONCE, verifier: "verifier" }
    }
}

const REFUSED: Result<String, FaultKind> = Err(FaultKind::Unauthorized);

fn alice() -> Result<String, FaultKind> {
    Ok("alice".to_owned())
}

#[tokio::test]
async fn a_browser_leaves_with_everything_that_binds_it() {
    let scene = Scene::new(json!({}));
    let more = json!({"required_scopes": ["read"], "required_scopes_prefix": "api://x/"});
    let settings = scene.settings(more);
    let departure = Departure {
        settings: &settings,
        access_id: &scene.id,
        callback: CALLBACK,
        state: "st&te",
        nonce: NONCE,
        challenge: "ch",
        now: Timestamp::from_seconds(NOW),
    };
    let url = OidcBrowser.depart(departure, &scene.world).await.unwrap();
    let query = url.strip_prefix(&format!("{}/auth?", scene.provider.url)).unwrap();
    let expected = format!(
        "tenant=a&response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fgw.example%2Flogin\
         %2Fcallback&scope=openid+profile+email+api%3A%2F%2Fx%2Fread&state=st%26te&nonce={NONCE}\
         &code_challenge=ch&code_challenge_method=S256"
    );
    assert_eq!(query, expected);
}

#[tokio::test]
async fn a_code_counts_once_and_only_with_its_nonce() {
    let scene = Scene::new(json!({}));
    let settings = scene.settings(json!({}));
    let mut other = scene.claims();
    other["nonce"] = "f".repeat(32).into();
    scene.answers(&other, None);
    assert_eq!(scene.by_code(&settings, None).await, REFUSED);
    let mut without = scene.claims();
    without.as_object_mut().unwrap().remove("nonce");
    scene.answers(&without, None);
    assert_eq!(scene.by_code(&settings, None).await, REFUSED);
    scene.answers(&scene.claims(), None);
    assert_eq!(scene.by_code(&settings, None).await, alice());
    // Even if the provider took its code twice.
    assert_eq!(scene.by_code(&settings, None).await, REFUSED);
}

#[tokio::test]
async fn tokens_for_others_and_mixed_up_providers_are_refused() {
    for (name, value) in [
        ("aud", json!("other")),
        ("aud", json!(["app", "other"])),
        ("azp", json!("other")),
        ("iss", json!("https://evil.example")),
        ("exp", json!(NOW - 600)),
        ("sub", json!("")),
    ] {
        let scene = Scene::new(json!({}));
        let mut claims = scene.claims();
        claims[name] = value;
        scene.answers(&claims, None);
        assert_eq!(scene.by_code(&scene.settings(json!({})), None).await, REFUSED, "{claims}");
    }
    let always = json!({"authorization_response_iss_parameter_supported": true});
    for (more, iss, good) in [
        (json!({}), None, true),
        (json!({}), Some("https://evil.example"), false),
        (always.clone(), None, false),
        (always, Some("own"), true),
    ] {
        let scene = Scene::new(more);
        scene.answers(&scene.claims(), None);
        let own = scene.provider.url.clone();
        let iss = iss.map(|iss| if iss == "own" { own.as_str() } else { iss });
        let outcome = scene.by_code(&scene.settings(json!({})), iss).await;
        assert_eq!(outcome, if good { alice() } else { REFUSED });
        // A code is not sent to a provider that is not the one that gave it.
        assert_eq!(scene.provider.asked("/token"), usize::from(good));
    }
}

#[tokio::test]
async fn a_provider_that_refuses_is_told_from_one_that_does_not_answer() {
    let scene = Scene::new(json!({}));
    let settings = scene.settings(json!({"required_scopes": ["groups"]}));
    scene.provider.answer("/token", 400, r#"{"error":"invalid_grant"}"#);
    assert_eq!(scene.by_code(&settings, None).await, REFUSED);
    for (status, text) in [(500, "{}"), (302, ""), (200, "no"), (200, "{}")] {
        scene.provider.answer("/token", status, text);
        let outcome = scene.by_code(&settings, None).await;
        assert_eq!(outcome, Err(FaultKind::Unavailable), "{status} {text}");
    }
    scene.answers(&scene.claims(), Some("openid"));
    assert_eq!(scene.by_code(&settings, None).await, REFUSED);
    scene.answers(&scene.claims(), Some("openid groups"));
    assert_eq!(scene.by_code(&settings, None).await, alice());
}

#[tokio::test]
async fn a_token_from_elsewhere_needs_no_browser() {
    let scene = Scene::new(json!({}));
    let (plain, wide) = (scene.settings(json!({})), scene.settings(json!({"audience": "vault"})));
    let present = |claims: &Value| write(&Evidence::Token(scene.key.sign(claims))).unwrap();
    let mut other = scene.claims();
    other["aud"] = "vault".into();
    assert_eq!(scene.verify(&plain, &present(&scene.claims())).await, alice());
    assert_eq!(scene.verify(&plain, &present(&other)).await, REFUSED);
    assert_eq!(scene.verify(&wide, &present(&other)).await, alice());
    for bad in ["", "{}", "x", r#"{"token":"x"}"#, r#"{"token":"x","code":{}}"#] {
        assert_eq!(scene.verify(&plain, bad).await, REFUSED, "{bad}");
    }
}

#[test]
fn what_is_brought_without_a_code_is_no_evidence() {
    let scene = Scene::new(json!({}));
    let long = "c".repeat(9_000);
    for fields in [vec![], vec![("code", "")], vec![("code", long.as_str())], vec![("error", "no")]]
    {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let brought = PageRequest { fields, cookies: Vec::new() };
        let fault = OidcBrowser.evidence(&brought, scene.trip()).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unauthorized);
    }
}

#[test]
fn a_secret_stays_with_its_client_and_is_never_shown() {
    let scene = Scene::new(json!({}));
    let seal = |_: Kept| Ok(Kept::Sealed("c2VhbGVk".to_owned()));
    let plain = scene.settings(json!({}));
    let old = Oidc.with_secrets(&plain, &seal).unwrap().into_owned();
    assert!(old.contains("c2VhbGVk") && !old.contains("s3cret"));
    let none = json!({"client_secret": null});
    let kept = Oidc.replace(&old, scene.settings(none.clone())).unwrap();
    assert!(kept.contains("c2VhbGVk"));
    for (name, value) in [("issuer", "https://evil.example"), ("client_id", "other")] {
        let mut changed = none.clone();
        changed[name] = value.into();
        let new = Oidc.replace(&old, scene.settings(changed)).unwrap();
        assert!(!new.contains("c2VhbGVk"), "{name}: {new}");
    }
    for settings in [&plain, &old] {
        let shown = Oidc.show(settings).unwrap().content.to_string();
        assert!(!shown.contains("s3cret") && !shown.contains("c2VhbGVk"), "{shown}");
    }
}

#[test]
fn settings_that_lead_nowhere_are_refused() {
    let scene = Scene::new(json!({}));
    for more in [
        json!({"issuer": "http://idp.example"}),
        json!({"issuer": "https://u:p@idp.example"}),
        json!({"issuer": ""}),
        json!({"client_id": ""}),
        json!({"client_id": "a\nb"}),
        json!({"unique_identifier": ""}),
        json!({"required_scopes": ["a b"]}),
        json!({"client_secret": {"plain": ""}}),
        json!({"client_secret": {"plain": "x".repeat(5_000)}}),
        json!({"audience": "x".repeat(3_000)}),
    ] {
        let fault = Oidc.check(&scene.settings(more.clone())).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::BadRequest, "{more}");
    }
}
