//! What tests install, once, into the cache folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of these packages, below `name` in that of all of their `kind`; `install` puts them
/// there if they are not there yet.
pub(crate) fn installed(
    kind: &str,
    name: &str,
    packages: &[&str],
    install: impl FnOnce(&Path),
) -> PathBuf {
    let root = cache().join(kind).join(name);
    fs::create_dir_all(&root).unwrap();
    // Held until the packages are complete, by whichever process installs them.
    let lock = File::create(root.join("lock")).unwrap();
    lock.lock().unwrap();
    let (ready, wanted) = (root.join("ready"), packages.join("\n"));
    if !fs::read_to_string(&ready).is_ok_and(|has| has == wanted) {
        install(&root);
        fs::write(ready, wanted).unwrap();
    }
    root
}

/// Runs a step of an installation to its end, however long it takes: what is downloaded depends
/// on others.
pub(crate) fn step(command: &mut Command) {
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
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
