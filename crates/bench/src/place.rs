//! The directory of one run: the server's data, its log, the file of the raw disk loop.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::settings::Settings;

/// Says how many secrets are in the store; written when the last of them is.
const LOADED: &str = "loaded.json";
/// Changes when stores of older runs no longer fit.
const LAYOUT: u32 = 1;

/// The directory.
pub(crate) struct Place {
    directory: PathBuf,
    /// Removes the directory at the end, when nobody asked to keep it.
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    /// Opens the directory, or makes one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(settings: &Settings) -> Result<Self, String> {
        let Some(directory) = &settings.data_dir else {
            let temporary = tempfile::Builder::new().prefix("keysherd-bench-").tempdir();
            let temporary =
                temporary.map_err(|error| format!("no temporary directory: {error}"))?;
            return Ok(Self {
                directory: temporary.path().to_path_buf(),
                _temporary: Some(temporary),
            });
        };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        let opened = made.and_then(|()| directory.canonicalize());
        let directory = opened.map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(Self { directory, _temporary: None })
    }

    /// The directory itself.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The data directory of the loaded server.
    pub(crate) fn server(&self) -> PathBuf {
        self.directory.join("server")
    }

    /// A data directory that does not exist yet.
    ///
    /// # Errors
    /// When what an earlier run left there cannot be removed.
    pub(crate) fn empty(&self) -> Result<PathBuf, String> {
        let path = self.directory.join("empty");
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", path.display()))
            }
            _ => Ok(path),
        }
    }

    /// Where the servers' logs go.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// How many secrets the store is known to hold.
    pub(crate) fn loaded(&self) -> u32 {
        let text = std::fs::read(self.directory.join(LOADED)).unwrap_or_default();
        let known: Value = serde_json::from_slice(&text).unwrap_or_default();
        let count = (known["layout"] == LAYOUT).then(|| known["secrets"].as_u64()).flatten();
        count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
    }

    /// Notes that the store holds `count` secrets.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn note_loaded(&self, count: u32) -> Result<(), String> {
        let path = self.directory.join(LOADED);
        let text = json!({ "layout": LAYOUT, "secrets": count }).to_string();
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_is_remembered() {
        let kept = tempfile::tempdir().unwrap();
        let words = ["keysherd-bench".into(), "--data-dir".into(), kept.path().join("a/b")];
        let flags = crate::settings::command().try_get_matches_from(words).unwrap();
        let place = Place::open(&Settings::of(&flags).unwrap()).unwrap();
        assert_eq!(place.loaded(), 0);
        place.note_loaded(123).unwrap();
        assert_eq!(place.loaded(), 123);
        std::fs::create_dir_all(place.empty().unwrap().join("x")).unwrap();
        assert!(!place.empty().unwrap().exists());
    }
}
