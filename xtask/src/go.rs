//! Programs of other projects that tests need and no registry has ready: built from their Go
//! sources into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::console::say;
use crate::{process, root, tools};

/// Which Go is installed where there is none, below the project.
const GO: &str = "crates/app/tests/it/kit/kube/requirements.txt";
/// Where Go keeps what it downloads and compiles.
const LEFT_BEHIND: [(&str, &str); 3] =
    [("GOMODCACHE", "modules"), ("GOCACHE", "build"), ("GOPATH", "path")];

/// A program, and the module that says what it is made of.
pub(crate) struct GoProgram {
    /// The program's file, and its directory among the tools.
    pub(crate) name: &'static str,
    /// What it is, in a sentence.
    pub(crate) what: &'static str,
    /// The directory of its module, below the project.
    pub(crate) source: &'static str,
    /// The module's files.
    pub(crate) files: &'static [&'static str],
    /// The package in it that is built.
    pub(crate) package: &'static str,
    /// What the linker writes into the program; gets the text of `go.mod`.
    pub(crate) linked: fn(&str) -> String,
}

impl GoProgram {
    /// Whether the program is there and made of the source as it is now.
    pub(crate) fn is_built(&self) -> bool {
        let built = || Ok::<_, String>(tools::is_ready(&self.directory()?, &self.wanted()?));
        built().unwrap_or(false)
    }

    /// Builds it unless it is there.
    ///
    /// # Errors
    /// When there is no Go and none can be had, or the build fails.
    pub(crate) fn build(&self) -> Result<(), String> {
        if self.is_built() {
            return Ok(());
        }
        let (directory, wanted) = (self.directory()?, self.wanted()?);
        let source = root::project().join(self.source);
        let module = root::read(&source.join("go.mod"))?;
        let oldest = minor(&module, "\ngo 1.").ok_or("go.mod does not say which Go it needs")?;
        let go = go(oldest)?;
        say(&format!("building {} from its sources; this takes some minutes, once", self.what));
        tools::start_over(&directory)?;
        let mut command = Command::new(go);
        command.args(["build", "-trimpath", "-ldflags"]);
        command.arg(format!("-s -w {}", (self.linked)(&module)));
        command.arg("-o").arg(directory.join(self.name)).arg(self.package).current_dir(source);
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

    fn directory(&self) -> Result<PathBuf, String> {
        Ok(root::cache()?.join("tools").join(self.name))
    }

    fn wanted(&self) -> Result<String, String> {
        let source = root::project().join(self.source);
        let texts: Result<Vec<_>, _> =
            self.files.iter().map(|name| root::read(&source.join(name))).collect();
        texts.map(|texts| texts.concat())
    }
}

/// A Go that is new enough: the one on the path, or one from PyPI.
fn go(oldest: u32) -> Result<PathBuf, String> {
    let version = process::read(Command::new("go").arg("version")).unwrap_or_default();
    if minor(&version, "go1.").is_some_and(|found| found >= oldest) {
        return Ok("go".into());
    }
    let python = tools::python_environment("go", &root::project().join(Path::new(GO)))?;
    Ok(python.with_file_name("go"))
}

/// The number behind `before`.
fn minor(text: &str, before: &str) -> Option<u32> {
    let rest = text.split_once(before)?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The word behind `before` in a module's text.
pub(crate) fn word_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{helm, kube};

    #[test]
    fn versions_are_read_from_what_go_and_its_modules_say() {
        assert_eq!(minor("go version go1.26.8 linux/amd64", "go1."), Some(26));
        assert_eq!(minor("", "go1."), None);
        for program in [kube::PROGRAM, helm::PROGRAM] {
            let module = root::project().join(program.source).join("go.mod");
            let module = root::read(&module).unwrap();
            assert!(minor(&module, "\ngo 1.").is_some_and(|oldest| oldest >= 24), "{module:.80}");
        }
    }

    #[test]
    fn another_source_needs_another_build() {
        let wanted = kube::PROGRAM.wanted().unwrap();
        for part in ["package main", "module keysherd/kube", "h1:"] {
            assert!(wanted.contains(part), "{part}");
        }
        assert!(helm::PROGRAM.wanted().unwrap().contains("helm.sh/helm/v3 v3."));
    }
}
