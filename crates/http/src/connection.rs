//! One connection: handshake, HTTP, and obedience to the registry.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::{Request, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};
use tokio_util::task::TaskTracker;

use crate::config::{Limits, Transport};
use crate::edge::Handler;
use crate::greeting::{ReadAhead, Refused};
use crate::origin::Peer;
use crate::registry::Place;
use crate::tls;

/// What a connection is told from outside. Later ones are stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Go on.
    Serve,
    /// Finish the running requests, take no more, close.
    Finish,
    /// Close now.
    Stop,
}

/// What can be seen of a connection at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Requests so far.
    pub(crate) requests: u64,
    /// Writes so far: signs of a client that takes its answers. Reads do not count, so that bytes
    /// that lead to nothing keep no connection open.
    pub(crate) writes: u64,
    /// Requests that are being served.
    pub(crate) in_flight: u32,
    /// Whether bytes arrived that do not make up a request yet.
    pub(crate) head_incomplete: bool,
}

/// What happens on a connection, shared with the registry.
#[derive(Default)]
pub(crate) struct Activity {
    requests: AtomicU64,
    writes: AtomicU64,
    in_flight: AtomicU32,
    unclaimed: AtomicBool,
    /// HTTP/2, where bytes between requests are ordinary.
    multiplexed: AtomicBool,
    order: AtomicU8,
    ordered: Notify,
}

impl Activity {
    pub(crate) fn seen(&self) -> Seen {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let unclaimed = self.unclaimed.load(Ordering::Relaxed);
        Seen {
            requests: self.requests.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            in_flight,
            head_incomplete: unclaimed
                && in_flight == 0
                && !self.multiplexed.load(Ordering::Relaxed),
        }
    }

    /// Tells the connection what to do; weaker orders than one given before have no effect.
    pub(crate) fn give(&self, order: Order) {
        let before = self.order.fetch_max(order as u8, Ordering::Relaxed);
        if before < order as u8 {
            self.ordered.notify_one();
        }
    }

    /// Waits for an order; returns the strongest so far.
    async fn ordered(&self) -> Order {
        self.ordered.notified().await;
        self.order()
    }

    /// The strongest order so far.
    pub(crate) fn order(&self) -> Order {
        match self.order.load(Ordering::Relaxed) {
            order if order == Order::Serve as u8 => Order::Serve,
            order if order == Order::Finish as u8 => Order::Finish,
            _ => Order::Stop,
        }
    }

    /// Notes the start of a request; its end is the drop of what is returned.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.unclaimed.store(false, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        InFlight(self.clone())
    }
}

/// A request that is being served.
pub(crate) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        // What was read meanwhile was the request's body.
        self.0.unclaimed.store(false, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose use is noted.
struct Noted<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.unclaimed.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<S> Noted<S> {
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = polled {
            self.activity.writes.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Runs the streams of HTTP/2 connections as tasks that a drain waits for.
#[derive(Clone)]
struct Streams(TaskTracker);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        drop(self.0.spawn(stream));
    }
}

/// A connection on which HTTP comes next.
struct Begun {
    stream: Spoken,
    /// Who is at its other end.
    client: Peer,
}

/// What is spoken under HTTP.
enum Spoken {
    Plain(ReadAhead<TcpStream>),
    Tls(Box<TlsStream<ReadAhead<TcpStream>>>),
}

/// Everything that the connections of a listener have in common.
pub(crate) struct Service<Hd> {
    handler: Arc<Hd>,
    transport: Transport,
    /// Whether trusted proxies say where their clients are before anything else.
    proxy_headers: bool,
    limits: Limits,
    any: auto::Builder<Streams>,
    http1: auto::Builder<Streams>,
    http2: auto::Builder<Streams>,
}

impl<Hd: Handler> Service<Hd> {
    pub(crate) fn new(
        handler: Arc<Hd>,
        (transport, proxy_headers): (Transport, bool),
        limits: Limits,
        tasks: &TaskTracker,
    ) -> Self {
        let any = protocol(&limits, tasks);
        Self {
            handler,
            transport,
            proxy_headers,
            limits,
            http1: any.clone().http1_only(),
            http2: any.clone().http2_only(),
            any,
        }
    }

    /// Serves `stream` until either side ends it.
    pub(crate) async fn attend(&self, stream: TcpStream, peer: IpAddr, place: Place) {
        let activity = place.activity.clone();
        let _open = self.handler.meter().connections.one();
        let limit = self.limits.handshake_timeout;
        let begun = tokio::select! {
            begun = timeout(limit, self.begin(stream, peer, &place)) => begun,
            // There is no request yet that could be finished.
            _ = activity.ordered() => return,
        };
        let meter = self.handler.meter();
        match begun {
            Ok(Ok(Begun { stream: Spoken::Plain(stream), client })) => {
                self.serve(&self.any, stream, client, activity).await;
            }
            Ok(Ok(Begun { stream: Spoken::Tls(stream), client })) => {
                let multiplexed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                activity.multiplexed.store(multiplexed, Ordering::Relaxed);
                let protocol = if multiplexed { &self.http2 } else { &self.http1 };
                self.serve(protocol, *stream, client, activity).await;
            }
            Ok(Err(Refused::ProxyHeader(why))) => {
                meter.proxy_headers_refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%peer, why, "a trusted proxy sent no good PROXY header");
            }
            Ok(Err(Refused::Proof)) => tracing::info!(%peer, "a proof was shown to an authority"),
            Ok(Err(refused)) => {
                meter.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%peer, ?refused, "connection not served");
            }
            Err(_) => {
                meter.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%peer, "TLS handshake took too long");
            }
        }
    }

    /// What comes before HTTP.
    async fn begin(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        place: &Place,
    ) -> Result<Begun, Refused> {
        let mut stream = ReadAhead::new(stream);
        let mut client = Peer { address: peer, alone: false };
        if self.proxy_headers && self.handler.is_proxy(peer) {
            let told = stream.proxy_header().await?;
            client = Peer { address: told.unwrap_or(peer), alone: told.is_none() };
            // Proxies in front of proxies stand for many, too.
            if let Some(told) = told
                && !self.handler.is_proxy(told)
                && !place.is_of(told)
            {
                self.handler.meter().connections_refused.fetch_add(1, Ordering::Relaxed);
                return Err(Refused::TooMany);
            }
        }
        let Transport::Tls(reload) = &self.transport else {
            return Ok(Begun { stream: Spoken::Plain(stream), client });
        };
        stream.expect_tls().await?;
        let Some(proofs) = reload.proofs() else {
            let accepted = TlsAcceptor::from(reload.current()).accept(stream).await;
            let stream = accepted.map_err(Refused::Handshake)?;
            return Ok(Begun { stream: Spoken::Tls(Box::new(stream)), client });
        };
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
        let hello = hello.map_err(Refused::Handshake)?;
        if tls::wants_proof(&hello.client_hello()) {
            // The handshake is all that there is to see.
            drop(hello.into_stream(proofs).await);
            return Err(Refused::Proof);
        }
        let accepted = hello.into_stream(reload.current()).await;
        let stream = accepted.map_err(Refused::Handshake)?;
        Ok(Begun { stream: Spoken::Tls(Box::new(stream)), client })
    }

    async fn serve<S>(
        &self,
        protocol: &auto::Builder<Streams>,
        stream: S,
        peer: Peer,
        activity: Arc<Activity>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| {
            let in_flight = activity.begin(request.version());
            let handler = self.handler.clone();
            async move {
                let reply = handler.handle(peer, request).await;
                drop(in_flight);
                Ok::<_, Infallible>(reply)
            }
        });
        let io = TokioIo::new(Noted { stream, activity: activity.clone() });
        let mut connection = pin!(protocol.serve_connection(io, service));
        loop {
            let order = tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(peer = %peer.address, %error, "connection ended");
                    }
                    return;
                }
                order = activity.ordered() => order,
            };
            match order {
                Order::Serve => {}
                Order::Finish => connection.as_mut().graceful_shutdown(),
                Order::Stop => return,
            }
        }
    }
}

fn protocol(limits: &Limits, tasks: &TaskTracker) -> auto::Builder<Streams> {
    let mut protocol = auto::Builder::new(Streams(tasks.clone()));
    protocol
        .http1()
        // The registry watches over time; a timer for each request costs more than its parsing.
        .header_read_timeout(None)
        // A head that does not fit into the buffer is answered with 431.
        .max_buf_size(limits.header_bytes_max.max(8192));
    let header_list = u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX);
    protocol
        .http2()
        .max_concurrent_streams(limits.streams_per_connection_max)
        .max_header_list_size(header_list);
    protocol
}
