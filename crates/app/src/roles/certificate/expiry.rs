//! Warnings ahead of a certificate's end.

use keysherd_base::Timestamp;

const DAY_SECONDS: i64 = 86_400;
/// Days before the end at which the log says so, unless administrators said otherwise.
const WARN_DAYS: [u32; 3] = [30, 7, 1];

/// When to warn, and what was warned of.
pub(super) struct Warnings {
    days: Vec<u32>,
    /// What was said last: days left, or days since the end as a negative number.
    told: Option<i64>,
}

/// The usual days.
pub(super) fn default_days() -> Vec<u32> {
    WARN_DAYS.to_vec()
}

/// Whole days until `end`; negative from the moment it is over.
pub(super) fn days_left(now: Timestamp, end: Timestamp) -> i64 {
    (end.seconds() - now.seconds()).div_euclid(DAY_SECONDS)
}

impl Warnings {
    pub(super) fn new(days: Vec<u32>) -> Self {
        Self { days, told: None }
    }

    /// Writes to the log when it is time: once for each of the days, and once a day after the end.
    pub(super) fn warn(&mut self, now: Timestamp, end: Timestamp) {
        let Some(left) = self.due(now, end) else { return };
        let end = end.rfc3339();
        if left < 0 {
            tracing::error!(end, "the certificate has expired: clients refuse it");
        } else {
            tracing::warn!(end, days_left = left, "the certificate expires soon; replace it");
        }
    }

    /// The days left, if they are to be said now.
    fn due(&mut self, now: Timestamp, end: Timestamp) -> Option<i64> {
        let left = days_left(now, end);
        let step = if left < 0 {
            left
        } else {
            // The narrowest of the bounds that it is within.
            self.days.iter().map(|days| i64::from(*days)).filter(|days| left < *days).min()?
        };
        if self.told == Some(step) {
            return None;
        }
        self.told = Some(step);
        Some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_is_told_once_and_the_end_every_day() {
        let end = Timestamp::from_seconds(100 * DAY_SECONDS);
        let mut warnings = Warnings::new(default_days());
        let mut told = Vec::new();
        for hour in 0..(102 * 24) {
            let now = Timestamp::from_seconds(hour * 3_600 + 1);
            told.extend(warnings.due(now, end));
        }
        assert_eq!(told, [29, 6, 0, -1, -2]);
    }

    #[test]
    fn nobody_is_warned_who_wants_no_warning() {
        let mut warnings = Warnings::new(Vec::new());
        let end = Timestamp::from_seconds(DAY_SECONDS);
        assert_eq!(warnings.due(Timestamp::from_seconds(1), end), None);
        assert_eq!(warnings.due(end.plus_seconds(1), end), Some(-1));
    }
}
