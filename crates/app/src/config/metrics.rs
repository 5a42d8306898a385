//! Where a role tells Prometheus how it is.

use std::net::SocketAddr;

use clap::Command;

use super::settings::{Settings, option, switch, wrong};
use crate::exit::Exit;

/// How metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetricsSettings {
    /// Where.
    pub(crate) listen: SocketAddr,
    /// Whether without TLS.
    pub(crate) plaintext: bool,
}

/// The options.
pub(super) fn metrics(command: Command) -> Command {
    command
        .arg(option(
            "metrics-listen",
            "ADDRESS:PORT",
            "KEYSHERD_METRICS_LISTEN",
            "Serve /metrics for Prometheus, and /health, on an address of its own [default: none]",
        ))
        .arg(
            switch("metrics-plaintext", "Serve metrics without TLS")
                .env("KEYSHERD_METRICS_PLAINTEXT"),
        )
}

impl MetricsSettings {
    /// Reads the settings; `None` without an address.
    ///
    /// # Errors
    /// [`Exit::Configuration`] names the setting, its value and what is allowed.
    pub(super) fn load(settings: &Settings<'_>) -> Result<Option<Self>, Exit> {
        let plaintext = settings.is_set("metrics-plaintext")?;
        let Some(text) = settings.text("metrics-listen")? else {
            if plaintext {
                return Err(Exit::Configuration(
                    "metrics-plaintext is set without metrics-listen; say where, too".to_owned(),
                ));
            }
            return Ok(None);
        };
        let what = "an address and a port, such as 127.0.0.1:9090";
        let listen = text.parse().map_err(|_| wrong("metrics-listen", &text, what))?;
        Ok(Some(Self { listen, plaintext }))
    }
}
