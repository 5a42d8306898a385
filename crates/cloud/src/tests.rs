//! Proofs against stand-ins for the addresses that only machines of a cloud reach. Each says what
//! the cloud's documentation says: path, query, headers; there is no real one here.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYWNoaW5lIn0.c2lnbmF0dXJl";

/// Answers one request with `answer`; gives where it listens, and the request in lower case.
async fn stand_in(status: &str, headers: &str, answer: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let length = answer.len();
    let whole = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\
         connection: close\r\n\r\n{answer}"
    );
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 4_096];
        loop {
            let read = stream.read(&mut chunk).await.unwrap();
            request.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&request).to_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).unwrap_or("0");
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                if body.len() >= length {
                    break;
                }
            }
        }
        stream.write_all(whole.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request).to_lowercase()
    });
    (address, asked)
}

async fn prove(cloud: Cloud, hints: Hints, set: &[(&str, &str)]) -> Result<String, Fault> {
    let set: HashMap<_, _> =
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let env = move |name: &str| set.get(name).cloned();
    let now = Timestamp::from_seconds(1_700_000_000);
    let proof = question(cloud, &hints, &env)?.ask(now).await?;
    Ok(String::from_utf8(STANDARD.decode(proof.expose()).unwrap()).unwrap())
}

#[tokio::test]
async fn google_is_asked_for_a_token_of_the_audience() {
    let flavor = "Metadata-Flavor: Google\r\n";
    let (host, asked) = stand_in("200 OK", flavor, TOKEN).await;
    let hints = Hints { audience: Some("https://keys.example/a".to_owned()), ..Hints::default() };
    let set = [("GCE_METADATA_HOST", host.as_str())];
    assert_eq!(prove(Cloud::Google, hints, &set).await.unwrap(), TOKEN);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with(
        "get /computemetadata/v1/instance/service-accounts/default/identity\
         ?audience=https://keys.example/a&format=full http/1.1\r\n"
    ));
    assert!(asked.contains("\r\nmetadata-flavor: google\r\n"), "{asked}");
}

#[tokio::test]
async fn whoever_else_answers_for_google_is_not_believed() {
    let (host, _) = stand_in("200 OK", "", TOKEN).await;
    let set = [("GCE_METADATA_HOST", host.as_str())];
    let refused = prove(Cloud::Google, Hints::default(), &set).await.unwrap_err();
    assert!(refused.public().contains("what answers is not"), "{refused}");
    let (host, _) = stand_in("200 OK", "Metadata-Flavor: Google\r\n", "<html>hotel</html>").await;
    let set = [("GCE_METADATA_HOST", host.as_str())];
    let refused = prove(Cloud::Google, Hints::default(), &set).await.unwrap_err();
    assert!(refused.public().contains("has no token"), "{refused}");
    let hints = Hints { audience: Some("a&format=full#".to_owned()), ..Hints::default() };
    let refused = prove(Cloud::Google, hints, &[]).await.unwrap_err();
    assert!(refused.public().contains("audience"), "{refused}");
}

#[tokio::test]
async fn azures_machines_and_services_are_asked_in_their_ways() {
    let answer = format!(r#"{{"access_token":"{TOKEN}","expires_in":"3599"}}"#);
    let (host, asked) = stand_in("200 OK", "", &answer).await;
    let url = format!("http://{host}");
    let hints = Hints { object: Some("0000-11".to_owned()), ..Hints::default() };
    let set = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.as_str())];
    assert_eq!(prove(Cloud::Azure, hints, &set).await.unwrap(), TOKEN);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with(
        "get /metadata/identity/oauth2/token?api-version=2018-02-01\
         &resource=https%3a%2f%2fmanagement.azure.com%2f&object_id=0000-11 http/1.1"
    ));
    assert!(asked.contains("\r\nmetadata: true\r\n"), "{asked}");

    let (host, asked) = stand_in("200 OK", "", &answer).await;
    let url = format!("http://{host}/msi/token");
    let set = [("IDENTITY_ENDPOINT", url.as_str()), ("IDENTITY_HEADER", "header-1")];
    assert_eq!(prove(Cloud::Azure, Hints::default(), &set).await.unwrap(), TOKEN);
    assert!(asked.await.unwrap().contains("\r\nx-identity-header: header-1\r\n"));
}

#[tokio::test]
async fn a_pods_token_is_exchanged_for_one_of_azure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "pod.jwt.text\n").unwrap();
    let answer = format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer"}}"#);
    let (host, asked) = stand_in("200 OK", "", &answer).await;
    let url = format!("http://{host}/");
    let set = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
        ("AZURE_CLIENT_ID", "client-1"),
        ("AZURE_TENANT_ID", "tenant-1"),
        ("AZURE_AUTHORITY_HOST", url.as_str()),
    ];
    assert_eq!(prove(Cloud::Azure, Hints::default(), &set).await.unwrap(), TOKEN);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("post /tenant-1/oauth2/v2.0/token http/1.1\r\n"), "{asked}");
    assert!(asked.ends_with("&client_assertion=pod.jwt.text"), "{asked}");
    let management = "&scope=https%3a%2f%2fmanagement.azure.com%2f.default&";
    assert!(asked.contains(management), "{asked}");
    let refused = prove(Cloud::Azure, Hints::default(), &set[..2]).await.unwrap_err();
    assert!(refused.public().contains("AZURE_TENANT_ID is not set"), "{refused}");
}

#[tokio::test]
async fn azures_tokens_are_for_the_resource_that_is_named_in_all_three_ways() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "pod.jwt.text").unwrap();
    let file = file.to_str().unwrap();
    let answer = format!(r#"{{"access_token":"{TOKEN}"}}"#);
    let hints = || Hints { resource: Some("api://keysherd".to_owned()), ..Hints::default() };
    let machine: &[(&str, &str)] = &[];
    let service: &[(&str, &str)] = &[("IDENTITY_HEADER", "header-1")];
    let pod = &[
        ("AZURE_FEDERATED_TOKEN_FILE", file),
        ("AZURE_CLIENT_ID", "client-1"),
        ("AZURE_TENANT_ID", "tenant-1"),
    ];
    for (variable, more, wanted) in [
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine, "&resource=api%3a%2f%2fkeysherd http"),
        ("IDENTITY_ENDPOINT", service, "?resource=api%3a%2f%2fkeysherd&"),
        ("AZURE_AUTHORITY_HOST", pod, "&scope=api%3a%2f%2fkeysherd%2f.default&"),
    ] {
        let (host, asked) = stand_in("200 OK", "", &answer).await;
        let url = format!("http://{host}");
        let set = [&[(variable, url.as_str())], more].concat();
        assert_eq!(prove(Cloud::Azure, hints(), &set).await.unwrap(), TOKEN);
        let asked = asked.await.unwrap();
        assert!(asked.contains(wanted) && !asked.contains("management"), "{asked}");
    }
    for bad in ["", "a&resource=b", "a b"] {
        let hints = Hints { resource: Some(bad.to_owned()), ..Hints::default() };
        let refused = prove(Cloud::Azure, hints, &[]).await.unwrap_err();
        assert!(refused.public().contains("resource"), "{refused}");
    }
}

#[tokio::test]
async fn a_machine_without_identity_is_told_so() {
    let (host, _) = stand_in("404 Not Found", "", "").await;
    let url = format!("http://{host}");
    let set = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.as_str())];
    let refused = prove(Cloud::Azure, Hints::default(), &set).await.unwrap_err();
    assert!(refused.public().contains("status 404"), "{refused}");
}
