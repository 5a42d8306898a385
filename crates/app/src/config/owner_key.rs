//! The owner key that a role was told to obey: given at install, pinned in the data directory.

use clap::Arg;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::owner_key as owner_file;

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
        "The owner's public key: the file owner.pub, or its 64 hexadecimal digits; needed at the \
         first start",
    )
}

/// The key, where it was given.
pub(super) fn owner_key(settings: &Settings<'_>) -> Result<Option<PublicKey>, Exit> {
    let Some(given) = settings.text("owner-key")? else { return Ok(None) };
    let allowed = "the file owner.pub of the owner, or its 64 hexadecimal digits";
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

/// A public key: the owner's file, or its 64 hexadecimal digits alone.
pub(crate) fn parse(text: &str) -> Option<PublicKey> {
    let text = text.trim();
    owner_file::from_file(text).or_else(|| owner_file::from_hex(text))
}
