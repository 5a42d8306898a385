//! A new owner key: the old one signs which key follows it, the new one signs the next bundle.
//!
//! The new key waits in files of its own until the bundle that it signed is on disk; then the old
//! key is removed. A crash leaves the old key with the old bundle, or the new with the new.

use keysherd_base::{Clock as _, SystemClock};
use keysherd_crypto::pkcs11::TokenUri;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::{SUCCESSIONS_MAX, SignedBundle, Succession};
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::{labels, owner_key};

use super::home::{OwnerHome, PUBLIC_FILE};
use super::key::{self, KEY_FILE, OwnerSecrets, TOKEN_FILE};
use super::sign::{Consent, agree};
use crate::exit::Exit;
use crate::roles::process::write_stdout;
use crate::roles::trust::BUNDLE;

const NEXT_KEY: &str = "owner.key.next";
const NEXT_TOKEN: &str = "owner.token.next";
const NEXT_PUBLIC: &str = "owner.pub.next";

/// Changes the owner's key; the new one is on a token when `token` names one.
pub(super) fn rotate(
    home: &OwnerHome,
    secrets: &OwnerSecrets,
    consent: &Consent,
    token: Option<&TokenUri>,
) -> Result<(), Exit> {
    let newest = home.bundle()?.ok_or_else(|| {
        Exit::Configuration(
            "nobody has a bundle of this key yet; make a new directory with keysherd owner init"
                .to_owned(),
        )
    })?;
    let mut statements = newest.signed().successions.clone();
    if statements.len() >= SUCCESSIONS_MAX {
        return Err(Exit::Configuration(format!(
            "the key was changed {SUCCESSIONS_MAX} times, which is the most: install the machines \
             anew with a new owner"
        )));
    }
    demand_sealed(home)?;
    let version = home.next_version(Some(&newest))?;
    let old = home.public()?;
    write_stdout(&format!(
        "the owner key {} is replaced by a new one, in version {version} of the bundle\n\
         machines that have taken that version believe the old key no more; machines that have \
         not still do\n",
        old.fingerprint()
    ));
    if consent.dry_run {
        write_stdout("dry run: nothing was made, signed or written\n");
        return Ok(());
    }
    agree(consent, "Replace the owner key?")?;
    let old = home.key(secrets)?;
    let new = match token {
        Some(uri) => {
            let new = key::on_token(uri, secrets, true)?;
            home.dir.write(NEXT_TOKEN, format!("{uri}\n").as_bytes())?;
            new
        }
        None => key::make_file(&home.dir, NEXT_KEY, secrets)?,
    };
    home.dir.write(NEXT_PUBLIC, owner_key::to_file(&new.public()).as_bytes())?;
    let now = SystemClock.now();
    let statement = Succession {
        deployment: newest.bundle().deployment,
        former: old.public(),
        next: new.public(),
        issued_at: now,
    };
    statements.push(old.seal(labels::SIGN_SUCCESSION, statement.to_bytes())?);
    let mut bundle = newest.bundle().clone();
    (bundle.version, bundle.issued_at) = (version, now);
    home.sign(&bundle, &new, statements)?;
    finish(home)?;
    write_stdout(&format!(
        "the owner key is {} from now on\n  public key  {}\n  bundle      {} (version {version})\n\
         next: carry the bundle to control (keysherd control accept-bundle FILE) and see that \
         every manager has it; give {PUBLIC_FILE} to machines that are installed from now on\n",
        new.public().fingerprint(),
        home.dir.join(PUBLIC_FILE).display(),
        home.dir.join(BUNDLE).display(),
    ));
    Ok(())
}

/// A server that is its own owner opens its key by itself, so that key cannot change under it.
fn demand_sealed(home: &OwnerHome) -> Result<(), Exit> {
    let plain = home.dir.read(KEY_FILE)?.is_some_and(|bytes| bytes.len() == 32);
    if plain {
        return Err(Exit::Configuration(format!(
            "the key in {} belongs to a server on one machine; take it from there first: \
             keysherd owner move",
            home.path().display()
        )));
    }
    Ok(())
}

/// Ends a change that was interrupted: the new key counts when it signed the newest bundle.
pub(super) fn finish(home: &OwnerHome) -> Result<(), Exit> {
    let Some(bytes) = home.dir.read(NEXT_PUBLIC)? else {
        // Whatever else is there was never used.
        return discard(home);
    };
    let next = owner_key::from_file(&String::from_utf8_lossy(&bytes));
    let signed = home.dir.read(BUNDLE)?.and_then(|bytes| SignedBundle::from_bytes(&bytes).ok());
    let counts = match (next, signed) {
        (Some(next), Some(signed)) => PinnedBundle::open(next, signed).is_ok(),
        _ => false,
    };
    if !counts {
        return discard(home);
    }
    for (waiting, place, other) in
        [(NEXT_KEY, KEY_FILE, TOKEN_FILE), (NEXT_TOKEN, TOKEN_FILE, KEY_FILE)]
    {
        if home.dir.join(waiting).exists() {
            if home.dir.join(other).exists() {
                home.dir.remove(other)?;
            }
            home.dir.rename(waiting, place)?;
        }
    }
    home.dir.rename(NEXT_PUBLIC, PUBLIC_FILE)
}

fn discard(home: &OwnerHome) -> Result<(), Exit> {
    for name in [NEXT_KEY, NEXT_TOKEN, NEXT_PUBLIC] {
        if home.dir.join(name).exists() {
            home.dir.remove(name)?;
        }
    }
    Ok(())
}
