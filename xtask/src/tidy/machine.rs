//! No file names the machine it was written on.

use super::Finding;
use super::tree::Tree;

/// Directories of one machine, and words of one workplace, in two halves so that this file passes.
const NEEDLES: &[(&str, &str)] = &[("/wo", "rk/"), ("fa", "rm")];

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    let needles: Vec<_> = NEEDLES.iter().map(|(left, right)| format!("{left}{right}")).collect();
    for file in tree.files() {
        for (index, line) in file.text.lines().enumerate() {
            if needles.iter().any(|needle| contains_word(line, needle)) {
                found.push(Finding {
                    path: file.path.clone(),
                    line: index + 1,
                    rule: "machine",
                    value: None,
                    text: "names the machine the file was written on".to_owned(),
                });
            }
        }
    }
}

/// Whether `needle` is in `line`, and no letter is beside its letters.
fn contains_word(line: &str, needle: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    line.match_indices(needle).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + needle.len()..).and_then(|text| text.chars().next());
        let begins = !letter(needle.chars().next()) || !letter(before);
        let ends = !letter(needle.chars().next_back()) || !letter(after);
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    #[test]
    fn a_path_of_the_machine_is_found_in_any_file() {
        let path = concat!("see /wo", "rk/notes");
        expect(check, &[("a.md", path)], &[("a.md", 1, "machine")]);
        let word = concat!("\nthe fa", "rm's");
        expect(check, &[("a.toml", word)], &[("a.toml", 2, "machine")]);
        let inside = concat!("/net", "wo", "rk/x and fa", "rming");
        expect(check, &[("a.rs", inside)], &[]);
    }
}
