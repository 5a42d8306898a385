//! Files that hold keys: for their user alone, replaced whole, the old bytes overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use keysherd_base::{Fault, FaultKind, SecretBytes};

/// What keeps the file at `path` from being used.
pub(super) fn unusable(path: &Path, what: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Internal, format!("epoch key file {} {what}", path.display()))
}

/// Reads a file of mode 0600 with at most `bytes_max` bytes; `None` when there is none.
///
/// # Errors
/// When it cannot be read, is open to other users, or is longer.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Option<SecretBytes>, Fault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, error)),
    };
    let meta = file.metadata().map_err(|error| unusable(path, error))?;
    if meta.mode() & 0o077 != 0 {
        return Err(unusable(path, "is open to other users; set its mode to 0600"));
    }
    // Room for one more than is allowed, so that the bytes never move while they are read.
    let mut bytes = SecretBytes::new(Vec::with_capacity(bytes_max + 1));
    let limit = u64::try_from(bytes_max + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(bytes.expose_mut()).map_err(|error| unusable(path, error))?;
    if bytes.expose().len() > bytes_max {
        return Err(unusable(path, "is damaged; restore it from where you keep a copy"));
    }
    Ok(Some(bytes))
}

/// Replaces the file at `path`, durably; what it held before is overwritten.
///
/// # Errors
/// When the file cannot be written; the old one then still stands.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    write(path, bytes).map_err(|error| unusable(path, error))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // Held open, so that the old bytes can be overwritten after the new file has their name.
    let old = OpenOptions::new().write(true).open(path).ok();
    std::fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    if let Some(old) = old {
        overwrite(old);
    }
    Ok(())
}

/// Overwrites and removes the file at `path`, if there is one.
///
/// # Errors
/// When it cannot be removed.
pub(super) fn erase(path: &Path) -> Result<(), Fault> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => overwrite(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(path, error)),
    }
    let removed = std::fs::remove_file(path)
        .and_then(|()| File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all());
    removed.map_err(|error| unusable(path, error))
}

/// Writes zeros over an old key. A file system or disk may keep the old blocks all the same, so
/// this is done as well as it can be and never relied upon.
fn overwrite(mut old: File) {
    let length = old.metadata().map_or(0, |meta| usize::try_from(meta.len()).unwrap_or(0));
    if let Err(error) = old.write_all(&vec![0; length]).and_then(|()| old.sync_all()) {
        tracing::warn!(%error, "the old epoch key was not overwritten");
    }
}
