//! The owner key that a role obeys: given once at install, kept in its data directory from then on.

use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;

use super::files::DataDir;
use super::trust::BUNDLE;
use crate::config::owner_key;
use crate::exit::Exit;

/// File with the owner's public key, in hexadecimal digits.
const OWNER_PUB: &str = "owner.pub";

/// The owner key of `dir`. `given` is pinned at the first start and must be the same ever after.
///
/// # Errors
/// [`Exit::Configuration`] when no key was ever given, or another one than the pinned.
pub(crate) fn open(dir: &DataDir, given: Option<PublicKey>) -> Result<PublicKey, Exit> {
    let file = dir.join(OWNER_PUB);
    let pinned = match dir.read(OWNER_PUB)? {
        None => None,
        Some(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Some(owner_key::parse(&text).ok_or_else(|| {
                Exit::Damaged(format!("{} is not an owner's public key", file.display()))
            })?)
        }
    };
    match (pinned, given) {
        (None, None) => Err(Exit::Configuration(
            "--owner-key is missing: the first start pins the owner's public key, which this role \
             obeys from then on"
                .to_owned(),
        )),
        (None, Some(key)) => {
            dir.write(OWNER_PUB, format!("{key}\n").as_bytes())?;
            Ok(key)
        }
        (Some(pinned), Some(key)) if key != pinned && !leads_to(dir, pinned, key)? => {
            Err(Exit::Configuration(format!(
                "owner-key is {}, but this role was installed with {} ({}), and no bundle here \
                 says that the one follows the other; whoever changes that gives it another owner",
                key.fingerprint(),
                pinned.fingerprint(),
                file.display()
            )))
        }
        (Some(pinned), _) => Ok(pinned),
    }
}

/// The owner key of `dir`, or the given one where none is pinned yet. Nothing is pinned.
///
/// # Errors
/// As [`open`].
pub(crate) fn known(dir: &DataDir, given: Option<PublicKey>) -> Result<Option<PublicKey>, Exit> {
    match dir.join(OWNER_PUB).exists() {
        true => open(dir, given).map(Some),
        false => Ok(given),
    }
}

/// Whether the bundle here, believed from `pinned` on, is by `key`: the owner has changed its key.
fn leads_to(dir: &DataDir, pinned: PublicKey, key: PublicKey) -> Result<bool, Exit> {
    let Some(bytes) = dir.read(BUNDLE)? else { return Ok(false) };
    let opened =
        SignedBundle::from_bytes(&bytes).and_then(|signed| PinnedBundle::open(pinned, signed));
    Ok(opened.is_ok_and(|bundle| bundle.owner() == key))
}
