//! One process and five beside each other, as tables and as JSON.

use serde_json::{Value, json};

use super::jobs::Job;
use crate::report::{Line, Report, aligned, number};

/// How many processes play the roles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Setup {
    /// One server.
    One,
    /// One for each role.
    Five,
}

/// Everything that was measured.
#[derive(Default)]
pub(super) struct Apart {
    one: Vec<Line>,
    five: Vec<Line>,
    /// Background work, of one process first.
    pub(super) jobs: Vec<Job>,
    /// The machine, the echo and the disk.
    pub(super) report: Option<Report>,
}

impl Apart {
    /// Takes the rows that were measured since the last time.
    pub(super) fn take(&mut self, report: &mut Report, setup: Setup) {
        let lines = std::mem::take(&mut report.lines);
        *if setup == Setup::One { &mut self.one } else { &mut self.five } = lines;
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let mut value = self.report.as_ref().map_or_else(|| json!({}), Report::value);
        let one = self.one.iter().map(|line| line_json(line, None));
        let five = self.five.iter().zip(&self.one).map(|(line, one)| line_json(line, Some(one)));
        value["rows"] = one.chain(five).collect();
        value["jobs"] = self.jobs.iter().map(job_json).collect();
        for unused in ["start_ms", "memory"] {
            value.as_object_mut().and_then(|fields| fields.remove(unused));
        }
        format!("{value:#}")
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = self.report.as_ref().map_or_else(String::new, Report::heading);
        let head =
            ["row", "c", "in", "req/s", "p50 us", "p99 us", "p99.9 us", "CPU us", "CPU/echo"];
        let head = [&head[..], &["rate/echo", "CPU/one", "rate/one", ""]].concat();
        let mut cells = Vec::new();
        for (one, five) in self.one.iter().zip(&self.five) {
            cells.push(line_cells(one, None));
            cells.push(line_cells(five, Some(one)));
        }
        text.push_str(&aligned(&head, cells));
        text.push('\n');
        let head = ["background work", "in", "items", "s", "items/s", "CPU us each", ""];
        text.push_str(&aligned(&head, self.jobs.iter().map(job_cells).collect()));
        text.push('\n');
        text.push_str(&self.report.as_ref().map_or_else(String::new, Report::echo_table));
        text
    }
}

/// The CPU time of each process, in microseconds.
fn of_each(cpu_of: impl Iterator<Item = (String, f64)>) -> String {
    let parts: Vec<_> = cpu_of.map(|(name, cpu)| format!("{name} {cpu:.0}")).collect();
    if parts.len() > 1 { parts.join(", ") } else { String::new() }
}

fn line_cells(line: &Line, one: Option<&Line>) -> Vec<String> {
    let measured = &line.measured;
    let whole = |value: f64| format!("{value:.0}");
    let ratio = |value: f64| format!("{value:.2}");
    let beside =
        |of: fn(&Line) -> f64| one.map_or_else(String::new, |one| ratio(of(line) / of(one)));
    vec![
        format!("{} {}", line.row.id, line.row.title),
        line.row.connections.to_string(),
        if one.is_some() { "five" } else { "one" }.to_owned(),
        whole(measured.per_second),
        whole(measured.p50),
        whole(measured.p99),
        whole(measured.p999),
        whole(measured.cpu),
        ratio(line.cpu_to_echo()),
        ratio(line.rate_to_echo()),
        beside(|line| line.measured.cpu),
        beside(|line| line.measured.per_second),
        of_each(measured.cpu_of.iter().cloned()),
    ]
}

fn line_json(line: &Line, one: Option<&Line>) -> Value {
    let mut value = line.json();
    value["processes"] = json!(line.measured.cpu_of.len());
    value["cpu_us_of"] =
        line.measured.cpu_of.iter().map(|(name, cpu)| (name.clone(), number(*cpu))).collect();
    if let Some(one) = one {
        value["cpu_to_one"] = number(line.measured.cpu / one.measured.cpu);
        value["rate_to_one"] = number(line.measured.per_second / one.measured.per_second);
    }
    value
}

fn job_cells(job: &Job) -> Vec<String> {
    let each = job.cpu_of.iter().map(|(name, time)| (name.clone(), job.each(*time)));
    vec![
        job.title.to_owned(),
        if job.cpu_of.len() > 1 { "five" } else { "one" }.to_owned(),
        job.items.to_string(),
        format!("{:.1}", job.time.as_secs_f64()),
        format!("{:.0}", job.per_second()),
        format!("{:.0}", job.cpu()),
        of_each(each),
    ]
}

fn job_json(job: &Job) -> Value {
    let each = job.cpu_of.iter().map(|(name, time)| (name.clone(), number(job.each(*time))));
    json!({
        "title": job.title,
        "processes": job.cpu_of.len(),
        "items": job.items,
        "seconds": number(job.time.as_secs_f64()),
        "per_second": number(job.per_second()),
        "cpu_us": number(job.cpu()),
        "cpu_us_of": each.collect::<serde_json::Map<_, _>>(),
    })
}
