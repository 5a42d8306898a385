//! The Kubernetes API server of the tests, with its etcd: built from their sources into the cache,
//! because no registry has it ready.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::console::say;
use crate::{process, root, tools};

/// The program's source, below the project: its module with the sums of all it is made of.
const SOURCE: &str = "crates/app/tests/it/kit/kube";
/// What the version is, for whoever asks the server.
const VERSION: &str = "k8s.io/component-base/version.gitVersion";

/// Whether the program is there and made of the source as it is now.
pub(crate) fn is_built() -> bool {
    let built = || Ok::<_, String>(tools::is_ready(&directory()?, &wanted()?));
    built().unwrap_or(false)
}

/// Builds it unless it is there.
///
/// # Errors
/// When there is no Go and none can be had, or the build fails.
pub(crate) fn build() -> Result<(), String> {
    if is_built() {
        return Ok(());
    }
    let (directory, wanted) = (directory()?, wanted()?);
    let source = root::project().join(SOURCE);
    let module = root::read(&source.join("go.mod"))?;
    let go =
        go(&source, minor(&module, "\ngo 1.").ok_or("go.mod does not say which Go it needs")?)?;
    say("building a Kubernetes API server from its sources; this takes some minutes, once");
    tools::start_over(&directory)?;
    let version = word_after(&module, "k8s.io/kubernetes ").unwrap_or_default();
    let mut command = Command::new(go);
    command.args([
        "build",
        "-trimpath",
        "-ldflags",
        &format!("-s -w -X {VERSION}={version}"),
        "-o",
    ]);
    command.arg(directory.join("kube")).arg(".").current_dir(source);
    // Nothing of whoever runs this decides what is built, and all that it leaves is below one
    // directory.
    command.env("GOFLAGS", "-mod=readonly -modcacherw").env("GOTOOLCHAIN", "local");
    command.env("CGO_ENABLED", "0").env("GOWORK", "off");
    for (name, place) in LEFT_BEHIND {
        command.env(name, directory.join(place));
    }
    let built = process::run(&mut command);
    for (_, place) in LEFT_BEHIND {
        // Gigabytes that only another build would need.
        let _ = std::fs::remove_dir_all(directory.join(place));
    }
    built?;
    tools::mark_ready(&directory, &wanted)
}

/// Where Go keeps what it downloads and compiles.
const LEFT_BEHIND: [(&str, &str); 3] =
    [("GOMODCACHE", "modules"), ("GOCACHE", "build"), ("GOPATH", "path")];

fn directory() -> Result<PathBuf, String> {
    Ok(root::cache()?.join("tools/kube"))
}

fn wanted() -> Result<String, String> {
    let source = root::project().join(SOURCE);
    let texts: Result<Vec<_>, _> =
        ["main.go", "go.mod", "go.sum"].iter().map(|name| root::read(&source.join(name))).collect();
    texts.map(|texts| texts.concat())
}

/// A Go that is new enough: the one on the path, or one from PyPI.
fn go(source: &Path, oldest: u32) -> Result<PathBuf, String> {
    let version = process::read(Command::new("go").arg("version")).unwrap_or_default();
    if minor(&version, "go1.").is_some_and(|found| found >= oldest) {
        return Ok("go".into());
    }
    let python = tools::python_environment("go", &source.join("requirements.txt"))?;
    Ok(python.with_file_name("go"))
}

/// The number behind `before`.
fn minor(text: &str, before: &str) -> Option<u32> {
    let rest = text.split_once(before)?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn word_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_go_and_its_module_say() {
        assert_eq!(minor("go version go1.26.8 linux/amd64", "go1."), Some(26));
        assert_eq!(minor("", "go1."), None);
        let module = root::read(&root::project().join(SOURCE).join("go.mod")).unwrap();
        assert!(minor(&module, "\ngo 1.").is_some_and(|oldest| oldest >= 24), "{module:.80}");
        assert!(word_after(&module, "k8s.io/kubernetes ").unwrap().starts_with("v1."));
    }

    #[test]
    fn another_source_needs_another_build() {
        let wanted = wanted().unwrap();
        for part in ["package main", "module keysherd/kube", "h1:"] {
            assert!(wanted.contains(part), "{part}");
        }
    }
}
