//! Requests as the official package makes them, altered ones, and answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_795_316_400);

fn request(method: &str, url: &str, body: &str) -> Result<SignedRequest, Why> {
    let form = json!({
        "sts_request_method": method,
        "sts_request_url": STANDARD.encode(url),
        "sts_request_body": STANDARD.encode(body),
        "sts_request_headers": STANDARD.encode(r#"{"X-Acs-Action":["DeleteUser"]}"#),
    });
    SignedRequest::read(&STANDARD.encode(form.to_string()))
}

/// As the package spells it.
fn url() -> String {
    let at = NOW.rfc3339().replace(':', "%3A");
    format!(
        "https://sts.aliyuncs.com/?AccessKeyId=id&Action=GetCallerIdentity&Format=JSON&\
         RegionId=cn-hangzhou&SecurityToken=a%2Fb%3D&Signature=c2ln%3D&\
         SignatureMethod=HMAC-SHA1&SignatureNonce=n&SignatureType=&SignatureVersion=1.0&\
         Timestamp={at}&Version=2015-04-01"
    )
}

fn checked(method: &str, url: &str, body: &str) -> Result<(String, Timestamp), Why> {
    check(&request(method, url, body)?, DEFAULT_STS_URL, NOW)
}

#[test]
fn only_the_question_who_one_is_goes_out() {
    assert_eq!(checked("POST", &url(), "").unwrap(), ("c2ln=".to_owned(), NOW));
    let regional = url().replace("sts.", "sts.eu-central-1.");
    checked("POST", &regional, "").unwrap();
    for (from, to) in [
        ("sts.aliyuncs.com", "sts.evil.example"),
        ("sts.aliyuncs.com", "sts.oss-cn-hangzhou.aliyuncs.com"),
        ("sts.aliyuncs.com", "sts.aliyuncs.com.evil.example"),
        ("sts.aliyuncs.com/", "sts.aliyuncs.com:8443/"),
        ("https:", "http:"),
        ("com/?", "com/x?"),
        ("GetCallerIdentity", "AssumeRole"),
        ("&Format=JSON", "&Format=JSON&Action=AssumeRole"),
        ("&Format=JSON", "&Format=XML"),
        ("&Format=JSON", "&Format=JSON&Policy=x"),
        ("&Format=JSON", "&Format=JSON&%41ction=AssumeRole"),
        ("&Version=2015-04-01", ""),
        ("&Signature=c2ln%3D", ""),
        ("SignatureNonce=n", "SignatureNonce="),
        ("Timestamp=2", "Timestamp=1"),
    ] {
        let altered = url().replace(from, to);
        assert_ne!(altered, url());
        assert!(checked("POST", &altered, "").is_err(), "{altered}");
    }
    assert!(checked("GET", &url(), "").is_err());
    assert!(checked("POST", &url(), "Action=AssumeRole").is_err());
}

#[test]
fn answers_say_who_it_is() {
    let answer = |arn: &str| {
        let (account, user, role) = ("1", "u:s", "r");
        json!({"AccountId": account, "UserId": user, "RoleId": role, "Arn": arn, "More": "x"})
    };
    let read = |arn: &str| claims(answer(arn).to_string().as_bytes());
    let role = read("acs:ram::1:assumed-role/deploy/i-7").unwrap();
    assert_eq!(role.values("role_name"), ["deploy"]);
    assert_eq!(role.values("role_id"), ["r"]);
    assert_eq!(role.values("resource_id"), ["i-7"]);
    let user = read("acs:ram::1:user/alice").unwrap();
    assert_eq!((user.values("user_name").len(), user.values("user_id").len()), (1, 1));
    for bad in
        ["acs:ram::2:user/alice", "arn:aws:iam::1:user/alice", "acs:ram::1:assumed-role/x", ""]
    {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert!(claims(b"{}").is_err() && claims(b"<x/>").is_err());
}
