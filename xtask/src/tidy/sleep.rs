//! Tests wait for what they need, not for time to pass.

use super::Finding;
use super::tree::Tree;

/// Calls that let time pass.
const CALLS: &[&str] = &["thread::sleep", "time::sleep", " sleep("];

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    for (file, rust) in tree.rust() {
        let from = if file.is_test() { Some(1) } else { rust.tests_from() };
        let Some(from) = from else { continue };
        for (number, line) in rust.lines().filter(|(number, _)| *number >= from) {
            if CALLS.iter().any(|call| line.contains(call)) {
                found.push(Finding {
                    path: file.path.clone(),
                    line: number,
                    rule: "sleep",
                    value: None,
                    text: "a test sleeps; wait for the event, or hand in a clock".to_owned(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let call = "fn a() { std::thread::sleep(d); }\n";
        let inline =
            format!("{call}#[cfg(test)]\nmod tests {{\n tokio::time::sleep(d).await;\n}}\n");
        expect(check, &[("src/a.rs", &inline)], &[("src/a.rs", 4, "sleeps")]);
        expect(check, &[("src/a/tests.rs", call)], &[("src/a/tests.rs", 1, "sleeps")]);
        expect(check, &[("src/a.rs", call)], &[]);
    }
}
