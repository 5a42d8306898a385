//! HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keysherd_base::limits::BODY_BYTES_MAX;
use keysherd_http::Limits;
use serde_json::{Value, json};

use crate::support::{Client, Options, Server, soon};
use crate::tls::{client_config, connect, tls};

type Sender = SendRequest<Full<Bytes>>;

async fn start(limits: Limits) -> (Server, Sender) {
    let (transport, certificate) = tls();
    let server = Server::start(Options { transport, limits, ..Options::default() }).await;
    let config = Arc::new(client_config(&certificate, &["h2", "http/1.1"]));
    let stream = connect(&server, &config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(stream);
    let (sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    (server, sender)
}

fn request(path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post(format!("https://localhost{path}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

async fn post(sender: &mut Sender, path: &str, body: &Value) -> (StatusCode, Value) {
    let body = body.to_string().into_bytes();
    let response = soon(sender.send_request(request(path, body))).await.unwrap();
    let status = response.status();
    let body = soon(response.into_body().collect()).await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn the_same_rules_hold() {
    let (_server, mut sender) = start(Limits::default()).await;
    let (status, body) = post(&mut sender, "/v2/Get-Thing", &json!({"name": "/a"})).await;
    assert_eq!((status.as_u16(), &body["name"]), (200, &json!("/a")));
    let (status, body) = post(&mut sender, "/api/v2/nope", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body, json!({"error": "unknown command 'nope'"}));
    let (status, _) = post(&mut sender, "/get-thing", &json!([])).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = post(&mut sender, "/panic-late", &json!({})).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let large = json!({"name": "n".repeat(BODY_BYTES_MAX)});
    let (status, _) = post(&mut sender, "/get-thing", &large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let fitting = json!({"name": "n".repeat(BODY_BYTES_MAX - 100)});
    let (status, body) = post(&mut sender, "/get-thing", &fitting).await;
    assert_eq!((status, &body["name"]), (StatusCode::OK, &fitting["name"]));
}

#[tokio::test]
async fn a_slow_request_does_not_hold_up_its_neighbors() {
    let (server, mut sender) = start(Limits::default()).await;
    let waiting = sender.send_request(request("/wait", Vec::new()));
    let waiting = tokio::spawn(waiting);
    soon(server.state.started.acquire()).await.unwrap().forget();
    let (status, _) = post(&mut sender, "/get-thing", &json!({"name": "/a"})).await;
    assert_eq!(status, StatusCode::OK);
    server.state.release.add_permits(1);
    assert_eq!(soon(waiting).await.unwrap().unwrap().status(), StatusCode::OK);
}

/// A body that announces ten bytes and never sends them.
struct Withheld;

impl hyper::body::Body for Withheld {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(10)
    }
}

#[tokio::test]
async fn a_body_that_never_comes_gets_a_timeout() {
    let (transport, certificate) = tls();
    let server = Server::start(Options {
        transport,
        limits: Limits { body_timeout: Duration::from_millis(150), ..Limits::default() },
        ..Options::default()
    })
    .await;
    let config = Arc::new(client_config(&certificate, &["h2"]));
    let io = TokioIo::new(connect(&server, &config).await.unwrap());
    let (mut sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("https://localhost/get-thing").body(Withheld).unwrap();
    let response = soon(sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_reset_stream_does_not_cancel_its_command() {
    let (server, mut sender) = start(Limits::default()).await;
    let waiting = tokio::spawn(sender.send_request(request("/wait", Vec::new())));
    soon(server.state.started.acquire()).await.unwrap().forget();
    waiting.abort();
    assert!(soon(waiting).await.unwrap_err().is_cancelled());
    server.state.release.add_permits(1);
    soon(server.state.recorded.acquire()).await.unwrap().forget();
    let (status, _) = post(&mut sender, "/get-thing", &json!({"name": "/a"})).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_drain_finishes_streams_and_takes_no_more() {
    let (mut server, mut sender) = start(Limits::default()).await;
    let waiting = tokio::spawn(sender.send_request(request("/wait", Vec::new())));
    soon(server.state.started.acquire()).await.unwrap().forget();
    server.begin_shutdown();
    server.state.release.add_permits(1);
    let response = soon(waiting).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    soon(response.into_body().collect()).await.unwrap();
    assert_eq!(server.drained().await.unfinished, 0);
    let refused = soon(sender.send_request(request("/warn", Vec::new()))).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (_server, mut sender) = start(Limits {
        idle_timeout: Duration::from_secs(2),
        header_timeout: Duration::from_secs(2),
        ..Limits::default()
    })
    .await;
    let (status, _) = post(&mut sender, "/warn", &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    soon(async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn rubbish_after_the_preface_ends_the_connection() {
    let (transport, certificate) = tls();
    let server = Server::start(Options { transport, ..Options::default() }).await;
    let config = Arc::new(client_config(&certificate, &["h2"]));
    let mut client = Client::new(connect(&server, &config).await.unwrap());
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.write(&[0xff; 64]).await;
    let mut rest = Vec::new();
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut rest);
    let _ = soon(ended).await;
}
