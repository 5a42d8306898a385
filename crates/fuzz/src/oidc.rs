//! OpenID Connect: what bearers bring, and what the provider answers.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keysherd_authn::Identity;
use keysherd_base::{Fault, FaultKind, Timestamp};
use keysherd_crypto::jwt::JwtClaims;
use serde_json::{Value, json};

use crate::asserting::{ACCESS_ID, Login, key_set, sign, world};
use crate::stand_in::StandIn;

/// 2026-01-05T10:11:12Z
const NOW: Timestamp = Timestamp::from_seconds(1_767_607_872);
const SKEW_SECONDS: i64 = 60;
const CLIENT: &str = "keysherd";
const NONCE: &str = "0123456789abcdef0123456789abcdef";
/// Stands for the provider's address, which is another one in each run.
const ISSUER: &str = "https://issuer";

thread_local! {
    static PROVIDER: LazyLock<StandIn> = LazyLock::new(StandIn::start);
}

/// Behind a first byte that chooses the way:
///
/// - 0: the bytes are evidence as a gateway sends it, which lets nobody in;
/// - 1: they are the claims of an ID token that the provider signed and a bearer brought;
/// - 2: they are its claims, and it is what the provider gives for a browser's code;
/// - 3: they are all that the provider answers to the code;
/// - 4: they are its document about itself; 5: its keys.
///
/// Who comes in has a token of the provider, for this client, in time, and, by the browser, with
/// the nonce it left with; the unique id is the whole text of the claim.
pub fn oidc(data: &[u8]) {
    let Some((way, rest)) = data.split_first() else { return };
    PROVIDER.with(|provider| match way % 6 {
        0 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            provider.answer(pages(provider, None));
            refuse(present(provider, text));
        }
        1 => if_claims(provider, rest, |claims| {
            provider.answer(pages(provider, None));
            let token = json!({ "token": sign(claims) }).to_string();
            check(claims, present(provider, &token), false);
        }),
        2 => if_claims(provider, rest, |claims| {
            let answer = json!({ "id_token": sign(claims) }).to_string();
            provider.answer(pages(provider, Some(answer.into_bytes())));
            check(claims, present(provider, &code(provider)), true);
        }),
        3 => {
            provider.answer(pages(provider, Some(rest.to_vec())));
            refuse(present(provider, &code(provider)));
        }
        page => {
            let mut pages = pages(provider, None);
            let text = String::from_utf8_lossy(rest).replace(ISSUER, &provider.url);
            pages[usize::from(page - 4)].1 = text.into_bytes();
            provider.answer(pages);
            let token = json!({ "token": sign(&good(provider)) }).to_string();
            if let Err(refused) = present(provider, &token) {
                expected(&refused);
            }
        }
    });
}

/// What the provider answers: its document, its keys, and a token for a code.
fn pages(provider: &StandIn, token: Option<Vec<u8>>) -> Vec<(&'static str, Vec<u8>)> {
    let document = document().replace(ISSUER, &provider.url);
    let mut pages = vec![
        ("/.well-known/openid-configuration", document.into_bytes()),
        ("/keys", key_set().to_string().into_bytes()),
    ];
    pages.extend(token.map(|token| ("/token", token)));
    pages
}

fn document() -> String {
    json!({
        "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/keys"),
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
    })
    .to_string()
}

fn code(provider: &StandIn) -> String {
    json!({"code": {
        "code": "c", "issuer": provider.url, "callback": "https://gw.example/login/callback",
        "nonce": NONCE, "verifier": "v",
    }})
    .to_string()
}

fn present(provider: &StandIn, evidence: &str) -> Result<Identity, Fault> {
    let settings = json!({
        "unique_identifier": "sub", "issuer": provider.url, "client_id": CLIENT,
        "client_secret": {"plain": "s"}, "audience": null, "required_scopes": [],
        "required_scopes_prefix": "", "allowed_redirect_uris": [],
    })
    .to_string();
    let login = Login {
        kind: "oidc",
        settings: &settings,
        access_id: ACCESS_ID,
        admitted: None,
        evidence,
        now: NOW,
    };
    login.verify(&world(StandIn::web(), NOW))
}

/// The claims in the bytes, of the provider as it is called in this run.
fn if_claims(provider: &StandIn, bytes: &[u8], then: impl Fn(&JwtClaims)) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(Value::Object(claims)) = serde_json::from_str(&text.replace(ISSUER, &provider.url)) {
        then(&claims);
    }
}

fn expected(refused: &Fault) {
    let kinds = [FaultKind::Unauthorized, FaultKind::Unavailable];
    assert!(kinds.contains(&refused.kind()), "{refused:?}");
}

fn refuse(outcome: Result<Identity, Fault>) {
    expected(&outcome.expect_err("nobody may come in"));
}

fn check(claims: &JwtClaims, outcome: Result<Identity, Fault>, browser: bool) {
    let identity = match outcome {
        Ok(identity) => identity,
        Err(refused) => return expected(&refused),
    };
    let seconds = |name: &str| claims[name].as_f64().expect("a time that counts is a number");
    #[expect(clippy::cast_precision_loss, reason = "exact for some hundred million years")]
    let (now, skew) = (NOW.seconds() as f64, SKEW_SECONDS as f64);
    assert!(seconds("exp") + skew >= now);
    assert!(!claims.contains_key("nbf") || seconds("nbf") <= now + skew);
    let ours = |audience: &Value| audience == CLIENT;
    let (one, several) = (ours(&claims["aud"]), claims["aud"].as_array());
    assert!(one || several.is_some_and(|all| all.iter().any(ours)), "{}", claims["aud"]);
    let party = claims.get("azp").map(|party| party == CLIENT);
    let alone = several.is_none_or(|all| all.len() == 1);
    assert!(party.unwrap_or(alone), "another party's token");
    assert!(!browser || claims["nonce"] == NONCE);
    match &claims["sub"] {
        Value::String(text) => assert_eq!(*text, identity.unique_id),
        other => assert!(!other.is_null() && !identity.unique_id.is_empty()),
    }
}

/// Claims of somebody who may come in.
fn good(provider: &StandIn) -> JwtClaims {
    let Value::Object(claims) = claims(&provider.url) else { return JwtClaims::new() };
    claims
}

fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": CLIENT, "sub": "alice,x", "nonce": NONCE,
        "iat": NOW.seconds(), "exp": NOW.seconds() + 300, "groups": ["a", "b"],
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let good = claims(ISSUER);
    let mut several = good.clone();
    several["aud"] = json!([CLIENT, "other"]);
    several["azp"] = json!(CLIENT);
    let evidence = json!({"code": {
        "code": "c", "issuer": ISSUER, "callback": "https://gw.example/login/callback",
        "nonce": NONCE, "verifier": "v",
    }});
    let foreign = URL_SAFE_NO_PAD.encode(good.to_string());
    let foreign = json!({ "token": format!("eyJhbGciOiJub25lIn0.{foreign}.") });
    let answer = json!({"id_token": "e30.e30.c2ln", "scope": "openid", "token_type": "Bearer"});
    let with = |way: u8, text: String| [&[way], text.as_bytes()].concat();
    vec![
        with(0, evidence.to_string()),
        with(0, foreign.to_string()),
        with(1, good.to_string()),
        with(1, several.to_string()),
        with(2, good.to_string()),
        with(3, answer.to_string()),
        with(4, document()),
        with(5, key_set().to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_honest_ones_are_let_in() {
        PROVIDER.with(|provider| {
            let claims = good(provider);
            provider.answer(pages(provider, None));
            let token = json!({ "token": sign(&claims) }).to_string();
            assert_eq!(present(provider, &token).unwrap().unique_id, "alice,x");
            let answer = json!({ "id_token": sign(&claims) }).to_string();
            provider.answer(pages(provider, Some(answer.into_bytes())));
            assert_eq!(present(provider, &code(provider)).unwrap().unique_id, "alice,x");
        });
    }
}
