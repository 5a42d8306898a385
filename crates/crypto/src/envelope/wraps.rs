//! Taking a wrap out of an envelope and putting one in, as bytes, without any key.
//!
//! The wraps are not in the immutable header, so the payload and the other wraps stay valid. A wrap
//! is bound to the envelope it was made for: in another one it does not open.

use super::parse::{PREFIX_BYTES, WRAP_BYTES, WRAPS_OFFSET, header_bytes};
use super::{Envelope, Malformed, WRAPS_MAX, WrapKind};
use crate::hash::constant_time_eq;

/// The bytes of one wrap.
pub type WrapBytes = [u8; WRAP_BYTES];

/// Takes the wrap at `index` out of `sealed`; gives the envelope without it, and the wrap.
///
/// # Errors
/// [`Malformed`], also when there is no such wrap or no other one.
pub fn detach(sealed: &[u8], index: usize) -> Result<(Vec<u8>, WrapBytes), Malformed> {
    let count = Envelope::parse(sealed)?.wraps().len();
    if index >= count || count < 2 {
        return Err(Malformed);
    }
    let start = WRAPS_OFFSET + index * WRAP_BYTES;
    let wrap = sealed.get(start..).and_then(<[u8]>::first_chunk).ok_or(Malformed)?;
    let mut rest = sealed.to_vec();
    rest.drain(start..start + WRAP_BYTES);
    set_count(&mut rest, count - 1)?;
    Ok((rest, *wrap))
}

/// Puts `wrap` behind the wraps of `sealed`; its index is their former number.
///
/// # Errors
/// [`Malformed`], also when there are too many wraps or it is of no known kind.
pub fn attach(sealed: &[u8], wrap: &WrapBytes) -> Result<Vec<u8>, Malformed> {
    let count = Envelope::parse(sealed)?.wraps().len();
    if count >= WRAPS_MAX || WrapKind::from_byte(wrap[0]).is_none() {
        return Err(Malformed);
    }
    let end = WRAPS_OFFSET + count * WRAP_BYTES;
    let (head, payload) = sealed.split_at_checked(end).ok_or(Malformed)?;
    let mut joined = [head, wrap, payload].concat();
    set_count(&mut joined, count + 1)?;
    Ok(joined)
}

/// Whether two envelopes differ in nothing but their wraps.
pub fn same_but_wraps(one: &Envelope<'_>, other: &Envelope<'_>) -> bool {
    let parts = |of: &Envelope<'_>| {
        [&of.immutable_header(), of.nonce_prefix.as_slice(), of.pcom, of.chunks].concat()
    };
    constant_time_eq(&parts(one), &parts(other))
}

fn set_count(envelope: &mut [u8], count: usize) -> Result<(), Malformed> {
    let length = u32::try_from(header_bytes(count)).map_err(|_| Malformed)?;
    let at = envelope.get_mut(PREFIX_BYTES..PREFIX_BYTES + 4).ok_or(Malformed)?;
    at.copy_from_slice(&length.to_be_bytes());
    // The count is the byte before the first wrap.
    let at = envelope.get_mut(WRAPS_OFFSET - 1).ok_or(Malformed)?;
    *at = u8::try_from(count).map_err(|_| Malformed)?;
    Ok(())
}
