//! Signatures against the cases that AWS publishes, and what a proof has in it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{SecretString, Timestamp};
use serde_json::Value;

use super::signing::{Service, Unsigned};
use super::*;

fn example() -> AwsCredentials {
    let secret = SecretString::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
    AwsCredentials::of_user("AKIDEXAMPLE", &secret)
}

fn published() -> Timestamp {
    Timestamp::parse_rfc3339("2015-08-30T12:36:00Z").unwrap()
}

/// The case `get-vanilla` of the test suite that AWS publishes for Signature Version 4.
#[test]
fn the_published_case_has_the_published_signature() {
    let url = "https://example.amazonaws.com/";
    let request = Unsigned { method: "GET", url, headers: &[], body: b"" };
    let signed = example().sign(&request, "us-east-1", Service::PUBLISHED, published()).unwrap();
    let authorization = signed.iter().find(|(name, _)| name == "authorization").unwrap();
    let wanted = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    assert!(authorization.1.ends_with(wanted), "{}", authorization.1);
}

#[test]
fn a_stores_requests_carry_the_hash_of_their_body() {
    let url = "https://bucket.s3.eu-central-1.amazonaws.com/a/b";
    let request = Unsigned { method: "PUT", url, headers: &[], body: b"lines" };
    let signed = example().sign(&request, "eu-central-1", Service::S3, published()).unwrap();
    let value = |name: &str| signed.iter().find(|(found, _)| found == name).unwrap().1.clone();
    let hash = "5ea44c3961f16643e614435496b16115aa6d75458b5cc3fd5398aae291f3126b";
    assert_eq!(value("x-amz-content-sha256"), hash);
    assert!(value("authorization").contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date"));
}

#[test]
fn lent_credentials_send_their_session_along_signed() {
    let end = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let lent =
        Credentials::new("ASIAEXAMPLE", "secret", Some("the-session".into()), Some(end), "t");
    let lent = AwsCredentials(lent);
    assert_eq!(lent.renew(published()), Timestamp::from_seconds(2_000_000_000 - EARLY_SECONDS));
    let url = "https://sts.amazonaws.com/";
    let text = proof::proof(&lent, "us-east-1", url, published()).unwrap();
    let whole: Value = serde_json::from_slice(&STANDARD.decode(text.expose()).unwrap()).unwrap();
    let part = |name: &str| {
        let bytes = STANDARD.decode(whole[name].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(whole["sts_request_method"], "POST");
    assert_eq!(part("sts_request_url"), url);
    assert_eq!(part("sts_request_body"), "Action=GetCallerIdentity&Version=2011-06-15");
    let headers: Value = serde_json::from_str(&part("sts_request_headers")).unwrap();
    assert_eq!(headers["X-Amz-Security-Token"][0], "the-session");
    assert_eq!(headers["X-Amz-Date"][0], "20150830T123600Z");
    let signed = headers["Authorization"][0].as_str().unwrap();
    assert!(signed.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"));
    // The secret itself signs, and travels nowhere.
    assert!(!headers.to_string().contains("secret"), "{headers}");
}

#[tokio::test]
async fn credentials_are_kept_until_shortly_before_their_end() {
    let clock = Arc::new(keysherd_base::ManualClock::new(published()));
    let identity = AwsIdentity::new("us-east-1".to_owned(), None, clock.clone());
    let given = |id: &str, end: i64| {
        let end = UNIX_EPOCH + Duration::from_secs(u64::try_from(end).unwrap());
        SharedCredentialsProvider::new(Credentials::new(id, "secret", None, Some(end), "test"))
    };
    let first_end = published().seconds() + 3_600;
    identity.kept.lock().await.source = Some(given("FIRST", first_end));
    let id = async || identity.credentials().await.unwrap().0.access_key_id().to_owned();
    assert_eq!(id().await, "FIRST");
    identity.kept.lock().await.source = Some(given("SECOND", first_end + 3_600));
    clock.advance_seconds(3_600 - EARLY_SECONDS - 1);
    assert_eq!(id().await, "FIRST");
    clock.advance_seconds(2);
    assert_eq!(id().await, "SECOND");
}
