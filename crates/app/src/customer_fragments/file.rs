//! Files of customer fragments on disk: read strictly, changed by one program at a time, replaced
//! as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use keysherd_fragments::fragment_file::FragmentFile;
use rustix::fs::{FlockOperation, flock};

use super::source::read_file;
use crate::exit::Exit;

/// Reads a file in which nothing is wrong.
///
/// # Errors
/// [`Exit::FragmentFile`].
pub(super) fn read(path: &Path) -> Result<FragmentFile, Exit> {
    let bytes = read_file(path).map_err(Exit::FragmentFile)?;
    let parsed = FragmentFile::parse(bytes.expose()).and_then(FragmentFile::sound);
    parsed.map_err(|problem| Exit::FragmentFile(format!("{}: {problem}", path.display())))
}

/// Changes the file, or makes it when there is none. Nobody else changes it meanwhile, and a crash
/// leaves the old file or the new one.
///
/// # Errors
/// [`Exit::FragmentFile`], and what `change` says; the file is as it was then.
pub(super) fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut FragmentFile) -> Result<T, Exit>,
) -> Result<T, Exit> {
    let cannot = |error: std::io::Error| Exit::FragmentFile(format!("{}: {error}", path.display()));
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    // The lock is the directory's: the file itself is replaced.
    let directory = File::open(directory).map_err(cannot)?;
    flock(&directory, FlockOperation::LockExclusive).map_err(|error| cannot(error.into()))?;
    let mut file =
        if fs::symlink_metadata(path).is_ok() { read(path)? } else { FragmentFile::default() };
    let done = change(&mut file)?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let write = || -> std::io::Result<()> {
        // What an earlier run left when it was cut off; with the lock, nobody writes it now.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let options = OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned();
        let mut new = options.open(&unfinished)?;
        new.write_all(file.to_json().expose())?;
        new.sync_all()?;
        fs::rename(&unfinished, path)?;
        directory.sync_all()
    };
    write().map_err(cannot)?;
    Ok(done)
}
