//! No member of a family is forgotten: what a file defines is in the list of its family.
//!
//! A command is `static NAME: ApiCommand` in `commands/<noun>/<file>.rs`; its noun's list has
//! `&<file>::NAME`, and the list of all commands has the noun's. A member of the family of auth
//! methods is a file beside its list.

use super::Finding;
use super::tree::Tree;

/// The file with the list of all commands.
const ALL: &str = "crates/api/src/commands.rs";
/// The family of auth methods: its list, and the directory of its members.
const METHODS: &str = "crates/authn/src/methods.rs";
const MEMBERS: &str = "crates/authn/src/methods/";
/// The directory of the nouns.
const NOUNS: &str = "crates/api/src/commands/";

pub(super) fn check(tree: &Tree, found: &mut Vec<Finding>) {
    let mut add = |path: &str, text: String| {
        let path = path.to_owned();
        found.push(Finding { path, line: 0, rule: "registry", value: None, text });
    };
    for (file, _) in tree.rust() {
        let Some(member) = file.path.strip_prefix(MEMBERS) else { continue };
        let member = member.trim_end_matches(".rs");
        if !member.contains('/') && !lists(tree, &[METHODS], &format!("&{member}")) {
            add(&file.path, format!("{member} is not in METHODS of {METHODS}"));
        }
    }
    for (file, rust) in tree.rust() {
        let Some(inside) = file.path.strip_prefix(NOUNS) else { continue };
        let parts: Vec<_> = inside.trim_end_matches(".rs").split('/').collect();
        match parts.as_slice() {
            [noun] | [noun, "mod"]
                if rust.code.contains("static COMMANDS:")
                    && !lists(tree, &[ALL], &format!("{noun}::COMMANDS"))
                    && !lists(tree, &[ALL], &format!("{noun}::commands()")) =>
            {
                add(&file.path, format!("{noun}::COMMANDS is not in {ALL}"));
            }
            [noun, member] => {
                let lists_of_noun = [format!("{NOUNS}{noun}.rs"), format!("{NOUNS}{noun}/mod.rs")];
                let lists_of_noun: Vec<_> = lists_of_noun.iter().map(String::as_str).collect();
                for name in commands(&rust.code) {
                    if !lists(tree, &lists_of_noun, &format!("&{member}::{name}")) {
                        add(&file.path, format!("{member}::{name} is not in COMMANDS of {noun}"));
                    }
                }
            }
            _ => {}
        }
    }
}

/// The names of the commands a file defines.
fn commands(code: &str) -> Vec<&str> {
    code.match_indices(": ApiCommand =")
        .filter_map(|(at, _)| {
            let before = code.get(..at)?;
            let (rest, name) = before.rsplit_once(' ')?;
            rest.ends_with("static").then_some(name)
        })
        .collect()
}

/// Whether one of the files at `paths` has `entry` as whole words in its code.
fn lists(tree: &Tree, paths: &[&str], entry: &str) -> bool {
    let files = paths.iter().filter_map(|path| tree.file(path)?.rust.as_ref());
    files.into_iter().any(|rust| {
        rust.code.match_indices(entry).any(|(at, _)| {
            let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let before = rust.code.get(..at).and_then(|text| text.chars().next_back());
            let after = rust.code.get(at + entry.len()..).and_then(|text| text.chars().next());
            !word(before) && !word(after)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::expect;

    const COMMAND: &str = "//! A.\npub(super) static COMMAND: ApiCommand = Command {};\n";
    const NOUN: &str = "mod get;\nstatic COMMANDS: &[&ApiCommand] = &[&get::COMMAND];\n";
    const ITEMS: &str = "crates/api/src/commands/items.rs";
    const GET: &str = "crates/api/src/commands/items/get.rs";

    #[test]
    fn a_member_of_a_family_is_in_its_list() {
        let member = "crates/authn/src/methods/ldap.rs";
        let list = "static METHODS: &[&dyn Method] = &[&ldap::Ldap];\n";
        expect(check, &[(METHODS, list), (member, COMMAND)], &[]);
        let list = "static METHODS: &[&dyn Method] = &[]; // &ldap::Ldap\n";
        expect(check, &[(METHODS, list), (member, COMMAND)], &[(member, 0, "ldap is not in")]);
    }

    #[test]
    fn a_complete_registry_passes() {
        let all = "static ALL: &[&[&ApiCommand]] = &[items::COMMANDS];\n";
        expect(check, &[(ALL, all), (ITEMS, NOUN), (GET, COMMAND)], &[]);
    }

    #[test]
    fn a_forgotten_command_or_noun_is_found() {
        let all = "static ALL: &[&[&ApiCommand]] = &[other_items::COMMANDS];\n";
        expect(check, &[(ALL, all), (ITEMS, NOUN)], &[(ITEMS, 0, "items::COMMANDS is not in")]);
        let all = "static ALL: &[&[&ApiCommand]] = &[items::COMMANDS];\n";
        let list = "static COMMANDS: &[&ApiCommand] = &[&widget::COMMAND]; // &get::COMMAND\n";
        expect(
            check,
            &[(ALL, all), (ITEMS, list), (GET, COMMAND)],
            &[(GET, 0, "get::COMMAND is not in COMMANDS of items")],
        );
    }

    #[test]
    fn a_file_may_define_several_commands() {
        let two = "static ENCRYPT: ApiCommand = a;\nstatic DECRYPT: ApiCommand = b;\n";
        assert_eq!(commands(two), ["ENCRYPT", "DECRYPT"]);
        assert_eq!(commands("fn a(c: ApiCommand) {}"), Vec::<&str>::new());
    }
}
