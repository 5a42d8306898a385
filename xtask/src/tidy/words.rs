//! Words that must not be in code: unfinished work, silenced lints, skipped tests, async in the
//! crates that are pure.

use super::Finding;
use super::tree::Tree;

/// A word, and why it must not be there.
const WORDS: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run proves nothing"),
    ("todo!", "finish it, or open an issue"),
    ("unimplemented!", "finish it, or answer with an error"),
    ("dbg!", "log through tracing"),
    ("#[allow(", "use #[expect(.., reason = \"..\")]"),
    ("#![allow(", "use #![expect(.., reason = \"..\")]"),
];
/// Crates without IO, which therefore never wait.
const PURE: &[&str] = &["base", "crypto", "domain", "fragments", "wire"];

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    for (file, rust) in tree.rust() {
        let pure = file.path.starts_with("crates/") && PURE.contains(&file.crate_name());
        for (number, line) in rust.lines() {
            let mut add = |text: String| {
                found.push(Finding {
                    path: file.path.clone(),
                    line: number,
                    rule: "words",
                    value: None,
                    text,
                });
            };
            for (word, why) in WORDS {
                if line.contains(word) {
                    add(format!("{word}: {why}"));
                }
            }
            let is_async = |word: &str| word == "async";
            if pure && line.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_async) {
                add("async: this crate does no IO and never waits".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn each_word_is_found_in_code_only() {
        for (word, _) in WORDS {
            let text = format!("// {word}\nf(\"{word}\");\n {word}\n");
            expect(check, &[("src/a.rs", &text)], &[("src/a.rs", 3, word)]);
        }
    }

    #[test]
    fn pure_crates_have_no_async() {
        let text = "async fn a() {}\nlet async_like = 1;\n";
        expect(check, &[("crates/domain/src/a.rs", text)], &[("crates/domain/src/a.rs", 1, "IO")]);
        expect(check, &[("crates/http/src/a.rs", text)], &[]);
    }
}
