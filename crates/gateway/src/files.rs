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

/// The key in a file of `dir`, made at the first use. Of several processes that make it at once,
/// such as a gateway and its own set-up, all get the key of the first.
pub(crate) fn key(dir: &Path, name: &str, rng: &dyn Rng) -> io::Result<Secret<[u8; 32]>> {
    match read_key(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(dir, name, rng)?,
        known => return known,
    }
    read_key(dir, name)
}

/// The key in a file of `dir`, which is not made.
pub(crate) fn read_key(dir: &Path, name: &str) -> io::Result<Secret<[u8; 32]>> {
    let bytes = Secret::new(fs::read(dir.join(name))?);
    let damaged = |_| io::Error::other(format!("{name} is damaged"));
    let mut key = Secret::new([0; 32]);
    *key.expose_mut() = bytes.expose().as_slice().try_into().map_err(damaged)?;
    Ok(key)
}

/// Makes a key, unless somebody else was faster.
fn make_key(dir: &Path, name: &str, rng: &dyn Rng) -> io::Result<()> {
    let failed = |_| io::Error::other("the random source failed");
    let mut key = Secret::new([0; 32]);
    rng.fill(key.expose_mut()).map_err(failed)?;
    let own = format!("{name}.{}{UNFINISHED}", hex::encode(rng.array::<8>().map_err(failed)?));
    write(dir, &own, key.expose())?;
    // A link is made once; a rename would take the place of what is there.
    let linked = fs::hard_link(dir.join(&own), dir.join(name));
    fs::remove_file(dir.join(&own))?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(dir)?.sync_all(),
    }
}

/// Whether a write failed because there is no more room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
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

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use keysherd_crypto::random::SystemRng;

    use super::*;

    #[test]
    fn all_who_make_a_key_at_once_have_the_same_one() {
        for _ in 0..40 {
            let (dir, start) = (tempfile::tempdir().unwrap(), Barrier::new(4));
            let keys: Vec<_> = std::thread::scope(|scope| {
                let make = || {
                    start.wait();
                    *key(dir.path(), "some.key", &SystemRng).unwrap().expose()
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(keys.iter().all(|key| *key == keys[0]));
            assert_eq!(list(dir.path()).unwrap(), ["some.key"], "nothing else is left");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
            assert_eq!(*key(dir.path(), "some.key", &SystemRng).unwrap().expose(), keys[0]);
        }
    }
}
