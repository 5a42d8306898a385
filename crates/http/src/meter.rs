//! What an edge and its listeners count. Nothing here comes from a client but how much it does:
//! requests are told apart by the names of commands that exist.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::durations::Durations;
use crate::exposition::{Exposition, Kind, float};

/// Statuses are told apart up to this one.
const STATUS_END: u16 = 600;
/// First digits of statuses.
const CLASSES: usize = 6;
/// What everything that is no command counts as.
pub(crate) const OTHER: &str = "other";

type ByClass = [AtomicU64; CLASSES];

/// The counts of one edge.
pub struct Meter {
    commands: BTreeMap<&'static str, ByClass>,
    statuses: Box<[AtomicU64]>,
    durations: Durations,
    /// Requests whose client left before the answer.
    left: AtomicU64,
    in_flight: AtomicU64,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) proxy_headers_refused: AtomicU64,
    pub(crate) limited: AtomicU64,
}

/// What there is of something, and what there ever was.
#[derive(Default)]
pub(crate) struct Gauge {
    now: Arc<AtomicU64>,
    total: AtomicU64,
}

/// One of what a [`Gauge`] counts; until it is dropped.
pub(crate) struct Counted(Arc<AtomicU64>);

impl Gauge {
    pub(crate) fn one(&self) -> Counted {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.now.fetch_add(1, Ordering::Relaxed);
        Counted(self.now.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is being answered.
pub(crate) struct Answering<'a> {
    meter: &'a Meter,
    begun: Instant,
    answered: bool,
}

impl Answering<'_> {
    /// Counts the answer; gives how long it took.
    pub(crate) fn answered(mut self, name: &str, status: StatusCode) -> Duration {
        self.answered = true;
        let took = self.begun.elapsed();
        self.meter.count(name, status, took);
        took
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.meter.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.answered {
            self.meter.left.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Meter {
    /// One that tells these commands apart.
    pub(crate) fn new(commands: impl Iterator<Item = &'static str>) -> Self {
        let names = commands.chain([OTHER]);
        Self {
            commands: names.map(|name| (name, ByClass::default())).collect(),
            statuses: (0..STATUS_END).map(|_| AtomicU64::default()).collect(),
            durations: Durations::default(),
            left: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            connections: Gauge::default(),
            connections_refused: AtomicU64::default(),
            handshakes_failed: AtomicU64::default(),
            proxy_headers_refused: AtomicU64::default(),
            limited: AtomicU64::default(),
        }
    }

    /// Counts a request that begins.
    pub(crate) fn begin(&self) -> Answering<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Answering { meter: self, begun: Instant::now(), answered: false }
    }

    fn count(&self, name: &str, status: StatusCode, took: Duration) {
        let add = |counter: Option<&AtomicU64>| {
            counter.map(|counter| counter.fetch_add(1, Ordering::Relaxed));
        };
        let code = status.as_u16();
        let by_class = self.commands.get(name).or_else(|| self.commands.get(OTHER));
        add(by_class.and_then(|classes| classes.get(usize::from(code / 100))));
        add(self.statuses.get(usize::from(code)));
        self.durations.record(took);
    }

    /// Requests that were answered, with their statuses; those that never were given are left out.
    pub fn statuses(&self) -> impl Iterator<Item = (usize, u64)> {
        let count = |(code, counter): (usize, &AtomicU64)| (code, value(counter));
        self.statuses.iter().enumerate().map(count).filter(|(_, count)| *count > 0)
    }

    /// Writes everything.
    pub fn write(&self, to: &mut Exposition) {
        self.write_requests(to);
        let mut count = |name, kind, help, counter: &AtomicU64| {
            to.single(name, kind, help, float(value(counter)));
        };
        let (counter, gauge) = (Kind::Counter, Kind::Gauge);
        let help = "Requests that are being answered.";
        count("keysherd_http_requests_in_flight", gauge, help, &self.in_flight);
        let help = "Requests whose client left before the answer.";
        count("keysherd_http_requests_abandoned_total", counter, help, &self.left);
        let help = "Requests refused because their client sends too many.";
        count("keysherd_http_requests_limited_total", counter, help, &self.limited);
        let help = "Open connections of clients.";
        count("keysherd_http_open_connections", gauge, help, &self.connections.now);
        let help = "Connections that were taken.";
        count("keysherd_http_connections_total", counter, help, &self.connections.total);
        let help = "Connections refused because there are too many.";
        let refused = &self.connections_refused;
        count("keysherd_http_connections_refused_total", counter, help, refused);
        let help = "TLS handshakes that failed or took too long.";
        count("keysherd_tls_handshakes_failed_total", counter, help, &self.handshakes_failed);
        let help = "Connections of trusted proxies without a good PROXY header.";
        let refused = &self.proxy_headers_refused;
        count("keysherd_proxy_headers_refused_total", counter, help, refused);
    }

    fn write_requests(&self, to: &mut Exposition) {
        let help = "Answered requests by command and by the first digit of the status.";
        let mut family = to.family("keysherd_http_requests_total", Kind::Counter, help);
        for (command, classes) in &self.commands {
            for (class, counter) in classes.iter().enumerate() {
                let count = value(counter);
                if count > 0 {
                    let status = format!("{class}xx");
                    family.sample(&[("command", command), ("status", &status)], float(count));
                }
            }
        }
        let help = "How long answers took.";
        self.durations.write(to, "keysherd_http_request_seconds", help);
    }
}

fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("left", &self.left).finish_non_exhaustive()
    }
}
