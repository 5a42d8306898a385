//! The few files a gateway writes: whole or not at all, for its own user only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use keysherd_base::{Rng, Secret};

/// Ending of a file that is being written.
const UNFINISHED: &str = ".part";

/// Makes a directory that only this user can enter, with its parents.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file durably: after a crash it is there with all its bytes, or not at all.
pub(crate) fn write(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = dir.join(format!("{name}{UNFINISHED}"));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// The key in a file of `dir`, made at the first use.
pub(crate) fn key(dir: &Path, name: &str, rng: &dyn Rng) -> io::Result<Secret<[u8; 32]>> {
    let mut key = Secret::new([0; 32]);
    match fs::read(dir.join(name)) {
        Ok(bytes) => {
            let bytes = Secret::new(bytes);
            let damaged = |_| io::Error::other(format!("{name} is damaged"));
            *key.expose_mut() = bytes.expose().as_slice().try_into().map_err(damaged)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            rng.fill(key.expose_mut()).map_err(|_| io::Error::other("the random source failed"))?;
            write(dir, name, key.expose())?;
        }
        Err(error) => return Err(error),
    }
    Ok(key)
}

/// Removes a file durably; it need not be there.
pub(crate) fn remove(dir: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(dir.join(name)) {
        Ok(()) => File::open(dir)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Names of the finished files, in order; none when there is no such directory.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && !name.ends_with(UNFINISHED)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// How many finished files there are.
pub(crate) fn count(dir: &Path) -> usize {
    list(dir).map_or(0, |names| names.len())
}
