//! No drawers: a file is named after what it holds.

use super::Finding;
use super::tree::{Tree, has_extension};

/// Names that say nothing.
const DRAWERS: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    for file in tree.files() {
        let code = ["rs", "py", "js", "mjs", "ts"].iter().any(|ext| has_extension(&file.path, ext));
        let drawer = file
            .path
            .split('/')
            .map(|part| part.split('.').next().unwrap_or_default())
            .find(|part| DRAWERS.contains(part));
        if let (true, Some(drawer)) = (code, drawer) {
            found.push(Finding {
                path: file.path.clone(),
                line: 0,
                rule: "names",
                value: None,
                text: format!("'{drawer}' does not say what is in it"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn a_drawer_is_found() {
        expect(check, &[("src/utils.rs", "")], &[("src/utils.rs", 0, "utils")]);
        expect(check, &[("src/common/a.rs", "")], &[("src/common/a.rs", 0, "common")]);
        expect(check, &[("src/commons.rs", ""), ("docs/common.md", "")], &[]);
    }
}
