//! A stand-in for a cluster's API server; `real` compares its answers with those of a real one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::kit::Asked;
pub(super) use crate::kit::kube::REVIEWS;

/// What the API server's own audience is.
pub(super) const OWN_AUDIENCE: &str = "https://kubernetes.default.svc";
/// The token that may ask for reviews.
pub(super) const REVIEWER: &str = "cmV2aWV3ZXI.b2Y.cmV2aWV3cw";

/// A token with these claims; nobody but the stand-in says whether it is good.
pub(super) fn token(claims: &Value) -> String {
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("{}.{claims}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#))
}

/// The token of a pod's service account, as projected.
pub(super) fn pod_token(namespace: &str, account: &str, audience: &str) -> String {
    let pod = format!("{account}-7d9f-x");
    token(&json!({
        "iss": OWN_AUDIENCE, "aud": [audience], "exp": 4_000_000_000_u64, "jti": "token-id",
        "sub": format!("system:serviceaccount:{namespace}:{account}"),
        "kubernetes.io": {
            "namespace": namespace, "pod": {"name": pod, "uid": "pod-uid"},
            "serviceaccount": {"name": account, "uid": "account-uid"},
        },
    }))
}

/// The header of a token.
pub(super) fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token.
pub(super) fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// What the stand-in answers.
pub(super) fn review(known: &[String], asked: &Asked) -> (u16, Value) {
    if asked.header("authorization") != Some(&format!("Bearer {REVIEWER}")) {
        let refusal = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
        });
        return (401, refusal);
    }
    assert_eq!(asked.line, format!("POST {REVIEWS}"));
    let mut review = asked.json();
    review["status"] = status(known, &review["spec"]);
    (201, review)
}

/// The verdict: it believes the claims of the tokens it knows.
pub(super) fn status(known: &[String], spec: &Value) -> Value {
    let token = spec["token"].as_str().unwrap();
    if !known.iter().any(|one| one == token) {
        return json!({"user": {}, "error": "[invalid bearer token, unknown]"});
    }
    let claims = claims(token);
    let own = vec![json!(OWN_AUDIENCE)];
    let wanted = spec["audiences"].as_array().cloned().unwrap_or(own);
    let held = claims["aud"].as_array().cloned().unwrap_or_default();
    let both: Vec<Value> = wanted.into_iter().filter(|name| held.contains(name)).collect();
    if both.is_empty() {
        return json!({"user": {}, "error": "[invalid bearer token, token audiences are invalid]"});
    }
    let bound = &claims["kubernetes.io"];
    let mut extra = json!({});
    let mut add = |name: &str, value: &Value| {
        if !value.is_null() {
            extra[format!("authentication.kubernetes.io/{name}")] = json!([value]);
        }
    };
    for kind in ["node", "pod"] {
        for part in ["name", "uid"] {
            add(&format!("{kind}-{part}"), &bound[kind][part]);
        }
    }
    if let Some(id) = claims["jti"].as_str() {
        add("credential-id", &json!(format!("JTI={id}")));
    }
    let mut user = json!({"username": claims["sub"], "groups": groups(&claims)});
    for (name, value) in [("uid", &bound["serviceaccount"]["uid"]), ("extra", &extra)] {
        if !value.is_null() && *value != json!({}) {
            user[name] = value.clone();
        }
    }
    json!({"authenticated": true, "user": user, "audiences": both})
}

fn groups(claims: &Value) -> Value {
    let namespace = claims["kubernetes.io"]["namespace"].as_str().unwrap_or_default();
    json!([
        "system:serviceaccounts",
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated",
    ])
}
