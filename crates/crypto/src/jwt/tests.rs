//! Tokens of every accepted kind, and those that must not count.

use rcgen::CertificateParams;
use serde_json::{Value, json};

use super::*;

#[path = "../../tests/tokens/mod.rs"]
mod tokens;

use tokens::{TokenKey, key_set, sign_hs256, unsigned};

const NOW: i64 = 1_800_000_000;
const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

fn expected() -> Expected<'static> {
    Expected {
        issuers: &["https://idp.example"],
        audiences: &["vault", "safe"],
        now: Timestamp::from_seconds(NOW),
        skew_seconds: 60,
    }
}

fn claims() -> Value {
    json!({"iss": "https://idp.example", "aud": "vault", "sub": "alice", "exp": NOW + 600})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn keys(of: &[&TokenKey]) -> JwtKeys {
    JwtKeys::from_key_set(&key_set(of)).unwrap()
}

#[test]
fn every_algorithm_counts_with_its_own_kind_of_key_only() {
    let all: Vec<_> = ALGORITHMS.iter().map(|name| TokenKey::new(name, name)).collect();
    let set = keys(&all.iter().collect::<Vec<_>>());
    for (name, key) in ALGORITHMS.iter().zip(&all) {
        let token = key.sign(&claims());
        assert_eq!(verify(&token, &set, &expected()).unwrap()["sub"], "alice", "{name}");
        let by_pem = JwtKeys::from_public_pem(&key.public_pem()).unwrap();
        assert!(verify(&token, &by_pem, &expected()).is_ok(), "{name}");
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        let unnamed = JwtKeys::from_key_set(&json!({"keys": [jwk]}).to_string()).unwrap();
        for other in ALGORITHMS.iter().filter(|other| *other != name) {
            // The same key says another algorithm, with the id of its own or of the other.
            for id in [name, other] {
                let header = json!({"alg": other, "kid": id}).to_string();
                let forged = key.sign_as(&header, &claims().to_string());
                for set in [&set, &by_pem, &unnamed] {
                    let refused = verify(&forged, set, &expected()).unwrap_err();
                    let known = [JwtRefused::UnknownKey, JwtRefused::Signature];
                    assert!(known.contains(&refused), "{name} as {other}: {refused:?}");
                }
            }
        }
    }
}

#[test]
fn a_key_with_an_algorithm_of_its_own_signs_no_other() {
    let key = TokenKey::new("RS256", "k");
    let (set, by_pem) = (keys(&[&key]), JwtKeys::from_public_pem(&key.public_pem()).unwrap());
    let header = json!({"alg": "RS512", "kid": "k"}).to_string();
    // The header lies about the signature, which is one of RS256.
    let forged = key.sign_as(&header, &claims().to_string());
    assert_eq!(verify(&forged, &set, &expected()), Err(JwtRefused::UnknownKey));
    assert_eq!(verify(&forged, &by_pem, &expected()), Err(JwtRefused::UnknownKey));
}

#[test]
fn no_signature_and_shared_secrets_do_not_exist() {
    for name in ["RS256", "ES256", "EdDSA"] {
        let key = TokenKey::new(name, "k");
        let set = keys(&[&key]);
        let body = claims().to_string();
        for none in ["none", "None", "NONE", "nOnE", "", "HS256 ", "RS256\0", "ES512", "ES256K"] {
            let header = json!({"alg": none, "kid": "k"}).to_string();
            for signature in ["", "AAAA"] {
                let token = format!("{}.{signature}", unsigned(&header, &body));
                assert_eq!(verify(&token, &set, &expected()), Err(JwtRefused::Algorithm));
            }
        }
        let pem = key.public_pem();
        let secrets = [pem.clone(), pem.trim().to_owned(), key.jwk().to_string(), String::new()];
        for secret in secrets {
            let header = json!({"alg": "HS256", "kid": "k"}).to_string();
            let token = sign_hs256(&header, &body, secret.as_bytes());
            assert_eq!(verify(&token, &set, &expected()), Err(JwtRefused::Algorithm));
            // As if it were a signature of the key's own kind.
            let header = json!({"alg": name, "kid": "k"}).to_string();
            let token = sign_hs256(&header, &body, secret.as_bytes());
            assert_eq!(verify(&token, &set, &expected()), Err(JwtRefused::Signature));
        }
    }
}

#[test]
fn headers_that_bring_keys_along_are_not_looked_at() {
    let (good, evil) = (TokenKey::new("ES256", "k"), TokenKey::new("ES256", "k"));
    let set = keys(&[&good]);
    let alone = CertificateParams::new(Vec::new()).unwrap().self_signed(evil.pair()).unwrap();
    let der = base64::engine::general_purpose::STANDARD.encode(alone.der());
    for (name, value) in [
        ("jwk", evil.jwk()),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!([der])),
    ] {
        for id in ["k", "evil"] {
            let mut header = json!({"alg": "ES256", "kid": id});
            header[name] = value.clone();
            let forged = evil.sign_as(&header.to_string(), &claims().to_string());
            assert!(verify(&forged, &set, &expected()).is_err(), "{name}");
            header["kid"] = "k".into();
            let honest = good.sign_as(&header.to_string(), &claims().to_string());
            assert!(verify(&honest, &set, &expected()).is_ok(), "{name}");
        }
    }
}

#[test]
fn key_ids_are_compared_and_nothing_else() {
    let key = TokenKey::new("ES256", "k1");
    let set = keys(&[&key]);
    let sign = |header: Value| key.sign_as(&header.to_string(), &claims().to_string());
    for id in [
        "../../etc/passwd",
        "/dev/null",
        "k1' OR '1'='1",
        "k1; -- ",
        "k1\0",
        "K1",
        " k1",
        "https://evil.example/keys",
        "",
        &"k".repeat(20_000),
    ] {
        let token = sign(json!({"alg": "ES256", "kid": id}));
        assert_eq!(verify(&token, &set, &expected()), Err(JwtRefused::UnknownKey), "{id:.30}");
    }
    for id in [json!(1), json!(["k1"]), json!({"k1": 1}), Value::Null] {
        let token = sign(json!({"alg": "ES256", "kid": id}));
        assert_eq!(verify(&token, &set, &expected()), Err(JwtRefused::Malformed), "{id}");
    }
    assert!(verify(&sign(json!({"alg": "ES256"})), &set, &expected()).is_ok());
    let other = TokenKey::new("ES256", "k1");
    let token = other.sign_as(r#"{"alg":"ES256"}"#, &claims().to_string());
    assert_eq!(verify(&token, &set, &expected()), Err(JwtRefused::UnknownKey));
    assert_eq!(verify(&other.sign(&claims()), &set, &expected()), Err(JwtRefused::Signature));
}

#[test]
fn claims_are_checked_one_by_one() {
    let key = TokenKey::new("ES256", "k");
    let set = keys(&[&key]);
    let check = |claims: &Value| verify(&key.sign(claims), &set, &expected()).err();
    assert_eq!(check(&claims()), None);
    for (name, value, refused) in [
        ("exp", json!(NOW - 60), Some(JwtRefused::Expired)),
        ("exp", json!(NOW - 59), None),
        ("exp", json!(NOW as f64 + 0.5), None),
        ("exp", Value::Null, Some(JwtRefused::Expired)),
        ("exp", json!("2099-01-01"), Some(JwtRefused::Malformed)),
        ("exp", json!([NOW + 600]), Some(JwtRefused::Malformed)),
        ("exp", json!(i64::MAX), None),
        ("exp", json!(-1e300), Some(JwtRefused::Expired)),
        ("nbf", json!(NOW + 61), Some(JwtRefused::NotYetValid)),
        ("nbf", json!(NOW + 60), None),
        ("nbf", json!(i64::MAX), Some(JwtRefused::NotYetValid)),
        ("iat", json!(NOW + 61), Some(JwtRefused::NotYetValid)),
        ("iss", json!("https://idp.example/"), Some(JwtRefused::Issuer)),
        ("iss", json!("https://IDP.example"), Some(JwtRefused::Issuer)),
        ("iss", json!(["https://idp.example"]), Some(JwtRefused::Issuer)),
        ("iss", Value::Null, Some(JwtRefused::Issuer)),
        ("aud", json!("safe"), None),
        ("aud", json!(["other", "safe"]), None),
        ("aud", json!("vault2"), Some(JwtRefused::Audience)),
        ("aud", json!([]), Some(JwtRefused::Audience)),
        ("aud", json!([["vault"]]), Some(JwtRefused::Audience)),
        ("aud", json!("vault,safe"), Some(JwtRefused::Audience)),
        ("aud", Value::Null, Some(JwtRefused::Audience)),
    ] {
        assert_eq!(check(&with(name, value.clone())), refused, "{name} {value}");
    }
    for missing in ["exp", "iss", "aud"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        assert!(check(&claims).is_some(), "{missing}");
    }
}

#[test]
fn tokens_that_could_mean_two_things_are_refused() {
    let key = TokenKey::new("ES256", "k");
    let set = keys(&[&key]);
    let header = r#"{"alg":"ES256","kid":"k"}"#;
    let body = claims().to_string();
    let check = |header: &str, body: &str| verify(&key.sign_as(header, body), &set, &expected());
    assert!(check(header, &body).is_ok());
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let also = |more: &str| format!("{},{more}}}", body.trim_end_matches('}'));
    assert!(check(header, &also(&format!("\"deep\":{}", deep(14)))).is_ok());
    for bad in [
        also(r#""sub":"bob""#),
        also(r#""x":{"a":1,"a":2}"#),
        also(r#""x":[{"a":1,"a":2}]"#),
        also(&format!("\"deep\":{}", deep(17))),
        also(&format!("\"deep\":{}", deep(5_000))),
        format!("{body} 1"),
        format!("{body}{body}"),
        format!("[{body}]"),
        String::new(),
        "null".to_owned(),
    ] {
        assert_eq!(check(header, &bad), Err(JwtRefused::Malformed), "{bad:.80}");
    }
    for bad in [
        r#"{"alg":"ES256","kid":"k","crit":["exp"],"exp":1}"#,
        r#"{"alg":"ES256","kid":"k","crit":[]}"#,
        r#"{"alg":"ES256","kid":"k","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"none","alg":"ES256","kid":"k"}"#,
        r#"{"alg":"ES256","alg":"none","kid":"k"}"#,
        r#"{"alg":["ES256"],"kid":"k"}"#,
        r#"["ES256"]"#,
    ] {
        assert_eq!(check(bad, &body), Err(JwtRefused::Malformed), "{bad}");
    }
    assert_eq!(check(r#"{"kid":"k"}"#, &body), Err(JwtRefused::Algorithm));
}

#[test]
fn tokens_of_another_form_are_refused() {
    let key = TokenKey::new("ES256", "k");
    let set = keys(&[&key]);
    let good = key.sign(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{good}."),
        format!(".{good}"),
        format!("{good} "),
        format!("{good}="),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}..{}", parts[0], parts[2]),
        format!("{good}.{}.{}", parts[1], parts[2]),
        good.replace('.', "\n."),
        "x".repeat(JWT_BYTES_MAX + 1),
        key.sign(&with("long", "x".repeat(JWT_BYTES_MAX).into())),
    ] {
        assert!(verify(&bad, &set, &expected()).is_err(), "{bad:.80}");
    }
    let almost = key.sign(&with("long", "x".repeat(JWT_BYTES_MAX / 2).into()));
    assert!(verify(&almost, &set, &expected()).is_ok());
    // Every part is signed.
    let other = key.sign(&with("sub", "bob".into()));
    let mixed = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
    assert_eq!(verify(&mixed, &set, &expected()), Err(JwtRefused::Signature));
    assert_eq!(glance(&mixed), Ok(()));
}

#[test]
fn key_sets_are_read_key_by_key() {
    let good = TokenKey::new("ES256", "good");
    let set = |keys: Vec<Value>| JwtKeys::from_key_set(&json!({ "keys": keys }).to_string());
    let mut encryption = good.jwk();
    encryption["use"] = "enc".into();
    let mut unknown = good.jwk();
    unknown["alg"] = "ES256K".into();
    let short = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"});
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "HS256"});
    let strange = vec![encryption, unknown, short, secret, json!({"kty": "AKP"}), json!(1)];
    for key in &strange {
        assert!(set(vec![key.clone()]).is_err(), "{key}");
    }
    let mixed = set(strange.into_iter().chain([good.jwk()]).collect()).unwrap();
    assert!(verify(&good.sign(&claims()), &mixed, &expected()).is_ok());
    assert!(set(vec![good.jwk(); KEYS_MAX]).is_ok());
    assert!(set(vec![good.jwk(); KEYS_MAX + 1]).is_err());
    assert!(JwtKeys::from_key_set(&" ".repeat(KEY_SET_BYTES_MAX + 1)).is_err());
    for bad in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#, r#"{"keys":[],"keys":[]}"#] {
        assert!(JwtKeys::from_key_set(bad).is_err(), "{bad}");
    }
}

#[test]
fn certificates_give_their_key() {
    for name in ["RS256", "ES256", "ES384", "EdDSA"] {
        let (key, other) = (TokenKey::new(name, "k"), TokenKey::new(name, "k"));
        let params = CertificateParams::new(Vec::new()).unwrap();
        let pem = params.self_signed(key.pair()).unwrap().pem();
        let keys = JwtKeys::from_certificate_pem(&pem).unwrap();
        assert!(verify(&key.sign(&claims()), &keys, &expected()).is_ok(), "{name}");
        assert!(verify(&other.sign(&claims()), &keys, &expected()).is_err(), "{name}");
        assert!(JwtKeys::from_certificate_pem(&key.public_pem()).is_err());
    }
    assert!(JwtKeys::from_certificate_pem("").is_err());
}
