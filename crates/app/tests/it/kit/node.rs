//! npm packages for tests, installed once into the cache folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory called `name` in which these packages are installed.
pub(crate) fn node_packages(name: &str, packages: &[&str]) -> PathBuf {
    let root = cache().join("node").join(name);
    fs::create_dir_all(&root).unwrap();
    // Held until the packages are complete, by whichever process installs them.
    let lock = File::create(root.join("lock")).unwrap();
    lock.lock().unwrap();
    let (ready, wanted) = (root.join("ready"), packages.join("\n"));
    if fs::read_to_string(&ready).is_ok_and(|has| has == wanted) {
        return root;
    }
    fs::write(root.join("package.json"), "{\"private\": true}\n").unwrap();
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]);
    // However long it takes: what is downloaded depends on others.
    let ended = install.args(packages).current_dir(&root).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "npm install {packages:?}: {said}");
    fs::write(ready, wanted).unwrap();
    root
}

/// Where what tests install is kept.
fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("KEYSHERD_CACHE")
        .map(PathBuf::from)
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| Path::new(&dir).join("keysherd")))
        .or_else(|| set("HOME").map(|dir| Path::new(&dir).join(".cache/keysherd")))
        .unwrap_or_else(|| panic!("none of KEYSHERD_CACHE, XDG_CACHE_HOME and HOME is set"))
}
