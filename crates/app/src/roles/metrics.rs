//! What a gateway tells Prometheus: names of our own, and those that V2 gateways have. Also the
//! listener for it, which other roles have as well.
//!
//! No label comes from a client and none names a secret: they are names of commands, numbers of
//! managers and kinds of log targets.

use std::net::SocketAddr;
use std::sync::Arc;

use keysherd_http::{
    Exposition, Kind, Limits, Listener, Meter, Ready, Scrape, Transport, Workers, float,
};

use keysherd_sinks::SpanExport;

use super::certificate::Certificate;
use super::gateway::GatewayRole;
use crate::config::metrics::MetricsSettings;
use crate::exit::Exit;

mod system;

pub(super) use system::System;

/// Connections of a listener for metrics.
const CONNECTIONS_MAX: usize = 64;

/// A bound address for metrics.
pub(super) struct MetricsListener {
    listener: Listener,
    plaintext: bool,
}

impl MetricsListener {
    /// Takes the address.
    pub(super) async fn bind(settings: MetricsSettings) -> Result<Self, Exit> {
        let MetricsSettings { listen, plaintext } = settings;
        let limits = Limits { connections_max: CONNECTIONS_MAX, ..Limits::default() };
        let bound = Listener::bind(listen, limits, Workers::default()).await;
        let listener = bound.map_err(|fault| Exit::Listen(fault.to_string()))?;
        if plaintext && !listen.ip().is_loopback() {
            tracing::warn!(%listen, "metrics are served without TLS to other machines");
        }
        Ok(Self { listener, plaintext })
    }

    /// Serves for ever.
    pub(super) async fn serve(
        self,
        transport: Transport,
        text: impl Fn(bool) -> String + Send + Sync + 'static,
        ready: Ready,
    ) {
        let address: SocketAddr = self.listener.address();
        let transport = if self.plaintext { Transport::PlaintextTcp } else { transport };
        tracing::info!(%address, plaintext = self.plaintext, "metrics are served");
        let is_ready = ready.clone();
        let scrape = Scrape::new(Arc::new(move || text(is_ready().is_ok())), ready);
        let served = self.listener.scrape(transport, Arc::new(scrape), std::future::pending());
        if let Err(fault) = served.await {
            tracing::error!(?fault, "metrics are not served any more");
        }
    }
}

/// Where the numbers are.
pub(super) struct Metrics {
    role: GatewayRole,
    meter: Arc<Meter>,
    certificate: Arc<Certificate>,
    traces: Option<Arc<SpanExport>>,
    system: System,
}

impl Metrics {
    pub(super) fn new(
        role: GatewayRole,
        meter: Arc<Meter>,
        certificate: Arc<Certificate>,
        traces: Option<Arc<SpanExport>>,
    ) -> Self {
        Self { role, meter, certificate, traces, system: System::new() }
    }

    pub(super) fn text(&self, ready: bool) -> String {
        let mut to = begin(ready);
        self.meter.write(&mut to);
        self.certificate(&mut to);
        self.managers(&mut to);
        self.gateway(&mut to);
        if let Some(traces) = &self.traces {
            let help = "Spans that no collector took.";
            let dropped = float(traces.dropped());
            to.single("keysherd_spans_dropped_total", Kind::Counter, help, dropped);
        }
        let connected = self.connected();
        self.system.write(&mut to);
        self.named_as_in_v2(&mut to, ready, connected);
        to.finish()
    }

    fn certificate(&self, to: &mut Exposition) {
        let (not_after, refused) = self.certificate.health();
        let help = "When the certificate for clients ends, in seconds since 1970.";
        let name = "keysherd_tls_certificate_expiry_timestamp_seconds";
        to.single(name, Kind::Gauge, help, seconds(not_after.seconds()));
        let help = "Whether a new certificate was refused; the log says why.";
        to.single("keysherd_tls_certificate_refused", Kind::Gauge, help, flag(refused));
    }

    fn managers(&self, to: &mut Exposition) {
        let health = self.role.gateway.health();
        let of = |count: fn(&keysherd_gateway::ManagerHealth) -> u64| {
            let one = move |(index, health): &(_, keysherd_gateway::ManagerHealth)| {
                let index: &keysherd_fragments::manager_set::ManagerIndex = index;
                (index.get().to_string(), float(count(health)))
            };
            health.managers.iter().map(one).collect::<Vec<_>>()
        };
        let all = [
            ("keysherd_manager_answers_total", "Answers of a manager.", of(|m| m.answers)),
            ("keysherd_manager_failures_total", "Requests without an answer.", of(|m| m.failures)),
            ("keysherd_manager_refusals_total", "Requests it refused.", of(|m| m.refusals)),
            ("keysherd_manager_lies_total", "Wrong values it was proven to give.", of(|m| m.lies)),
        ];
        for (name, help, values) in all {
            let mut family = to.family(name, Kind::Counter, help);
            for (index, value) in values {
                family.sample(&[("manager", &index)], value);
            }
        }
        let mut gauge = |name, help, value: usize| {
            to.single(name, Kind::Gauge, help, float(u64::try_from(value).unwrap_or(u64::MAX)));
        };
        let help = "Values that wait for the confirmation of a manager.";
        gauge("keysherd_unconfirmed_values", help, health.unconfirmed);
        gauge("keysherd_evidence_files", "Files with evidence against managers.", health.evidence);
    }

    /// Sums over all accounts, whose targets are nobody else's business.
    fn gateway(&self, to: &mut Exposition) {
        let states = self.role.forwarders.all_states();
        let lag = states.iter().map(|state| state.newest.saturating_sub(state.delivered)).max();
        let help = "Records that the log target furthest behind does not have.";
        to.single("keysherd_log_target_lag_records", Kind::Gauge, help, float(lag.unwrap_or(0)));
        let help = "Whether control answered this gateway's last question; 1 in no cluster.";
        to.single("keysherd_cluster_connected", Kind::Gauge, help, flag(self.connected()));
    }

    fn connected(&self) -> bool {
        let membership = self.role.membership.as_ref();
        membership.is_none_or(|membership| membership.health().connected)
    }

    /// Under the names that dashboards of V2 gateways ask for.
    fn named_as_in_v2(&self, to: &mut Exposition, ready: bool, connected: bool) {
        self.system.write_as_in_v2(to);
        let gauge = Kind::Gauge;
        let name = "akeyless_gw_system_saas_connection_status";
        to.single(name, gauge, "As keysherd_cluster_connected.", flag(connected));
        let name = "akeyless_gw_system_healthcheck_status";
        to.single(name, gauge, "As keysherd_ready.", flag(ready));
        let statuses: Vec<_> = self.meter.statuses().collect();
        let total = statuses.iter().map(|(_, count)| count).sum();
        let name = "akeyless_gw_system_request_count_total";
        to.single(name, Kind::Counter, "Answered requests.", float(total));
        let name = "akeyless_gw_system_http_response_status_code_total";
        let mut family = to.family(name, Kind::Counter, "Answered requests by status.");
        for (code, count) in statuses {
            family.sample(&[("status_code", &code.to_string())], float(count));
        }
    }
}

/// What every role begins with.
pub(super) fn begin(ready: bool) -> Exposition {
    let mut to = Exposition::default();
    let help = "The program's version.";
    let mut build = to.family("keysherd_build_info", Kind::Gauge, help);
    build.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    to.single("keysherd_ready", Kind::Gauge, "Whether it takes requests.", flag(ready));
    to
}

pub(super) fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "whole seconds are exact for ages to come")]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}
