//! The owner key that a role was told to obey: given at install, pinned in the data directory.

use clap::Arg;
use keysherd_crypto::sign::PublicKey;

use super::settings::{Settings, option, wrong};
use crate::exit::Exit;

/// Longest file with a public key.
const FILE_BYTES_MAX: u64 = 4_096;

/// The option that names it.
pub(super) fn owner_option() -> Arg {
    option(
        "owner-key",
        "KEY|FILE",
        "KEYSHERD_OWNER_KEY",
        "The owner's public key: 64 hexadecimal digits, or a file with them; needed at the first \
         start",
    )
}

/// The key, where it was given.
pub(super) fn owner_key(settings: &Settings<'_>) -> Result<Option<PublicKey>, Exit> {
    let Some(given) = settings.text("owner-key")? else { return Ok(None) };
    let allowed = "64 hexadecimal digits or a file with them";
    if let Some(key) = parse(&given) {
        return Ok(Some(key));
    }
    let unreadable =
        |error: std::io::Error| wrong("owner-key", &format!("{given}: {error}"), allowed);
    if std::fs::metadata(&given).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(wrong("owner-key", &given, allowed));
    }
    let text = std::fs::read_to_string(&given).map_err(unreadable)?;
    parse(&text).map(Some).ok_or_else(|| wrong("owner-key", &given, allowed))
}

/// A public key in hexadecimal digits.
pub(crate) fn parse(text: &str) -> Option<PublicKey> {
    hex::decode(text.trim()).ok().and_then(|bytes| PublicKey::from_slice(&bytes))
}
