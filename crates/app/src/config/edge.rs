//! Who stands in front of the listener, what its clients may take, what it tells its operator, and
//! how it ends.

use std::path::PathBuf;

use clap::Command;
use keysherd_domain::auth_method::IpNetwork;
use keysherd_http::Limits;

use super::metrics::{self, MetricsSettings};
use super::settings::{Settings, option, options, switch, wrong};
use super::traces::{self, TraceSettings};
use crate::exit::Exit;

/// Most requests in a minute that can be allowed; more is no limit.
const PER_MINUTE_MAX: u64 = 10_000_000;

/// How the listener treats its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EdgeSettings {
    /// The networks of proxies that are believed.
    pub(crate) trusted_proxies: Vec<IpNetwork>,
    /// Whether these say where their clients are with the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    /// Requests of one address in a minute; 0: any number.
    pub(crate) requests_per_minute: u32,
    /// Requests of one access id in a minute; 0: any number.
    pub(crate) identity_requests_per_minute: u32,
    /// Where metrics are served.
    pub(crate) metrics: Option<MetricsSettings>,
    /// Where traces go.
    pub(crate) traces: Option<TraceSettings>,
    /// Seconds between the signal to stop, from which on it is not ready, and the end of the
    /// listener.
    pub(crate) drain_delay_seconds: u64,
    /// Seconds running requests may take after that.
    pub(crate) drain_seconds: u64,
}

/// The options.
pub(super) fn edge(command: Command) -> Command {
    let command = command
        .arg(options(
            "trusted-proxy",
            "NETWORK",
            "Network of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8; repeatable",
        ))
        .arg(
            switch("proxy-protocol", "Demand the PROXY protocol of trusted proxies")
                .env("KEYSHERD_PROXY_PROTOCOL"),
        )
        .arg(option(
            "requests-per-minute",
            "NUMBER",
            "GW_RATE_LIMIT",
            "Requests of one client address in a minute; 0: any number [default: 0]",
        ))
        .arg(option(
            "identity-requests-per-minute",
            "NUMBER",
            "KEYSHERD_IDENTITY_REQUESTS_PER_MINUTE",
            "Requests of one access id in a minute, at this gateway; 0: any number [default: 0]",
        ));
    traces::traces(metrics::metrics(command))
        .arg(option(
            "drain-delay-seconds",
            "SECONDS",
            "KEYSHERD_DRAIN_DELAY_SECONDS",
            "How long to serve on after SIGTERM while /health says 503, for balancers [default: 0]",
        ))
        .arg(option(
            "drain-seconds",
            "SECONDS",
            "KEYSHERD_DRAIN_SECONDS",
            "How long running requests may take after that [default: 25]",
        ))
}

impl EdgeSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(settings: &Settings<'_>) -> Result<Self, Exit> {
        let rate = |name| {
            let rate = settings.number(name, 0..=PER_MINUTE_MAX, 0)?;
            Ok::<_, Exit>(u32::try_from(rate).unwrap_or(u32::MAX))
        };
        let edge = Self {
            trusted_proxies: trusted_proxies(&settings.texts("trusted-proxy")?)?,
            proxy_protocol: settings.is_set("proxy-protocol")?,
            requests_per_minute: rate("requests-per-minute")?,
            identity_requests_per_minute: rate("identity-requests-per-minute")?,
            metrics: MetricsSettings::load(settings)?,
            traces: TraceSettings::load(settings)?,
            drain_delay_seconds: settings.number("drain-delay-seconds", 0..=3_600, 0)?,
            drain_seconds: settings.number("drain-seconds", 0..=3_600, 25)?,
        };
        if edge.proxy_protocol && edge.trusted_proxies.is_empty() {
            return Err(Exit::Configuration(
                "proxy-protocol is set without trusted-proxy; name the networks of the proxies"
                    .to_owned(),
            ));
        }
        Ok(edge)
    }

    /// What has to be readable.
    pub(super) fn paths(&self, env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        self.traces.iter().flat_map(|traces| traces.paths(env)).collect()
    }

    /// The bounds of the listener.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            drain_timeout: std::time::Duration::from_secs(self.drain_seconds),
            requests_per_minute: self.requests_per_minute,
            identity_requests_per_minute: self.identity_requests_per_minute,
            ..Limits::default()
        }
    }
}

/// Whole families of addresses are refused: everybody would be believed about everybody.
fn trusted_proxies(given: &[String]) -> Result<Vec<IpNetwork>, Exit> {
    let what = "a network smaller than all addresses, such as 10.0.0.0/8 or 192.0.2.7";
    let network = |text: &String| {
        let network = IpNetwork::parse(text).filter(|network| network.prefix() > 0);
        network.ok_or_else(|| wrong("trusted-proxy", text, what))
    };
    given.iter().map(network).collect()
}
