//! Files that only their owner may read, replaced as a whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use keysherd_base::SecretBytes;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
const OTHERS: u32 = 0o077;

/// The bytes of a file of at most `limit` bytes; `None` when there is no such file.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Option<SecretBytes>> {
    match File::open(path) {
        Ok(mut file) => read_all(&mut file, limit).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything in `source`, which has at most `limit` bytes.
pub(crate) fn read_all(source: &mut dyn Read, limit: usize) -> io::Result<SecretBytes> {
    let mut bytes = SecretBytes::new(Vec::new());
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(bytes.expose_mut())?;
    if bytes.expose().len() > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Whether other users may read or change the file.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0)
}

/// Makes `bytes` the content of the file, for its owner only. The directory is made when it is
/// missing, and closed to others. After a crash the file is the old one or the new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_directory(directory_of(path))?;
    let draft = draft_path(path, &format!(".{}", std::process::id()));
    place(path, &draft, bytes)
}

/// As [`write`], in a directory that is there and stays as it is. The caller sees to it that
/// nobody else writes the file, so a run that was killed leaves nothing that the next does not
/// clear away.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    place(path, &draft_path(path, ""), bytes)
}

fn place(path: &Path, draft: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left behind by a run that was killed.
    remove(draft)?;
    let written = write_draft(draft, bytes).and_then(|()| fs::rename(draft, path));
    if written.is_err() {
        let _ = remove(draft);
        return written;
    }
    File::open(directory_of(path))?.sync_all()
}

/// Removes a file; whether it was there.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    if is_open_to_others(directory) {
        fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))?;
    }
    Ok(())
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn draft_path(path: &Path, middle: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!("{middle}.draft"));
    path.with_file_name(name)
}
