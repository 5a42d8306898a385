//! What the policy's patterns mean, spelled out: slow, and with nothing in common with the code it
//! is held against.

use std::collections::{BTreeMap, BTreeSet};

use keysherd_base::limits::SEGMENT_BYTES_MAX;
use keysherd_domain::claims::SubClaims;

/// A part of a rule path, as it is written.
enum Written<'p> {
    Char(char),
    /// A template: the name between the braces.
    Claim(&'p str),
    /// `+` as a whole segment.
    Segment,
    /// `*` at the end.
    Everything,
}

/// What remains of it once the claims have values.
enum Meant {
    Char(char),
    /// A character of a value whose letter case does not count.
    Folded(char),
    Segment,
    Everything,
}

/// Whether the rule path `pattern`, which parses, covers `path` for the bearer of `claims`: for one
/// choice of a value for each claim, path and pattern are the same character by character.
pub(crate) fn covers(pattern: &str, path: &str, claims: &SubClaims, case_sensitive: bool) -> bool {
    let written = read(pattern);
    let path: Vec<char> = path.chars().collect();
    choices(&claims_in(pattern), claims)
        .iter()
        .any(|choice| is_same(&meant(&written, choice, case_sensitive), &path))
}

/// The names of the claims in `pattern`, which parses.
pub(crate) fn claims_in(pattern: &str) -> BTreeSet<&str> {
    read(pattern)
        .into_iter()
        .filter_map(|part| match part {
            Written::Claim(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// A path that `pattern` covers when every claim in it has the value `y`.
pub(crate) fn instance(pattern: &str) -> String {
    let parts = read(pattern);
    parts
        .iter()
        .map(|part| match part {
            Written::Char(character) => *character,
            Written::Claim(_) => 'y',
            Written::Segment => 'x',
            Written::Everything => 'z',
        })
        .collect()
}

fn read(pattern: &str) -> Vec<Written<'_>> {
    let mut parts: Vec<Written<'_>> = Vec::new();
    let mut rest = pattern.strip_prefix('/').unwrap_or(pattern);
    parts.push(Written::Char('/'));
    while let Some(next) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix("{{").and_then(|it| it.split_once("}}")) {
            parts.push(Written::Claim(name.trim()));
            rest = after;
            continue;
        }
        let after = rest.strip_prefix(next).unwrap_or_default();
        let begins = matches!(parts.last(), Some(Written::Char('/')));
        let ends = after.is_empty() || after.starts_with('/');
        parts.push(match next {
            '+' if begins && ends => Written::Segment,
            '*' if after.is_empty() => Written::Everything,
            other => Written::Char(other),
        });
        rest = after;
    }
    parts
}

/// Every way to choose one usable value for each claim. None when a claim has none.
fn choices<'c>(
    names: &BTreeSet<&'c str>,
    claims: &'c SubClaims,
) -> Vec<BTreeMap<&'c str, &'c str>> {
    let mut choices = vec![BTreeMap::new()];
    for name in names {
        let usable = claims.values(name).iter().filter(|value| {
            !value.is_empty() && value.len() <= SEGMENT_BYTES_MAX && !value.contains('/')
        });
        choices = usable
            .flat_map(|value| {
                choices.iter().map(move |choice: &BTreeMap<&'c str, &'c str>| {
                    let mut choice = choice.clone();
                    choice.insert(name, value.as_str());
                    choice
                })
            })
            .collect();
    }
    choices
}

fn meant(written: &[Written<'_>], choice: &BTreeMap<&str, &str>, exact: bool) -> Vec<Meant> {
    let mut meant = Vec::new();
    for part in written {
        match part {
            Written::Char(character) => meant.push(Meant::Char(*character)),
            Written::Segment => meant.push(Meant::Segment),
            Written::Everything => meant.push(Meant::Everything),
            Written::Claim(name) => {
                let value = choice.get(name).copied().unwrap_or_default();
                let of = |character| match exact {
                    true => Meant::Char(character),
                    false => Meant::Folded(character),
                };
                meant.extend(value.chars().map(of));
            }
        }
    }
    meant
}

fn is_same(meant: &[Meant], path: &[char]) -> bool {
    let mut at = 0;
    for part in meant {
        let next = path.get(at).copied();
        match part {
            Meant::Everything => return true,
            Meant::Segment => {
                let length = path[at..].iter().take_while(|character| **character != '/').count();
                if length == 0 {
                    return false;
                }
                at += length;
            }
            Meant::Char(expected) if next == Some(*expected) => at += 1,
            Meant::Folded(expected) if next.map(fold) == Some(fold(*expected)) => at += 1,
            Meant::Char(_) | Meant::Folded(_) => return false,
        }
    }
    at == path.len()
}

/// Lower case, one character for one, and never from outside ASCII into it.
pub(crate) fn fold(character: char) -> char {
    let lower: Vec<char> = character.to_lowercase().collect();
    match lower.as_slice() {
        [single] if single.is_ascii() == character.is_ascii() => *single,
        _ => character,
    }
}

/// Whether the whole of `text` is what `pattern` stands for: `?` is one character, `*` any number.
pub(crate) fn is_like(pattern: &str, text: &str, case_sensitive: bool) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Whether the pattern so far stands for the first n characters, for each n.
    let mut reached: Vec<bool> = (0..=text.len()).map(|length| length == 0).collect();
    for expected in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for length in 0..=text.len() {
            let before = length.checked_sub(1);
            let fits = before.is_some_and(|before| {
                let actual = text[before];
                expected == '?'
                    || expected == actual
                    || (!case_sensitive && fold(expected) == fold(actual))
            });
            next[length] = match expected {
                '*' => reached[length] || before.is_some_and(|before| next[before]),
                _ => fits && before.is_some_and(|before| reached[before]),
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer() -> SubClaims {
        let mut claims = SubClaims::default();
        claims.set("u", "me");
        claims
    }

    #[test]
    fn the_definition_says_what_the_documentation_says() {
        let rows = [
            ("/team/db", "/team/db", true),
            ("/team/*", "/team/a/b", true),
            ("/team/*", "/team/", true),
            ("/team/*", "/team", false),
            ("/team/dev-*", "/team/dev-", true),
            ("/team/+/db", "/team/x/db", true),
            ("/team/+/db", "/team/x/y/db", false),
            ("/team/a+/db", "/team/a+/db", true),
            ("/+", "/", false),
            ("/home/{{u}}/*", "/home/me/x", true),
            ("/home/{{ u }}/*", "/home/ME/x", false),
            ("/home/{{v}}/*", "/home/me/x", false),
            ("/{{u}}+", "/me+", true),
        ];
        for (pattern, path, expect) in rows {
            assert_eq!(covers(pattern, path, &bearer(), true), expect, "{pattern} {path}");
        }
        assert!(covers("/home/{{u}}", "/home/ME", &bearer(), false));
        assert!(!covers("/HOME/{{u}}", "/home/me", &bearer(), false));
        assert!(is_like("a*b?", "axxbb", true) && !is_like("a*b?", "ab", true));
        assert!(is_like("A*", "ab", false) && !is_like("\u{212a}", "k", false));
        assert_eq!(instance("/a/+/{{u}}-*"), "/a/x/y-z");
    }
}
