//! Calls to another role over one connection that is made when needed and made again when broken.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use keysherd_base::{SecretBuffer, SecretBytes};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::dial::{Connected, Route};
use crate::error::LinkError;
use crate::identity::Identity;
use crate::limits::{CallLimits, ChannelLimits};
use crate::routes;
use crate::trust::TrustHandle;
use crate::wire;

mod probe;

pub use probe::Probed;

/// Bytes of one answer, and of all answers, that may be on their way unread.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// How often a call that was certainly not sent is tried on a new connection.
const ATTEMPTS: usize = 2;
/// A pause after a single failure is waited out when it is no longer than this.
const SECOND_CHANCE: Duration = Duration::from_millis(100);

/// A way to call one role. Clones are handles to the same one.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    trust: TrustHandle,
    limits: ChannelLimits,
    routes: Mutex<Vec<Route>>,
    /// The place of the route that worked last.
    preferred: AtomicUsize,
    current: ArcSwapOption<Connection>,
    /// Held while connecting, so that all callers wait for one attempt.
    connecting: Arc<tokio::sync::Mutex<Pause>>,
}

/// When connecting may be tried again.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<(Instant, LinkError)>,
}

/// One HTTP/2 connection; closed when nobody holds it any more.
struct Connection {
    send: SendRequest<Full<Bytes>>,
    spki_sha256: [u8; 32],
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Channel {
    /// A channel that shows `identity`, expects a key that `trust` allows, and tries `routes` in
    /// turn, beginning with the one that worked last. Nothing is connected yet.
    pub fn new(
        identity: Identity,
        trust: TrustHandle,
        routes: Vec<Route>,
        limits: ChannelLimits,
    ) -> Self {
        let shared = Shared {
            identity,
            trust,
            limits,
            routes: Mutex::new(routes),
            preferred: AtomicUsize::new(0),
            current: ArcSwapOption::empty(),
            connecting: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Uses other routes from the next connection on.
    pub fn reroute(&self, routes: Vec<Route>) {
        *self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner) = routes;
        self.shared.preferred.store(0, Ordering::Relaxed);
    }

    /// Lets the connection go when the key at its other end is not trusted any more. To be called
    /// after the trust has changed; calls look at it by themselves.
    pub fn revalidate(&self) {
        if let Some(current) = self.shared.current.load_full()
            && !self.shared.trust.allows(&current.spki_sha256)
        {
            self.shared.forget(&current);
        }
    }

    /// Lets the connection go; the next call makes another.
    pub fn disconnect(&self) {
        self.shared.current.store(None);
    }

    /// The key at the other end of the open connection, if there is one.
    pub fn connected_to(&self) -> Option<[u8; 32]> {
        let current = self.shared.current.load_full()?;
        (!current.send.is_closed()).then_some(current.spki_sha256)
    }

    /// Calls `route` (see [`crate::routes`]) with `request` and waits for the answer.
    ///
    /// A call that was certainly not sent is sent once more on another connection. Dropping the
    /// future gives the answer up; the other side finishes the call all the same.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn call(
        &self,
        route: &'static str,
        request: SecretBytes,
        limits: CallLimits,
    ) -> Result<SecretBytes, LinkError> {
        self.call_shared(route, wire::body(request), limits).await
    }

    /// As [`Self::call`], with bytes that the caller may send again.
    pub(crate) async fn call_shared(
        &self,
        route: &'static str,
        request: Bytes,
        limits: CallLimits,
    ) -> Result<SecretBytes, LinkError> {
        let sent = AtomicBool::new(false);
        let calling = self.shared.call(route, request, limits.answer_bytes_max, &sent);
        timeout(limits.timeout, calling).await.unwrap_or_else(|_| {
            let is_sent = sent.load(Ordering::Relaxed);
            Err(if is_sent { LinkError::TimedOut } else { LinkError::TimedOutUnsent })
        })
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Channel").field("routes", &*routes).finish_non_exhaustive()
    }
}

impl Shared {
    async fn call(
        self: &Arc<Self>,
        route: &'static str,
        request: Bytes,
        answer_bytes_max: usize,
        sent: &AtomicBool,
    ) -> Result<SecretBytes, LinkError> {
        let mut why = String::new();
        for _ in 0..ATTEMPTS {
            let connection = self.connection().await?;
            sent.store(true, Ordering::Relaxed);
            let sending = connection.send.clone().try_send_request(head(route, request.clone())?);
            match sending.await {
                Ok(answer) => return read(answer, answer_bytes_max).await,
                Err(error) => {
                    if connection.send.is_closed() {
                        self.forget(&connection);
                    }
                    why = said(error.error());
                    if error.message().is_none() && !was_refused(error.error()) {
                        return Err(LinkError::Lost(why));
                    }
                    sent.store(false, Ordering::Relaxed);
                }
            }
        }
        Err(LinkError::Unreachable(why))
    }

    /// The open connection, or a new one.
    async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, LinkError> {
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        let mut pause = self.connecting.clone().lock_owned().await;
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        if let Some((until, why)) = &pause.until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() && (pause.failures > 1 || left > SECOND_CHANCE) {
                return Err(why.clone());
            }
            // Behind a balancer, the first attempt may have met one that was just ending.
            tokio::time::sleep(left).await;
        }
        // Its own task: a caller that gives up must not take the attempt from the others.
        let shared = self.clone();
        let connecting = tokio::spawn(async move {
            match shared.connect().await {
                Ok(connection) => {
                    *pause = Pause::default();
                    shared.current.store(Some(connection.clone()));
                    Ok(connection)
                }
                Err(why) => {
                    shared.defer(&mut pause, why.clone());
                    Err(why)
                }
            }
        });
        connecting.await.unwrap_or_else(|error| Err(LinkError::Unreachable(error.to_string())))
    }

    fn usable(&self) -> Option<Arc<Connection>> {
        let connection = self.current.load_full()?;
        if connection.send.is_closed() || !self.trust.allows(&connection.spki_sha256) {
            self.forget(&connection);
            return None;
        }
        Some(connection)
    }

    /// Tries the routes in turn.
    async fn connect(&self) -> Result<Arc<Connection>, LinkError> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut why = Vec::new();
        let mut mismatch = false;
        for step in 0..routes.len() {
            let place = (first + step) % routes.len();
            let Some(route) = routes.get(place) else { continue };
            let connected = timeout(self.limits.connect_timeout, self.connect_by(route)).await;
            let connected = connected.unwrap_or(Err(LinkError::TimedOutUnsent));
            match connected {
                Ok(connection) => {
                    self.preferred.store(place, Ordering::Relaxed);
                    return Ok(Arc::new(connection));
                }
                Err(error) => {
                    mismatch |= matches!(error, LinkError::Mismatch(_));
                    why.push(match error {
                        LinkError::Unreachable(why) => format!("{route}: {why}"),
                        error => format!("{route}: {error}"),
                    });
                }
            }
        }
        if why.is_empty() {
            why.push("there is no route to it; configure its address".to_owned());
        }
        let why = why.join("; ");
        Err(if mismatch { LinkError::Mismatch(why) } else { LinkError::Unreachable(why) })
    }

    /// A connection whose other end has let this one in. With TLS 1.3 a client is done before its
    /// certificate is judged, so only an answer says that.
    async fn connect_by(&self, route: &Route) -> Result<Connection, LinkError> {
        let limit = self.limits.connect_timeout;
        let connected = route.connect(&self.identity, &self.trust, limit).await;
        let connected = connected.map_err(|failed| LinkError::Unreachable(failed.why))?;
        let refused = |error: &hyper::Error| {
            LinkError::Unreachable(format!("it does not let this role in: {}", said(error)))
        };
        let mut connection = self.speak(connected).await.map_err(|error| refused(&error))?;
        let hello = head(routes::HELLO, Bytes::new())?;
        let answer = connection.send.send_request(hello).await.map_err(|error| refused(&error))?;
        match read(answer, 0).await {
            Ok(_) => Ok(connection),
            Err(error @ LinkError::Mismatch(_)) => Err(error),
            Err(error) => Err(LinkError::Unreachable(error.to_string())),
        }
    }

    async fn speak(&self, connected: Connected) -> Result<Connection, hyper::Error> {
        let mut protocol = http2::Builder::new(TokioExecutor::new());
        protocol
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.keepalive)
            .keep_alive_timeout(self.limits.keepalive)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let (send, driver) = protocol.handshake(TokioIo::new(connected.stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "link connection ended");
            }
        });
        let driver = driver.abort_handle();
        Ok(Connection { send, spki_sha256: connected.spki_sha256, driver })
    }

    /// Waits longer after each failure, and never for the same time as others that failed with it.
    fn defer(&self, pause: &mut Pause, why: LinkError) {
        let doublings = pause.failures.min(16);
        let whole = self.limits.backoff_min.saturating_mul(1 << doublings);
        let whole = whole.min(self.limits.backoff_max);
        let half = whole / 2;
        let jitter = half.mul_f64(f64::from(self.identity.random_byte()) / 255.0);
        pause.failures = pause.failures.saturating_add(1);
        tracing::debug!(%why, wait = ?(half + jitter), "cannot connect");
        pause.until = Instant::now().checked_add(half + jitter).map(|until| (until, why));
    }

    fn forget(&self, connection: &Arc<Connection>) {
        let held = self.current.load();
        if held.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            self.current.compare_and_swap(&*held, None);
        }
    }
}

/// Whether the other side refused the call before it looked at it, as it does with more calls at a
/// time than it allows (RFC 9113 section 8.7).
fn was_refused(error: &hyper::Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// The error and what caused it.
fn said(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn head(route: &'static str, request: Bytes) -> Result<Request<Full<Bytes>>, LinkError> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("https://link.keysherd{route}"))
        .header(wire::VERSION, wire::SPOKEN)
        .body(Full::new(request))
        .map_err(|error| LinkError::Mismatch(error.to_string()))
}

async fn read(answer: Response<Incoming>, bytes_max: usize) -> Result<SecretBytes, LinkError> {
    let (head, body) = answer.into_parts();
    wire::check_version(&head.headers)?;
    if wire::is_fault(&head.headers) {
        let bytes = read_body(body, wire::FAULT_BYTES_MAX).await?;
        return Err(wire::read_fault(head.status, bytes.expose()));
    }
    if head.status != StatusCode::OK {
        return Err(LinkError::Mismatch(format!("an answer with status {}", head.status)));
    }
    read_body(body, bytes_max).await
}

async fn read_body(mut body: Incoming, bytes_max: usize) -> Result<SecretBytes, LinkError> {
    use hyper::body::Body;
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > bytes_max {
        return Err(LinkError::TooLarge { limit: bytes_max });
    }
    let mut buffer = SecretBuffer::with_capacity(expected);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| LinkError::Lost(said(&error)))?;
        let Some(data) = frame.data_ref() else { continue };
        if buffer.len() + data.len() > bytes_max {
            return Err(LinkError::TooLarge { limit: bytes_max });
        }
        buffer.extend(data);
    }
    Ok(buffer.finish())
}
