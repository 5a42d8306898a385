//! Files with secrets that somebody else put there: opened only if nobody but us, root and a group
//! that root chose can read them.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Rights that such a file may not give. The group may read: secrets that Kubernetes mounts belong
/// to root and to the group of the pod.
const TOO_OPEN: u32 = 0o027;

/// Opens a file, or a pipe, in which a secret is.
///
/// # Errors
/// Why it is not read, with what to do; nothing of the content.
pub(crate) fn open(path: &Path) -> Result<File, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("{name}: {error}"))?;
    let kind = metadata.file_type();
    if kind.is_fifo() {
        return Ok(file);
    }
    if !kind.is_file() {
        return Err(format!("{name}: not a file"));
    }
    let mode = metadata.mode() & 0o777;
    if mode & TOO_OPEN != 0 {
        return Err(format!("{name}: open to others (mode {mode:o}); run: chmod 600 {name}"));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(format!("{name}: belongs to another user ({owner})"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    #[test]
    fn what_others_can_read_or_change_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "a").unwrap();
        let with = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            open(&path)
        };
        for mode in [0o400, 0o600, 0o440, 0o640] {
            assert!(with(mode).is_ok(), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o660, 0o601, 0o444, 0o620] {
            let why = with(mode).unwrap_err();
            assert!(why.contains("chmod 600") && why.contains("secret"), "{mode:o}: {why}");
        }
        // Kubernetes leads to the newest of its directories by links.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open(&link).is_err());
        assert!(with(0o440).is_ok() && open(&link).is_ok());
        assert!(open(dir.path()).unwrap_err().contains("not a file"));
        if rustix::process::geteuid().is_root() {
            assert!(with(0o400).is_ok());
            chown(&path, Some(61_211), None).unwrap();
            assert!(open(&path).unwrap_err().contains("another user (61211)"));
        }
    }
}
