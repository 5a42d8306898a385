//! Paths, methods and probes.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::{Options, Server, soon};

const ARGS: &str = r#"{"name":"/a"}"#;

#[tokio::test]
async fn commands_answer_under_every_prefix_in_any_letter_case() {
    let server = Server::plain().await;
    for path in
        ["/get-thing", "/v2/get-thing", "/api/v2/get-thing", "/API/v2/Get-Thing", "/v2//GET-THING/"]
    {
        let response = server.post(path, ARGS).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.json()["name"], "/a");
        assert_eq!(response.json()["command"], "get-thing");
    }
}

#[tokio::test]
async fn an_older_name_has_its_own_status() {
    let server = Server::plain().await;
    let response = server.post("/v2/describe-thing", ARGS).await;
    assert_eq!(response.status, 201);
    // The command learns which of its names was called: older ones answer other models.
    assert_eq!(response.json()["command"], "describe-Thing");
    let refused = server.post("/DESCRIBE-THING", "{}").await;
    assert!(refused.error().starts_with("describe-Thing failed: Status 400"));
}

#[tokio::test]
async fn answers_carry_what_clients_and_operators_need() {
    let server = Server::plain().await;
    let one = server.post("/get-thing", ARGS).await;
    assert_eq!(one.headers["content-type"], "application/json");
    assert_eq!(one.headers["cache-control"], "no-store");
    let id = &one.headers[keysherd_wire::headers::REQUEST_ID];
    assert_eq!(id.len(), 32);
    let other = server.post("/get-thing", ARGS).await;
    assert_ne!(id, &other.headers[keysherd_wire::headers::REQUEST_ID]);
    let finished = server.state.finished.lock().unwrap();
    assert_eq!(finished[0].0.request.to_string(), *id);
    assert_eq!(finished[0].0.received, crate::support::NOW);
}

#[tokio::test]
async fn a_warning_is_one_header_of_ascii() {
    let server = Server::plain().await;
    let response = server.post("/warn", "").await;
    assert_eq!(response.body, b"{}");
    let warning = &response.headers[keysherd_wire::headers::WARNING];
    assert_eq!(warning, "the key is old  X-Evil: 1?");
    assert!(!response.headers.contains_key("x-evil"));
}

#[tokio::test]
async fn an_unknown_command_has_the_exact_text_that_clients_probe_for() {
    let server = Server::plain().await;
    let response = server.post("/v2/No-Such", "{}").await;
    assert_eq!(response.status, 404);
    assert_eq!(response.body, br#"{"error":"unknown command 'No-Such'"}"#);
    assert_eq!(response.headers["content-type"], "application/json");
    let long = server.post(&format!("/{}", "n".repeat(900)), "").await;
    assert_eq!(long.error(), format!("unknown command '{}'", "n".repeat(128)));
    let odd = server.post("/a%22b'c", "").await;
    assert_eq!(odd.error(), "unknown command 'a%22b'c'");
}

#[tokio::test]
async fn the_bare_base_says_unknown_command() {
    let server = Server::plain().await;
    for path in ["/", "/v2", "/v2/", "/api/v2", "/api/v2/"] {
        let response = server.post(path, "").await;
        assert_eq!(response.status, 404, "{path}");
        assert!(response.error().contains("unknown command"), "{path}");
    }
}

#[tokio::test]
async fn an_answered_refusal_leaves_the_connection_usable() {
    let server = Server::plain().await;
    let mut client = server.connect().await;
    let unknown = crate::support::post("/nope", &[], "");
    for path_body in [&unknown[..], b"DELETE /wait HTTP/1.1\r\nHost: t\r\n\r\n"] {
        client.write(path_body).await;
        assert!(client.read().await.status >= 404);
    }
    // The body of a refused request is read away even if it comes late.
    client.write(b"POST /nope HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n").await;
    client.write(b"12345").await;
    assert_eq!(client.read().await.status, 404);
    client.write(&crate::support::post("/get-thing", &[], ARGS)).await;
    assert_eq!(client.read().await.status, 200);
}

#[tokio::test]
async fn another_method_is_refused_with_the_one_to_use() {
    let server = Server::plain().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
        let request = format!("{method} /v2/get-thing HTTP/1.1\r\nHost: t\r\n\r\n");
        let response = server.send(request.as_bytes()).await;
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.headers["allow"], "POST");
        assert!(response.error().contains("Status 405 Method Not Allowed"));
    }
    let response = server.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!((response.status, &*response.headers["allow"]), (405, "POST"));
    let response = server.post("/health", "").await;
    assert_eq!((response.status, &*response.headers["allow"]), (405, "GET, HEAD"));
    let response = server.send(b"GET /no-such HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(response.error(), "unknown command 'no-such'");
}

#[tokio::test]
async fn health_follows_readiness() {
    let server = Server::plain().await;
    let get = b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n";
    let response = server.send(get).await;
    assert_eq!((response.status, response.json()), (200, json!({"status": "ok"})));
    server.ready.store(false, Ordering::SeqCst);
    let response = server.send(get).await;
    assert_eq!((response.status, response.json()), (503, json!({"status": "unavailable"})));

    let mut client = server.connect().await;
    client.write(b"HEAD /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await;
    let head = soon(tokio::io::AsyncReadExt::read_u64(&mut client.stream)).await;
    assert_eq!(head.unwrap().to_be_bytes(), *b"HTTP/1.1");
    let mut rest = String::new();
    soon(tokio::io::AsyncReadExt::read_to_string(&mut client.stream, &mut rest)).await.unwrap();
    assert!(rest.starts_with(" 503") && rest.ends_with("\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn status_exists_only_when_there_is_one() {
    let get = b"GET /api/v2/status HTTP/1.1\r\nHost: t\r\n\r\n";
    let without = Server::plain().await;
    assert_eq!(without.send(get).await.status, 404);
    let with = Server::start(Options { status: true, ..Options::default() }).await;
    let response = with.send(get).await;
    assert_eq!((response.status, response.json()), (200, json!({"version": "0"})));
}

#[tokio::test]
async fn an_ipv6_listener_serves_both_families() {
    let server = Server::start(Options { address: "[::]:0", ..Options::default() }).await;
    let port = server.address.port();
    for (host, shown) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1")] {
        let stream = tokio::net::TcpStream::connect((host, port)).await.unwrap();
        let mut client = crate::support::Client::new(stream);
        client.write(&crate::support::post("/get-thing", &[], ARGS)).await;
        assert_eq!(client.read().await.json()["address"], shown);
    }
}
