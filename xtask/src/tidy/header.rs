//! Every Rust file begins with a `//!` header that says what it is.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    for (file, _) in tree.rust() {
        let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let says_something = first.strip_prefix("//! ").is_some_and(|text| text.len() > 3);
        if !says_something {
            found.push(Finding {
                path: file.path.clone(),
                line: 1,
                rule: "header",
                value: None,
                text: "the file does not begin with a //! header".to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn a_file_without_a_header_is_found() {
        expect(check, &[("a.rs", "use a;\n")], &[("a.rs", 1, "header")]);
        expect(check, &[("a.rs", "//! \n//! x")], &[("a.rs", 1, "header")]);
        expect(check, &[("a.rs", "//! What it is.\nuse a;\n"), ("a.md", "no")], &[]);
    }
}
