//! The owner's directory: key, draft, newest signed bundle, and which version numbers were used.
//!
//! ```text
//! owner.key        the key under a passphrase, or owner.token: its address on a token
//! owner.pub        the public key, for every other machine
//! trust.toml       the draft, to be read and edited by people
//! trust-bundle     the newest signed bundle, for control and the others
//! signed-version   the highest version that was ever signed here
//! ```

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use keysherd_base::SecretBytes;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::Bundle;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::labels;
use keysherd_fragments::owner_key;
use rustix::fs::{FlockOperation, flock};

use super::draft::{DRAFT_BYTES_MAX, Draft};
use super::key::{self, KEY_FILE, OwnerKey, OwnerSecrets, TOKEN_FILE};
use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::trust::BUNDLE;

/// File with the public key.
pub(crate) const PUBLIC_FILE: &str = "owner.pub";
/// File of the draft.
pub(super) const DRAFT_FILE: &str = "trust.toml";
const VERSION_FILE: &str = "signed-version";
const LOCK_FILE: &str = "owner.lock";

/// An owner's directory, used by one command at a time.
pub(super) struct OwnerHome {
    pub(super) dir: DataDir,
    path: PathBuf,
    _lock: File,
}

impl OwnerHome {
    /// An empty directory for a new owner.
    pub(super) fn create(path: &Path) -> Result<Self, Exit> {
        let home = Self::lock(path)?;
        for name in [KEY_FILE, TOKEN_FILE, PUBLIC_FILE, DRAFT_FILE, BUNDLE] {
            if home.dir.join(name).exists() {
                return Err(Exit::Configuration(format!(
                    "{} is an owner's directory already ({name} is there); to change its key use: \
                     keysherd owner rotate",
                    path.display()
                )));
            }
        }
        Ok(home)
    }

    /// The directory of an owner.
    pub(super) fn open(path: &Path) -> Result<Self, Exit> {
        let there = |name: &str| path.join(name).is_file();
        if !there(KEY_FILE) && !there(TOKEN_FILE) && !there(PUBLIC_FILE) {
            return Err(Exit::Configuration(format!(
                "there is no owner in {}; make one with keysherd owner init, or correct --dir",
                path.display()
            )));
        }
        let home = Self::lock(path)?;
        super::rotate::finish(&home)?;
        Ok(home)
    }

    fn lock(path: &Path) -> Result<Self, Exit> {
        let dir = DataDir::open(path)?;
        let file = dir.join(LOCK_FILE);
        let failed = |error: String| Exit::Files(format!("{}: {error}", file.display()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(&file).map_err(|error| failed(error.to_string()))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| failed("another keysherd owner command is running".to_owned()))?;
        Ok(Self { dir, path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The public key. It needs no passphrase and no token.
    pub(super) fn public(&self) -> Result<PublicKey, Exit> {
        let file = self.dir.join(PUBLIC_FILE);
        if let Some(bytes) = self.dir.read(PUBLIC_FILE)? {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return owner_key::from_file(&text).ok_or_else(|| {
                Exit::Damaged(format!("{} is not an owner's public key", file.display()))
            });
        }
        // A one-machine server keeps the seed only.
        let bytes = SecretBytes::new(self.dir.read(KEY_FILE)?.unwrap_or_default());
        match <[u8; 32]>::try_from(bytes.expose().as_slice()) {
            Ok(seed) => Ok(SigningKey::from_seed(&seed.into()).public()),
            Err(_) => Err(Exit::Damaged(format!("{} is missing", file.display()))),
        }
    }

    /// The key, checked against the public one.
    pub(super) fn key(&self, secrets: &OwnerSecrets) -> Result<OwnerKey, Exit> {
        let key = key::open(&self.dir, secrets)?;
        let public = self.public()?;
        if key.public() == public {
            return Ok(key);
        }
        Err(Exit::Damaged(format!(
            "the key in {} is {}, but {PUBLIC_FILE} says {}: one of them is another owner's",
            self.path.display(),
            key.public().fingerprint(),
            public.fingerprint()
        )))
    }

    /// The newest bundle that was signed here; none before the first.
    pub(super) fn bundle(&self) -> Result<Option<PinnedBundle>, Exit> {
        let Some(bytes) = self.dir.read(BUNDLE)? else { return Ok(None) };
        self.read_bundle(&bytes, &self.dir.join(BUNDLE)).map(Some)
    }

    /// A bundle from elsewhere, believed only when this owner signed it.
    pub(super) fn read_bundle(&self, bytes: &[u8], from: &Path) -> Result<PinnedBundle, Exit> {
        let owner = self.public()?;
        SignedBundle::from_bytes(bytes)
            .and_then(|signed| PinnedBundle::open(owner, signed))
            .map_err(|refusal| Exit::Configuration(format!("{}: {refusal}", from.display())))
    }

    /// The draft: as people left it, or what the newest bundle says.
    pub(super) fn draft(&self) -> Result<Draft, Exit> {
        let file = self.dir.join(DRAFT_FILE);
        if let Some(bytes) = self.dir.read(DRAFT_FILE)? {
            return draft_of(&bytes, &file);
        }
        match self.bundle()? {
            Some(bundle) => Ok(Draft::of_bundle(bundle.bundle(), None)),
            None => Err(Exit::Configuration(format!("{} is missing", file.display()))),
        }
    }

    /// Keeps the draft.
    pub(super) fn write_draft(&self, draft: &Draft) -> Result<(), Exit> {
        self.dir.write(DRAFT_FILE, draft.to_text()?.as_bytes())
    }

    /// A version that was never signed, neither here nor, as far as `current` tells, elsewhere.
    pub(super) fn next_version(&self, current: Option<&PinnedBundle>) -> Result<u64, Exit> {
        let file = self.dir.join(VERSION_FILE);
        let used = match self.dir.read(VERSION_FILE)? {
            None => 0,
            Some(bytes) => String::from_utf8_lossy(&bytes).trim().parse::<u64>().map_err(|_| {
                Exit::Damaged(format!("{} is not a version number", file.display()))
            })?,
        };
        let newest = self.bundle()?.map_or(0, |bundle| bundle.version());
        let current = current.map_or(0, PinnedBundle::version);
        Ok(used.max(newest).max(current).saturating_add(1))
    }

    /// Signs `bundle` with `key` and keeps it, with the statements `successions`.
    pub(super) fn sign(
        &self,
        bundle: &Bundle,
        key: &OwnerKey,
        successions: Vec<Signed>,
    ) -> Result<PinnedBundle, Exit> {
        // Before the signature: a number is never used again, even after a crash right here.
        self.dir.write(VERSION_FILE, format!("{}\n", bundle.version).as_bytes())?;
        let signed = key.seal(labels::SIGN_BUNDLE, bundle.to_bytes())?;
        let signed = SignedBundle::from(signed).with_successions(successions);
        let bytes = signed.to_bytes();
        let opened = SignedBundle::from_bytes(&bytes)
            .and_then(|signed| PinnedBundle::open(key.public(), signed))
            .map_err(|refusal| Exit::Configuration(format!("the draft is refused: {refusal}")))?;
        self.dir.write(BUNDLE, &bytes)?;
        Ok(opened)
    }
}

/// Reads a draft.
pub(super) fn draft_of(bytes: &[u8], from: &Path) -> Result<Draft, Exit> {
    let wrong = |why: String| Exit::Configuration(format!("{}: {why}", from.display()));
    if bytes.len() > DRAFT_BYTES_MAX {
        return Err(wrong(format!("more than {DRAFT_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    Draft::from_text(text).map_err(wrong)
}
