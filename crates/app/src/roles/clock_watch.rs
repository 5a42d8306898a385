//! How far this machine's clock is from control's, asked from time to time: logins are signed with
//! the time, and whoever sees them refused should not have to guess why.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keysherd_link::Channel;
use serde_json::{Value, json};

/// Clocks may differ by this much before it is told, in milliseconds: half of what control takes
/// of logins.
pub(crate) const TOLD_MILLIS: i64 = 30_000;
/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(5);
/// What stands for not knowing.
const UNKNOWN: i64 = i64::MIN;

/// What is known of it.
pub(crate) struct ClockWatch {
    /// How far this clock is ahead, in milliseconds.
    ahead: AtomicI64,
}

impl ClockWatch {
    /// Asks control through `channel` until the runtime ends.
    pub(crate) fn start(channel: Channel) -> Arc<Self> {
        let this = Arc::new(Self { ahead: AtomicI64::new(UNKNOWN) });
        let watch = Arc::downgrade(&this);
        tokio::spawn(async move {
            let mut turns = tokio::time::interval(INTERVAL);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                let skew = channel.skew_millis().await;
                let Some(watch) = watch.upgrade() else { return };
                // Who is not reached says nothing; what was known may be so no more.
                watch.found(skew.ok().flatten().map(i64::saturating_neg));
            }
        });
        this
    }

    fn found(&self, ahead: Option<i64>) {
        let before = self.ahead.swap(ahead.unwrap_or(UNKNOWN), Ordering::Relaxed);
        let was_wrong = before != UNKNOWN && !is_good(before);
        match ahead {
            Some(ahead) if !is_good(ahead) && !was_wrong => {
                let shown = shown(ahead);
                tracing::warn!(
                    "this machine's clock is wrong, or control's: it is {shown}; logins are \
                     refused beyond a minute, and links beyond a quarter of an hour"
                );
            }
            Some(ahead) if is_good(ahead) && was_wrong => {
                tracing::info!("this machine's clock agrees with control's again");
            }
            _ => {}
        }
    }

    /// How far this clock is ahead of control's, in milliseconds; `None` while that is not known.
    pub(crate) fn ahead_millis(&self) -> Option<i64> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN).then_some(ahead)
    }

    /// How it is, for `GET /status`.
    pub(crate) fn status(&self) -> Value {
        let ahead = self.ahead_millis();
        json!({
            "ahead_seconds": ahead.map(|ahead| ahead / 1_000),
            "good": ahead.map(is_good),
        })
    }
}

/// Whether clocks agree well enough.
pub(crate) fn is_good(ahead_millis: i64) -> bool {
    ahead_millis.saturating_abs() <= TOLD_MILLIS
}

/// How far this clock is ahead, or behind, in words.
pub(crate) fn shown(ahead_millis: i64) -> String {
    let seconds = Duration::from_millis(ahead_millis.unsigned_abs()).as_secs_f64();
    let side = if ahead_millis >= 0 { "ahead of" } else { "behind" };
    format!("{seconds:.1} s {side} control's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_by_its_side_and_is_wrong_beyond_half_a_minute() {
        assert_eq!(shown(600_040), "600.0 s ahead of control's");
        assert_eq!(shown(-1_500), "1.5 s behind control's");
        assert!(is_good(30_000) && is_good(-30_000));
        assert!(!is_good(30_001) && !is_good(-30_001) && !is_good(i64::MIN));
        let watch = ClockWatch { ahead: AtomicI64::new(UNKNOWN) };
        assert_eq!(watch.status(), json!({"ahead_seconds": null, "good": null}));
        for (found, said) in [
            (Some(-600_040), json!({"ahead_seconds": -600, "good": false})),
            (Some(900), json!({"ahead_seconds": 0, "good": true})),
            (None, json!({"ahead_seconds": null, "good": null})),
        ] {
            watch.found(found);
            assert_eq!(watch.status(), said);
        }
    }
}
