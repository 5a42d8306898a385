//! `cargo xtask dist`: the binary as it is shipped, and its checksum.
//!
//! Two kinds. The static one needs nothing of the machine it runs on, and is what the container
//! image has; it cannot load PKCS#11 modules. The dynamic one can, and needs a C library that is
//! not older than the one here. Neither knows the paths of the machine it was built on.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::console::say;
use crate::product::cargo;
use crate::{process, product, root};

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Static,
    Dynamic,
}

impl Kind {
    /// The binary's name below `dist` in the build directory.
    fn file(self) -> &'static str {
        match self {
            Self::Static => "keysherd",
            Self::Dynamic => "keysherd-dynamic",
        }
    }
}

/// `cargo xtask dist [--dynamic]`.
///
/// # Errors
/// When the build fails.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let kind = match arguments {
        [] => Kind::Static,
        [flag] if flag == "--dynamic" => Kind::Dynamic,
        _ => return Err("usage: cargo xtask dist [--dynamic]".to_owned()),
    };
    build(kind).map(|_| ())
}

/// Builds the static binary.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_static() -> Result<PathBuf, String> {
    build(Kind::Static)
}

fn build(kind: Kind) -> Result<PathBuf, String> {
    let host = host()?;
    let target = target_directory()?;
    let places = Places::of(&target)?;
    let mut command = Command::new(cargo());
    command
        .current_dir(root::project())
        // Naming the target keeps the flags from the programs that only help to build.
        .args(["build", "--locked", "--profile", "dist", "--target", &host])
        .args(["--package", "keysherd-app", "--bin", "keysherd"])
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_ENCODED_RUSTFLAGS", places.rust_flags(kind))
        .env("CFLAGS", places.c_flags())
        .env("SOURCE_DATE_EPOCH", "0")
        .stderr(std::process::Stdio::inherit());
    let messages = process::read(&mut command)?;
    let built = product::executable(&messages).ok_or("cargo did not say where the binary is")?;
    let directory = target.join("dist");
    let file = directory.join(kind.file());
    let failed = |error| format!("cannot write {}: {error}", file.display());
    std::fs::create_dir_all(&directory).map_err(failed)?;
    std::fs::copy(built, &file).map_err(failed)?;
    let mut sum = Command::new("sha256sum");
    let sum = process::read(sum.arg(kind.file()).current_dir(&directory))?;
    root::write(&file.with_extension("sha256"), &sum)?;
    say(&format!("{}\n{}", file.display(), sum.trim_end()));
    Ok(file)
}

/// The machine this runs on, as the compiler calls it.
fn host() -> Result<String, String> {
    let version = process::read(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what machine this is".to_owned())
}

/// Where cargo builds.
fn target_directory() -> Result<PathBuf, String> {
    let mut command = Command::new(cargo());
    command.current_dir(root::project());
    let text = process::read(command.args(["metadata", "--no-deps", "--format-version=1"]))?;
    let data: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let directory = data["target_directory"].as_str();
    directory.map(PathBuf::from).ok_or_else(|| "cargo does not say where it builds".to_owned())
}

/// Directories of this machine, each with the name that stands in the binary instead.
struct Places(Vec<(PathBuf, &'static str)>);

impl Places {
    fn of(target: &Path) -> Result<Self, String> {
        let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let home = set("CARGO_HOME").or_else(|| set("HOME").map(|home| home.join(".cargo")));
        let home = home.ok_or("neither CARGO_HOME nor HOME is set")?;
        // The last that fits counts, and the build directory may lie in the project.
        Ok(Self(vec![
            (root::project(), "/keysherd"),
            (home, "/cargo"),
            (target.to_owned(), "/target"),
        ]))
    }

    fn rust_flags(&self, kind: Kind) -> String {
        let mut flags = Vec::new();
        if kind == Kind::Static {
            flags.push("-Ctarget-feature=+crt-static".to_owned());
        }
        for (place, name) in &self.0 {
            flags.push(format!("--remap-path-prefix={}={name}", place.display()));
        }
        flags.join("\u{1f}")
    }

    fn c_flags(&self) -> String {
        let flag =
            |(place, name): &(PathBuf, _)| format!("-ffile-prefix-map={}={name}", place.display());
        self.0.iter().map(flag).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_static_binary_is_static_and_neither_knows_where_it_was_built() {
        let places = Places(vec![("/home/me/src".into(), "/keysherd")]);
        let flags = places.rust_flags(Kind::Static);
        assert_eq!(
            flags,
            "-Ctarget-feature=+crt-static\u{1f}--remap-path-prefix=/home/me/src=/keysherd"
        );
        assert!(!places.rust_flags(Kind::Dynamic).contains("crt-static"));
        assert_eq!(places.c_flags(), "-ffile-prefix-map=/home/me/src=/keysherd");
        assert_ne!(Kind::Static.file(), Kind::Dynamic.file());
    }

    #[test]
    fn the_machine_has_a_name() {
        assert!(host().unwrap().contains('-'));
        assert!(run(&["--both".to_owned()]).unwrap_err().starts_with("usage"));
    }
}
