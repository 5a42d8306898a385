//! `cargo xtask conformance`: the official SDKs, unmodified, against a live server.
//!
//! Each suite gets its own server on a free port with a new data directory. The suites themselves
//! are in `tests/conformance`; they print `N passed, N failed` or what Node's runner prints.

mod postgres;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::console::say;
use crate::counts::Counts;
use crate::product::Product;
use crate::{process, root, tools};
use postgres::Postgres;
use server::Server;

/// What runs a suite.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    /// The Python SDK of this version.
    Python(&'static str),
    /// The JavaScript SDK of this version.
    JavaScript(&'static str),
}

/// A suite: its name on the command line, and what runs it.
const SUITES: &[(&str, Language)] = &[
    ("python-5.0.28", Language::Python("5.0.28")),
    ("python-5.0.40", Language::Python("5.0.40")),
    ("js-5.0.23", Language::JavaScript("5.0.23")),
];

const USAGE: &str = "usage: cargo xtask conformance [--keep] [--only PATTERN] [SUITE...]";

/// What was asked for.
#[derive(Default)]
struct Wishes {
    suites: Vec<Language>,
    /// Keep the server's directory.
    keep: bool,
    /// Only tests whose name contains this; coverage is not demanded then.
    only: Option<String>,
}

/// Runs the suites that `arguments` name, or all of them; the error says which failed.
///
/// # Errors
/// When a suite fails or cannot run.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let counts = count(arguments)?;
    say(&counts.to_string());
    if counts.failed == 0 { Ok(()) } else { Err("conformance failed".to_owned()) }
}

/// As [`run`], with the number of tests that passed and failed.
///
/// # Errors
/// When a suite cannot run.
pub(crate) fn count(arguments: &[String]) -> Result<Counts, String> {
    let wishes = wishes(arguments)?;
    tools::need_python()?;
    let product = Product::build()?;
    let mut total = Counts::default();
    for language in &wishes.suites {
        total = total.and(suite(*language, &product, &wishes)?);
    }
    Ok(total)
}

fn wishes(arguments: &[String]) -> Result<Wishes, String> {
    let mut wishes = Wishes::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--keep" => wishes.keep = true,
            "--only" => wishes.only = Some(words.next().ok_or(USAGE)?.clone()),
            name => {
                let suite = SUITES.iter().find(|(known, _)| *known == name);
                let names: Vec<_> = SUITES.iter().map(|(known, _)| *known).collect();
                let unknown = || format!("{USAGE}\nsuites: {}", names.join(", "));
                wishes.suites.push(suite.ok_or_else(unknown)?.1);
            }
        }
    }
    if wishes.suites.is_empty() {
        wishes.suites = SUITES.iter().map(|(_, language)| *language).collect();
    }
    Ok(wishes)
}

/// One suite against a new server.
fn suite(language: Language, product: &Product, wishes: &Wishes) -> Result<Counts, String> {
    let tests = root::project().join("tests/conformance");
    let mut command = match language {
        Language::Python(version) => python(version, &tests)?,
        Language::JavaScript(version) => javascript(version, &tests)?,
    };
    let database = Postgres::start()?;
    let server = Server::start(product, &tests.join("python"))?;
    let commands = server.directory().join("commands.json");
    root::write(&commands, &product.commands_text()?)?;
    command
        .current_dir(&tests)
        .env("KEYSHERD_BOOTSTRAP", server.bootstrap())
        .env("KEYSHERD_COMMANDS", &commands)
        .env("KEYSHERD_MODELS", root::project().join("data/v2-api.json"))
        .env("NODE_EXTRA_CA_CERTS", server.ca_file())
        .env("KEYSHERD_POSTGRES_PORT", database.port().to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("KEYSHERD_ONLY");
    if let Some(only) = &wishes.only {
        command.env("KEYSHERD_ONLY", only);
    }
    let finished = process::watch(&mut command)?;
    let mut counts = match language {
        Language::Python(_) => Counts::of_closing_line(&finished.text),
        Language::JavaScript(_) => Counts::of_node(&finished.text),
    };
    if let Err(error) = server.stop(wishes.keep || !finished.success) {
        say(&error);
        counts.failed += 1;
    }
    // A runner that ends early must not look like one that had nothing to complain about.
    if counts.failed == 0 && (!finished.success || counts.passed == 0) {
        counts.failed += 1;
    }
    Ok(counts)
}

fn python(version: &str, tests: &Path) -> Result<Command, String> {
    let requirements = tests.join(format!("python/requirements-{version}.txt"));
    let interpreter = tools::python_environment(&format!("akeyless-{version}"), &requirements)?;
    say(&format!("conformance with the Python SDK {version}"));
    let mut command = Command::new(interpreter);
    command.arg(tests.join("python/run.py")).arg(version);
    Ok(command)
}

fn javascript(version: &str, tests: &Path) -> Result<Command, String> {
    let source: PathBuf = tests.join("js");
    let packages = tools::node_packages(&format!("akeyless-{version}"), &source)?;
    say(&format!("conformance with the JavaScript SDK {version}"));
    let mut command = Command::new("node");
    command
        .args(["--test", "--test-reporter=spec"])
        .arg(source.join("conformance.test.mjs"))
        .env("KEYSHERD_SDK", packages.join("package.json"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Result<Wishes, String> {
        wishes(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn all_suites_run_unless_some_are_named() {
        assert_eq!(words(&[]).unwrap().suites.len(), SUITES.len());
        let one = words(&["js-5.0.23", "--only", "items"]).unwrap();
        assert!(one.suites == [Language::JavaScript("5.0.23")] && one.only.is_some());
        assert!(words(&["go"]).is_err_and(|error| error.contains("python-5.0.40")));
        assert!(words(&["--only"]).is_err());
    }

    #[test]
    fn every_suite_has_its_packages_pinned() {
        let tests = root::project().join("tests/conformance");
        for (name, language) in SUITES {
            let (file, pin) = match language {
                Language::Python(version) => {
                    (format!("python/requirements-{version}.txt"), format!("akeyless=={version}"))
                }
                Language::JavaScript(version) => {
                    ("js/package.json".to_owned(), format!("\"akeyless\": \"{version}\""))
                }
            };
            let text = root::read(&tests.join(&file)).unwrap();
            assert!(text.contains(&pin), "{name}: {file} does not have {pin}");
        }
    }
}
