//! Comparing text with or without its letter case.

use std::cmp::Ordering;

/// Whether letter case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Case {
    /// `a` and `A` differ.
    Sensitive,
    /// `a` and `A` are the same.
    Insensitive,
}

impl Case {
    /// The case of an association's `case_sensitive` flag.
    pub(super) const fn from_flag(case_sensitive: bool) -> Self {
        if case_sensitive { Self::Sensitive } else { Self::Insensitive }
    }

    /// Whether two characters are the same.
    pub(super) fn same(self, a: char, b: char) -> bool {
        a == b || (self == Self::Insensitive && fold(a) == fold(b))
    }

    /// A total order under which equal means the same.
    pub(super) fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Sensitive => a.cmp(b),
            Self::Insensitive => a.chars().map(fold).cmp(b.chars().map(fold)),
        }
    }

    /// What follows `prefix` in `text`; `None` when `text` does not start with it.
    pub(super) fn strip_prefix<'t>(self, text: &'t str, prefix: &str) -> Option<&'t str> {
        match self {
            Self::Sensitive => text.strip_prefix(prefix),
            Self::Insensitive => {
                let mut rest = text.chars();
                for expected in prefix.chars() {
                    if !self.same(expected, rest.next()?) {
                        return None;
                    }
                }
                Some(rest.as_str())
            }
        }
    }

    /// The one spelling that stands for all that are the same as `text`.
    pub(super) fn canonical(self, text: &str) -> Box<str> {
        match self {
            Self::Sensitive => text.into(),
            Self::Insensitive => text.chars().map(fold).collect::<String>().into_boxed_str(),
        }
    }
}

/// Lower case, one character for one, and never from outside ASCII into it: the Kelvin sign must
/// not pass for a `k` in somebody's group name.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(single), None) if !single.is_ascii() => single,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_twice_changes_nothing_and_ascii_stays_apart() {
        for c in '\0'..=char::MAX {
            assert_eq!(fold(fold(c)), fold(c), "{c:?}");
            assert_eq!(fold(c).is_ascii(), c.is_ascii(), "{c:?}");
        }
    }

    #[test]
    fn the_same_letters_and_only_those() {
        let same = [("Dev", "dEV"), ("ÄRGER", "ärger"), ("x1-_", "X1-_")];
        let different = [("\u{212a}", "k"), ("\u{17f}", "s"), ("ı", "i"), ("a", "ä"), ("ß", "ss")];
        for (a, b) in same {
            assert_eq!(Case::Insensitive.compare(a, b), Ordering::Equal, "{a} {b}");
            assert_ne!(Case::Sensitive.compare(a, b), Ordering::Equal, "{a} {b}");
            assert_eq!(Case::Insensitive.canonical(a), Case::Insensitive.canonical(b));
        }
        for (a, b) in different {
            assert_ne!(Case::Insensitive.compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn strips_what_is_the_same() {
        assert_eq!(Case::Insensitive.strip_prefix("ÄB-c", "äb"), Some("-c"));
        assert_eq!(Case::Sensitive.strip_prefix("AB", "ab"), None);
        assert_eq!(Case::Insensitive.strip_prefix("a", "ab"), None);
    }
}
