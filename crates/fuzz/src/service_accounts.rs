//! Tokens of Kubernetes service accounts, and what an API server says about them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keysherd_authn::outside::{service_account_token, token_review};
use keysherd_base::{FaultKind, Secret};
use serde_json::{Value, json};

/// A token in the first line, and behind it the body that a review of it was answered with.
///
/// A token is taken in one of two spellings, never changed on the way, and whoever it is said to
/// be is named as Kubernetes names accounts: what the API server did not say is not believed.
pub fn service_accounts(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (token, answer) = data.split_at(at);
    let Ok(text) = std::str::from_utf8(token) else { return };
    let Some(token) = service_account_token(&Secret::new(text.to_owned())) else { return };
    assert_eq!(token.expose().split('.').count(), 3);
    assert!(token.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    for spelling in [token.expose().clone(), STANDARD.encode(token.expose())] {
        let again = service_account_token(&Secret::new(spelling));
        assert_eq!(again.map(|token| token.expose().clone()).as_ref(), Some(token.expose()));
    }
    match token_review(&token, answer) {
        Ok(identity) => {
            // Texts that nobody looks at may be anything.
            let answer = String::from_utf8_lossy(answer);
            let said: Value = serde_json::from_str(&answer).expect("it was read as JSON");
            assert_eq!(said["status"]["authenticated"], true);
            let parts: Vec<&str> = identity.unique_id.split('/').collect();
            let [_, namespace, account] = parts[..] else { panic!("{}", identity.unique_id) };
            let name = format!("system:serviceaccount:{namespace}:{account}");
            assert_eq!(said["status"]["user"]["username"], json!(name));
            assert_eq!(identity.claims.values("namespace"), [namespace]);
            assert_eq!(identity.claims.values("service_account_name"), [account]);
            assert!(identity.claims.values("aud").len() <= 32);
        }
        Err(refused) => {
            let expected = [FaultKind::Unauthorized, FaultKind::Unavailable];
            assert!(expected.contains(&refused.kind()), "{refused:?}");
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let claims = json!({
        "iss": "https://kubernetes.default.svc", "aud": ["a", "b"], "exp": 1_767_607_872_i64,
        "kubernetes.io": {"namespace": "prod", "pod": {"name": "p", "uid": "u"},
                          "serviceaccount": {"name": "app", "uid": "u"}},
    });
    let old = json!({"iss": "kubernetes/serviceaccount",
                     "kubernetes.io/serviceaccount/secret.name": "app-token"});
    let token = |claims: &Value| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let api = "authentication.k8s.io/v1";
    let review =
        |status: Value| json!({"kind": "TokenReview", "apiVersion": api, "status": status});
    let good = review(json!({
        "authenticated": true, "audiences": ["a"],
        "user": {"username": "system:serviceaccount:prod:app", "uid": "1",
                 "groups": ["system:serviceaccounts"],
                 "extra": {"authentication.kubernetes.io/pod-name": ["p"],
                           "authentication.kubernetes.io/node-name": ["n"]}},
    }));
    let person = review(json!({"authenticated": true, "user": {"username": "alice"}}));
    let bad = review(json!({"user": {}, "error": "invalid bearer token"}));
    let wrapped = STANDARD.encode(token(&old));
    [(token(&claims), &good), (wrapped, &good), (token(&old), &person), (token(&claims), &bad)]
        .map(|(token, answer)| format!("{token}\n{answer}").into_bytes())
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_honest_ones_are_named() {
        let seed = &seeds()[0];
        let at = seed.iter().position(|byte| *byte == b'\n').unwrap();
        let token = Secret::new(String::from_utf8(seed[..at].to_vec()).unwrap());
        let identity = token_review(&token, &seed[at..]).unwrap();
        assert_eq!(identity.unique_id, "cluster/prod/app");
    }
}
