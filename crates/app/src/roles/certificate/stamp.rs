//! By what it shows that a source has something else than before, without reading keys each time.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use keysherd_base::SecretString;
use keysherd_crypto::hash::sha256;

use crate::config::tls::{ClientAuthority, PairFiles};

/// What a file is, as far as its directory tells: another content without another stamp would take
/// an operator who wants that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Everything that the certificate is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pair: Option<[Option<FileStamp>; 2]>,
    clients: Option<Option<FileStamp>>,
    set: Option<[u8; 32]>,
}

impl FileStamp {
    /// The stamp of what `path` leads to, through links; `None` when that is nothing.
    fn of(path: &Path) -> Option<Self> {
        let metadata: Metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Stamp {
    /// The stamp of the sources as they are now.
    pub(super) fn of(
        files: Option<&PairFiles>,
        clients: Option<&ClientAuthority>,
        set: Option<&SecretString>,
    ) -> Self {
        let pair = |files: &PairFiles| [FileStamp::of(&files.cert), FileStamp::of(&files.key)];
        Self {
            pair: files.map(pair),
            clients: clients.map(|clients| FileStamp::of(&clients.file)),
            set: set.map(|set| sha256(&[set.expose().as_bytes()])),
        }
    }
}
