//! `cargo xtask tidy`: what must hold for the source tree, beyond what the compiler checks.
//!
//! A rule is one file in `tidy/` and one line in [`RULES`]. Rules look at text only, so they run
//! in a moment; the generated documents are compared at the end, which needs the binary.

mod attacks;
mod edges;
mod exceptions;
mod header;
mod length;
mod lexer;
mod machine;
mod manifests;
mod names;
mod registry;
mod sleep;
mod sql;
mod tree;
mod words;

use crate::console::{complain, say};
use crate::product::Product;
use crate::{docs, root};
use tree::Tree;

/// What a rule complains about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// The file, relative to the project.
    path: String,
    /// The line, from 1; 0 for the whole file.
    line: usize,
    /// The rule's name, as in the list of exceptions.
    rule: &'static str,
    /// The measured value, for rules with a limit.
    value: Option<usize>,
    /// What is wrong.
    text: String,
}

/// A rule: adds what it finds in the tree.
type Rule = fn(&Tree, &mut Vec<Finding>);

/// Every rule.
const RULES: &[Rule] = &[
    attacks::check,
    edges::check,
    header::check,
    length::check_columns,
    length::check_files,
    length::check_functions,
    machine::check,
    manifests::check,
    names::check,
    registry::check,
    sleep::check,
    sql::check,
    words::check,
];

/// `cargo xtask tidy [--sources]`; with `--sources` the binary is not built and the generated
/// documents are not compared.
///
/// # Errors
/// When a rule found something or a document is stale.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let sources_only = match arguments {
        [] => false,
        [flag] if flag == "--sources" => true,
        _ => return Err("usage: cargo xtask tidy [--sources]".to_owned()),
    };
    let tree = Tree::read(&root::project())?;
    let list = exceptions::read(&root::project())?;
    let findings = judge(&tree, &list);
    for finding in &findings {
        complain(&finding.to_string());
    }
    if !findings.is_empty() {
        return Err(format!("tidy: {} findings", findings.len()));
    }
    say(&format!("tidy: {} rules hold for {} files", RULES.len(), tree.files().len()));
    if sources_only { Ok(()) } else { docs::check(&Product::build()?) }
}

/// What all rules find, without what `exceptions` lets pass, in order of file and line.
fn judge(tree: &Tree, exceptions: &[exceptions::Exception]) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in RULES {
        rule(tree, &mut found);
    }
    let mut found = exceptions::apply(exceptions, found);
    found.sort_unstable();
    found
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}: {}", self.path, self.rule, self.text),
            line => write!(f, "{}:{line}: {}: {}", self.path, self.rule, self.text),
        }
    }
}

/// Asserts that `rule` finds something with `words` in the text at `line` of `path`, and nothing
/// else, in a tree of `files`.
#[cfg(test)]
fn expect(rule: Rule, files: &[(&str, &str)], found: &[(&str, usize, &str)]) {
    let mut findings = Vec::new();
    rule(&Tree::of(files), &mut findings);
    findings.sort_unstable();
    let matches = findings.len() == found.len()
        && findings.iter().zip(found).all(|(finding, (path, line, words))| {
            finding.path == *path && finding.line == *line && finding.text.contains(words)
        });
    assert!(matches, "expected {found:?}, found {findings:#?}");
}
