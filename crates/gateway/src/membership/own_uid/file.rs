//! The file with a gateway's own token.

use std::path::PathBuf;
use std::sync::Arc;

use keysherd_base::{Fault, Secret, SecretString};
use serde::{Deserialize, Serialize};

use crate::files;

/// Its name.
const NAME: &str = "own-uid-token";
/// The version of what is in it.
const FORMAT: u32 = 1;

/// What a gateway has to keep.
#[derive(Clone)]
pub(super) struct Kept {
    /// The fingerprint of the token it was made from.
    pub(super) from: String,
    /// The value in force, or the last one that was.
    pub(super) value: Arc<SecretString>,
    /// The value that takes its place at its first use.
    pub(super) next: Option<Arc<SecretString>>,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    from: String,
    value: String,
    next: Option<String>,
}

impl Drop for Written {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.value)));
        drop(self.next.take().map(Secret::new));
    }
}

/// Where it is kept.
pub(super) struct TokenFile {
    dir: PathBuf,
}

impl TokenFile {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Whether there is one.
    pub(super) fn exists(&self) -> bool {
        self.dir.join(NAME).exists()
    }

    /// What is kept, if there is anything.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when the file cannot be read or is damaged.
    pub(super) fn read(&self) -> Result<Option<Kept>, Fault> {
        let bytes = match std::fs::read(self.dir.join(NAME)) {
            Ok(bytes) => Secret::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&error.to_string())),
        };
        // The error of the parser quotes the text.
        let written = serde_json::from_slice::<Written>(bytes.expose()).ok();
        let mut written = written.filter(|written| written.format == FORMAT).ok_or_else(|| {
            unusable("it is damaged; remove it, and the gateway begins with a new token")
        })?;
        let value = Arc::new(Secret::new(std::mem::take(&mut written.value)));
        let next = written.next.take().map(|next| Arc::new(Secret::new(next)));
        Ok(Some(Kept { from: std::mem::take(&mut written.from), value, next }))
    }

    /// Keeps it, durably.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when it cannot be written; what was kept before is as it was.
    pub(super) fn write(&self, kept: &Kept) -> Result<(), Fault> {
        let written = Written {
            format: FORMAT,
            from: kept.from.clone(),
            value: kept.value.expose().clone(),
            next: kept.next.as_ref().map(|next| next.expose().clone()),
        };
        let bytes = serde_json::to_vec(&written).map(Secret::new).map_err(Fault::internal)?;
        let failed = |error: std::io::Error| unusable(&error.to_string());
        files::make_dir(&self.dir).map_err(failed)?;
        files::write(&self.dir, NAME, bytes.expose()).map_err(failed)
    }
}

fn unusable(why: &str) -> Fault {
    Fault::unavailable(format!(
        "the file {NAME} in the data directory, with this gateway's own universal identity: {why}"
    ))
}
