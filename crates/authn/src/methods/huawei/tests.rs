//! Settings, the question, and answers as the identity API documents them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

fn request(method: &str, url: &str, headers: &str) -> Result<SignedRequest, Why> {
    let form = json!({
        "sts_request_method": method,
        "sts_request_url": STANDARD.encode(url),
        "sts_request_body": "",
        "sts_request_headers": STANDARD.encode(headers),
    });
    SignedRequest::read(&STANDARD.encode(form.to_string()))
}

#[test]
fn only_a_question_about_ones_own_token_goes_out() {
    let own = r#"{"X-Auth-Token": ["t"], "X-Subject-Token": ["t"]}"#;
    let url = "https://iam.myhwclouds.com/v3/auth/tokens";
    let checked = |method, url, headers| check(&request(method, url, headers)?, DEFAULT_AUTH_URL);
    checked("GET", url, own).unwrap();
    for (method, url, headers) in [
        ("POST", url, own),
        ("DELETE", url, own),
        ("GET", "https://iam.myhwclouds.com/v3/users", own),
        ("GET", "https://iam.myhwclouds.com/v3/auth/tokens?nocatalog=1", own),
        ("GET", "https://iam.evil.example/v3/auth/tokens", own),
        ("GET", "https://iam.myhwclouds.com:8443/v3/auth/tokens", own),
        ("GET", url, r#"{"X-Auth-Token": ["t"], "X-Subject-Token": ["another"]}"#),
        ("GET", url, r#"{"X-Subject-Token": ["t"]}"#),
        ("GET", url, "{}"),
    ] {
        assert!(checked(method, url, headers).is_err(), "{method} {url} {headers}");
    }
}

#[test]
fn answers_say_who_it_is_and_until_when() {
    let mut answer = json!({"token": {
        "expires_at": "2026-11-23T03:00:00.000000Z", "methods": ["password"],
        "user": {"id": "u", "name": "alice", "domain": {"id": "d", "name": "corp"}},
        "project": {"id": "p", "name": "eu", "domain": {"id": "d", "name": "corp"}},
    }});
    let (claims, ends) = token(answer.to_string().as_bytes()).unwrap();
    for (claim, value) in CLAIMS.iter().zip(["d", "corp", "p", "eu", "u", "alice"]) {
        assert_eq!(claims.values(claim), [value], "{claim}");
    }
    assert_eq!(ends.rfc3339(), "2026-11-23T03:00:00Z");
    answer["token"]["expires_at"] = "tomorrow".into();
    assert!(token(answer.to_string().as_bytes()).is_err());
    assert!(token(b"{}").is_err());
}

#[test]
fn settings_bind_something_that_nobody_else_can_have() {
    let settings = |place: usize, value: &str| {
        let mut bounds: [Vec<String>; 6] = Default::default();
        bounds[place].push(value.to_owned());
        let settings = Settings { auth_url: DEFAULT_AUTH_URL.to_owned(), bounds };
        Huawei.check(&serde_json::to_string(&settings).unwrap()).is_ok()
    };
    assert!(settings(0, "d") && settings(2, "p*") && settings(4, "u"));
    assert!(!settings(0, "*") && !settings(1, "corp") && !settings(5, "alice") && !settings(4, ""));
}
