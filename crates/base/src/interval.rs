//! Intervals as people write them: `30s`, `15m`, `4h`, or minutes without a unit.

use std::time::Duration;

/// The time that `text` names; `None` when it is none.
pub fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) => (digits, text.chars().next_back()),
        None => (text, Some('m')),
    };
    let seconds = match unit {
        Some('s') => 1,
        Some('h') => 3_600,
        _ => 60,
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    number.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_units() {
        let seconds = |text: &str| parse(text).map(|time| time.as_secs());
        assert_eq!(seconds("30s"), Some(30));
        assert_eq!((seconds("15"), seconds("15m")), (Some(900), Some(900)));
        assert_eq!((seconds("4h"), seconds("0s")), (Some(14_400), Some(0)));
        for bad in ["", "m", "-1", "1d", "99999999999999999999", "1.5h", " 5m"] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }
}
