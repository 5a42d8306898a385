//! Peers that send too much, too slowly, or nonsense.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use keysherd_base::{Fault, FaultKind, SecretBytes};
use keysherd_plane::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::tests::raw::{answering, connect, fault, request, speak};
use crate::tests::rig::{Served, channel, echo, identity, keys_of, say, serving};
use crate::tls::{ALPN_CALLS, client_config, provider};
use crate::{CallLimits, Limits, LinkError, Peer, Service, routes};

/// Takes and gives little.
struct Small;

impl Service for Small {
    fn request_bytes_max(&self) -> usize {
        1_000
    }

    fn call(&self, _: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move { Ok(request) })
    }
}

/// Short limits, which a handshake on a busy machine keeps all the same.
fn short() -> Limits {
    let (handshake_timeout, body_timeout) = (Duration::from_secs(3), Duration::from_millis(200));
    Limits { handshake_timeout, body_timeout, ..Limits::default() }
}

/// A body that is sent piece by piece.
struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn pieces() -> (mpsc::UnboundedSender<Bytes>, Pieces) {
    let (send, receive) = mpsc::unbounded_channel();
    (send, Pieces(receive))
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_with_and_without_its_length() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(serving(&server, &client, Arc::new(Small)), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    say(&channel, &[7; 1_000]).await.unwrap();
    let LinkError::Refused(refused) = say(&channel, &[7; 1_001]).await.unwrap_err() else {
        panic!()
    };
    assert_eq!(refused.kind(), FaultKind::TooLarge);

    let mut raw = speak::<Pieces>(&client, &server, served.address).await;
    let (send, body) = pieces();
    for _ in 0..2 {
        send.send(Bytes::from_static(&[7; 600])).unwrap();
    }
    let answer = raw.send_request(request("1", routes::MANAGER, body)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(fault(answer).await.kind(), FaultKind::TooLarge);
}

#[tokio::test]
async fn an_answer_over_the_callers_limit_is_not_taken() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let channel = channel(&client, &server, served.address);
    let limits = CallLimits { answer_bytes_max: 100, ..CallLimits::default() };
    let call = |bytes| channel.call(routes::MANAGER, SecretBytes::new(vec![7; bytes]), limits);
    call(100 - 32).await.unwrap();
    let failed = call(100 - 31).await.unwrap_err();
    assert!(matches!(failed, LinkError::TooLarge { limit: 100 }), "{failed:?}");
}

#[tokio::test]
async fn a_handshake_that_goes_nowhere_is_ended() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), short()).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut noisy = TcpStream::connect(served.address).await.unwrap();
    noisy.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    // Others are served meanwhile.
    say(&channel(&client, &server, served.address), b"x").await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap(), 0);
    let mut rest = Vec::new();
    drop(noisy.read_to_end(&mut rest).await);
    assert!(rest.len() < 16, "an alert at most: {rest:?}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(serving(&server, &client, Arc::new(Small)), short()).await;
    let mut raw = speak::<Pieces>(&client, &server, served.address).await;
    let (send, body) = pieces();
    send.send(Bytes::from_static(b"a little")).unwrap();
    let answer = raw.send_request(request("1", routes::MANAGER, body)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(fault(answer).await.kind(), FaultKind::Timeout);
    drop(send);
}

#[tokio::test]
async fn what_is_not_http2_ends_its_own_connection_only() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let config = || client_config(&client, keys_of([&server]), ALPN_CALLS, provider()).unwrap();
    let mut stream = connect(config(), served.address).await.unwrap();
    stream.write_all(&[b'x'; 4_096]).await.unwrap();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest).await);
    assert!(rest.len() < 1_024, "no more than an error: {} bytes", rest.len());
    // And one that wants another protocol.
    let mut other = config();
    other.alpn_protocols = vec![b"http/1.1".to_vec()];
    connect(other, served.address).await.unwrap_err();
    other = config();
    other.alpn_protocols.clear();
    let mut stream = connect(other, served.address).await.unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    say(&channel(&client, &server, served.address), b"x").await.unwrap();
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused_with_both_numbers() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let mut raw = speak(&client, &server, served.address).await;
    let call = request("9", routes::MANAGER, Full::new(Bytes::new()));
    let refused = fault(raw.send_request(call).await.unwrap()).await;
    assert_eq!(refused.kind(), FaultKind::BadRequest);
    assert!(refused.public().contains("version 9"), "{refused}");
    assert!(refused.public().contains("version 1"), "{refused}");

    let newer = || Response::builder().header("keysherd-link", "2").body(Full::default()).unwrap();
    let address = answering(&server, &client, provider(), newer).await;
    let failed = say(&channel(&client, &server, address), b"x").await.unwrap_err();
    let LinkError::Mismatch(why) = &failed else { panic!("{failed:?}") };
    assert!(why.contains("version 2"), "{why}");
}

#[tokio::test]
async fn answers_that_are_none_are_recognized() {
    let (server, client) = (identity("m"), identity("gateway"));
    let cases: [fn() -> Response<Full<Bytes>>; 3] = [
        || Response::new(Full::from("a web server")),
        || {
            let answer = Response::builder().status(500).header("keysherd-link", "1");
            answer.body(Full::from("a proxy's page")).unwrap()
        },
        || {
            let answer = Response::builder().status(400).header("keysherd-link", "1");
            let answer = answer.header("content-type", "application/x-keysherd-fault");
            answer.body(Full::from("not a fault")).unwrap()
        },
    ];
    for answer in cases {
        let address = answering(&server, &client, provider(), answer).await;
        let failed = say(&channel(&client, &server, address), b"x").await.unwrap_err();
        assert!(matches!(failed, LinkError::Mismatch(_)), "{failed:?}");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_not_served() {
    let (server, client) = (identity("m"), identity("gateway"));
    let served = Served::start(echo(&server, &keys_of([&client])), Limits::default()).await;
    let mut raw = speak(&client, &server, served.address).await;
    let mut get = request("1", routes::MANAGER, Full::<Bytes>::default());
    *get.method_mut() = http::Method::GET;
    let elsewhere = request("1", "/v1/manager/", Full::default());
    for call in [get, elsewhere] {
        let answer = raw.send_request(call).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        drop(answer.into_body().collect().await.unwrap());
    }
}
