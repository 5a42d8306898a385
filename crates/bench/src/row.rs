//! The rows, with what is aimed at, and how one is measured.

use std::time::Duration;

use crate::generator::{Fleet, Outcome};
use crate::issuer;
use crate::machine;
use crate::scripts::Script;
use crate::served::Served;
use crate::settings::Settings;

/// What the requests of a row do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Read so many secrets in each call.
    Get(u32),
    /// Write a new value durably.
    Update,
    /// Exchange an access key for a token.
    Login,
    /// Exchange this token of an issuer for one of the server's.
    TokenLogin(&'static str),
    /// Exchange a service account's token, which the gateway has reviewed by a cluster.
    ClusterLogin,
    /// Ask whether a token of the server's is good.
    Validate,
}

/// A number that something is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    /// At most so many microseconds of the server's CPU time for a request.
    Cpu(f64),
    /// At most so many times the CPU time of the echo.
    CpuToEcho(f64),
    /// At least this part of the raw group-commit rate.
    RateToRaw(f64),
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its number in the performance reference, section 2d.
    pub(crate) id: &'static str,
    /// What it measures.
    pub(crate) title: &'static str,
    /// What is done.
    pub(crate) work: Work,
    /// Whether opened keys are in the gateway's memory.
    pub(crate) warm: bool,
    /// Connections, each with one request at a time.
    pub(crate) connections: u32,
    /// What is aimed at.
    pub(crate) aims: &'static [Aim],
}

const fn row(
    (id, title): (&'static str, &'static str),
    work: Work,
    warm: bool,
    connections: u32,
    aims: &'static [Aim],
) -> Row {
    Row { id, title, work, warm, connections, aims }
}

const GET_WARM: (&str, &str) = ("B1", "get 1, warm");
const GET_COLD: (&str, &str) = ("B1", "get 1, cold");
const BULK_WARM: (&str, &str) = ("B2", "get 100, warm");
const BULK_COLD: (&str, &str) = ("B2", "get 100, cold");
const UPDATE: (&str, &str) = ("B3", "update, durable");
const LOGIN: (&str, &str) = ("B6", "login, access key");
const LOGIN_ES256: (&str, &str) = ("B6", "login, JWT ES256");
const LOGIN_RS256: (&str, &str) = ("B6", "login, JWT RS256");
const LOGIN_K8S: (&str, &str) = ("B6", "login, Kubernetes");
const VALIDATE: (&str, &str) = ("B6", "t- token checked");

/// All rows in their order. Those that are warm share one server; each cold one has a server of
/// its own, which has opened nothing before.
pub(crate) const ROWS: &[Row] = &[
    row(GET_WARM, Work::Get(1), true, 1, &[]),
    row(GET_WARM, Work::Get(1), true, 16, &[Aim::Cpu(25.0), Aim::CpuToEcho(2.5)]),
    row(BULK_WARM, Work::Get(100), true, 1, &[]),
    row(BULK_WARM, Work::Get(100), true, 16, &[Aim::Cpu(200.0)]),
    row(UPDATE, Work::Update, true, 1, &[]),
    row(UPDATE, Work::Update, true, 16, &[]),
    row(UPDATE, Work::Update, true, 128, &[Aim::RateToRaw(0.6)]),
    row(LOGIN, Work::Login, true, 16, &[]),
    row(LOGIN_ES256, Work::TokenLogin(issuer::ES256), true, 16, &[]),
    row(LOGIN_RS256, Work::TokenLogin(issuer::RS256), true, 16, &[]),
    // As many as a gateway has with one API server at a time.
    row(LOGIN_K8S, Work::ClusterLogin, true, 8, &[]),
    row(VALIDATE, Work::Validate, true, 16, &[]),
    row(GET_COLD, Work::Get(1), false, 1, &[]),
    row(GET_COLD, Work::Get(1), false, 16, &[Aim::Cpu(200.0)]),
    row(BULK_COLD, Work::Get(100), false, 1, &[]),
    row(BULK_COLD, Work::Get(100), false, 16, &[]),
];

/// The rows that are measured with roles in one process and in five.
pub(crate) const APART_ROWS: &[Row] = &[
    row(GET_WARM, Work::Get(1), true, 1, &[]),
    row(GET_WARM, Work::Get(1), true, 16, &[]),
    row(UPDATE, Work::Update, true, 1, &[]),
    row(UPDATE, Work::Update, true, 16, &[]),
    row(GET_COLD, Work::Get(1), false, 1, &[]),
    row(GET_COLD, Work::Get(1), false, 16, &[]),
    row(BULK_COLD, Work::Get(100), false, 1, &[]),
];

/// Which part of a measurement requests belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Not counted.
    WarmUp,
    /// Counted.
    Counted,
}

/// What was measured. Times are in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Answers.
    pub(crate) requests: u64,
    /// Answers in a second.
    pub(crate) per_second: f64,
    /// Half of the answers took at most this long.
    pub(crate) p50: f64,
    /// 99 % of the answers took at most this long.
    pub(crate) p99: f64,
    /// 99.9 % of the answers took at most this long.
    pub(crate) p999: f64,
    /// The longest.
    pub(crate) longest: f64,
    /// CPU time of the server's processes for one request.
    pub(crate) cpu: f64,
    /// The same of each process, with its name.
    pub(crate) cpu_of: Vec<(String, f64)>,
    /// CPU time of the client for one request.
    pub(crate) client_cpu: f64,
    /// Answers and stored values that were compared to what they should be.
    pub(crate) checked: u64,
    /// Bytes of an answer's body, on average.
    pub(crate) answer_bytes: u64,
}

/// Measures `served` with `connections` connections: a warm-up, then the counted requests.
///
/// # Errors
/// When a connection is lost or an answer is wrong, and when nothing was answered at all.
pub(crate) async fn measure(
    served: &Served,
    connections: u32,
    settings: &Settings,
    mut scripts: impl FnMut(Part) -> Vec<Box<dyn Script>>,
) -> Result<(Measured, Vec<Box<dyn Script>>), String> {
    let count = usize::try_from(connections).map_err(|error| error.to_string())?;
    let mut fleet = Fleet::connect(&served.endpoint, count).await?;
    fleet.run(scripts(Part::WarmUp), settings.warm_up).await?;
    let counted = scripts(Part::Counted);
    let client = std::process::id();
    let before = (served.cpu_times()?, machine::cpu_time(client)?);
    let outcome = fleet.run(counted, settings.seconds).await?;
    let after = (served.cpu_times()?, machine::cpu_time(client)?);
    if outcome.requests == 0 {
        return Err("not one request was answered".to_owned());
    }
    let names = served.processes.iter().map(|process| process.name().to_owned());
    let spent = after.0.iter().zip(&before.0).map(|(after, before)| after.saturating_sub(*before));
    let spent: Vec<_> = names.zip(spent).collect();
    let client_cpu = after.1.saturating_sub(before.1);
    Ok((numbers(&outcome, &spent, client_cpu), outcome.scripts))
}

/// `spent` is the CPU time of each process.
fn numbers(outcome: &Outcome, spent: &[(String, Duration)], client_cpu: Duration) -> Measured {
    let requests = u32::try_from(outcome.requests).unwrap_or(u32::MAX);
    let each = |time: Duration| microseconds(time) / f64::from(requests);
    let quantile = |part| from_nanoseconds(outcome.latency.value_at_quantile(part));
    Measured {
        requests: outcome.requests,
        per_second: f64::from(requests) / outcome.elapsed.as_secs_f64(),
        p50: quantile(0.5),
        p99: quantile(0.99),
        p999: quantile(0.999),
        longest: from_nanoseconds(outcome.latency.max()),
        cpu: each(spent.iter().map(|(_, time)| *time).sum()),
        cpu_of: spent.iter().map(|(name, time)| (name.clone(), each(*time))).collect(),
        client_cpu: each(client_cpu),
        checked: outcome.checked,
        answer_bytes: outcome.answer_bytes / outcome.requests.max(1),
    }
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Nanoseconds of a histogram as microseconds.
pub(crate) fn from_nanoseconds(nanoseconds: u64) -> f64 {
    microseconds(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;

    #[test]
    fn numbers_are_for_one_request() {
        let mut latency = Histogram::new(3).unwrap();
        for microseconds in 1..=1_000_u64 {
            latency.record(microseconds * 1_000).unwrap();
        }
        let outcome = Outcome {
            requests: 1_000,
            elapsed: Duration::from_millis(500),
            latency,
            checked: 10,
            answer_bytes: 7_000,
            scripts: Vec::new(),
        };
        let spent = [12, 8].map(|time| (format!("of {time}"), Duration::from_millis(time)));
        let measured = numbers(&outcome, &spent, Duration::from_millis(5));
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 0.01, "{a} is not {b}");
        near(measured.per_second, 2_000.0);
        near(measured.cpu, 20.0);
        near(measured.cpu_of[1].1, 8.0);
        near(measured.client_cpu, 5.0);
        near(measured.p50, 500.0);
        near(measured.p99, 990.0);
        near(measured.p999, 999.0);
        near(measured.longest, 1_000.0);
        assert_eq!((measured.answer_bytes, measured.checked), (7, 10));
    }

    #[test]
    fn each_row_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> =
            ROWS.iter().map(|row| (row.id, row.title, row.connections)).collect();
        assert_eq!(names.len(), ROWS.len());
    }
}
