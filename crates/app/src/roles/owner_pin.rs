//! The owner key that a role obeys: given once at install, kept in its data directory from then on.

use keysherd_crypto::sign::PublicKey;

use super::files::DataDir;
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
        (Some(pinned), Some(key)) if key != pinned => Err(Exit::Configuration(format!(
            "owner-key is {key}, but this role was installed with {pinned} ({}); whoever changes \
             that gives it another owner",
            file.display()
        ))),
        (Some(pinned), _) => Ok(pinned),
    }
}
