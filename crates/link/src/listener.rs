//! The accept loop: from binding to the last answer.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keysherd_base::{ClockHandle, Fault};
use rustls::server::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use crate::connections::{Connections, Place};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::peer::Peer;
use crate::relay::{self, RelayTargets};
use crate::service::Services;
use crate::tls;
use crate::trust::TrustHandle;

mod calls;

/// Pause after the system refused to hand over a connection, most likely for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of one call that may be on their way unread. A call's messages are mostly smaller.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same for all calls of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// What a listener shows, whom it lets in, and what it serves them.
pub struct Serving {
    identity: Identity,
    trust: TrustHandle,
    services: Services,
    relay: Option<Arc<dyn RelayTargets>>,
}

/// A bound address that is not being served yet.
#[derive(Debug)]
pub struct LinkListener {
    socket: TcpListener,
    address: SocketAddr,
    limits: Limits,
    handle: LinkHandle,
}

/// A hold on a listener that is being served. Clones are handles to the same one.
#[derive(Clone)]
pub struct LinkHandle {
    connections: Arc<Connections>,
    meter: Arc<Meter>,
}

/// What a listener has counted since it was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Connections that were taken.
    pub connections: u64,
    /// Connections refused because there are too many.
    pub refused: u64,
    /// Handshakes that failed or took too long.
    pub handshakes_failed: u64,
}

/// Where it counts.
#[derive(Default)]
struct Meter {
    connections: AtomicU64,
    refused: AtomicU64,
    handshakes_failed: AtomicU64,
}

/// Counts one.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections and calls that were still busy at [`Limits::drain_timeout`].
    pub unfinished: usize,
}

impl Serving {
    /// Shows `identity`, lets in whom `trust` allows, and serves them `services`.
    pub fn new(identity: Identity, trust: TrustHandle, services: Services) -> Self {
        Self { identity, trust, services, relay: None }
    }

    /// Relays bytes to managers as well.
    #[must_use]
    pub fn with_relay(mut self, targets: Arc<dyn RelayTargets>) -> Self {
        self.relay = Some(targets);
        self
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("identity", &self.identity)
            .field("services", &self.services)
            .field("relay", &self.relay.is_some())
            .finish_non_exhaustive()
    }
}

impl LinkHandle {
    /// Closes the connections, relayed ones included, whose keys are not trusted any more. To be
    /// called after the trust has changed. Says how many it closes.
    pub fn revalidate(&self) -> usize {
        self.connections.revalidate()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// What was counted so far.
    pub fn counts(&self) -> LinkCounts {
        let Meter { connections, refused, handshakes_failed } = &*self.meter;
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkCounts {
            connections: value(connections),
            refused: value(refused),
            handshakes_failed: value(handshakes_failed),
        }
    }
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkHandle({} connections)", self.connections())
    }
}

impl LinkListener {
    /// Binds `address`. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when the address is in use or not one of this machine.
    pub async fn bind(address: SocketAddr, limits: Limits) -> Result<Self, Fault> {
        let failed =
            |error: io::Error| Fault::unavailable(format!("cannot listen on {address}: {error}"));
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let connections = Arc::new(Connections::new(limits));
        let handle = LinkHandle { connections, meter: Arc::default() };
        Ok(Self { socket, address, limits, handle })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A hold on it for the time it is served.
    pub fn handle(&self) -> LinkHandle {
        self.handle.clone()
    }

    /// Serves until `shutdown` is ready; then takes no more connections and calls, and returns
    /// when the running ones are finished, at the latest after [`Limits::drain_timeout`].
    ///
    /// # Errors
    /// [`Fault::internal`] when TLS cannot be set up.
    pub async fn serve(
        self,
        serving: Serving,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Drained, Fault> {
        let Serving { identity, trust, services, relay } = serving;
        let with_relay = relay.is_some();
        let tls = tls::server_config(&identity, trust.clone(), with_relay, tls::provider())?;
        let LinkHandle { connections, meter } = self.handle;
        connections.trust(trust.clone());
        let bodies = self.limits.bodies_bytes_max.min(Semaphore::MAX_PERMITS);
        let attendant = Arc::new(Attendant {
            tls: Arc::new(tls),
            trust,
            services,
            relay,
            limits: self.limits,
            bodies: Arc::new(Semaphore::new(bodies)),
            clock: identity.clock().clone(),
            meter,
            tasks: TaskTracker::new(),
        });
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.as_mut() => break,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => attendant.take(&connections, stream, from),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept link connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // From here on new connections are refused by the system.
        drop(self.socket);
        Ok(attendant.drain(&connections).await)
    }
}

/// Serves connections.
struct Attendant {
    tls: Arc<ServerConfig>,
    trust: TrustHandle,
    services: Services,
    relay: Option<Arc<dyn RelayTargets>>,
    limits: Limits,
    /// Bytes that request bodies may take.
    bodies: Arc<Semaphore>,
    /// What those who connect are told.
    clock: ClockHandle,
    meter: Arc<Meter>,
    /// Connections, their streams and the calls that were begun.
    tasks: TaskTracker,
}

impl Attendant {
    fn take(self: &Arc<Self>, connections: &Arc<Connections>, stream: TcpStream, from: SocketAddr) {
        let address = from.ip().to_canonical();
        let Some(place) = connections.admit(address) else {
            count(&self.meter.refused);
            tracing::warn!(%address, "link connection refused: too many");
            return;
        };
        // Messages are written whole; waiting for more to send would only delay them.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        count(&self.meter.connections);
        let attendant = self.clone();
        drop(self.tasks.spawn(async move {
            let stop = place.activity.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = attendant.attend(stream, address, &place) => {}
            }
        }));
    }

    /// Shakes hands and serves what the other end asked for.
    async fn attend(self: &Arc<Self>, stream: TcpStream, address: IpAddr, place: &Place) {
        let accepting = TlsAcceptor::from(self.tls.clone()).accept(stream);
        let stream = match timeout(self.limits.handshake_timeout, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                count(&self.meter.handshakes_failed);
                tracing::debug!(%address, %error, "link handshake failed");
                return;
            }
            Err(_) => {
                count(&self.meter.handshakes_failed);
                tracing::debug!(%address, "link handshake took too long");
                return;
            }
        };
        let session = stream.get_ref().1;
        let Some(spki_sha256) = tls::spki_of(session.peer_certificates()) else { return };
        let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
        // The trust may have changed between the handshake and this entry.
        if !place.belongs_to(spki_sha256) || !self.trust.allows(&spki_sha256) {
            return;
        }
        let peer = Peer { spki_sha256, address };
        match (protocol.as_deref(), &self.relay) {
            (Some(tls::ALPN_CALLS), _) => self.serve_calls(stream, peer, place).await,
            (Some(tls::ALPN_RELAY), Some(targets)) => {
                relay::serve(stream, peer, &**targets, &place.activity, &self.limits).await;
            }
            _ => tracing::debug!(?peer, "no protocol in common"),
        }
    }

    async fn serve_calls(
        self: &Arc<Self>,
        stream: TlsStream<TcpStream>,
        peer: Peer,
        place: &Place,
    ) {
        let activity = &place.activity;
        let service = service_fn(|request: http::Request<Incoming>| {
            let (attendant, activity) = (self.clone(), activity.clone());
            async move { Ok::<_, Infallible>(attendant.answer(peer, request, &activity).await) }
        });
        let protocol = self.protocol();
        let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), service));
        let mut ticks = interval((self.limits.idle_timeout / 4).max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_finishing = false;
        loop {
            let is_idle = tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(?peer, %error, "link connection ended");
                    }
                    return;
                }
                () = activity.finish.cancelled(), if !is_finishing => false,
                _ = ticks.tick() => {
                    if activity.idle() < self.limits.idle_timeout {
                        continue;
                    }
                    true
                }
            };
            if is_finishing && is_idle {
                return;
            }
            is_finishing = true;
            connection.as_mut().graceful_shutdown();
        }
    }

    fn protocol(&self) -> http2::Builder<calls::Streams> {
        let mut protocol = http2::Builder::new(calls::Streams(self.tasks.clone()));
        protocol
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.keepalive)
            .keep_alive_timeout(self.limits.keepalive)
            .max_concurrent_streams(self.limits.streams_per_connection_max)
            .max_header_list_size(self.limits.header_bytes_max)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .auto_date_header(false);
        protocol
    }

    async fn drain(&self, connections: &Connections) -> Drained {
        connections.finish_all();
        self.tasks.close();
        if timeout(self.limits.drain_timeout, self.tasks.wait()).await.is_ok() {
            return Drained { unfinished: 0 };
        }
        let unfinished = self.tasks.len();
        tracing::warn!(unfinished, "link shutdown does not wait any longer");
        connections.stop_all();
        Drained { unfinished }
    }
}

/// Whether an error of `accept` concerns just the connection that was about to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
