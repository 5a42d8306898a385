//! Python packages for tests, installed once into the cache folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of an environment called `name` that has these packages.
pub(crate) fn python(name: &str, packages: &[&str]) -> PathBuf {
    let root = cache().join("python").join(name);
    fs::create_dir_all(&root).unwrap();
    // Held until the environment is complete, by whichever process makes it.
    let lock = File::create(root.join("lock")).unwrap();
    lock.lock().unwrap();
    let (interpreter, ready) = (root.join("bin/python"), root.join("ready"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&ready).is_ok_and(|has| has == wanted) {
        return interpreter;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&root));
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&interpreter).args(quiet).args(packages));
    fs::write(ready, wanted).unwrap();
    interpreter
}

/// Where what tests install is kept.
pub(crate) fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("KEYSHERD_CACHE")
        .map(PathBuf::from)
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| Path::new(&dir).join("keysherd")))
        .or_else(|| set("HOME").map(|dir| Path::new(&dir).join(".cache/keysherd")))
        .unwrap_or_else(|| panic!("none of KEYSHERD_CACHE, XDG_CACHE_HOME and HOME is set"))
}

fn run(command: &mut Command) {
    // However long it takes: what is downloaded depends on others.
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
}
