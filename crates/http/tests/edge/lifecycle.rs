//! Clients that leave, and servers that stop.

use std::time::Duration;

use keysherd_base::FaultKind;
use keysherd_http::{Limits, Listener, Transport, Workers};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{Client, Server, post, soon};

const ARGS: &str = r#"{"name":"/a"}"#;

#[tokio::test]
async fn a_client_that_leaves_does_not_cancel_its_command() {
    let server = Server::plain().await;
    let mut client = server.connect().await;
    client.write(&post("/wait", &[], "")).await;
    soon(server.state.started.acquire()).await.unwrap().forget();
    drop(client);
    // The next request is served after the server has seen the first client leave.
    assert_eq!(server.post("/get-thing", ARGS).await.status, 200);
    server.state.release.add_permits(1);
    soon(server.state.recorded.acquire()).await.unwrap().forget();
    let finished = server.state.finished.lock().unwrap();
    let wait = finished.iter().find(|(info, _)| info.command == "wait").unwrap();
    assert_eq!(wait.1, None);
}

#[tokio::test]
async fn calls_of_one_address_are_limited_whether_their_clients_wait_or_not() {
    let server = Server::limited(Limits { calls_per_address_max: 2, ..Limits::default() }).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        assert_eq!(server.post("/get-thing", ARGS).await.status, 200, "one more is permitted");
        let mut client = server.connect().await;
        client.write(&post("/wait", &[], "")).await;
        soon(server.state.started.acquire()).await.unwrap().forget();
        clients.push(client);
    }
    let refused = server.post("/get-thing", ARGS).await;
    assert_eq!(refused.status, 429);
    assert!(refused.error().contains("2 calls from 127.0.0.1"), "{}", refused.error());
    drop(clients);
    // Were they forgotten with their clients, one of these would be served.
    for _ in 0..100 {
        assert_eq!(server.post("/get-thing", ARGS).await.status, 429, "what they left goes on");
    }
    server.state.release.add_permits(1);
    soon(async { while server.post("/get-thing", ARGS).await.status != 200 {} }).await;
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_closes_what_is_idle() {
    let mut server = Server::plain().await;
    let mut busy = server.connect().await;
    busy.write(&post("/wait", &[], "")).await;
    soon(server.state.started.acquire()).await.unwrap().forget();
    let mut idle = server.connect().await;
    idle.write(&post("/get-thing", &[], ARGS)).await;
    idle.read().await;
    let mut silent = server.connect().await;

    server.begin_shutdown();
    assert!(idle.ends().await);
    assert!(silent.ends().await);
    assert!(TcpStream::connect(server.address).await.is_err(), "no longer listening");
    server.state.release.add_permits(1);
    let response = busy.read().await;
    assert_eq!((response.status, &*response.headers["connection"]), (200, "close"));
    assert!(busy.ends().await);
    assert_eq!(server.drained().await.unfinished, 0);
}

#[tokio::test]
async fn a_drain_waits_for_calls_whose_client_left() {
    let mut server = Server::plain().await;
    let mut client = server.connect().await;
    client.write(&post("/wait", &[], "")).await;
    soon(server.state.started.acquire()).await.unwrap().forget();
    drop(client);
    server.begin_shutdown();
    let state = server.state.clone();
    let mut drained = std::pin::pin!(server.drained());
    let early = tokio::time::timeout(Duration::from_millis(100), drained.as_mut()).await;
    assert!(early.is_err(), "the call is still running");
    state.release.add_permits(1);
    assert_eq!(drained.await.unfinished, 0);
    assert_eq!(state.finished.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let mut server =
        Server::limited(Limits { drain_timeout: Duration::from_millis(150), ..Limits::default() })
            .await;
    let mut client = server.connect().await;
    client.write(&post("/wait", &[], "")).await;
    soon(server.state.started.acquire()).await.unwrap().forget();
    let state = server.state.clone();
    server.begin_shutdown();
    assert_eq!(server.drained().await.unfinished, 1);
    assert!(client.ends().await);
    // Even then the call itself is not cut.
    state.release.add_permits(1);
    soon(state.recorded.acquire()).await.unwrap().forget();
}

#[tokio::test]
async fn who_asks_twice_does_not_wait_for_what_runs() {
    let mut server = Server::plain().await;
    let mut client = server.connect().await;
    client.write(&post("/wait", &[], "")).await;
    soon(server.state.started.acquire()).await.unwrap().forget();
    server.begin_shutdown();
    server.cut();
    assert_eq!(server.drained().await.unfinished, 1);
    assert!(client.ends().await);
}

#[tokio::test]
async fn who_is_about_to_go_sends_its_clients_elsewhere_and_serves_them_until_then() {
    let server = Server::plain().await;
    let mut client = server.connect().await;
    client.write(&post("/get-thing", &[], ARGS)).await;
    assert!(!client.read().await.headers.contains_key("connection"));
    server.ready.store(false, std::sync::atomic::Ordering::SeqCst);
    client.write(&post("/get-thing", &[], ARGS)).await;
    let last = client.read().await;
    assert_eq!((last.status, &*last.headers["connection"]), (200, "close"));
    assert!(client.ends().await);
    assert_eq!(server.post("/get-thing", ARGS).await.status, 200, "new ones are served, too");
    let probe = server.send(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(probe.status, 503);
}

#[tokio::test]
async fn a_taken_address_is_reported() {
    let server = Server::plain().await;
    let bound = Listener::bind(server.address, Limits::default(), Workers::Ambient).await;
    let fault = bound.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.public().contains(&server.address.to_string()));
}

#[tokio::test]
async fn the_echo_answers_what_it_is_sent() {
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(address, Limits::default(), Workers::Ambient).await.unwrap();
    let address = listener.address();
    let (stop, asked) = oneshot::channel::<()>();
    let serving = tokio::spawn(listener.echo(Transport::PlaintextTcp, async {
        let _ = asked.await;
    }));
    let mut client = Client::new(TcpStream::connect(address).await.unwrap());
    for body in ["", "{}", "anything"] {
        client.write(&post("/x", &[], body)).await;
        let response = client.read().await;
        assert_eq!((response.status, &*response.body), (200, body.as_bytes()));
    }
    stop.send(()).unwrap();
    assert_eq!(soon(serving).await.unwrap().unwrap().unfinished, 0);
}
