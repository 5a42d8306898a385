//! What a listener and an edge are told at start.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{ClockHandle, RngHandle};
use serde_json::Value;

use crate::tls::TlsReload;
use crate::trace::Traces;

/// Bounds on what clients can make a listener hold or wait for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of one listener at the same time. When all are in use, a new one takes the
    /// place of the longest idle one of the address with the most connections.
    pub connections_max: usize,
    /// Connections of one IPv4 address or one IPv6 /64 network, so that no client can take all.
    /// Trusted proxies are exempt.
    pub connections_per_address_max: usize,
    /// Requests in progress on one HTTP/2 connection.
    pub streams_per_connection_max: u32,
    /// Request line and headers together, in bytes; at least 8,192.
    pub header_bytes_max: usize,
    /// Memory for all request bodies that are still arriving in pieces, in bytes.
    pub bodies_bytes_max: usize,
    /// Calls under way of one IPv4 address or one IPv6 /64 network, also those whose clients went
    /// away, which go on all the same. Further calls are refused meanwhile.
    pub calls_per_address_max: usize,
    /// Requests of one IPv4 address or one IPv6 /64 network in a minute; 0: as many as it likes.
    pub requests_per_minute: u32,
    /// Requests of one identity, as [`crate::Host::identity_of`] tells them apart, in a minute; 0:
    /// as many as it likes.
    pub identity_requests_per_minute: u32,
    /// Time for the TLS handshake, with a proxy's header before it.
    pub handshake_timeout: Duration,
    /// Time from the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// Time from the head of a request to the last byte of its body.
    pub body_timeout: Duration,
    /// Time a connection may stay without a request and without taking its answer. Longer than
    /// the 60 seconds that load balancers commonly keep an idle connection.
    pub idle_timeout: Duration,
    /// Time for running requests after shutdown was asked for.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 2_500,
            streams_per_connection_max: 128,
            header_bytes_max: 64 * 1024,
            bodies_bytes_max: 256 * 1024 * 1024,
            calls_per_address_max: 1_024,
            requests_per_minute: 0,
            identity_requests_per_minute: 0,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(90),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// How bytes travel.
#[derive(Clone)]
pub enum Transport {
    /// TLS with a certificate that can be exchanged while serving.
    Tls(TlsReload),
    /// Nothing is encrypted. Only for a loopback address or behind a local TLS proxy; never a
    /// default (design, invariant 9).
    PlaintextTcp,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tls(_) => "Tls",
            Self::PlaintextTcp => "PlaintextTcp",
        })
    }
}

/// Where connections are served.
#[derive(Clone, Copy, Debug, Default)]
pub enum Workers {
    /// On the runtime that `serve` was called on.
    #[default]
    Ambient,
    /// On this many threads, each with a single-threaded runtime of its own. Saves the cost of
    /// work stealing (performance reference, section 2b, lesson 1), but a command that blocks
    /// its thread then blocks every connection of that thread, and `block_in_place` panics.
    Threads(NonZeroUsize),
}

/// Whether requests can be served now, or else a word for why not, which anybody may read. It must
/// not block.
pub type Ready = Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>;

/// What an edge needs from its surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// The wall clock.
    pub clock: ClockHandle,
    /// The random source of request ids.
    pub rng: RngHandle,
    /// Whether requests can be served now; answers `GET /health`.
    pub ready: Ready,
    /// The answer to `GET /status`, if there is one. It must not block and, like the route, is
    /// open to anyone: nothing in it may be secret.
    pub status: Option<Arc<dyn Fn() -> Value + Send + Sync>>,
    /// Which requests leave a trace, and where; `None`: none.
    pub traces: Option<Traces>,
    /// Whether an address is a proxy whose `X-Forwarded-For` is believed.
    pub trusted_proxy: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Bounds on request bodies; the other bounds are the listener's.
    pub limits: Limits,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("limits", &self.limits).finish_non_exhaustive()
    }
}
