//! Values with wildcards: `?` is one character, `*` any number of them, none included.

use super::case::Case;

/// Whether the whole of `text` matches `pattern`.
///
/// Only the last `*` is ever reconsidered, so the work is at most the product of both lengths; no
/// pattern makes it exponential. Wildcards in `text` are ordinary characters.
pub(super) fn matches(pattern: &str, text: &str, case: Case) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // After the last star: the pattern that follows it, and the text it has not swallowed yet.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let mut pattern_rest = pattern.chars();
        let mut text_rest = text.chars();
        match (pattern_rest.next(), text_rest.next()) {
            (Some('*'), _) => {
                pattern = pattern_rest.as_str();
                retry = Some((pattern, text));
                continue;
            }
            (None, None) => return true,
            (Some(_), None) => return false,
            (Some(expected), Some(actual)) if expected == '?' || case.same(expected, actual) => {
                pattern = pattern_rest.as_str();
                text = text_rest.as_str();
                continue;
            }
            _ => {}
        }
        let Some((after_star, from)) = retry else {
            return false;
        };
        let mut swallowed = from.chars();
        if swallowed.next().is_none() {
            return false;
        }
        pattern = after_star;
        text = swallowed.as_str();
        retry = Some((pattern, text));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn truth_table() {
        let rows = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("1?1", "121", true),
            ("1?1", "1231", false),
            ("*@example.com", "a@example.com", true),
            ("*@example.com", "a@example.com.evil", false),
            ("*@example.com", "a@exampleXcom", false),
            ("dev-*", "dev-", true),
            ("dev-*", "Dev-x", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1c", false),
            ("**", "x", true),
            ("?", "ä", true),
            ("a", "*", false),
            ("\\*", "\\x", true),
        ];
        for (pattern, text, expect) in rows {
            assert_eq!(matches(pattern, text, Case::Sensitive), expect, "{pattern} on {text}");
        }
        assert!(matches("DEV-*", "dev-x", Case::Insensitive));
    }

    #[test]
    fn a_hostile_pattern_comes_to_an_end() {
        let pattern = format!("{}b", "a*".repeat(500));
        assert!(!matches(&pattern, &"a".repeat(1_000), Case::Insensitive));
    }

    /// The definition, spelled out; exponential and obviously right.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => defined(rest, text),
            (Some((b'*', rest)), Some((_, shorter))) => {
                defined(rest, text) || defined(pattern, shorter)
            }
            (Some((b'?', rest)), Some((_, shorter))) => defined(rest, shorter),
            (Some((p, rest)), Some((t, shorter))) => p == t && defined(rest, shorter),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(
                matches(&pattern, &text, Case::Sensitive),
                defined(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
