//! `keysherd owner recovery-key`: the key that managers seal their fragments to. Its private half
//! leaves this process as custodians' shares only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keysherd_base::{Clock as _, Secret, SystemClock};
use keysherd_crypto::hpke;
use keysherd_crypto::random::SystemRng;
use keysherd_fragments::recovery_share::{
    RecoveryShare, combine_recovery_key, recovery_key_id, split_recovery_key,
};

use super::home::OwnerHome;
use super::key::OwnerSecrets;
use super::sign::{self, Consent};
use crate::exit::Exit;
use crate::recovery::read_share;
use crate::roles::process::write_stdout;

/// How the recovery key is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Custody {
    /// How many custodians open exports.
    pub(super) threshold: u8,
    /// How many there are.
    pub(super) shares: u8,
    /// A new directory for the shares.
    pub(super) out_dir: PathBuf,
}

/// Makes a recovery key, writes the shares and reads them back, and has the next bundle name it.
pub(super) fn make(
    home: &OwnerHome,
    secrets: &OwnerSecrets,
    consent: &Consent,
    custody: &Custody,
) -> Result<(), Exit> {
    if consent.dry_run {
        return Err(Exit::Configuration("a key that is not kept cannot be tried".to_owned()));
    }
    // What the owner could not sign would leave custodians with shares of no use.
    home.draft()?.to_bundle(1, SystemClock.now())?;
    let rng = SystemRng::handle();
    let mut seed = Secret::new([0; 32]);
    rng.fill(seed.expose_mut()).map_err(|error| Exit::Damaged(error.to_string()))?;
    let public = hpke::public_key(&seed);
    let made = split_recovery_key(&seed, custody.threshold, custody.shares, &*rng)
        .map_err(|problem| Exit::Configuration(problem.to_string()))?;
    let files = write(&custody.out_dir, &made)?;
    drop(made);
    demand_restored(&files, &seed, custody.threshold)?;
    drop(seed);
    let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    write_stdout(&format!(
        "recovery key {}: {} shares were written and read back; any {} of them open exports:\n\
         \x20 {}\n\
         Whoever holds that many, and exports of enough managers, reads with the database every \
         value that is bound to no customer fragment. Give each share to another person, and \
         remove the directory.\n",
        recovery_key_id(&public),
        custody.shares,
        custody.threshold,
        shown.join("\n  ")
    ));
    sign::change(home, secrets, consent, |draft| {
        draft.recovery_key = Some(hex::encode(&public));
        Ok(())
    })
}

fn write(dir: &Path, shares: &[RecoveryShare]) -> Result<Vec<PathBuf>, Exit> {
    let cannot = |at: &Path, error: std::io::Error| {
        Exit::Files(format!("{}: {error}; no share counts", at.display()))
    };
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.map_err(|error| cannot(dir, error))?;
    if fs::read_dir(dir).map_err(|error| cannot(dir, error))?.next().is_some() {
        return Err(Exit::Files(format!("{} is not empty; choose a new one", dir.display())));
    }
    let mut files = Vec::with_capacity(shares.len());
    for share in shares {
        let name = format!("recovery-key-share-{}-of-{}.txt", share.number, share.shares);
        let at = dir.join(name);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&at);
        let written = file.and_then(|mut file| {
            file.write_all(share.to_key_text().expose().as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| cannot(&at, error))?;
        files.push(at);
    }
    Ok(files)
}

/// All together, and each run of just enough neighbors.
fn demand_restored(files: &[PathBuf], seed: &Secret<[u8; 32]>, threshold: u8) -> Result<(), Exit> {
    let shares: Result<Vec<_>, _> = files.iter().map(|file| read_share(file)).collect();
    let shares = shares?;
    let windows = shares.windows(usize::from(threshold));
    for held in windows.chain([shares.as_slice()]) {
        let restored = combine_recovery_key(held).map_err(|problem| {
            Exit::NotIntact(format!("the written shares do not restore the key: {problem}"))
        })?;
        if restored.expose() != seed.expose() {
            return Err(Exit::NotIntact("the written shares give another key".to_owned()));
        }
    }
    Ok(())
}
