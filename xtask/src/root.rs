//! Where things are: the project, and the directory for what is downloaded or built once.

use std::path::{Path, PathBuf};

/// The project's directory: the parent of this crate's, as cargo says it now. What it said while
/// compiling may be another clone that shares the build directory.
pub(crate) fn project() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_path_buf()
}

/// The directory for SDKs and tools: `KEYSHERD_CACHE`, else `keysherd` in the user's cache
/// directory. It lies outside the project, so a fresh clone finds what an older one fetched.
///
/// # Errors
/// When no variable says where the user's directories are.
pub(crate) fn cache() -> Result<PathBuf, String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("KEYSHERD_CACHE")
        .map(PathBuf::from)
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("keysherd")))
        .or_else(|| set("HOME").map(|dir| PathBuf::from(dir).join(".cache/keysherd")))
        .ok_or_else(|| "none of KEYSHERD_CACHE, XDG_CACHE_HOME and HOME is set".to_owned())
}

/// Reads a text file; the error names it.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Writes a text file and the directories above it; the error names it.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error| format!("cannot write {}: {error}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}
