//! Each test that `docs/attacks.md` names exists, and each attack has one.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;

/// The page.
const PAGE: &str = "docs/attacks.md";
/// Rows of the attack table.
const ATTACKS: usize = 25;

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    let Some(page) = tree.files().iter().find(|file| file.path == PAGE) else { return };
    let tests: BTreeSet<&str> = tree.rust().flat_map(|(_, rust)| names(&rust.code)).collect();
    let mut add = |line: usize, text: String| {
        found.push(Finding { path: PAGE.to_owned(), line, rule: "attacks", value: None, text });
    };
    let mut rows = 0;
    for (line, text) in (1..).zip(page.text.lines()) {
        let Some(row) = text.strip_prefix("| ").filter(|row| row.starts_with(char::is_numeric))
        else {
            continue;
        };
        rows += 1;
        let named: Vec<&str> =
            row.split('`').skip(1).step_by(2).filter(|name| name.starts_with("t_")).collect();
        if named.is_empty() {
            add(line, "no test carries this attack out".to_owned());
        }
        for name in named.into_iter().filter(|name| !tests.contains(name)) {
            add(line, format!("there is no test '{name}'"));
        }
    }
    if rows != ATTACKS {
        add(0, format!("{rows} attacks; the table has {ATTACKS}"));
    }
}

/// The names of the functions in `code` that begin like those of attacks.
fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split("fn ").skip(1).filter_map(|after| {
        let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        name.starts_with("t_").then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let rows: String =
            (1..=ATTACKS).map(|row| format!("| {row} | x | y | `t_there` |\n")).collect();
        let source = ("crates/a/tests/b.rs", "//! B.\n#[test]\nfn t_there() {}\n");
        expect(check, &[(PAGE, &rows), source], &[]);
        let missing = rows.replacen("`t_there`", "`t_gone`", 1);
        expect(check, &[(PAGE, &missing), source], &[(PAGE, 1, "'t_gone'")]);
        let none = rows.replacen("`t_there`", "soon", 1);
        expect(check, &[(PAGE, &none), source], &[(PAGE, 1, "no test")]);
        let short = rows.replacen("| 1 |", "x", 1);
        expect(check, &[(PAGE, &short), source], &[(PAGE, 0, "24 attacks")]);
    }
}
