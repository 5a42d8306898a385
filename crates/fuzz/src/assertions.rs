//! What gateways assert about bearers whom they alone can check.

use keysherd_authn::{CLAIMS_MAX, Entrant, VALUES_MAX, Web, folded};
use keysherd_base::{FaultKind, Timestamp};
use keysherd_crypto::jwt::JwtClaims;
use serde_json::{Value, json};

use crate::asserting::{ACCESS_ID, Login, PUBLIC_PEM, sign, world};

/// 2026-01-05T10:11:12Z
const NOW: Timestamp = Timestamp::from_seconds(1_767_607_872);
const LIFETIME_SECONDS: i64 = 60;
/// Whose wrong logins were looked at.
const PERSON: &str = "alice";
const SKEW_SECONDS: i64 = 60;

fn settings(kind: &str) -> String {
    let key = json!({"public": PUBLIC_PEM, "generated": true});
    match kind {
        "ldap" => json!({"unique_identifier": "users", "key": key}),
        _ => json!({
            "audience": null, "bound_namespaces": ["prod*"], "bound_accounts": [],
            "bound_pods": [], "key": key,
        }),
    }
    .to_string()
}

fn login<'a>(kind: &'static str, settings: &'a str, evidence: &'a str) -> Login<'a> {
    let admitted = Some(if kind == "ldap" { Entrant::Person(PERSON) } else { Entrant::Machine });
    Login { kind, settings, access_id: ACCESS_ID, admitted, evidence, now: NOW }
}

/// Presents the bytes as they are, and signed by a gateway that has the method's key and may be
/// anybody's: the first lets nobody in. The second lets in once, at the method it was made for,
/// who is in bounds and in time.
pub fn assertions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for kind in ["k8s", "ldap"] {
        let settings = settings(kind);
        let outcome = login(kind, &settings, text).verify(&world(Web::default(), NOW));
        assert_eq!(outcome.map_err(|fault| fault.kind()), Err(FaultKind::Unauthorized), "{kind}");
    }
    let Ok(Value::Object(claims)) = serde_json::from_str::<Value>(text) else { return };
    let evidence = sign(&claims);
    for kind in ["k8s", "ldap"] {
        signed(kind, &claims, &evidence);
    }
}

fn signed(kind: &'static str, claims: &JwtClaims, evidence: &str) {
    let settings = settings(kind);
    let world = world(Web::default(), NOW);
    let this = login(kind, &settings, evidence);
    let identity = match this.verify(&world) {
        Ok(identity) => identity,
        Err(refused) => {
            let expected = [FaultKind::Unauthorized, FaultKind::Unavailable];
            assert!(expected.contains(&refused.kind()), "{refused:?}");
            return;
        }
    };
    assert_eq!(claims["iss"], "keysherd-gateway");
    let audience = format!("keysherd:{kind}:{ACCESS_ID}");
    assert!(claims["aud"] == json!(audience), "{}", claims["aud"]);
    let at = |name: &str| claims[name].as_i64().expect("a time that counts is a number");
    let (made, ends) = (at("iat"), at("exp"));
    assert!((1..=LIFETIME_SECONDS).contains(&(ends - made)));
    assert!((made..ends).contains(&NOW.seconds()) || (made - NOW.seconds()) <= SKEW_SECONDS);
    assert!(NOW.seconds() < ends + SKEW_SECONDS);
    assert!(identity.claims.0.len() <= CLAIMS_MAX);
    assert!(identity.claims.0.values().all(|values| values.len() <= VALUES_MAX));
    assert!(!identity.unique_id.is_empty());
    match kind {
        "k8s" => {
            let namespaces = identity.claims.values("namespace");
            assert!(namespaces.iter().any(|namespace| namespace.starts_with("prod")));
            assert_eq!(identity.claims.values("for_api_server"), ["true"]);
            assert_eq!(claims["unique_id"], json!(identity.unique_id));
        }
        _ => assert_eq!(folded(&identity.unique_id), PERSON, "another person's locks count"),
    }
    let unasked = Login { admitted: None, ..this };
    let fresh = || crate::asserting::world(Web::default(), NOW);
    assert!(unasked.verify(&fresh()).is_err(), "nobody asked the guard");
    let again = this.verify(&world).map_err(|fault| fault.kind());
    assert_eq!(again, Err(FaultKind::Unauthorized), "a replay");
    let elsewhere = Login { access_id: "p-bbbbbbbbbbbbbb", ..this };
    assert!(elsewhere.verify(&fresh()).is_err(), "it was made for another method");
    let (body, signature) = evidence.rsplit_once('.').expect("a token has three parts");
    let changed = format!("{body}.{}{}", &signature[1..], &signature[..1]);
    assert!(changed == evidence || login(kind, &settings, &changed).verify(&fresh()).is_err());
}

fn body(kind: &str, claims: &Value) -> Value {
    json!({
        "iss": "keysherd-gateway", "aud": format!("keysherd:{kind}:{ACCESS_ID}"),
        "iat": NOW.seconds(), "exp": NOW.seconds() + LIFETIME_SECONDS, "jti": "one",
        "made": NOW, "unique_id": "one", "claims": claims,
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let pod = json!({
        "for_api_server": ["true"], "namespace": ["prod"], "service_account_name": ["app"],
        "aud": ["https://kubernetes.default.svc"],
    });
    let k8s = body("k8s", &pod);
    let ldap = body("ldap", &json!({"users": ["alice"], "dn": ["uid=alice"], "groups": ["dev"]}));
    let mut early = k8s.clone();
    early["iat"] = json!(i64::MAX);
    let signed = sign(k8s.as_object().expect("invariant: a body is an object"));
    [k8s.to_string(), ldap.to_string(), early.to_string(), signed[..signed.len() - 4].to_owned()]
        .map(String::into_bytes)
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_honest_ones_are_let_in() {
        for (kind, seed) in ["k8s", "ldap"].into_iter().zip(seeds()) {
            let claims: JwtClaims = serde_json::from_slice(&seed).unwrap();
            let evidence = sign(&claims);
            let settings = settings(kind);
            login(kind, &settings, &evidence).verify(&world(Web::default(), NOW)).unwrap();
        }
    }
}
