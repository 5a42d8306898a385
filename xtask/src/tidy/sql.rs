//! SQL is in `store` only; what runs on servers of tenants is in `engines`.

use super::Finding;
use super::tree::Tree;

/// The crates that may have SQL: for the store, and for the servers that credentials are made on.
const SPEAKERS: &[&str] = &["store", "engines"];
/// Words that make a literal SQL when the second follows the first somewhere.
const STATEMENTS: &[(&str, &str)] = &[
    ("SELECT", "FROM"),
    ("INSERT", "INTO"),
    ("UPDATE", "SET"),
    ("DELETE", "FROM"),
    ("CREATE", "TABLE"),
    ("CREATE", "INDEX"),
    ("CREATE", "TRIGGER"),
    ("ALTER", "TABLE"),
    ("DROP", "TABLE"),
    ("BEGIN", "IMMEDIATE"),
    ("PRAGMA", ""),
];

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    for (file, rust) in tree.rust() {
        if !file.path.starts_with("crates/") || SPEAKERS.contains(&file.crate_name()) {
            continue;
        }
        for (line, text) in &rust.literals {
            if is_sql(text) {
                found.push(Finding {
                    path: file.path.clone(),
                    line: *line,
                    rule: "sql",
                    value: None,
                    text: "SQL outside crates/store".to_owned(),
                });
            }
        }
    }
}

fn is_sql(literal: &str) -> bool {
    let words: Vec<_> = literal
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty())
        .collect();
    STATEMENTS.iter().any(|(first, second)| {
        let at = words.iter().position(|word| word == first);
        at.is_some_and(|at| {
            words.iter().skip(at + 1).any(|word| second.is_empty() || word == second)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn sql_is_found_outside_the_store() {
        let text = "f(\n  \"SELECT a\n FROM b\");\ng(\"PRAGMA synchronous\");\n";
        let path = "crates/control/src/a.rs";
        expect(check, &[(path, text)], &[(path, 2, "SQL"), (path, 4, "SQL")]);
        expect(check, &[("crates/store/src/a.rs", text)], &[]);
        let prose = "f(\"Select one from the list. DELETE it. UPDATE\");\n";
        expect(check, &[(path, prose)], &[]);
    }
}
