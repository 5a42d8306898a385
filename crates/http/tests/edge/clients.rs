//! Who a client is behind a proxy that speaks before it, how much a client may ask for, and what is
//! counted of all that.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keysherd_http::{Exposition, Limits, Scrape, Traces, Transport};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Client, Options, Response, Server, post, soon};
use crate::tls::{client_config, tls};

const THING: &str = r#"{"name":"/a"}"#;

fn v2(carried: &[u8], command: u8, family: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(carried.len()).unwrap().to_be_bytes());
    header.extend(carried);
    header
}

fn loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

/// A server behind a proxy on this machine.
async fn behind_proxy(limits: Limits, transport: Transport) -> Server {
    let proxy_headers = true;
    let options = Options { trusted: loopback, limits, transport, ..Options::default() };
    Server::start(Options { proxy_headers, ..options }).await
}

async fn asked(server: &Server, start: &[u8], headers: &[&str]) -> Option<Response> {
    let mut client = server.connect().await;
    client.write(&[start, &post("/get-thing", headers, THING)].concat()).await;
    client.try_read().await
}

#[tokio::test]
async fn a_proxy_says_where_its_client_is() {
    let server = behind_proxy(Limits::default(), Transport::PlaintextTcp).await;
    let tcp4 = [198, 51, 100, 7, 10, 0, 0, 1, 1, 2, 3, 4];
    let line = b"PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\n";
    let own = b"PROXY UNKNOWN\r\n";
    for (start, address) in [
        (line.to_vec(), "198.51.100.7"),
        (v2(&tcp4, 0x21, 0x11), "198.51.100.7"),
        (own.to_vec(), "127.0.0.1"),
        (v2(&[], 0x20, 0), "127.0.0.1"),
    ] {
        let response = asked(&server, &start, &[]).await.unwrap();
        assert_eq!(response.json()["address"], address);
    }
    // That client is no proxy, so that nobody believes what it says of others.
    let forged = ["X-Forwarded-For: 203.0.113.5"];
    let response = asked(&server, line, &forged).await.unwrap();
    assert_eq!(response.json()["address"], "198.51.100.7");
    // Where the proxy names nobody, its client does not get to choose who it is.
    for start in [own.to_vec(), v2(&[], 0x20, 0), v2(&[0; 12], 0x21, 0)] {
        let response = asked(&server, &start, &forged).await.unwrap();
        assert_eq!(response.json()["address"], "127.0.0.1");
    }
    // A proxy in front of the proxy is believed.
    let response = asked(&server, b"PROXY TCP4 127.0.0.9 10.0.0.1 1 2\r\n", &forged).await;
    assert_eq!(response.unwrap().json()["address"], "203.0.113.5");
}

#[tokio::test]
async fn tls_follows_the_header_of_the_proxy() {
    let (transport, certificate) = tls();
    let server = behind_proxy(Limits::default(), transport).await;
    let config = Arc::new(client_config(&certificate, &["http/1.1"]));
    // In pieces, as a network may cut them.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for piece in [&b"PROXY TC"[..], b"P4 198.51.100.7 10.0.0.1 1 2\r", b"\n"] {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = soon(tokio_rustls::TlsConnector::from(config).connect(name, stream)).await;
    let mut client = Client::new(stream.unwrap());
    client.write(&post("/get-thing", &[], THING)).await;
    assert_eq!(client.read().await.json()["address"], "198.51.100.7");
}

#[tokio::test]
async fn who_sends_no_good_header_where_one_is_demanded_is_not_served() {
    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = behind_proxy(limits, Transport::PlaintextTcp).await;
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 4_096]].concat();
    for start in [
        &b""[..],
        b"PROXY TCP4 198.51.100.7 10.0.0.1 1\r\n",
        b"PROXY TCP4 198.51.100.007 10.0.0.1 1 2\r\n",
        &endless,
        &v2(&[0; 4_000], 0x21, 0x11),
        &v2(&[1; 216], 0x21, 0x31),
    ] {
        assert!(asked(&server, start, &[]).await.is_none(), "{}", String::from_utf8_lossy(start));
    }
    // Whoever says half of it and waits is sent away in time.
    let mut slow = server.connect().await;
    slow.write(b"PROXY TCP4 198.51").await;
    assert!(slow.ends().await);
    assert!(server.state.finished.lock().unwrap().is_empty(), "nothing was served");
    let counted = || metrics(&server).contains("keysherd_proxy_headers_refused_total 6\n");
    soon(async {
        while !counted() {
            tokio::task::yield_now().await
        }
    })
    .await;
}

#[tokio::test]
async fn a_stranger_who_sends_a_proxys_header_is_not_believed() {
    let options = Options { trusted: |_| false, proxy_headers: true, ..Options::default() };
    let server = Server::start(options).await;
    let forged = asked(&server, b"PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\n", &[]).await;
    assert!(forged.is_none_or(|response| response.status == 400));
    assert!(server.state.finished.lock().unwrap().is_empty());
    // Without one it is served as what it is.
    let response = asked(&server, b"", &[]).await.unwrap();
    assert_eq!(response.json()["address"], "127.0.0.1");
    // A proxy whose headers nobody asked for is not believed either.
    let plain = Server::start(Options { trusted: loopback, ..Options::default() }).await;
    let forged = asked(&plain, b"PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\n", &[]).await;
    assert!(forged.is_none_or(|response| response.status == 400));
}

#[tokio::test]
async fn connections_are_counted_for_the_client_behind_the_proxy() {
    let limits = Limits { connections_per_address_max: 2, ..Limits::default() };
    let server = behind_proxy(limits, Transport::PlaintextTcp).await;
    let line = b"PROXY TCP4 198.51.100.7 10.0.0.1 1 2\r\n";
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.write(&[&line[..], &post("/get-thing", &[], THING)].concat()).await;
        assert_eq!(client.read().await.status, 200);
        held.push(client);
    }
    assert!(asked(&server, line, &[]).await.is_none(), "a third of the same client");
    let other = b"PROXY TCP4 198.51.100.8 10.0.0.1 1 2\r\n";
    assert_eq!(asked(&server, other, &[]).await.unwrap().status, 200);
    drop(held);
    soon(async { while asked(&server, line, &[]).await.is_none() {} }).await;
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let limits = Limits { requests_per_minute: 10, ..Limits::default() };
    let server = Server::start(Options { limits, trusted: loopback, ..Options::default() }).await;
    let from = async |address: &str| {
        let header = format!("X-Forwarded-For: {address}");
        asked(&server, b"", &[&header]).await.unwrap()
    };
    for _ in 0..10 {
        assert_eq!(from("198.51.100.7").await.status, 200);
    }
    let refused = from("198.51.100.7").await;
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=7).contains(&wait), "{wait}");
    assert!(refused.error().contains("10 requests from 198.51.100.7"), "{}", refused.error());
    assert_eq!(server.state.finished.lock().unwrap().len(), 10, "none of them was begun");
    // What a client claims to the left of a proxy that is believed makes it nobody else.
    assert_eq!(from("203.0.113.1, 198.51.100.7").await.status, 429);
    assert_eq!(from("198.51.100.8").await.status, 200);
    assert_eq!(from("2001:db8::1").await.status, 200);
    for client in 2..11 {
        assert_eq!(from(&format!("2001:db8::{client:x}")).await.status, 200);
    }
    assert_eq!(from("2001:db8:0:0:ffff::1").await.status, 429, "one network is one client");
    let probe = server.send(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(probe.status, 200, "probes are not counted");
    assert!(metrics(&server).contains("keysherd_http_requests_limited_total 3\n"));
}

#[tokio::test]
async fn an_identity_has_its_share_wherever_it_is() {
    let limits = Limits { identity_requests_per_minute: 5, ..Limits::default() };
    let server = Server::start(Options { limits, ..Options::default() }).await;
    let with = async |token: &str| {
        server.post("/get-thing", &json!({"name": "/a", "token": token}).to_string()).await.status
    };
    // The toy takes the first letters for the identity, and refuses what ends in "forged".
    let (alice, forged) = (json!({"token": "t-alice-1"}), json!({"token": "t-alice-forged"}));
    for _ in 0..50 {
        assert_eq!(with("t-alice-forged").await, 401);
        // Neither what is wrong before anybody looks at the token, nor what asks for none.
        for body in [&alice, &forged] {
            assert_eq!(server.post("/get-thing", &body.to_string()).await.status, 400);
            assert_eq!(server.post("/warn", &body.to_string()).await.status, 200);
        }
        let failing = json!({"token": "t-alice-forged", "kind": "Unavailable"}).to_string();
        assert_eq!(server.post("/fail", &failing).await.status, 503);
    }
    for _ in 0..4 {
        assert_eq!(with("t-alice-1").await, 200);
    }
    let absent = json!({"name": "/absent", "token": "t-alice-1"}).to_string();
    assert_eq!(server.post("/get-thing", &absent).await.status, 404, "it is counted");
    assert_eq!(with("t-alice-2").await, 429);
    assert_eq!(with("t-bobby-1").await, 200);
}

#[tokio::test]
async fn tokens_that_do_not_say_whose_they_are_are_counted_as_somebody_says() {
    let limits = Limits { identity_requests_per_minute: 5, ..Limits::default() };
    let server = Server::start(Options { limits, ..Options::default() }).await;
    let with = async |token: &str| {
        server.post("/get-thing", &json!({"name": "/a", "token": token}).to_string()).await.status
    };
    for _ in 0..50 {
        assert_eq!(with("u-alice-forged").await, 401);
    }
    for token in ["u-alice-1", "u-alice-2", "t-alice-1", "u-alice-3", "u-alice-3"] {
        assert_eq!(with(token).await, 200);
    }
    for token in ["u-alice-1", "u-alice-4", "t-alice-1"] {
        assert_eq!(with(token).await, 429, "{token}");
    }
    assert_eq!(with("u-bobby-1").await, 200);
}

#[tokio::test]
async fn plaintext_on_a_tls_port_is_told_so() {
    let (transport, _) = tls();
    let server = Server::start(Options { transport, ..Options::default() }).await;
    let response = server.send(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(response.status, 400);
    assert!(response.error().contains("https://"), "{}", response.error());
    // Anything else is not answered at all.
    for bytes in [&b"\0\0\0\0"[..], b"SSH"] {
        let mut client = server.connect().await;
        client.write(bytes).await;
        client.stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _reset = soon(client.stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    // It is counted when the connection is over at both ends.
    let counted = || metrics(&server).contains("keysherd_tls_handshakes_failed_total 3\n");
    soon(async {
        while !counted() {
            tokio::task::yield_now().await
        }
    })
    .await;
}

fn metrics(server: &Server) -> String {
    let mut text = Exposition::default();
    server.meter.write(&mut text);
    text.finish()
}

#[tokio::test]
async fn requests_are_counted_by_commands_that_exist() {
    let server = Server::plain().await;
    for name in ["get-thing", "GET-THING", "no-such", "nor-this", "get-thing"] {
        server.post(&format!("/{name}"), THING).await;
    }
    server.post("/get-thing", "{}").await;
    let text = metrics(&server);
    for line in [
        "keysherd_http_requests_total{command=\"get-thing\",status=\"2xx\"} 3",
        "keysherd_http_requests_total{command=\"get-thing\",status=\"4xx\"} 1",
        "keysherd_http_requests_total{command=\"other\",status=\"4xx\"} 2",
        "keysherd_http_request_seconds_count 6",
        "keysherd_http_requests_in_flight 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(!text.contains("no-such"), "a label came from a client");
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let (text, ready) = (Arc::new(|| "a 1\n".to_owned()), Arc::new(|| Err("unavailable")));
    let server = Server::scrape(Arc::new(Scrape::new(text, ready))).await;
    let get = async |path: &str| {
        server.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await
    };
    let found = get("/metrics").await;
    assert_eq!((found.status, &*found.body), (200, &b"a 1\n"[..]));
    assert_eq!(found.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(get("/health").await.status, 503);
    assert_eq!(get("/get-secret-value").await.status, 404);
    assert_eq!(server.send(&post("/metrics", &[], "{}")).await.status, 405);
}

#[tokio::test]
async fn a_trace_has_the_command_and_its_times_and_nothing_of_what_was_sent() {
    let spans = Arc::new(Mutex::new(Vec::new()));
    let ended = spans.clone();
    let keep = Arc::new(move |span| ended.lock().unwrap().push(span));
    let traces = Some(Traces::new(1_000_000, keep));
    let server = Server::start(Options { traces, ..Options::default() }).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = r#"{"name":"/payroll/db"}"#;
    let joined = post("/GET-thing?x=y", &[&format!("traceparent: {parent}")], body);
    let id = server.send(&joined).await.headers["keysherd-request-id"].clone();
    server.post("/payroll-guess", "{}").await;
    let spans = spans.lock().unwrap();
    assert_eq!((spans[0].name, spans[0].status), ("get-thing", 200));
    assert_eq!((spans[0].trace[0], spans[0].parent.unwrap()[0]), (0x0a, 0xb7));
    assert_eq!(spans[0].request.as_ref(), Some(&id));
    assert_eq!((spans[1].name, spans[1].status, spans[1].parent), ("other", 404, None));
    let text = format!("{spans:?}");
    assert!(!text.contains("payroll") && !text.contains("x=y"), "{text}");
}
