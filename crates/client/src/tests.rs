//! Calls against a fake server: what is sent, and how each kind of answer is read.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_wire::headers;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use crate::{Client, ClientConfig, ClientError, Trust};

/// A fake server: it answers each connection with the same bytes and keeps what it was sent.
struct Fake {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    async fn start(answer: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let answer = answer.to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer, tls) = (Arc::clone(&kept), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &answer, &kept).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &answer, &kept).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn client(&self) -> Client {
        client(&format!("http://{}/v2", self.address), Trust::System)
    }

    fn request(&self) -> String {
        self.requests.lock().unwrap().pop().unwrap()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
    kept: &Mutex<Vec<String>>,
) {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&text) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    kept.lock().unwrap().push(text);
    // The test may hang up early; what it saw is what it checks.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .is_some_and(|(_, length)| length.parse() == Ok(body.len()))
}

fn client(url: &str, trust: Trust) -> Client {
    Client::new(ClientConfig::command_line(url, trust, "1.2.3")).unwrap()
}

fn http(status: &str, extra: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn sent_body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn a_call_is_one_post_with_the_token_in_the_body() {
    let extra = format!("{}: root path\r\n{}: r-7\r\n", headers::WARNING, headers::REQUEST_ID);
    let fake = Fake::start(&http("201 Created", &extra, r#"{"name":"/a"}"#), None).await;
    let response =
        fake.client().call("create-secret", json!({ "name": "a" }), Some("t-1")).await.unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(response.body.expose(), br#"{"name":"/a"}"#);
    assert_eq!(response.warnings, ["root path"]);
    assert_eq!(response.request_id.as_deref(), Some("r-7"));

    let request = fake.request();
    assert!(request.starts_with("POST /v2/create-secret HTTP/1.1\r\n"));
    assert!(request.contains("user-agent: keysherd-cli/1.2.3\r\n"));
    assert!(request.contains("akeylessclienttype: cli\r\n"));
    assert_eq!(sent_body(&request), json!({ "name": "a", "token": "t-1" }));
}

#[tokio::test]
async fn the_kind_of_token_and_of_body_decide_where_the_token_goes() {
    let fake = Fake::start(&http("200 OK", "", "{}"), None).await;
    let client = fake.client();
    client.call("x", json!({}), Some("u-1")).await.unwrap();
    assert_eq!(sent_body(&fake.request()), json!({ "uid-token": "u-1" }));

    client.call("x", json!({ "token": "t-own" }), Some("t-1")).await.unwrap();
    assert_eq!(sent_body(&fake.request()), json!({ "token": "t-own" }));

    client.call("x", json!([{ "a": 1 }]), Some("t-1")).await.unwrap();
    let request = fake.request();
    assert!(request.contains("authorization: Bearer t-1\r\n"), "{request}");
    assert_eq!(sent_body(&request), json!([{ "a": 1 }]));

    let error = client.call("x", json!("text"), None).await.unwrap_err();
    assert_eq!(error, ClientError::BadBody);
}

async fn error_of(answer: &str) -> ClientError {
    let fake = Fake::start(answer, None).await;
    fake.client().call("x", json!({}), None).await.unwrap_err()
}

#[tokio::test]
async fn refusals_keep_status_and_text() {
    let error = error_of(&http("404 Not Found", "", r#"{"error":"no item /a"}"#)).await;
    assert_eq!(error.status(), Some(404));
    assert_eq!(error.to_string(), "no item /a");

    let error = error_of(&http("502 Bad Gateway", "", "<html>no</html>")).await;
    assert!(matches!(error, ClientError::NotJson { status: 502, .. }));

    let error = error_of(&http("200 OK", "", "<html>yes</html>")).await;
    assert!(matches!(error, ClientError::NotJson { status: 200, .. }));

    let error = error_of(&http("307 T", "location: https://evil.example/\r\n", "")).await;
    assert_eq!(
        error.to_string().split(" points to ").nth(1),
        Some("https://evil.example/ instead of answering")
    );
}

#[tokio::test]
async fn an_empty_answer_of_success_counts_as_an_empty_object() {
    let fake = Fake::start(&http("202 Accepted", "", ""), None).await;
    let response = fake.client().call("x", json!({}), None).await.unwrap();
    assert_eq!(response.body.expose(), b"{}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_sent_again() {
    let fake = Fake::start("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", None).await;
    let error = fake.client().call("x", json!({}), None).await.unwrap_err();
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
    assert_eq!(fake.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_there_says_what_to_check() {
    // Bound and not listening, so that nobody else gets the port.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    let error = client(&url, Trust::System).call("x", json!({}), None).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot connect to {url}: ")));
    assert!(error.advice().unwrap().contains("is the server running"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_times_out() {
    // The listener accepts in its backlog and never reads.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut config = ClientConfig::command_line(&url, Trust::System, "1");
    config.timeout = Duration::from_millis(50);
    let client = Client::new(config).unwrap();
    let error = client.call("x", json!({}), None).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");
}

/// A server certificate for 127.0.0.1 by its own authority, whose certificate is written to `ca`.
fn tls(ca: &Path) -> TlsAcceptor {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    std::fs::write(ca, authority.pem()).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private.into())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn certificates_are_trusted_by_file_and_never_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let right = directory.path().join("ca.pem");
    let wrong = directory.path().join("other.pem");
    let acceptor = tls(&right);
    let _ = tls(&wrong);
    let fake = Fake::start(&http("200 OK", "", "{}"), Some(acceptor)).await;
    let url = format!("https://{}", fake.address);

    for trust in [Trust::Only(right.clone()), Trust::Also(right)] {
        let answer = client(&url, trust).call("x", json!({}), None).await;
        assert_eq!(answer.unwrap().status, 200);
    }
    let error =
        client(&url, Trust::Only(wrong.clone())).call("x", json!({}), None).await.unwrap_err();
    let ClientError::Untrusted { ca_file, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(ca_file.as_deref(), Some(wrong.as_path()));
    assert!(error.to_string().contains("other.pem"), "{error}");
    assert!(error.advice().unwrap().contains("--ca-file"));
    assert_eq!(fake.requests.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn plain_http_on_a_tls_address_is_a_failed_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = client(&format!("https://{address}"), Trust::System)
        .call("x", json!({}), None)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Handshake { .. }), "{error:?}");
}

#[test]
fn a_ca_file_that_is_none_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for path in [empty, directory.path().join("absent.pem")] {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let config = ClientConfig::command_line("https://h", Trust::Only(path), "1");
        let error = Client::new(config).unwrap_err();
        assert!(matches!(error, ClientError::CaFile { .. }));
        assert!(error.to_string().contains(&name), "{error}");
    }
}
