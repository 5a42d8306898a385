//! Row B9: after the original key was rotated, every value in the store is wrapped anew.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::actor::{Actor, Calls};
use crate::served::Served;

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Longest time without any progress.
const STUCK_MAX: Duration = Duration::from_secs(60);

/// What re-wrapping took.
#[derive(Clone, Debug)]
pub(crate) struct Rewrapped {
    /// Values that were wrapped anew.
    pub(crate) values: u64,
    /// From the rotation's answer to its end.
    pub(crate) time: Duration,
    /// CPU time of each process, in the server's order.
    pub(crate) spent: Vec<Duration>,
}

impl Rewrapped {
    /// A line for people.
    pub(crate) fn sentence(&self) -> String {
        let (values, seconds) = (self.values, self.time.as_secs_f64());
        let (rate, cpu) = (self.per_second(), self.cpu());
        format!(
            "B9 re-wrap of {values} values: {seconds:.1} s, {rate:.0} a second, {cpu:.1} us CPU \
             of all roles for each\n\n"
        )
    }

    /// CPU time of all roles, in microseconds for each value.
    pub(crate) fn cpu(&self) -> f64 {
        self.spent.iter().sum::<Duration>().as_secs_f64() * 1e6 / precise(self.values.max(1))
    }

    /// Values in a second.
    pub(crate) fn per_second(&self) -> f64 {
        precise(self.values) / self.time.as_secs_f64()
    }
}

/// Rotates the original key of the server, whose data directory has the administrator's
/// credentials, and waits until everything is done.
///
/// # Errors
/// When the server refuses, or does not get on.
pub(crate) async fn measure(server: &Served, data_dir: &Path) -> Result<Rewrapped, String> {
    let token = Actor::administrator(data_dir)?.login(&server.endpoint).await?;
    let mut calls = Calls::new(&server.endpoint, &token).await?;
    let before = server.cpu_times()?;
    calls.call("rotate-original-key", json!({})).await?;
    let begin = Instant::now();
    let (mut left, mut moved) = (u64::MAX, begin);
    loop {
        let status = calls.call("rewrap-status-original-key", json!({})).await?;
        let rotation = &status["rotation"];
        if rotation["finished"].is_string() {
            let time = begin.elapsed();
            let values = count(rotation, "values_found")?;
            let after = server.cpu_times()?;
            let spent =
                after.iter().zip(&before).map(|(after, before)| after.saturating_sub(*before));
            return Ok(Rewrapped { values, time, spent: spent.collect() });
        }
        let now = count(rotation, "values_left")?;
        if now < left {
            (left, moved) = (now, Instant::now());
        } else if moved.elapsed() > STUCK_MAX {
            return Err(format!("re-wrapping does not get on: {rotation}"));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn count(rotation: &Value, name: &str) -> Result<u64, String> {
    rotation[name].as_u64().ok_or_else(|| format!("a rotation without {name}: {rotation}"))
}

fn precise(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
