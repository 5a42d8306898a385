//! Tokens are taken apart, and their signatures calculated again as AWS documents it ("Signature
//! Version 4", "Using query parameters"). AWS itself is not asked.

use std::collections::BTreeMap;

use keysherd_crypto::hash::{hmac_sha256, sha256};
use keysherd_targets::by_name as target_by_name;

use super::*;
use crate::Way;
use crate::testing::stub::{Asked, Stub};
use crate::testing::{Caller, settings, target_of, way};

const SECRET: &str = "canary-key";
const AUTHORITY_TEXT: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

fn target(more: &[(&'static str, &str)]) -> Settings {
    let plain = [
        ("eks-access-key-id", "AKIAEXAMPLE"),
        ("eks-secret-access-key", SECRET),
        ("eks-cluster-name", "reports"),
        ("eks-cluster-endpoint", "https://cluster.example/"),
        ("eks-cluster-ca-cert", AUTHORITY_TEXT),
        ("eks-region", "eu-central-1"),
    ];
    target_of("eks", &plain.iter().chain(more).copied().collect::<Vec<_>>())
}

async fn made(own: &Settings, target: &Settings, way: &Way) -> Result<Created, Fault> {
    let used = TargetUse { type_name: "eks", settings: target };
    assert!(EksTokens.check(own, Some(&used)).unwrap().is_empty());
    let scene = Scene { settings: own, target: Some(used), way };
    let plan = EksTokens.plan(&scene, &Caller::with(&[]).wish()).unwrap();
    let warned = EksTokens.revoke(&scene, &plan.handle).await.unwrap();
    assert!(warned[0].contains("its own time"), "{warned:?}");
    assert!(EksTokens.revoke(&scene, "other").await.is_err());
    EksTokens.create(&scene, &plan).await
}

/// The members of a token's query, with whether its signature is by this secret.
fn read(token: &str, secret: &str) -> (BTreeMap<String, String>, bool) {
    let url = URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
    let url = String::from_utf8(url).unwrap();
    let query = url.strip_prefix("https://sts.eu-central-1.amazonaws.com/?").unwrap();
    let mut members: Vec<_> = query.split('&').collect();
    members.sort_unstable();
    let signed: Vec<_> =
        members.iter().filter(|member| !member.starts_with("X-Amz-Signature=")).copied().collect();
    let headers = "host:sts.eu-central-1.amazonaws.com\nx-k8s-aws-id:reports\n";
    let empty = hex::encode(sha256(&[]));
    let request = format!("GET\n/\n{}\n{headers}\nhost;x-k8s-aws-id\n{empty}", signed.join("&"));
    let scope = "20260105/eu-central-1/sts/aws4_request";
    let hash = hex::encode(sha256(&[request.as_bytes()]));
    let text = format!("AWS4-HMAC-SHA256\n20260105T101112Z\n{scope}\n{hash}");
    let first = format!("AWS4{secret}").into_bytes();
    let key =
        scope.split('/').fold(first, |key, part| hmac_sha256(&key, &[part.as_bytes()]).to_vec());
    let members: BTreeMap<_, _> = members
        .iter()
        .map(|member| member.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let right = hex::encode(hmac_sha256(&key, &[text.as_bytes()]));
    let is = members["X-Amz-Signature"] == right;
    (members, is)
}

#[tokio::test]
async fn tokens_ask_aws_whose_they_are_for_one_cluster() {
    let own = settings(&EksTokens, &[]);
    let made = made(&own, &target(&[]), &way()).await.unwrap();
    assert_eq!(made.value["clusterName"], "reports");
    assert_eq!(made.value["clusterEndpoint"], "https://cluster.example");
    assert_eq!(made.value["clusterCACertificate"].as_str().unwrap().get(..8), Some("LS0tLS1C"));
    assert_eq!(made.value["status"]["expirationTimestamp"], "2026-01-05T10:25:12Z");
    let token = made.value["status"]["token"].as_str().unwrap();
    let (members, is_signed) = read(token, SECRET);
    assert!(is_signed, "{members:?}");
    assert!(!read(token, "another").1);
    assert_eq!(members["Action"], "GetCallerIdentity");
    assert_eq!(members["X-Amz-Expires"], "60");
    assert!(!members.contains_key("X-Amz-Security-Token"));
}

#[tokio::test]
async fn tokens_of_a_role_are_signed_with_what_aws_lends() {
    let role = "arn:aws:iam::123456789012:role/reports";
    let stub = Stub::new(move |asked: &Asked| {
        if !asked.body.contains("Action=AssumeRole") {
            let answer = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error>";
            return (403, format!("{answer}</ErrorResponse>"));
        }
        assert!(asked.body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Freports"));
        assert!(asked.header("authorization").unwrap().contains("Credential=AKIAEXAMPLE/"));
        let lent = "<AccessKeyId>ASIALENT</AccessKeyId><SecretAccessKey>lent</SecretAccessKey>\
                    <SessionToken>a+b/c=</SessionToken>";
        (200, format!("<AssumeRoleResponse><Credentials>{lent}</Credentials></AssumeRoleResponse>"))
    })
    .await;
    let mut way = way();
    way.endpoints.sts = Some(stub.url.clone());
    let own = settings(&EksTokens, &[("eks-assume-role", role)]);
    let made = made(&own, &target(&[]), &way).await.unwrap();
    assert_eq!(made.value["clusterUsername"], role);
    let (members, is_signed) = read(made.value["status"]["token"].as_str().unwrap(), "lent");
    assert!(is_signed, "{members:?}");
    assert!(members["X-Amz-Credential"].starts_with("ASIALENT%2F"));
    assert_eq!(members["X-Amz-Security-Token"], "a%2Bb%2Fc%3D");
    // An access key that AWS does not know.
    let fault = target_by_name("eks").unwrap().probe(&target(&[]), &way).await.unwrap_err();
    assert!(fault.public().contains("InvalidClientTokenId"), "{fault}");
    assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (field, value) in [
        ("eks-cluster-name", "a b"),
        ("eks-cluster-endpoint", "http://cluster.example"),
        ("eks-cluster-ca-cert", "x"),
        ("eks-region", "evil.example/"),
        ("eks-access-key-id", "a b"),
        ("use-gw-cloud-identity", "true"),
    ] {
        let fault = target_by_name("eks").unwrap().check(&target(&[(field, value)])).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
    let target = target(&[]);
    let used = TargetUse { type_name: "eks", settings: &target };
    for (field, value) in [("user-ttl", "16m"), ("eks-assume-role", "reports")] {
        let own = settings(&EksTokens, &[(field, value)]);
        let fault = EksTokens.check(&own, Some(&used)).unwrap_err();
        assert!(fault.public().contains(field), "{field}: {fault}");
    }
}
