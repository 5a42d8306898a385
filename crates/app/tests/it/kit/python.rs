//! Python packages for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::installed::{installed, step};

/// The interpreter of an environment called `name` that has these packages.
pub(crate) fn python(name: &str, packages: &[&str]) -> PathBuf {
    let interpreter = |root: &Path| root.join("bin/python");
    let root = installed("python", name, packages, |root| {
        step(Command::new("python3").args(["-m", "venv"]).arg(root));
        let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        step(Command::new(interpreter(root)).args(quiet).args(packages));
    });
    interpreter(&root)
}
