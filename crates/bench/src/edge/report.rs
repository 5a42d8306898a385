//! What gateways with a cache of their own do, as a table and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::report::{aligned, number};
use crate::row::Measured;

/// One row.
pub(super) struct EdgeRow {
    /// What is done.
    pub(super) title: &'static str,
    /// Round trip to control in milliseconds.
    pub(super) control_ms: u64,
    /// Whether reads are kept.
    pub(super) cache: bool,
    /// Connections.
    pub(super) connections: u32,
    /// What was measured; CPU time is that of the gateway.
    pub(super) measured: Measured,
}

/// Clients that all come at once, each with a connection of its own.
pub(super) struct Crowd {
    /// How many.
    pub(super) clients: u32,
    /// Secrets of each.
    pub(super) secrets: u32,
    /// From the first to the last.
    pub(super) took: Duration,
    /// CPU time of all roles.
    pub(super) cpu: Duration,
}

/// Memory of a gateway for what it keeps.
pub(super) struct Filled {
    /// Reads that were kept.
    pub(super) items: u64,
    /// Bytes more than before, for each.
    pub(super) bytes_each: f64,
}

/// Everything.
#[derive(Default)]
pub(super) struct Edge {
    /// The rows.
    pub(super) rows: Vec<EdgeRow>,
    /// Answers in a second of one gateway, and of two at the same time.
    pub(super) one_and_two: (f64, f64),
    /// From the start of a gateway to its first healthy answer, with the round trip to control.
    pub(super) ready: Vec<(u64, Duration)>,
    /// The crowd.
    pub(super) crowd: Option<Crowd>,
    /// The memory.
    pub(super) filled: Option<Filled>,
}

impl Edge {
    /// For programs.
    pub(super) fn json(&self) -> String {
        let row = |row: &EdgeRow| {
            let mut value = json!({
                "title": row.title,
                "control_ms": row.control_ms,
                "cache": row.cache,
                "connections": row.connections,
                "requests": row.measured.requests,
            });
            for (name, measured) in [
                ("per_second", row.measured.per_second),
                ("p50_us", row.measured.p50),
                ("p99_us", row.measured.p99),
                ("gateway_cpu_us", row.measured.cpu),
            ] {
                value[name] = number(measured);
            }
            value
        };
        let ready = |(ms, time): &(u64, Duration)| {
            let took = number(time.as_secs_f64() * 1e3);
            json!({ "control_ms": ms, "ms": took })
        };
        let value = json!({
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "one_gateway_per_second": number(self.one_and_two.0),
            "two_gateways_per_second": number(self.one_and_two.1),
            "ready": self.ready.iter().map(ready).collect::<Vec<_>>(),
            "crowd": self.crowd.as_ref().map_or(Value::Null, |crowd| json!({
                "clients": crowd.clients,
                "secrets_each": crowd.secrets,
                "seconds": number(crowd.took.as_secs_f64()),
                "cpu_seconds": number(crowd.cpu.as_secs_f64()),
                "secrets_a_minute": number(crowd.secrets_a_minute()),
            })),
            "memory": self.filled.as_ref().map_or(Value::Null, |filled| json!({
                "items": filled.items,
                "bytes_each": number(filled.bytes_each),
            })),
        });
        format!("{value:#}")
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let head = ["row", "control", "cache", "c", "req/s", "p50 us", "p99 us", "gateway CPU us"];
        let cells = |row: &EdgeRow| {
            let Measured { per_second, p50, p99, cpu, .. } = row.measured;
            vec![
                row.title.to_owned(),
                format!("{} ms", row.control_ms),
                if row.cache { "on" } else { "off" }.to_owned(),
                row.connections.to_string(),
                format!("{per_second:.0}"),
                format!("{p50:.0}"),
                format!("{p99:.0}"),
                format!("{cpu:.1}"),
            ]
        };
        let mut text = aligned(&head, self.rows.iter().map(cells).collect());
        let (one, two) = self.one_and_two;
        text.push_str(&format!(
            "\none gateway {one:.0}/s, two at the same time {two:.0}/s: {:.2} times as many\n",
            two / one
        ));
        for (ms, time) in &self.ready {
            text.push_str(&format!(
                "gateway ready after {:.0} ms, control {ms} ms away\n",
                time.as_secs_f64() * 1e3
            ));
        }
        if let Some(crowd) = &self.crowd {
            text.push_str(&format!(
                "B12 cloud restart: {} clients (TLS, login, {} secrets) in {:.1} s, {:.1} s of CPU \
                 time of all roles, {:.0} secrets a minute\n",
                crowd.clients,
                crowd.secrets,
                crowd.took.as_secs_f64(),
                crowd.cpu.as_secs_f64(),
                crowd.secrets_a_minute(),
            ));
        }
        if let Some(filled) = &self.filled {
            text.push_str(&format!(
                "{} reads kept, {:.0} bytes each: {:.0} MiB for a million, aim <= 1024\n",
                filled.items,
                filled.bytes_each,
                filled.bytes_each * 1e6 / 1_048_576.0,
            ));
        }
        text
    }
}

impl Crowd {
    fn secrets_a_minute(&self) -> f64 {
        f64::from(self.clients) * f64::from(self.secrets) / self.took.as_secs_f64() * 60.0
    }
}
