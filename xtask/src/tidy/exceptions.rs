//! What the rules let pass: `xtask/src/tidy/exceptions.txt`, one line each.
//!
//! A line is `rule path limit reason`. The limit is the measured value at which the file stands,
//! or `-` for rules that measure nothing. It is a ratchet: when the file got better, the line must
//! follow, and when it needs no exception any more, the line must go.

use std::path::Path;

use super::Finding;
use crate::root;

/// The list, relative to the project.
const LIST: &str = "xtask/src/tidy/exceptions.txt";
/// The name of the rule that keeps the list true.
const RULE: &str = "exceptions";

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    line: usize,
    rule: String,
    path: String,
    limit: Option<usize>,
}

/// Reads the list.
///
/// # Errors
/// When it cannot be read or a line is malformed.
pub(super) fn read(project: &Path) -> Result<Vec<Exception>, String> {
    parse(&root::read(&project.join(LIST))?)
}

fn parse(text: &str) -> Result<Vec<Exception>, String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let malformed = || format!("{LIST}:{}: expected: rule path limit reason", index + 1);
            let mut words = line.splitn(4, ' ');
            let mut next =
                || words.next().filter(|word| !word.trim().is_empty()).ok_or_else(malformed);
            let (rule, path, limit, _reason) = (next()?, next()?, next()?, next()?);
            let limit = match limit {
                "-" => None,
                number => Some(number.parse().map_err(|_| malformed())?),
            };
            Ok(Exception { line: index + 1, rule: rule.to_owned(), path: path.to_owned(), limit })
        })
        .collect()
}

/// `found` without what `exceptions` lets pass, and with what is wrong about them.
pub(super) fn apply(exceptions: &[Exception], mut found: Vec<Finding>) -> Vec<Finding> {
    let mut complaints = Vec::new();
    for exception in exceptions {
        let (covered, rest): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|finding| finding.rule == exception.rule && finding.path == exception.path);
        found = rest;
        let worst = covered.iter().filter_map(|finding| finding.value).max();
        let complaint = match (exception.limit, worst) {
            _ if covered.is_empty() => "is not needed any more; remove it".to_owned(),
            (Some(limit), Some(worst)) if worst < limit => format!("can be lowered to {worst}"),
            (Some(limit), Some(worst)) if worst > limit => {
                found.extend(covered);
                format!("does not cover {worst}")
            }
            (Some(_), None) => "has a limit, but the rule measures nothing; write -".to_owned(),
            (None, Some(worst)) => format!("has no limit; write {worst}"),
            _ => continue,
        };
        complaints.push(Finding {
            path: LIST.to_owned(),
            line: exception.line,
            rule: RULE,
            value: None,
            text: format!(
                "the exception of {} from {} {complaint}",
                exception.path, exception.rule
            ),
        });
    }
    found.extend(complaints);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &'static str, path: &str, value: Option<usize>) -> Finding {
        Finding { path: path.to_owned(), line: 0, rule, value, text: "x".to_owned() }
    }

    fn check(list: &str, found: Finding, expected: &[&str]) {
        let texts: Vec<_> = apply(&parse(list).unwrap(), vec![found])
            .into_iter()
            .map(|finding| finding.to_string())
            .collect();
        let same = texts.len() == expected.len()
            && texts.iter().zip(expected).all(|(text, words)| text.contains(words));
        assert!(same, "expected {expected:?}, found {texts:#?}");
    }

    #[test]
    fn an_exact_exception_lets_pass() {
        check("# why\n\nlength a.rs 612 A table.", finding("length", "a.rs", Some(612)), &[]);
        check("words a.rs - A name.", finding("words", "a.rs", None), &[]);
    }

    #[test]
    fn a_stale_or_loose_exception_is_an_error() {
        let long = || finding("length", "a.rs", Some(612));
        check("length b.rs 612 Why.", long(), &["a.rs: length", "b.rs from length is not needed"]);
        check("length a.rs 700 Why.", long(), &["can be lowered to 612"]);
        check("length a.rs 600 Why.", long(), &["a.rs: length", "does not cover 612"]);
        check("length a.rs - Why.", long(), &["write 612"]);
        check("words a.rs 3 Why.", finding("words", "a.rs", None), &["write -"]);
    }

    #[test]
    fn an_exception_needs_a_reason() {
        assert!(parse("length a.rs 612").unwrap_err().contains("exceptions.txt:1"));
        assert!(parse("length a.rs many Why.").is_err());
    }
}
