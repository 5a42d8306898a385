//! Helm, built from its sources by `cargo xtask test --all`, and the project's chart.

use std::path::PathBuf;
use std::process::Command;

use super::installed::cache;
use super::mounts::not_tested;
use super::run::{Finished, finish};
use super::stolen::project;

/// The program.
const PROGRAM: &str = "tools/helm/helm";

/// Helm in a home of its own.
pub(crate) struct Helm {
    program: PathBuf,
    home: tempfile::TempDir,
}

impl Helm {
    /// `None`, after saying so, where it was not built.
    pub(crate) fn find() -> Option<Self> {
        let program = cache().join(PROGRAM);
        if !program.is_file() {
            not_tested("there is no Helm; cargo xtask helm builds it");
            return None;
        }
        Some(Self { program, home: tempfile::tempdir().unwrap() })
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.home.path()).args(args);
        finish(&mut command, b"")
    }

    /// Renders the chart as release `r` in the namespace `ns` with the values of an example.
    pub(crate) fn render(&self, example: &str, more: &[&str]) -> Finished {
        let (chart, values) = (chart(), values(example));
        let args = ["template", "r", &chart, "--namespace", "ns", "--values", &values];
        self.run(&[&args, more].concat())
    }
}

/// The chart's directory.
pub(crate) fn chart() -> String {
    project().join("packaging/helm/keysherd").to_str().unwrap().to_owned()
}

/// An example's values.
pub(crate) fn values(example: &str) -> String {
    format!("{}/examples/{example}.yaml", chart())
}
