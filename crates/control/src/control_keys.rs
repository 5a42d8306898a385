//! The keys of the control plane: one file that only its user can read.
//!
//! One file instead of one per key, so that a crash while the keys are made leaves either none or
//! all of them. Content: the eight bytes `KSCTRLK1`, then the seeds of 32 bytes each in the order
//! token, permit, audit, decoy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use keysherd_base::{Fault, Rng, Secret};
use keysherd_crypto::hash::HmacKey;
use keysherd_crypto::sign::SigningKey;
use keysherd_crypto::token::TokenKey;

/// The file's name in the directory of the keys.
const FILE: &str = "control.keys";
const MAGIC: &[u8; 8] = b"KSCTRLK1";
const KEYS: usize = 4;
const FILE_BYTES: usize = MAGIC.len() + KEYS * 32;

/// What the control plane signs and authenticates with. None of these opens a secret.
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
    /// for its user alone (mode 0700), the file too (0600).
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
        Self::load(directory)
    }

    /// Reads the keys in `directory`. What they once signed can be checked with no others, so an
    /// installation that has lost them must not get new ones.
    ///
    /// # Errors
    /// As [`ControlKeys::create_or_load`]; also when there are none.
    pub fn load(directory: &Path) -> Result<Self, Fault> {
        let file = directory.join(FILE);
        let bytes = load(&file).map_err(|error| cannot(directory, &error))?;
        Self::from_bytes(&bytes).ok_or_else(|| {
            Fault::internal(format!(
                "{} is not a file of control keys; restore it from a backup",
                file.display()
            ))
        })
    }

    fn from_bytes(bytes: &Secret<[u8; FILE_BYTES]>) -> Option<Self> {
        let seeds = bytes.expose().strip_prefix(MAGIC.as_slice())?;
        let seed = |index: usize| -> Option<Secret<[u8; 32]>> {
            let seed = seeds.get(index * 32..)?.first_chunk::<32>()?;
            Some(Secret::new(*seed))
        };
        Some(Self {
            token: TokenKey::new(&seed(0)?),
            permit: Arc::new(SigningKey::from_seed(&seed(1)?)),
            audit: Arc::new(SigningKey::from_seed(&seed(2)?)),
            decoy: HmacKey::new(seed(3)?.expose()),
        })
    }
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

fn load(path: &Path) -> io::Result<Secret<[u8; FILE_BYTES]>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let text = format!("others may read it (mode {mode:o}); set its mode to 600");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    if metadata.len() != FILE_BYTES as u64 {
        let text = "it has the wrong length; restore it from a backup";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut bytes = Secret::new([0; FILE_BYTES]);
    file.read_exact(bytes.expose_mut())?;
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use keysherd_crypto::random::SystemRng;

    fn publics(keys: &ControlKeys) -> [String; 2] {
        [keys.permit.public().to_string(), keys.audit.public().to_string()]
    }

    #[test]
    fn keys_are_made_once_and_differ() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("keys");
        let made = ControlKeys::create_or_load(&directory, &SystemRng).unwrap();
        let loaded = ControlKeys::create_or_load(&directory, &SystemRng).unwrap();
        assert_eq!(publics(&made), publics(&loaded));
        assert_ne!(publics(&made)[0], publics(&made)[1]);
        let token = made.token.seal("t-", b"body");
        assert_eq!(loaded.token.open("t-", token.expose()).as_deref(), Some(b"body".as_slice()));
        let mode = fs::metadata(directory.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn refuses_a_file_others_may_read_and_a_damaged_one() {
        let home = tempfile::tempdir().unwrap();
        ControlKeys::create_or_load(home.path(), &SystemRng).unwrap();
        let file = home.path().join(FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let fault = ControlKeys::create_or_load(home.path(), &SystemRng).unwrap_err();
        assert!(fault.private().unwrap().contains("mode 640"), "{fault:?}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, [0; FILE_BYTES]).unwrap();
        assert!(ControlKeys::create_or_load(home.path(), &SystemRng).is_err());
        fs::write(&file, MAGIC).unwrap();
        assert!(ControlKeys::create_or_load(home.path(), &SystemRng).is_err());
    }

    #[test]
    fn an_unfinished_file_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("control.keys.new"), b"torn").unwrap();
        ControlKeys::create_or_load(home.path(), &SystemRng).unwrap();
        assert!(!home.path().join("control.keys.new").exists());
    }
}
