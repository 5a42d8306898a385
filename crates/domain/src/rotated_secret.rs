//! Rotated secrets: what is known of one without opening it, and when its credentials change.

use keysherd_base::Timestamp;
use serde::{Deserialize, Serialize};

/// Days between two rotations, at most.
pub const DAYS_MAX: u32 = 365;
/// Minutes between two rotations, at most: as many as [`DAYS_MAX`] days have.
pub const MINUTES_MAX: u32 = DAYS_MAX * 24 * 60;

/// Notices before one rotation, at most.
pub const NOTICES_MAX: usize = 16;

/// Seconds of a day; UTC has no others.
const DAY: i64 = 86_400;

/// How long credentials stay, unless somebody has them changed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interval {
    /// 1 to [`DAYS_MAX`].
    Days(u32),
    /// 1 to [`MINUTES_MAX`].
    Minutes(u32),
}

impl Interval {
    /// Whether it is within its bounds.
    pub const fn is_possible(self) -> bool {
        match self {
            Self::Days(days) => 1 <= days && days <= DAYS_MAX,
            Self::Minutes(minutes) => 1 <= minutes && minutes <= MINUTES_MAX,
        }
    }

    /// Its length in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Days(days) => days as i64 * DAY,
            Self::Minutes(minutes) => minutes as i64 * 60,
        }
    }
}

/// When credentials change by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Whether they do.
    pub automatic: bool,
    /// How often.
    pub interval: Interval,
    /// At what hour of the day in UTC, for intervals in days: 0 to 23.
    pub hour: u8,
}

impl Schedule {
    /// When credentials change that changed at `last`; `None`: not by themselves.
    fn after(&self, last: Timestamp) -> Option<Timestamp> {
        let next = match self.interval {
            Interval::Minutes(_) => last.plus_seconds(self.interval.seconds()),
            Interval::Days(_) => day_of(last)
                .plus_seconds(self.interval.seconds())
                .plus_seconds(i64::from(self.hour) * 3_600),
        };
        self.automatic.then_some(next)
    }
}

/// New credentials that stand beside the old ones for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// For so many days.
    pub days: u32,
    /// Whether the new ones come so long before the date and the old ones go on it; otherwise the
    /// new ones come on the date, and the old ones go so long after it.
    pub before: bool,
    /// At what hour of the day in UTC that is which comes on another day than the date, 0 to 23;
    /// `None`: at the time of the other one.
    #[serde(default)]
    pub hour: Option<u8>,
}

/// That whoever reads the credentials has them alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOut {
    /// For so many minutes, or until they unlock the item.
    pub lock_minutes: u32,
    /// Whether the credentials change as soon as the lock ends.
    pub rotate_on_unlock: bool,
}

/// What is known of a rotated secret without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationFacts {
    /// The member of the family that changes the credentials, such as `postgresql`.
    pub rotator: String,
    /// What of it changes, such as `password` or `target`: V2's `rotator-type`.
    pub rotator_type: String,
    /// The gateway cluster that changes them; 0: any gateway does.
    pub cluster: i64,
    /// Whether the credentials are those of the target itself, in the target's settings.
    pub of_target: bool,
    /// When they change by themselves.
    pub schedule: Schedule,
    /// Whether the old ones stay for a while.
    pub grace: Option<Grace>,
    /// Whether reading locks.
    pub check_out: Option<CheckOut>,
    /// Whether they change when a session that used them has ended.
    pub after_disconnect: bool,
    /// Whether whom the target signs in changes them, not their owner.
    #[serde(default)]
    pub by_target: bool,
    /// How many days before they change by themselves people are told of it; at most
    /// [`NOTICES_MAX`].
    #[serde(default)]
    pub notices: Vec<u32>,
}

impl RotationFacts {
    /// When credentials that were stored at `made` and never changed do so by themselves.
    pub fn first(&self, made: Timestamp) -> Option<Timestamp> {
        self.schedule.after(made).map(|date| self.ahead_of(date).max(made))
    }

    /// When credentials that changed at `rotated` do so again by themselves.
    pub fn next(&self, rotated: Timestamp) -> Option<Timestamp> {
        // What came ahead of its date is counted from the date.
        let ahead = self.early().map_or(0, Grace::seconds);
        self.schedule.after(rotated.plus_seconds(ahead)).map(|date| self.ahead_of(date))
    }

    /// When new credentials come whose date is this.
    fn ahead_of(&self, date: Timestamp) -> Timestamp {
        let Some(grace) = self.early() else { return date };
        let ahead = date.plus_seconds(-grace.seconds());
        match (grace.hour, self.schedule.interval) {
            (Some(hour), Interval::Days(_)) => day_of(ahead).plus_seconds(i64::from(hour) * 3_600),
            _ => ahead,
        }
    }

    /// The grace of credentials that come ahead of their date.
    fn early(&self) -> Option<&Grace> {
        self.grace.as_ref().filter(|grace| grace.before)
    }

    /// When the old ones go, if new ones came at `rotated`; `None`: they are gone with that. Never
    /// sooner than after the days that were said.
    pub fn old_until(&self, rotated: Timestamp) -> Option<Timestamp> {
        let grace = self.grace?;
        let whole = rotated.plus_seconds(grace.seconds());
        let Some(hour) = grace.hour.filter(|_| !grace.before) else { return Some(whole) };
        let that_day = day_of(whole).plus_seconds(i64::from(hour) * 3_600);
        Some(if that_day < whole { that_day.plus_seconds(DAY) } else { that_day })
    }

    /// When people are told that credentials change at `next`, as far as that is after `now`, the
    /// first one first.
    pub fn told_of(&self, next: Timestamp, now: Timestamp) -> Vec<Timestamp> {
        let days = self.notices.iter().take(NOTICES_MAX);
        let times = days.map(|days| next.plus_seconds(-i64::from(*days) * DAY));
        let mut times: Vec<_> = times.filter(|at| now < *at).collect();
        times.sort_unstable();
        times.dedup();
        times
    }
}

/// The begin of the day of `time`.
fn day_of(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.seconds().div_euclid(DAY).saturating_mul(DAY))
}

impl Grace {
    fn seconds(&self) -> i64 {
        i64::from(self.days) * DAY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn every(interval: Interval, grace: Option<Grace>) -> RotationFacts {
        RotationFacts {
            rotator: "postgresql".to_owned(),
            rotator_type: "password".to_owned(),
            cluster: 0,
            of_target: false,
            schedule: Schedule { automatic: true, interval, hour: 14 },
            grace,
            check_out: None,
            after_disconnect: false,
            by_target: false,
            notices: Vec::new(),
        }
    }

    #[test]
    fn days_end_at_the_hour_and_minutes_at_the_minute() {
        let daily = every(Interval::Days(1), None);
        let monthly = every(Interval::Days(30), None);
        for (last, next) in [
            ("2026-01-05T00:00:00Z", "2026-01-06T14:00:00Z"),
            ("2026-01-05T13:59:59Z", "2026-01-06T14:00:00Z"),
            ("2026-01-05T23:59:59Z", "2026-01-06T14:00:00Z"),
            ("2028-02-28T14:00:05Z", "2028-02-29T14:00:00Z"),
            ("1969-12-31T12:00:00Z", "1970-01-01T14:00:00Z"),
        ] {
            assert_eq!(daily.next(at(last)), Some(at(next)), "{last}");
            assert_eq!(daily.first(at(last)), Some(at(next)), "{last}");
        }
        assert_eq!(monthly.next(at("2026-01-05T14:00:01Z")), Some(at("2026-02-04T14:00:00Z")));
        let often = every(Interval::Minutes(90), None);
        assert_eq!(often.next(at("2026-01-05T23:00:00Z")), Some(at("2026-01-06T00:30:00Z")));
        let schedule = Schedule { automatic: false, ..daily.schedule };
        let never = RotationFacts { schedule, ..daily };
        assert_eq!((never.next(Timestamp(0)), never.first(Timestamp(0))), (None, None));
    }

    #[test]
    fn a_date_stays_the_same_when_new_credentials_come_ahead_of_it() {
        let before = every(Interval::Days(30), Some(Grace { days: 5, before: true, hour: None }));
        let first = before.first(at("2026-01-01T08:00:00Z")).unwrap();
        assert_eq!(first, at("2026-01-26T14:00:00Z"), "the date is the 31st");
        assert_eq!(before.old_until(first), Some(at("2026-01-31T14:00:00Z")));
        let second = before.next(first).unwrap();
        assert_eq!(second, at("2026-02-25T14:00:00Z"), "30 days later");

        let after = every(Interval::Days(30), Some(Grace { days: 5, before: false, hour: None }));
        let first = after.first(at("2026-01-01T08:00:00Z")).unwrap();
        assert_eq!(first, at("2026-01-31T14:00:00Z"));
        assert_eq!(after.old_until(first), Some(at("2026-02-05T14:00:00Z")));
        assert_eq!(after.next(first), Some(at("2026-03-02T14:00:00Z")));
        assert_eq!(every(Interval::Days(30), None).old_until(first), None);
    }

    #[test]
    fn the_hour_of_grace_is_that_of_the_other_day_and_no_date_drifts() {
        let early = Grace { days: 5, before: true, hour: Some(22) };
        let facts = every(Interval::Days(30), Some(early));
        let mut came = facts.first(at("2026-01-01T08:00:00Z")).unwrap();
        assert_eq!(came, at("2026-01-26T22:00:00Z"), "the date is the 31st");
        for date in ["2026-02-25T22:00:00Z", "2026-03-27T22:00:00Z"] {
            // It takes some seconds each time.
            came = facts.next(came.plus_seconds(7)).unwrap();
            assert_eq!(came, at(date));
        }
        let late = Grace { days: 5, before: false, hour: Some(3) };
        let facts = every(Interval::Days(30), Some(late));
        let came = at("2026-01-31T14:00:07Z");
        assert_eq!(facts.old_until(came), Some(at("2026-02-06T03:00:00Z")), "five whole days");
        assert_eq!(facts.old_until(at("2026-01-31T03:00:00Z")), Some(at("2026-02-05T03:00:00Z")));
        assert_eq!(facts.next(came), Some(at("2026-03-02T14:00:00Z")));
        let often = every(Interval::Minutes(4_320), Some(Grace { days: 1, ..early }));
        let came = at("2026-01-05T08:30:00Z");
        assert_eq!(often.next(came), Some(came.plus_seconds(3 * DAY)));
    }

    #[test]
    fn people_are_told_in_order_and_never_of_the_past() {
        let facts = RotationFacts {
            notices: vec![1, 30, 7, 7, u32::MAX],
            ..every(Interval::Days(30), None)
        };
        let (next, now) = (at("2026-01-31T14:00:00Z"), at("2026-01-05T00:00:00Z"));
        let told = facts.told_of(next, now);
        assert_eq!(told, [at("2026-01-24T14:00:00Z"), at("2026-01-30T14:00:00Z")]);
        assert_eq!(facts.told_of(next, at("2026-01-30T14:00:00Z")), []);
        let many = RotationFacts { notices: (1..100).collect(), ..facts };
        assert_eq!(many.told_of(next, Timestamp(0)).len(), NOTICES_MAX);
    }

    #[test]
    fn intervals_have_limits_and_nothing_overflows() {
        for possible in [Interval::Days(1), Interval::Days(365), Interval::Minutes(525_600)] {
            assert!(possible.is_possible(), "{possible:?}");
        }
        for wrong in [Interval::Days(0), Interval::Days(366), Interval::Minutes(0)] {
            assert!(!wrong.is_possible(), "{wrong:?}");
        }
        assert!(!Interval::Minutes(u32::MAX).is_possible());
        let facts = every(
            Interval::Days(u32::MAX),
            Some(Grace { days: u32::MAX, before: true, hour: Some(23) }),
        );
        assert!(facts.next(Timestamp(i64::MAX)).is_some());
        assert!(facts.first(Timestamp(i64::MIN)).is_some());
    }
}
