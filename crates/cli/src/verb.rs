//! Which command the words of a command line mean.
//!
//! Two grammars live side by side: `create-secret`, and noun, verb and type as words of their own
//! (`auth-method create api-key`). Words joined with dashes are the name of a command.

use keysherd_wire::Spec;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::local::{self, LocalRun};
use crate::program::Program;

/// Most words a command can consist of.
const WORDS_MAX: usize = 8;
/// Most commands that are suggested for a beginning, and for a mistyped name.
const STARTS_MAX: usize = 40;
const SIMILAR_MAX: usize = 5;

/// What runs a command.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// The server.
    Server,
    /// This program.
    Local(LocalRun),
}

/// A command that was found.
#[derive(Clone, Copy)]
pub(crate) struct Verb {
    /// The name that was used: the current one or an older spelling.
    pub(crate) name: &'static str,
    pub(crate) spec: &'static Spec,
    pub(crate) action: Action,
    /// The field that may be given without its flag, right after the command.
    pub(crate) positional: Option<&'static str>,
}

/// Every command, the local ones first; they hide server commands of the same name.
pub(crate) fn all<'a>(program: &'a Program<'a>) -> impl Iterator<Item = Verb> + 'a {
    let local = local::ALL.iter().map(|local| Verb {
        name: local.spec.name,
        spec: local.spec_in(program.specs),
        action: Action::Local(local.run),
        positional: local.positional,
    });
    local.chain(server_specs(program).map(|spec| Verb {
        name: spec.name,
        spec,
        action: Action::Server,
        positional: None,
    }))
}

/// The specifications of the commands that the server runs.
pub(crate) fn server_specs<'a>(
    program: &'a Program<'a>,
) -> impl Iterator<Item = &'static Spec> + 'a {
    program
        .specs
        .iter()
        .copied()
        .filter(|spec| !local::ALL.iter().any(|local| local.spec.name == spec.name))
}

/// The command that the first of `words` mean, and how many words that took.
pub(crate) fn find(program: &Program<'_>, words: &[String]) -> Option<(Verb, usize)> {
    let most = words.len().min(WORDS_MAX);
    (1..=most).rev().find_map(|count| {
        let name = joined(words.get(..count)?);
        named(program, &name).map(|verb| (verb, count))
    })
}

fn named(program: &Program<'_>, name: &str) -> Option<Verb> {
    for verb in all(program) {
        for (known, _) in verb.spec.names() {
            if known.eq_ignore_ascii_case(name) {
                return Some(Verb { name: known, ..verb });
            }
        }
    }
    None
}

fn joined(words: &[String]) -> String {
    words.join("-").replace('_', "-")
}

/// What to say about words that mean no command.
pub(crate) fn unknown(program: &Program<'_>, words: &[String]) -> Failure {
    let name = joined(words);
    let mut known: Vec<_> = all(program).map(|verb| verb.spec).collect();
    known.sort_unstable_by_key(|spec| spec.name);
    let start = format!("{name}-");
    let starting: Vec<_> = known.iter().filter(|spec| spec.name.starts_with(&start)).collect();
    let mut text = format!("'{}' is not a command", words.join(" "));
    if !starting.is_empty() {
        text.push_str(", but these begin with it:");
        for spec in starting.iter().take(STARTS_MAX) {
            text.push_str(&format!("\n  {:<40} {}", spec.name, spec.summary));
        }
        if starting.len() > STARTS_MAX {
            text.push_str("\n  and more");
        }
        return Failure::whole(Exit::Usage, text);
    }
    let failure = Failure::usage(text);
    let similar = similar(&name, &known);
    if similar.is_empty() {
        failure.hint(format!("'{} --help' lists all commands", program.name))
    } else {
        failure.hint(format!("did you mean {}?", similar.join(", ")))
    }
}

/// Names that have the same words in another order, or differ in few letters.
fn similar(name: &str, known: &[&'static Spec]) -> Vec<&'static str> {
    let has_words = |candidate: &str| {
        name.split('-').all(|word| candidate.split('-').any(|other| other == word))
    };
    let mut ranked: Vec<_> = known
        .iter()
        .filter_map(|spec| {
            let distance = distance(name, spec.name);
            let near = distance <= 1 + name.len() / 6;
            (near || has_words(spec.name)).then_some((!near, distance, spec.name))
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, _, name)| name).take(SIMILAR_MAX).collect()
}

/// How many letters to insert, remove or change (Levenshtein distance).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let cells = row.iter_mut().skip(1).zip(b.chars());
        for (cell, y) in cells {
            let changed = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = changed.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        let cases = [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("create-secret", "creat-secret", 1),
            ("flaw", "lawn", 2),
        ];
        for (a, b, expected) in cases {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
