//! Questions that may go out, and answers. There is no server of Oracle's to be had; a stand-in
//! that checks signatures is asked by a whole server in `it`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Timestamp;
use serde_json::json;

use super::*;

const TENANT: &str = "ocid1.tenancy.oc1..aaaatenant";
const USER: &str = "ocid1.user.oc1..aaaauser";

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T03:15:00Z").unwrap()
}

fn url() -> String {
    format!(
        "https://identity.eu-frankfurt-1.oraclecloud.com/20160918/userGroupMemberships\
         ?compartmentId={TENANT}&userId={USER}"
    )
}

fn authorization() -> String {
    format!(
        "Signature version=\"1\",keyId=\"{TENANT}/{USER}/aa:bb\",algorithm=\"rsa-sha256\",\
         headers=\"date (request-target) host\",signature=\"{}\"",
        "A".repeat(344)
    )
}

fn checked(method: &str, url: &str, authorization: &str) -> Result<request::Signed, Why> {
    checked_for(crate::Web::default().oci_identity_url(), method, url, authorization)
}

fn checked_for(
    service: &str,
    method: &str,
    url: &str,
    authorization: &str,
) -> Result<request::Signed, Why> {
    let headers = json!({
        "Authorization": [authorization], "Date": ["Sun, 22 Nov 2026 03:14:00 GMT"],
        "Host": ["elsewhere.example"], "opc-obo-token": ["somebody"],
    });
    let form = json!({
        "sts_request_method": method, "sts_request_url": STANDARD.encode(url),
        "sts_request_body": "", "sts_request_headers": STANDARD.encode(headers.to_string()),
    });
    let read = SignedRequest::read(&STANDARD.encode(form.to_string()))?;
    request::check(&read, TENANT, service, now())
}

#[test]
fn only_a_question_about_ones_own_groups_goes_out() {
    let good = checked("GET", &url(), &authorization()).unwrap();
    assert_eq!((good.user.as_str(), good.headers.len()), (USER, 2));
    assert_eq!(good.made, now().plus_seconds(-60));
    for (from, to) in [
        ("identity.eu", "identity.evil.example/.eu"),
        ("identity.eu-frankfurt-1.oraclecloud.com", "objectstorage.eu-frankfurt-1.oraclecloud.com"),
        ("identity.eu-frankfurt-1", "identity.bucket"),
        ("oraclecloud.com", "oraclecloud.com.evil.example"),
        ("oraclecloud.com/", "oraclecloud.com:8443/"),
        ("userGroupMemberships", "users"),
        ("aaaauser", "aaaaother"),
        ("aaaatenant", "aaaaother"),
        ("&userId", "&limit=1&userId"),
        ("&userId", "&groupId"),
    ] {
        let altered = url().replace(from, to);
        assert_ne!(altered, url());
        assert!(checked("GET", &altered, &authorization()).is_err(), "{altered}");
    }
    for (from, to) in [
        ("Signature ", "Bearer "),
        ("rsa-sha256", "hmac-sha256"),
        ("aaaatenant", "aaaaother"),
        ("aaaauser", "aaaaother"),
        ("ocid1.user", "ocid1.instance"),
        ("/aa:bb", ""),
        ("date (", "("),
        (" host", ""),
        ("(request-target) ", ""),
        ("AAAA", ""),
        ("version=\"1\"", "version=\"1\",version=\"1\""),
    ] {
        let altered = authorization().replace(from, to);
        assert_ne!(altered, authorization());
        assert!(checked("GET", &url(), &altered).is_err(), "{altered:.200}");
    }
    assert!(checked("POST", &url(), &authorization()).is_err());
    // Another place than Oracle's public cloud is that place alone.
    let elsewhere = "https://identity.us-langley-1.oraclegovcloud.com";
    let there = url().replace("https://identity.eu-frankfurt-1.oraclecloud.com", elsewhere);
    assert!(checked_for(elsewhere, "GET", &there, &authorization()).is_ok());
    assert!(checked_for(elsewhere, "GET", &url(), &authorization()).is_err());
    assert!(checked("GET", &there, &authorization()).is_err());
}

#[test]
fn answers_are_about_the_user() {
    let one = |user: &str, group: &str, state: &str| {
        json!({"id": "m", "compartmentId": TENANT, "userId": user, "groupId": group,
               "lifecycleState": state, "timeCreated": "2026-01-01T00:00:00Z"})
    };
    let read = |answer: serde_json::Value| groups(answer.to_string().as_bytes(), TENANT, USER);
    let both = json!([one(USER, "g1", "ACTIVE"), one(USER, "g2", "DELETED")]);
    assert_eq!(read(both).unwrap(), ["g1"]);
    assert!(read(json!([one("another", "g1", "ACTIVE")])).is_err());
    assert!(read(json!({})).is_err());
    let settings = |tenant: &str, group: &str| {
        Oci.check(&json!({"tenant": tenant, "groups": [group]}).to_string()).is_ok()
    };
    assert!(settings(TENANT, "ocid1.group.oc1..aaaa"));
    assert!(!settings(TENANT, "group") && !settings("tenancy", "ocid1.group.oc1..aaaa"));
}
