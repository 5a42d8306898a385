//! What was measured, as a table and as JSON.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::{self, Memory};
use crate::names::VALUE_BYTES;
use crate::raw::{RECORD_BYTES, Raw};
use crate::rewrap::Rewrapped;
use crate::row::{Aim, Measured, Row, from_nanoseconds};
use crate::settings::Settings;

/// Longest start on an existing directory that is aimed at.
const START_AIM_MS: f64 = 300.0;
/// Most memory of an idle server that is aimed at.
const IDLE_AIM_MIB: f64 = 60.0;

/// One row with what stands beside it.
pub(crate) struct Line {
    /// The row.
    pub(crate) row: Row,
    /// The server.
    pub(crate) measured: Measured,
    /// The echo with the same connections and as many bytes.
    pub(crate) echo: Measured,
    /// The raw group-commit rate with groups of as many records as there are connections.
    pub(crate) raw: Option<f64>,
}

impl Line {
    /// CPU time for each time the echo needs.
    pub(crate) fn cpu_to_echo(&self) -> f64 {
        self.measured.cpu / self.echo.cpu
    }

    /// Answers for each answer of the echo.
    pub(crate) fn rate_to_echo(&self) -> f64 {
        self.measured.per_second / self.echo.per_second
    }

    fn rate_to_raw(&self) -> Option<f64> {
        self.raw.map(|raw| self.measured.per_second / raw)
    }

    /// A line for who waits.
    pub(crate) fn progress(&self) -> String {
        let Row { id, title, connections, .. } = self.row;
        let Measured { per_second, cpu, .. } = self.measured;
        format!("{id} {title}, c={connections}: {per_second:.0} a second, {cpu:.1} us CPU each")
    }

    /// A row for programs.
    pub(crate) fn json(&self) -> Value {
        let mut value = numbers(&self.measured);
        value["id"] = json!(self.row.id);
        value["title"] = json!(self.row.title);
        value["connections"] = json!(self.row.connections);
        value["echo_cpu_us"] = number(self.echo.cpu);
        value["echo_per_second"] = number(self.echo.per_second);
        value["cpu_to_echo"] = number(self.cpu_to_echo());
        value["rate_to_echo"] = number(self.rate_to_echo());
        value["raw_per_second"] = self.raw.map_or(Value::Null, number);
        value["rate_to_raw"] = self.rate_to_raw().map_or(Value::Null, number);
        value["aims"] = self.row.aims.iter().map(Aim::text).collect();
        value
    }

    fn cells(&self) -> Vec<String> {
        let Row { id, title, connections, aims, .. } = self.row;
        let mut cells = vec![format!("{id} {title}"), connections.to_string()];
        cells.extend(columns(&self.measured));
        cells.push(format!("{:.1}", self.echo.cpu));
        cells.push(format!("{:.2}", self.cpu_to_echo()));
        cells.push(format!("{:.2}", self.rate_to_echo()));
        cells.push(self.rate_to_raw().map_or_else(String::new, |part| format!("{part:.2}")));
        cells.push(match aims {
            [] => String::new(),
            aims => format!("aim {}", aims.iter().map(Aim::text).collect::<Vec<_>>().join(", ")),
        });
        cells
    }
}

impl Aim {
    fn text(&self) -> String {
        match self {
            Self::Cpu(most) => format!("<= {most} us CPU"),
            Self::CpuToEcho(most) => format!("<= {most} x echo CPU"),
            Self::RateToRaw(least) => format!(">= {least} x raw rate"),
        }
    }
}

/// The echo with a number of connections and bytes.
pub(crate) struct Echo {
    /// Connections.
    pub(crate) connections: u32,
    /// Bytes of a body, in and out.
    pub(crate) body_bytes: u64,
    /// What it needed.
    pub(crate) measured: Measured,
}

/// Everything that was measured in one run.
pub(crate) struct Report {
    settings: Settings,
    cores: usize,
    pinned: bool,
    load: String,
    disk_is_memory: bool,
    /// Rows in the order they were measured.
    pub(crate) lines: Vec<Line>,
    /// The echo beside them.
    pub(crate) echoes: Vec<Echo>,
    /// The bare disk.
    pub(crate) raws: Vec<Raw>,
    /// Starts to the first healthy answer on an empty directory.
    pub(crate) started_empty: Vec<Duration>,
    /// The same on a directory with all secrets.
    pub(crate) started_again: Vec<Duration>,
    /// Right after a start on an empty directory.
    pub(crate) memory_empty: Memory,
    /// Right after a start on a directory with all secrets.
    pub(crate) memory_idle: Memory,
    /// After the warm rows.
    pub(crate) memory_after: Memory,
    /// Re-wrapping all values.
    pub(crate) rewrapped: Option<Rewrapped>,
}

impl Report {
    /// A report without rows. Takes the load of the machine before anything begins.
    ///
    /// # Errors
    /// When the disk below `directory` cannot be looked at.
    pub(crate) fn new(settings: &Settings, pinned: bool, directory: &Path) -> Result<Self, String> {
        Ok(Self {
            settings: settings.clone(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            pinned,
            load: machine::load(),
            disk_is_memory: machine::is_memory(directory)?,
            lines: Vec::new(),
            echoes: Vec::new(),
            raws: Vec::new(),
            started_empty: Vec::new(),
            started_again: Vec::new(),
            memory_empty: Memory::default(),
            memory_idle: Memory::default(),
            memory_after: Memory::default(),
            rewrapped: None,
        })
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> String {
        format!("{:#}", self.value())
    }

    /// The same as a value.
    pub(crate) fn value(&self) -> Value {
        let memory = |memory: Memory| json!({ "rss_kib": memory.rss, "peak_kib": memory.peak });
        let times = |starts: &[Duration]| -> Value {
            starts.iter().map(|time| number(milliseconds(*time))).collect()
        };
        json!({
            "machine": {
                "processor": machine::processor(),
                "cores": self.cores,
                "load_before": self.load,
                "disk_is_memory": self.disk_is_memory,
            },
            "settings": {
                "secrets": self.settings.secrets,
                "warm_names": self.settings.warm_names,
                "value_bytes": VALUE_BYTES,
                "seconds": self.settings.seconds.as_secs_f64(),
                "warm_up": self.settings.warm_up.as_secs_f64(),
                "pinned": self.pinned,
                "smoke": self.settings.smoke,
            },
            "rows": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
            "echo": self.echoes.iter().map(echo_json).collect::<Vec<_>>(),
            "raw": self.raws.iter().map(raw_json).collect::<Vec<_>>(),
            "rewrap": self.rewrapped.as_ref().map_or(Value::Null, |row| json!({
                "values": row.values,
                "seconds": row.time.as_secs_f64(),
                "per_second": number(row.per_second()),
                "cpu_us": number(row.cpu()),
            })),
            "start_ms": {
                "empty": times(&self.started_empty),
                "existing": times(&self.started_again),
                "aim_existing": START_AIM_MS,
            },
            "memory": {
                "empty": memory(self.memory_empty),
                "idle": memory(self.memory_idle),
                "after_warm_rows": memory(self.memory_after),
                "aim_idle_mib": IDLE_AIM_MIB,
            },
        })
    }

    /// Everything, for people.
    pub(crate) fn table(&self) -> String {
        let mut text = self.heading();
        let head = [
            "row",
            "c",
            "req/s",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "CPU us",
            "echo CPU",
            "CPU/echo",
            "rate/echo",
            "rate/raw",
            "",
        ];
        text.push_str(&aligned(&head, self.lines.iter().map(Line::cells).collect()));
        text.push('\n');
        text.push_str(&self.echo_table());
        text.push('\n');
        text.extend(self.rewrapped.as_ref().map(Rewrapped::sentence));
        text.push_str(&self.resources());
        text
    }

    /// The echo and the disk, for people.
    pub(crate) fn echo_table(&self) -> String {
        let head = ["bare echo", "c", "req/s", "p50 us", "p99 us", "p99.9 us", "CPU us"];
        let cells = |echo: &Echo| {
            let mut cells = vec![format!("{} B", echo.body_bytes), echo.connections.to_string()];
            cells.extend(columns(&echo.measured));
            cells
        };
        let mut text = aligned(&head, self.echoes.iter().map(cells).collect());
        text.push('\n');
        let head = ["bare disk", "syncs/s", "records/s", "p50 us", "p99 us"];
        text.push_str(&aligned(&head, self.raws.iter().map(raw_cells).collect()));
        text
    }

    /// What was measured where.
    pub(crate) fn heading(&self) -> String {
        let Settings { secrets, warm_names, seconds, smoke, .. } = &self.settings;
        let mut text = format!(
            "{secrets} secrets of {VALUE_BYTES} B at depth 3, {warm_names} of them warm; TLS 1.3, \
             keep-alive, audit on; {} s a row\n{}, {} cores, {}, load {} before\n",
            seconds.as_secs_f64(),
            machine::processor(),
            self.cores,
            if self.pinned { "server on one, client on another" } else { "not pinned" },
            self.load,
        );
        if *smoke {
            text.push_str("a smoke run: the numbers mean nothing\n");
        }
        if self.disk_is_memory {
            text.push_str("the directory is in memory: durable rows and raw rates mean nothing\n");
        }
        text.push('\n');
        text
    }

    fn resources(&self) -> String {
        let starts = |starts: &[Duration]| {
            let mut times: Vec<_> = starts.iter().map(|time| milliseconds(*time)).collect();
            times.sort_by(f64::total_cmp);
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            let most = times.last().copied().unwrap_or_default();
            format!("{median:.0} ms (median of {}, at most {most:.0})", times.len())
        };
        format!(
            "first healthy answer on an empty directory:    {}\n\
             first healthy answer on the existing directory: {}; aim <= {START_AIM_MS} ms\n\
             RSS on an empty directory {:.1} MiB; idle {:.1} MiB, aim <= {IDLE_AIM_MIB} MiB; \
             after the warm rows {:.1} MiB (peak {:.1})",
            starts(&self.started_empty),
            starts(&self.started_again),
            mib(self.memory_empty.rss),
            mib(self.memory_idle.rss),
            mib(self.memory_after.rss),
            mib(self.memory_after.peak),
        )
    }
}

/// A number as short as it makes sense; JSON has no room for what is not one.
pub(crate) fn number(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}

fn numbers(measured: &Measured) -> Value {
    json!({
        "requests": measured.requests,
        "per_second": number(measured.per_second),
        "p50_us": number(measured.p50),
        "p99_us": number(measured.p99),
        "p999_us": number(measured.p999),
        "max_us": number(measured.longest),
        "cpu_us": number(measured.cpu),
        "client_cpu_us": number(measured.client_cpu),
        "checked": measured.checked,
        "answer_bytes": measured.answer_bytes,
    })
}

fn columns(measured: &Measured) -> Vec<String> {
    let Measured { per_second, p50, p99, p999, cpu, .. } = measured;
    let whole = |value: &f64| format!("{value:.0}");
    vec![whole(per_second), whole(p50), whole(p99), whole(p999), format!("{cpu:.1}")]
}

fn echo_json(echo: &Echo) -> Value {
    let mut value = numbers(&echo.measured);
    value["connections"] = json!(echo.connections);
    value["body_bytes"] = json!(echo.body_bytes);
    value
}

fn raw_json(raw: &Raw) -> Value {
    json!({
        "records_per_sync": raw.group,
        "record_bytes": RECORD_BYTES,
        "syncs_per_second": number(raw.syncs_per_second),
        "records_per_second": number(raw.records_per_second()),
        "p50_us": number(from_nanoseconds(raw.latency.value_at_quantile(0.5))),
        "p99_us": number(from_nanoseconds(raw.latency.value_at_quantile(0.99))),
    })
}

fn raw_cells(raw: &Raw) -> Vec<String> {
    let quantile = |part| from_nanoseconds(raw.latency.value_at_quantile(part));
    vec![
        format!("fdatasync, {} x {RECORD_BYTES} B", raw.group),
        format!("{:.0}", raw.syncs_per_second),
        format!("{:.0}", raw.records_per_second()),
        format!("{:.0}", quantile(0.5)),
        format!("{:.0}", quantile(0.99)),
    ]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

/// Rows below their heads: the first and a last one without a head to the left, numbers to the
/// right.
pub(crate) fn aligned(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = head.iter().map(|word| (*word).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let left = column == 0 || rows.first().is_some_and(|head| head[column].is_empty());
            let gap = if column == 0 { "" } else { "  " };
            line.push_str(&match left {
                true => format!("{gap}{cell:<width$}"),
                false => format!("{gap}{cell:>width$}"),
            });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = vec![
            vec!["a".to_owned(), "1".to_owned(), "x".to_owned()],
            vec!["long".to_owned(), "12345".to_owned(), String::new()],
        ];
        let text = aligned(&["row", "c", ""], rows);
        assert_eq!(text, "row       c\na         1  x\nlong  12345\n");
    }

    #[test]
    fn aims_say_what_is_aimed_at() {
        let texts: Vec<_> = [Aim::Cpu(25.0), Aim::CpuToEcho(2.5), Aim::RateToRaw(0.6)]
            .iter()
            .map(Aim::text)
            .collect();
        assert_eq!(texts, ["<= 25 us CPU", "<= 2.5 x echo CPU", ">= 0.6 x raw rate"]);
    }
}
