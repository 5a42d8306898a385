//! The owner's key of a server on one machine, taken off that machine: the first step from "one
//! machine that may do all" to an owner whom the machine obeys.

use std::fs::File;
use std::path::Path;

use keysherd_base::SecretBytes;
use keysherd_crypto::sign::SigningKey;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::owner_key;
use rustix::fs::{FlockOperation, flock};

use super::draft::Draft;
use super::home::{OwnerHome, PUBLIC_FILE};
use super::key::{self, KEY_FILE, OwnerSecrets};
use super::sign::{Consent, agree};
use crate::exit::Exit;
use crate::roles::files::DataDir;
use crate::roles::process::write_stdout;
use crate::roles::trust::BUNDLE;

/// Moves the key in `from`, which is the directory `owner` of a server, to the new directory `to`.
pub(super) fn relocate(
    from: &Path,
    to: &Path,
    secrets: &OwnerSecrets,
    consent: &Consent,
) -> Result<(), Exit> {
    let old = OwnerHome::open(from)?;
    demand_stopped(from)?;
    let seed = SecretBytes::new(old.dir.read(KEY_FILE)?.unwrap_or_default());
    let Ok(seed) = <[u8; 32]>::try_from(seed.expose().as_slice()) else {
        return Err(Exit::Configuration(format!(
            "{} has no key of a server: it was moved before, or has a passphrase",
            from.display()
        )));
    };
    let signing = SigningKey::from_seed(&seed.into());
    let bundle = old.bundle()?.ok_or_else(|| {
        Exit::Configuration("the server has no trust bundle yet; start it once".to_owned())
    })?;
    write_stdout(&format!(
        "the owner key {} moves to {}\nafter that the server obeys it and cannot change whom it \
         believes; new gateways, customer fragments and orders need the key\n",
        signing.public().fingerprint(),
        to.display()
    ));
    if consent.dry_run {
        write_stdout("dry run: nothing was moved\n");
        return Ok(());
    }
    agree(consent, "Move the key?")?;
    let new = OwnerHome::create(to)?;
    key::write_file(&new.dir, KEY_FILE, &signing, secrets)?;
    new.dir.write(BUNDLE, &bundle.signed().to_bytes())?;
    new.write_draft(&Draft::of_bundle(bundle.bundle(), None))?;
    let public = owner_key::to_file(&signing.public());
    new.dir.write(PUBLIC_FILE, public.as_bytes())?;
    check(&new, &signing)?;
    old.dir.write(PUBLIC_FILE, public.as_bytes())?;
    erase(&old.dir)?;
    write_stdout(&format!(
        "moved: {}\nnext: carry that directory to a machine without a network, keep a copy and the \
         passphrase apart from each other, and remove it here. Backups of this machine from before \
         still have the key: destroy them, or change the key with keysherd owner rotate.\n",
        to.display()
    ));
    Ok(())
}

/// The new directory must be usable before the old key goes.
fn check(new: &OwnerHome, signing: &SigningKey) -> Result<(), Exit> {
    let there = new.bundle()?.is_some() && new.public()? == signing.public();
    if there {
        return Ok(());
    }
    Err(Exit::Damaged(format!("{} was not written as it should", new.path().display())))
}

/// Overwrites the key before it is removed. On flash memory and copying file systems old blocks
/// can survive that; the text to the user says what helps.
fn erase(dir: &DataDir) -> Result<(), Exit> {
    use std::io::Write as _;
    let path = dir.join(KEY_FILE);
    let failed = |error: std::io::Error| Exit::Files(format!("{}: {error}", path.display()));
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).map_err(failed)?;
    file.write_all(&[0; 32]).and_then(|()| file.sync_all()).map_err(failed)?;
    dir.remove(KEY_FILE)
}

/// A running server signs with this key too, and two signers would use one version twice.
pub(super) fn demand_stopped(owner_dir: &Path) -> Result<(), Exit> {
    let data_dir = owner_dir.parent().unwrap_or(owner_dir);
    let lock = data_dir.join("managers/1/store/lock");
    let Ok(file) = File::open(&lock) else { return Ok(()) };
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Exit::Configuration(format!(
            "the server in {} is running; stop it first",
            data_dir.display()
        ))
    })
}
