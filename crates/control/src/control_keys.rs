//! The keys of the control plane: one file that only its user can read.
//!
//! One file instead of one per key, so that a crash while the keys are made leaves either none or
//! all of them. Content: the eight bytes `KSCTRLK2`, then the seeds of 32 bytes each in the order
//! token, permit, audit, decoy, vault.
//!
//! Files of the first release begin with `KSCTRLK1` and have no seed of the vault. Control makes
//! one when it starts over such a file and writes the file anew; no other seed changes. The seed
//! is drawn, not derived from another one, so that none of the others opens what the vault sealed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use keysherd_base::{Fault, Rng, Secret};
use keysherd_crypto::hash::{HmacKey, sha256};
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_crypto::token::TokenKey;
use keysherd_crypto::vault::VaultKey;
use keysherd_store::{Store, meta};

#[cfg(test)]
mod tests;

/// The file's name in the directory of the keys.
const FILE: &str = "control.keys";
/// Under which name the store knows whose it is.
const KNOWN_KEYS: &str = "control keys";
const MAGIC: &[u8; 8] = b"KSCTRLK2";
const KEYS: usize = 5;
const FILE_BYTES: usize = MAGIC.len() + KEYS * 32;
/// The first release's format: all but the seed of the vault, which is the last one.
const MAGIC_1: &[u8; 8] = b"KSCTRLK1";
const FILE_BYTES_1: usize = FILE_BYTES - 32;

/// What the control plane signs, authenticates and seals with. None of these opens an item.
#[derive(Debug)]
pub struct ControlKeys {
    /// Seals bearer tokens.
    pub token: TokenKey,
    /// Signs permits; managers know its public half from the trust bundle.
    pub permit: Arc<SigningKey>,
    /// Signs checkpoints of the audit log.
    pub audit: Arc<SigningKey>,
    /// Makes up stable answers about people who do not exist.
    pub decoy: HmacKey,
    /// Seals the small secrets that control itself has to read again.
    pub vault: VaultKey,
}

impl ControlKeys {
    /// Fresh keys that are stored nowhere: for tests and simulations.
    ///
    /// # Errors
    /// [`Fault::internal`] when the random source fails.
    pub fn ephemeral(rng: &dyn Rng) -> Result<Self, Fault> {
        let mut bytes = Secret::new([0; FILE_BYTES]);
        fill(&mut bytes, rng)?;
        Self::from_bytes(&bytes)
            .ok_or_else(|| Fault::internal("fresh control keys could not be read"))
    }

    /// Reads the keys in `directory`, or makes them when there are none. The directory is created
    /// for its user alone (mode 0700), the file too (0600). As [`ControlKeys::load_and_complete`]
    /// otherwise.
    ///
    /// # Errors
    /// [`Fault::internal`] when they cannot be read or written, when others may read the file, or
    /// when it is not a file of control keys; the private text names the file and what to do.
    pub fn create_or_load(directory: &Path, rng: &dyn Rng) -> Result<Self, Fault> {
        let failed = |error| cannot(directory, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        match directory.join(FILE).try_exists() {
            Ok(true) => {}
            Ok(false) => {
                let mut bytes = Secret::new([0; FILE_BYTES]);
                fill(&mut bytes, rng)?;
                store(directory, &bytes).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        Self::load_and_complete(directory, rng)
    }

    /// Reads the keys in `directory`. What they once signed can be checked with no others, so an
    /// installation that has lost them must not get new ones. A file of the first release is
    /// written anew with the seed that it lacks, so only the control plane itself may call this.
    ///
    /// # Errors
    /// As [`ControlKeys::create_or_load`]; also when there are none.
    pub fn load_and_complete(directory: &Path, rng: &dyn Rng) -> Result<Self, Fault> {
        let failed = |error| cannot(directory, &error);
        let (mut bytes, found) = load(&directory.join(FILE)).map_err(failed)?;
        if found == FILE_BYTES_1 {
            let (magic, seeds) = bytes.expose_mut().split_at_mut(MAGIC.len());
            magic.copy_from_slice(MAGIC);
            rng.fill(seeds.get_mut(FILE_BYTES_1 - MAGIC.len()..).unwrap_or_default())?;
            store(directory, &bytes).map_err(failed)?;
        }
        Self::from_bytes(&bytes).ok_or_else(|| not_keys(directory))
    }

    /// Reads the keys in `directory` and changes nothing.
    ///
    /// # Errors
    /// As [`ControlKeys::load_and_complete`]; also for a file of the first release.
    pub fn load(directory: &Path) -> Result<Self, Fault> {
        let (bytes, _) = load(&directory.join(FILE)).map_err(|error| cannot(directory, &error))?;
        Self::from_bytes(&bytes).ok_or_else(|| not_keys(directory))
    }

    /// What checkpoints of the audit log are verified with: read from files of every release, and
    /// nothing is changed.
    ///
    /// # Errors
    /// As [`ControlKeys::load_and_complete`].
    pub fn audit_public(directory: &Path) -> Result<PublicKey, Fault> {
        let (bytes, _) = load(&directory.join(FILE)).map_err(|error| cannot(directory, &error))?;
        seed(&bytes, AUDIT)
            .map(|seed| SigningKey::from_seed(&seed).public())
            .ok_or_else(|| not_keys(directory))
    }

    /// Makes sure that control planes which share a store have the same keys: tokens of one would
    /// not be good at the other, and neither could continue the other's audit chains.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when others use the store with other keys; those of the store.
    pub(crate) fn check_same(&self, store: &Store) -> Result<(), Fault> {
        let decoy = self.decoy.tag(&[b"control-keys"]);
        let parts = [self.audit.public().0, self.permit.public().0, decoy];
        let ours = hex::encode(sha256(&parts.each_ref().map(<[u8; 32]>::as_slice)));
        store.commit_now(Vec::new(), move |tx| match meta::get(tx, KNOWN_KEYS)? {
            None => meta::put(tx, KNOWN_KEYS, &ours),
            Some(known) if known == ours => Ok(()),
            Some(_) => Err(Fault::unavailable(format!(
                "the database belongs to a control plane with other keys: copy {FILE} from the \
                 keys directory of a node that uses it into this one's, before its first start"
            ))),
        })
    }

    fn from_bytes(bytes: &Secret<[u8; FILE_BYTES]>) -> Option<Self> {
        if !bytes.expose().starts_with(MAGIC) {
            return None;
        }
        Some(Self {
            token: TokenKey::new(&seed(bytes, 0)?),
            permit: Arc::new(SigningKey::from_seed(&seed(bytes, 1)?)),
            audit: Arc::new(SigningKey::from_seed(&seed(bytes, AUDIT)?)),
            decoy: HmacKey::new(seed(bytes, 3)?.expose()),
            vault: VaultKey::new(&seed(bytes, 4)?),
        })
    }
}

/// Place of the audit key's seed.
const AUDIT: usize = 2;

fn seed(bytes: &Secret<[u8; FILE_BYTES]>, index: usize) -> Option<Secret<[u8; 32]>> {
    let seed = bytes.expose().get(MAGIC.len() + index * 32..)?.first_chunk::<32>()?;
    Some(Secret::new(*seed))
}

fn not_keys(directory: &Path) -> Fault {
    Fault::internal(format!(
        "{} is not a file of control keys of this release; start the server over it once if it is \
         older, or restore it from a backup",
        directory.join(FILE).display()
    ))
}

fn cannot(directory: &Path, error: &io::Error) -> Fault {
    let file = directory.join(FILE);
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "; restore it from a backup",
        _ => "",
    };
    Fault::internal(format!("control keys in {}: {error}{advice}", file.display()))
}

fn fill(bytes: &mut Secret<[u8; FILE_BYTES]>, rng: &dyn Rng) -> Result<(), Fault> {
    let (magic, seeds) = bytes.expose_mut().split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    rng.fill(seeds)?;
    Ok(())
}

/// The file's bytes, and how many there are: the lengths of both formats are taken.
fn load(path: &Path) -> io::Result<(Secret<[u8; FILE_BYTES]>, usize)> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!("others may read it (mode {mode:o}); set its mode to 600");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let damaged = |text| Err(io::Error::new(io::ErrorKind::InvalidData, text));
    let formats = [(FILE_BYTES, MAGIC), (FILE_BYTES_1, MAGIC_1)];
    let format = formats.into_iter().find(|(length, _)| *length as u64 == metadata.len());
    let Some((length, magic)) = format else {
        return damaged("it has the wrong length; restore it from a backup");
    };
    let mut bytes = Secret::new([0; FILE_BYTES]);
    file.read_exact(bytes.expose_mut().get_mut(..length).unwrap_or_default())?;
    if !bytes.expose().starts_with(magic) {
        return damaged("it is not a file of control keys; restore it from a backup");
    }
    Ok((bytes, length))
}

/// Writes under another name and renames, so that the file is whole or absent after a crash.
fn store(directory: &Path, bytes: &Secret<[u8; FILE_BYTES]>) -> io::Result<()> {
    let unfinished = directory.join(format!("{FILE}.new"));
    // Left behind by a crash; nobody has used what is in it.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes.expose())?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}
