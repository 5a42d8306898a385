//! How long something took, over and over, as Prometheus wants to know it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::exposition::{Exposition, Kind, float};

/// Upper bounds of the durations that are told apart, in seconds.
const BOUNDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts of durations.
#[derive(Debug, Default)]
pub struct Durations {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Durations {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let at = BOUNDS.partition_point(|bound| *bound < took.as_secs_f64());
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Writes them as the histogram `name`.
    pub fn write(&self, to: &mut Exposition, name: &'static str, help: &str) {
        let counts: Vec<u64> = self.counts.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        let sum = float(self.micros.load(Ordering::Relaxed)) / 1e6;
        to.family(name, Kind::Histogram, help).histogram(&BOUNDS, &counts, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bound_that_it_does_not_exceed() {
        let durations = Durations::default();
        for millis in [1, 2, 9_999, 60_000] {
            durations.record(Duration::from_millis(millis));
        }
        let mut text = Exposition::default();
        durations.write(&mut text, "x_seconds", "How long.");
        let text = text.finish();
        for line in [
            "x_seconds_bucket{le=\"0.001\"} 1",
            "x_seconds_bucket{le=\"0.0025\"} 2",
            "x_seconds_bucket{le=\"10\"} 3",
            "x_seconds_bucket{le=\"+Inf\"} 4",
            "x_seconds_sum 70.002",
            "x_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
