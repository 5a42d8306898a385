//! Signing in with the credentials of clouds for which no server exists that checks them: what
//! answers here is a stub that says what their documentation says. What it cannot show is whether
//! the cloud takes the request; requests are made as the official cloud-id package makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::kit::answering::Answering;
use crate::kit::{Server, Site, next_second};

/// The form of a `cloud-id`.
fn cloud_id(method: &str, url: &str, headers: &Value) -> String {
    let form = json!({
        "sts_request_method": method,
        "sts_request_url": STANDARD.encode(url),
        "sts_request_body": "",
        "sts_request_headers": STANDARD.encode(headers.to_string()),
    });
    STANDARD.encode(form.to_string())
}

fn login(kind: &str, access_id: &str, cloud_id: &str) -> Value {
    json!({"access-type": kind, "access-id": access_id, "cloud-id": cloud_id})
}

#[track_caller]
fn claims(server: &Server, login: Value) -> Value {
    let answer = server.nobody().ok("auth", login);
    let api = server.nobody().with_token(answer["token"].as_str().unwrap());
    api.ok("describe-sub-claims", json!({}))["sub_claims"].take()
}

fn access_id(made: &Value) -> String {
    made["access_id"].as_str().unwrap().to_owned()
}

/// As the package spells a request, with a signature that the stub does not look at.
fn alibaba_url(sts: &str, nonce: &str) -> String {
    let at = SystemClock.now().rfc3339();
    let seconds = at.split(['.', 'Z']).next().unwrap().replace(':', "%3A");
    format!(
        "{sts}/?AccessKeyId=id&Action=GetCallerIdentity&Format=JSON&RegionId=cn-hangzhou&\
         Signature={nonce}%3D&SignatureMethod=HMAC-SHA1&SignatureNonce={nonce}&SignatureType=&\
         SignatureVersion=1.0&Timestamp={seconds}Z&Version=2015-04-01"
    )
}

#[test]
fn alibaba_identities_sign_in_once_for_each_request() {
    let stub = Answering::new(|line| match line.contains("SignatureNonce=refused") {
        true => (403, b"{\"Code\":\"SignatureDoesNotMatch\"}".to_vec()),
        false => {
            let arn = "acs:ram::1234567890123456:assumed-role/deploy/i-7";
            let answer = json!({"AccountId": "1234567890123456", "Arn": arn, "RoleId": "r",
                                "UserId": "r:i-7", "PrincipalId": "r:i-7", "RequestId": "x"});
            (200, answer.to_string().into_bytes())
        }
    });
    let site = Site::new();
    let server = site.start_with(&["--identity-loopback-http"]);
    next_second();
    let args = json!({"name": "/ali", "sts-url": stub.url, "bound-role-name": ["deploy"],
                      "bound-account-id": ["1234567890123456"]});
    let id = access_id(&server.admin().ok("auth-method-create-alicloud", args));
    let headers = json!({"X-Acs-Action": ["DeleteUser"], "Authorization": ["none of it"]});
    let good = cloud_id("POST", &alibaba_url(&stub.url, "n1"), &headers);
    let found = claims(&server, login("alicloud", &id, &good));
    assert_eq!(found["role_name"], json!(["deploy"]));
    // Headers are not signed here, so none of the client's went out.
    let asked = stub.asked().concat().to_ascii_lowercase();
    assert!(!asked.contains("deleteuser") && !asked.contains("none of it"), "{asked}");
    let before = stub.asked().len();
    let refused = |url: &str| {
        let attempt = login("alicloud", &id, &cloud_id("POST", url, &json!({})));
        server.nobody().refused(401, "auth", attempt);
    };
    let fresh = alibaba_url(&stub.url, "n2");
    refused(&fresh.replace("GetCallerIdentity", "AssumeRole"));
    refused(&fresh.replace("Timestamp=2", "Timestamp=1"));
    refused(&fresh.replace("127.0.0.1", "localhost"));
    refused(&format!("{fresh}&Action=AssumeRole"));
    assert_eq!(stub.asked().len(), before, "none of these may go out");
    server.nobody().refused(401, "auth", login("alicloud", &id, &good));
    refused(&alibaba_url(&stub.url, "refused"));
    claims(&server, login("alicloud", &id, &cloud_id("POST", &fresh, &json!({}))));
}

#[test]
fn huawei_tokens_sign_in_until_they_end() {
    let stub = Answering::new(|line| {
        let token = json!({"token": {
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "alice", "domain": {"id": "d", "name": "corp"}},
            "project": {"id": "p", "name": "eu"},
        }});
        match line.starts_with("GET /v3/auth/tokens ") {
            true => (200, token.to_string().into_bytes()),
            false => (404, b"{}".to_vec()),
        }
    });
    let site = Site::new();
    let server = site.start_with(&["--identity-loopback-http"]);
    next_second();
    let auth_url = format!("{}/v3", stub.url);
    let create = |name: &str, domain: &str| {
        let args = json!({"name": name, "auth-url": auth_url, "bound-domain-id": [domain]});
        access_id(&server.admin().ok("create-auth-method-huawei", args))
    };
    let (id, other) = (create("/huawei", "d"), create("/other", "another"));
    let headers = json!({"X-Auth-Token": ["t"], "X-Subject-Token": ["t"], "X-Other": ["dropped"]});
    let good = cloud_id("GET", &format!("{auth_url}/auth/tokens"), &headers);
    let found = claims(&server, login("huawei", &id, &good));
    assert_eq!((&found["tenant_id"], &found["user_name"]), (&json!(["p"]), &json!(["alice"])));
    assert!(!stub.asked().concat().contains("dropped"));
    server.nobody().refused(401, "auth", login("huawei", &other, &good));
    let before = stub.asked().len();
    for url in [format!("{auth_url}/users"), format!("{}/auth/tokens", stub.url)] {
        let attempt = cloud_id("GET", &url, &headers);
        server.nobody().refused(401, "auth", login("huawei", &id, &attempt));
    }
    let mut another = headers;
    another["X-Subject-Token"] = json!(["another"]);
    let attempt = cloud_id("GET", &format!("{auth_url}/auth/tokens"), &another);
    server.nobody().refused(401, "auth", login("huawei", &id, &attempt));
    assert_eq!(stub.asked().len(), before, "none of these may go out");
}
