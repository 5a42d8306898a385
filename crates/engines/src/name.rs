//! Names of temporary users: whatever the template says, and always a part of the lease's id.
//!
//! So two leases never share a name, however little a template varies, and removing the user of
//! one cannot remove somebody else's, or one that was there before.

use keysherd_base::{Fault, Uid};
use keysherd_wire::Settings;

use crate::fields::CUSTOM_USERNAME_TEMPLATE;
use crate::template::{self, Known};
use crate::{Way, Wish};

#[cfg(test)]
mod tests;

/// Characters of a lease's id in a name: 80 bits.
const MARK_CHARS: usize = 16;
/// RFC 4648 base32, in small letters, since some servers make all letters small.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Longest handle that is looked at, in bytes.
const HANDLE_BYTES_MAX: usize = 1_024;

/// The name of the user that a wish is for: at most `bytes_max` bytes, of letters, digits and
/// `_ - . @`.
///
/// # Errors
/// [`Fault::bad_request`] when the template needs a claim that the caller does not have.
pub(crate) fn username(
    settings: &Settings,
    wish: &Wish<'_>,
    way: &Way,
    bytes_max: usize,
) -> Result<String, Fault> {
    let begin = match settings.text(&CUSTOM_USERNAME_TEMPLATE) {
        None => format!("tmp.{}", wish.access_id),
        Some(text) => template::parse(CUSTOM_USERNAME_TEMPLATE.name(), text)?.text(&Known {
            wish,
            clock: way.clock.as_ref(),
            rng: way.rng.as_ref(),
        })?,
    };
    let mut name: String = begin.chars().map(plain).collect();
    // One byte each, so they can be cut anywhere.
    name.truncate(bytes_max.saturating_sub(MARK_CHARS + 1));
    if name.is_empty() {
        name.push_str("tmp");
    }
    Ok(marked(&name, wish.lease))
}

/// A text with a part of the lease's id at its end.
pub(crate) fn marked(text: &str, lease: Uid) -> String {
    format!("{text}.{}", mark(lease))
}

/// The same without that part.
pub(crate) fn unmarked(handle: &str) -> &str {
    handle.rsplit_once('.').map_or(handle, |(begin, _)| begin)
}

/// Whether a handle can be the name of a temporary user. Nothing else is removed, whoever asks.
pub fn is_handle(text: &str) -> bool {
    let marked = text.rsplit_once('.').is_some_and(|(begin, mark)| {
        !begin.is_empty() && mark.len() == MARK_CHARS && mark.bytes().all(|b| BASE32.contains(&b))
    });
    marked && text.len() <= HANDLE_BYTES_MAX && text.chars().all(|c| plain(c) == c)
}

/// The same as an error.
///
/// # Errors
/// [`Fault::internal`]: plans make no other handles.
pub(crate) fn need_handle(text: &str) -> Result<(), Fault> {
    match is_handle(text) {
        true => Ok(()),
        false => Err(Fault::internal("a lease has a handle that no plan made; nothing is removed")),
    }
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || "_-.@".contains(c) { c } else { '_' }
}

/// The first 80 bits of a lease's id.
fn mark(lease: Uid) -> String {
    let bits = lease.0[..10].iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let digit = |place: usize| {
        let index = (bits >> (5 * (MARK_CHARS - 1 - place))) & 31;
        char::from(BASE32[usize::try_from(index).unwrap_or_default()])
    };
    (0..MARK_CHARS).map(digit).collect()
}
