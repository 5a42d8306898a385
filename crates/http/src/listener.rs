//! The accept loop, from binding to the last answer.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use keysherd_base::Fault;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::TaskTracker;

use crate::config::{Limits, Transport, Workers};
use crate::connection::{Order, Service};
use crate::echo::Echo;
use crate::edge::{Edge, Handler};
use crate::host::Host;
use crate::registry::Registry;
use crate::scrape::Scrape;
use crate::workers::Pool;

/// Pause after the system refused to hand over a connection, most likely for want of files:
/// trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two lines of the log while a drain waits.
const WORDS: Duration = Duration::from_secs(5);

/// A bound address that is not being served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    limits: Limits,
    workers: Workers,
    proxy_headers: bool,
}

/// When serving ends.
pub struct Ending<F, C> {
    /// Ready when no more connections and requests are to be taken.
    pub finish: F,
    /// Ready when what still runs then is not to be waited for any longer.
    pub cut: C,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections and orphaned calls that were still busy at [`Limits::drain_timeout`]; 0 when
    /// everything was finished.
    pub unfinished: usize,
}

impl Listener {
    /// Binds `address`. Port 0 takes a free one; `[::]` takes IPv4 connections as well where the
    /// system is set up so, which is the default of Linux.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when the address is in use or not one of this machine.
    pub async fn bind(
        address: SocketAddr,
        limits: Limits,
        workers: Workers,
    ) -> Result<Self, Fault> {
        let failed =
            |error: io::Error| Fault::unavailable(format!("cannot listen on {address}: {error}"));
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, limits, workers, proxy_headers: false })
    }

    /// The same; connections of trusted proxies must begin with a header of the PROXY protocol
    /// that says where their clients are.
    pub fn with_proxy_headers(mut self, demanded: bool) -> Self {
        self.proxy_headers = demanded;
        self
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `edge` until `shutdown` is ready; then takes no more connections and requests, and
    /// returns when the running ones are finished, at the latest after
    /// [`Limits::drain_timeout`].
    ///
    /// # Errors
    /// [`Fault::internal`] when the threads of [`Workers::Threads`] cannot be made.
    pub async fn serve<H: Host>(
        self,
        transport: Transport,
        edge: Arc<Edge<H>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Drained, Fault> {
        self.run(transport, edge, Ending { finish: shutdown, cut: pending() }).await
    }

    /// As [`Listener::serve`]; what runs after the end is cut off when that is asked for.
    ///
    /// # Errors
    /// As [`Listener::serve`].
    pub async fn serve_until<H: Host>(
        self,
        transport: Transport,
        edge: Arc<Edge<H>>,
        ending: Ending<impl Future<Output = ()> + Send, impl Future<Output = ()> + Send>,
    ) -> Result<Drained, Fault> {
        self.run(transport, edge, ending).await
    }

    /// Serves metrics.
    ///
    /// # Errors
    /// As [`Listener::serve`].
    pub async fn scrape(
        self,
        transport: Transport,
        scrape: Arc<Scrape>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Drained, Fault> {
        self.run(transport, scrape, Ending { finish: shutdown, cut: pending() }).await
    }

    /// Serves, in place of an edge, a program that answers with the body it is sent: the floor
    /// that benchmarks compare to, on the same stack.
    ///
    /// # Errors
    /// As [`Listener::serve`].
    pub async fn echo(
        self,
        transport: Transport,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<Drained, Fault> {
        let ending = Ending { finish: shutdown, cut: pending() };
        self.run(transport, Arc::new(Echo::default()), ending).await
    }

    async fn run<Hd: Handler>(
        self,
        transport: Transport,
        handler: Arc<Hd>,
        ending: Ending<impl Future<Output = ()> + Send, impl Future<Output = ()> + Send>,
    ) -> Result<Drained, Fault> {
        let tasks = TaskTracker::new();
        let transport = (transport, self.proxy_headers);
        let serving = Serving {
            registry: Arc::new(Registry::new(self.limits)),
            pool: Pool::new(self.workers)?,
            service: Arc::new(Service::new(handler.clone(), transport, self.limits, &tasks)),
            tasks,
            handler,
        };
        serving.accept(&self.socket, pin!(ending.finish)).await;
        // From here on new clients are refused by the system.
        drop(self.socket);
        Ok(serving.drain(self.limits.drain_timeout, pin!(ending.cut)).await)
    }
}

/// A listener at work.
struct Serving<Hd> {
    handler: Arc<Hd>,
    service: Arc<Service<Hd>>,
    registry: Arc<Registry>,
    tasks: TaskTracker,
    pool: Pool,
}

impl<Hd: Handler> Serving<Hd> {
    async fn accept(&self, socket: &TcpListener, mut shutdown: Pin<&mut impl Future<Output = ()>>) {
        let mut ticks = interval(self.registry.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.as_mut() => return,
                _ = ticks.tick() => {
                    self.registry.look(Instant::now());
                    continue;
                }
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip().to_canonical();
        let is_proxy = self.handler.is_proxy(peer);
        let Some(place) = self.registry.admit(peer, is_proxy, Instant::now()) else {
            self.handler.meter().connections_refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%peer, "connection refused: too many");
            return;
        };
        // Answers are written whole; waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "connection is gone already");
            return;
        }
        let service = self.service.clone();
        if self.pool.is_ambient() {
            self.pool.spawn(&self.tasks, async move {
                service.attend(stream, peer, place).await;
            });
            return;
        }
        let Ok(stream) = stream.into_std() else { return };
        self.pool.spawn(&self.tasks, async move {
            // The worker's own reactor has to watch the socket.
            if let Ok(stream) = TcpStream::from_std(stream) {
                service.attend(stream, peer, place).await;
            }
        });
    }

    async fn drain(&self, wait: Duration, mut cut: Pin<&mut impl Future<Output = ()>>) -> Drained {
        self.registry.order_all(Order::Finish);
        let orphans = self.handler.orphans();
        self.tasks.close();
        orphans.close();
        let mut ticks = interval(self.registry.tick());
        let mut words = interval(WORDS);
        let until = Instant::now() + wait;
        let mut deadline = pin!(sleep(wait));
        let finished = async {
            // A connection that ends may leave a call behind, so the calls come second.
            self.tasks.wait().await;
            orphans.wait().await;
        };
        let mut finished = pin!(finished);
        loop {
            tokio::select! {
                biased;
                () = finished.as_mut() => return Drained { unfinished: 0 },
                () = deadline.as_mut() => break,
                () = cut.as_mut() => break,
                _ = ticks.tick() => self.registry.look(Instant::now()),
                _ = words.tick() => self.tell(until),
            }
        }
        let unfinished = self.registry.len() + orphans.len();
        tracing::warn!(unfinished, "shutdown does not wait any longer");
        self.registry.order_all(Order::Stop);
        Drained { unfinished }
    }
}

impl<Hd: Handler> Serving<Hd> {
    /// Says in the log what the end waits for.
    fn tell(&self, until: Instant) {
        let (requests, connections) = (self.registry.in_flight(), self.registry.len());
        let (left, calls) =
            (until.saturating_duration_since(Instant::now()), self.handler.orphans());
        let (seconds, calls) = (left.as_secs(), calls.len());
        tracing::info!(requests, connections, calls, seconds, "draining: waiting for these");
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
