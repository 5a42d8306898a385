//! Clients that mean no good, or do not know better.

use std::time::Duration;

use keysherd_http::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Options, Server, post, soon};
use crate::tls::tls;

const SHORT: Duration = Duration::from_millis(300);
const ARGS: &str = r#"{"name":"/a"}"#;

fn impatient() -> Limits {
    Limits {
        handshake_timeout: SHORT,
        header_timeout: SHORT,
        body_timeout: SHORT,
        idle_timeout: SHORT,
        ..Limits::default()
    }
}

async fn works(server: &Server) {
    assert_eq!(server.post("/get-thing", ARGS).await.status, 200);
}

/// Connects until it is served: refused connections end without a word.
async fn gets_a_place(server: &Server) {
    let request = post("/get-thing", &[], ARGS);
    loop {
        let mut client = server.connect().await;
        let sent = client.stream.write_all(&request).await;
        if sent.is_ok() && client.try_read().await.is_some() {
            return;
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_ends_the_connection() {
    let server =
        Server::limited(Limits { idle_timeout: Duration::from_secs(3600), ..impatient() }).await;
    let mut slow = server.connect().await;
    slow.write(b"POST /get-thing HTTP/1.1\r\nHost: t\r\nX-A: ").await;
    works(&server).await;
    assert!(slow.ends().await);
}

#[tokio::test]
async fn a_head_that_drips_ends_the_connection() {
    let server =
        Server::limited(Limits { idle_timeout: Duration::from_secs(3600), ..impatient() }).await;
    let mut slow = server.connect().await;
    slow.write(&post("/get-thing", &[], ARGS)).await;
    assert_eq!(slow.read().await.status, 200);
    // One byte each time the server is seen to be alive; fewer than would overflow the head.
    let drops = b"POST /get-thing HTTP/1.1\r\n".iter().chain([b'a'; 60_000].iter());
    let ended = soon(async {
        for byte in drops {
            if slow.stream.write_all(&[*byte]).await.is_err() {
                return true;
            }
            works(&server).await;
        }
        false
    });
    assert!(ended.await);
}

#[tokio::test]
async fn a_body_that_never_ends_gets_a_timeout_and_stalls_nobody() {
    let server = Server::limited(Limits { body_timeout: SHORT, ..Limits::default() }).await;
    let mut slow = server.connect().await;
    slow.write(b"POST /get-thing HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{\"na").await;
    works(&server).await;
    let response = slow.read().await;
    assert_eq!(response.status, 408);
    assert!(response.error().contains("Status 408 Request Timeout, Error: RequestTimeout"));
    assert!(slow.ends().await);
    assert!(server.state.finished.lock().unwrap().len() == 1, "only the other request ran");
}

#[tokio::test]
async fn a_refused_body_that_never_ends_does_not_hold_the_answer_back() {
    let server = Server::limited(impatient()).await;
    let mut slow = server.connect().await;
    slow.write(b"POST /no-such HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{").await;
    assert_eq!(slow.read().await.status, 404);
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let server = Server::limited(impatient()).await;
    let mut silent = server.connect().await;
    assert!(silent.ends().await);
    let mut kept = server.connect().await;
    kept.write(&post("/get-thing", &[], ARGS)).await;
    assert_eq!(kept.read().await.status, 200);
    assert!(kept.ends().await);
}

#[tokio::test]
async fn a_handshake_that_never_comes_ends_the_connection() {
    let (transport, _) = tls();
    let server = Server::start(Options {
        limits: Limits { idle_timeout: Duration::from_secs(3600), ..impatient() },
        transport,
        ..Options::default()
    })
    .await;
    let mut silent = server.connect().await;
    assert!(silent.ends().await);
    let mut clear = server.connect().await;
    clear.write(&post("/get-thing", &[], ARGS)).await;
    let mut answer = Vec::new();
    let _ = soon(clear.stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "served in the clear");
    assert!(server.state.finished.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_dropped() {
    let mut server = Server::limited(impatient()).await;
    let mut greedy = server.connect().await;
    greedy.write(&post("/large", &[], "")).await;
    let mut first = [0; 15];
    soon(greedy.stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // Drained before its own timeout: the connection was not waited for.
    server.begin_shutdown();
    assert_eq!(server.drained().await.unfinished, 0);
    let mut rest = Vec::new();
    let _ = soon(greedy.stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < 16 * 1024 * 1024);
}

#[tokio::test]
async fn heads_are_limited() {
    let server = Server::limited(Limits { header_bytes_max: 8192, ..Limits::default() }).await;
    let fitting = format!("X-A: {}", "a".repeat(7000));
    let response = server.send(&post("/get-thing", &[&fitting], ARGS)).await;
    assert_eq!(response.status, 200);
    let long = format!("X-A: {}", "a".repeat(100_000));
    let response = server.send(&post("/get-thing", &[&long], ARGS)).await;
    assert_eq!(response.status, 431);
    let many = vec!["X-A: a"; 2000];
    let response = server.send(&post("/get-thing", &many, ARGS)).await;
    assert_eq!(response.status, 431);
    works(&server).await;
}

#[tokio::test]
async fn garbage_ends_the_connection_and_nothing_else() {
    let server = Server::plain().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"POST /get-thing HTTP/9.9\r\n\r\n",
        b"POST /get-thing HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /get-thing HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"POST /get-thing HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /get-thing HTTP/1.1\r\nHost : a\r\n\r\n",
    ] {
        let mut client = server.connect().await;
        client.write(garbage).await;
        if let Some(response) = client.try_read().await {
            assert_eq!(response.status, 400, "{garbage:?}");
        }
        assert!(client.ends().await);
    }
    works(&server).await;
}

#[tokio::test]
async fn garbage_behind_a_good_request_does_not_spoil_it() {
    let server = Server::plain().await;
    let mut client = server.connect().await;
    let mut request = post("/get-thing", &[], ARGS);
    request.extend_from_slice(b"\x01\x02 rubbish\r\n\r\n");
    client.write(&request).await;
    assert_eq!(client.read().await.status, 200);
    if let Some(response) = client.try_read().await {
        assert_eq!(response.status, 400);
    }
    assert!(client.ends().await);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::plain().await;
    let mut client = server.connect().await;
    let mut requests = post("/get-thing", &[], r#"{"name":"one"}"#);
    requests.extend(post("/nope", &[], "body"));
    requests.extend(post("/get-thing", &[], r#"{"name":"two"}"#));
    client.write(&requests).await;
    assert_eq!(client.read().await.json()["name"], "one");
    assert_eq!(client.read().await.status, 404);
    assert_eq!(client.read().await.json()["name"], "two");
}

#[tokio::test]
async fn a_length_with_chunks_smuggles_nothing() {
    let server = Server::plain().await;
    let mut client = server.connect().await;
    client
        .write(
            b"POST /get-thing HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\
              Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
              POST /warn HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
    let first = client.read().await.status;
    assert_eq!(first, 400);
    // Either the connection ends, or what follows is the second request, never a part of it.
    if let Some(second) = client.try_read().await {
        assert_eq!((second.status, &*second.body), (200, &b"{}"[..]));
    }
}

#[tokio::test]
async fn one_address_gets_its_share_and_no_more() {
    let server =
        Server::limited(Limits { connections_per_address_max: 2, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.write(&post("/get-thing", &[], ARGS)).await;
    first.read().await;
    let mut second = server.connect().await;
    second.write(&post("/get-thing", &[], ARGS)).await;
    second.read().await;
    let mut third = server.connect().await;
    assert!(third.ends().await, "refused at once");
    drop(second);
    // The place is free as soon as the server has seen the end.
    soon(gets_a_place(&server)).await;
    first.write(&post("/get-thing", &[], ARGS)).await;
    assert_eq!(first.read().await.status, 200);
}

#[tokio::test]
async fn a_newcomer_takes_the_place_of_an_idle_connection() {
    let server = Server::limited(Limits {
        connections_max: 1,
        idle_timeout: Duration::from_secs(2),
        header_timeout: SHORT,
        ..Limits::default()
    })
    .await;
    let mut idle = server.connect().await;
    idle.write(&post("/get-thing", &[], ARGS)).await;
    idle.read().await;
    soon(gets_a_place(&server)).await;
    assert!(idle.ends().await);
}
