//! npm packages for tests.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::installed::{installed, step};

/// The directory called `name` in which these packages are installed.
pub(crate) fn node_packages(name: &str, packages: &[&str]) -> PathBuf {
    installed("node", name, packages, |root| {
        fs::write(root.join("package.json"), "{\"private\": true}\n").unwrap();
        let mut install = Command::new("npm");
        install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]);
        step(install.args(packages).current_dir(root));
    })
}
