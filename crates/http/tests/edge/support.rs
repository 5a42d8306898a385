//! A server for one test, and a client that sends exactly what it is told.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use keysherd_base::{Fault, ManualClock, Rng, RngFailed, Timestamp};
use keysherd_http::{
    Drained, Edge, Ending, Limits, Listener, Meter, Scrape, Surroundings, Traces, Transport,
    Workers,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::toy::{COMMANDS, State, Toy, pages};

/// Fails a test that hangs.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let result = tokio::time::timeout(Duration::from_secs(30), future).await;
    result.expect("this takes too long")
}

/// Random bytes that are merely different each time.
#[derive(Default)]
struct Counter(AtomicU64);

impl Rng for Counter {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        for chunk in buffer.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
        Ok(())
    }
}

/// What a test wants different.
pub(crate) struct Options {
    pub(crate) limits: Limits,
    pub(crate) transport: Transport,
    pub(crate) workers: Workers,
    pub(crate) trusted: fn(IpAddr) -> bool,
    pub(crate) status: bool,
    pub(crate) address: &'static str,
    pub(crate) proxy_headers: bool,
    pub(crate) traces: Option<Traces>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            transport: Transport::PlaintextTcp,
            workers: Workers::Ambient,
            trusted: |_| false,
            status: false,
            address: "127.0.0.1:0",
            proxy_headers: false,
            traces: None,
        }
    }
}

async fn asked(by: oneshot::Receiver<()>) {
    if by.await.is_err() {
        // Nobody is left to ask.
        std::future::pending::<()>().await;
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) meter: Arc<Meter>,
    shutdown: Option<oneshot::Sender<()>>,
    cut: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<Drained, Fault>>,
}

/// The time that the server's clock shows.
pub(crate) const NOW: Timestamp = Timestamp(1_767_607_872_000);

impl Server {
    pub(crate) async fn start(options: Options) -> Self {
        let toy = Toy::default();
        let state = toy.state();
        let ready = Arc::new(AtomicBool::new(true));
        let is_ready = ready.clone();
        let surroundings = Surroundings {
            clock: Arc::new(ManualClock::new(NOW)),
            rng: Arc::new(Counter::default()),
            ready: Arc::new(move || {
                is_ready.load(Ordering::SeqCst).then_some(()).ok_or("unavailable")
            }),
            status: options.status.then(|| {
                let status: Arc<dyn Fn() -> Value + Send + Sync> =
                    Arc::new(|| json!({"version": "0"}));
                status
            }),
            traces: options.traces,
            trusted_proxy: Arc::new(options.trusted),
            limits: options.limits,
        };
        let edge = Edge::with_pages(Arc::new(toy), COMMANDS, pages(), surroundings).unwrap();
        let bound = options.address.parse().unwrap();
        let listener = Listener::bind(bound, options.limits, options.workers).await.unwrap();
        let listener = listener.with_proxy_headers(options.proxy_headers);
        let (address, meter) = (listener.address(), edge.meter());
        let ((shutdown, finish), (cut, at_once)) = (oneshot::channel(), oneshot::channel());
        let ending = Ending { finish: asked(finish), cut: asked(at_once) };
        let serving = tokio::spawn(listener.serve_until(options.transport, edge, ending));
        let (shutdown, cut) = (Some(shutdown), Some(cut));
        Self { address, state, ready, meter, shutdown, cut, serving }
    }

    /// One that serves metrics.
    pub(crate) async fn scrape(scrape: Arc<Scrape>) -> Self {
        let plain = Self::plain().await;
        let bound = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(bound, Limits::default(), Workers::Ambient).await.unwrap();
        let address = listener.address();
        let (shutdown, finish) = oneshot::channel();
        let serving = listener.scrape(Transport::PlaintextTcp, scrape, asked(finish));
        let (serving, shutdown) = (tokio::spawn(serving), Some(shutdown));
        Self { address, shutdown, serving, ..plain }
    }

    pub(crate) async fn plain() -> Self {
        Self::start(Options::default()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        Self::start(Options { limits, ..Options::default() }).await
    }

    pub(crate) fn begin_shutdown(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    /// Does not wait for what still runs.
    pub(crate) fn cut(&mut self) {
        self.cut.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn drained(self) -> Drained {
        soon(self.serving).await.unwrap().unwrap()
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &[u8]) -> Response {
        let mut client = self.connect().await;
        client.write(request).await;
        client.read().await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Response {
        self.send(&post(path, &["Content-Type: application/json"], body)).await
    }
}

/// A POST request.
pub(crate) fn post(path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: toy\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    let length = body.len();
    request.push_str(&format!("Content-Length: {length}\r\n\r\n{body}"));
    request.into_bytes()
}

/// One end of a connection.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The text of an error, after checking that the body has nothing else.
    pub(crate) fn error(&self) -> String {
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        json["error"].as_str().unwrap().to_owned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }

    /// Reads until `enough` finds what it looks for in what arrived; `None` at the end.
    async fn read_until<T>(&mut self, enough: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = enough(&self.buffer) {
                return Some(found);
            }
            let read = soon(self.stream.read_buf(&mut self.buffer)).await;
            // A reset is an end as well: the server may close without having read everything.
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    /// The next response; `None` when the connection ends first.
    pub(crate) async fn try_read(&mut self) -> Option<Response> {
        let blank = |bytes: &[u8]| bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = self.read_until(blank).await?;
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let status: u16 = status.parse().unwrap();
        let headers: HashMap<_, _> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
        self.read_until(|bytes| (bytes.len() >= length).then_some(())).await?;
        Some(Response { status, headers, body: self.buffer.drain(..length).collect() })
    }

    pub(crate) async fn read(&mut self) -> Response {
        self.try_read().await.expect("the connection ended")
    }

    /// Whether the server ends the connection without sending anything more.
    pub(crate) async fn ends(&mut self) -> bool {
        self.read_until(|bytes| (!bytes.is_empty()).then_some(())).await.is_none()
    }
}
