//! Frames: the entries that became durable together, as they lie in a segment file.
//!
//! ```text
//! frame = "KSFg" | body length u32 | size before u64 | head before 32 | body | head after 32
//! body  = ( entry length u32 | entry )+
//! ```
//! Integers are big-endian. The head after is the checksum of the frame, since the chain covers
//! position, head before and every entry. A frame names its own start, so an intact frame can be
//! recognized behind a damaged one: that is how damage is told from a torn write.

use super::{Checkpoint, entry::ENTRY_BYTES_MAX};

const MAGIC: &[u8; 4] = b"KSFg";
/// Bytes before the body.
pub(super) const HEADER_BYTES: usize = 4 + 4 + 8 + 32;
const TRAILER_BYTES: usize = 32;
/// Most bytes of a body: one fdatasync never waits for more than this.
pub(super) const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most bytes of a frame, and so the most that a crash can tear.
pub(super) const FRAME_BYTES_MAX: usize = HEADER_BYTES + BODY_BYTES_MAX + TRAILER_BYTES;

/// A frame that was read: its entries, each with the position after it.
pub(super) struct Frame {
    /// Where the frame begins.
    pub(super) before: Checkpoint,
    /// The entries.
    pub(super) entries: Vec<(Checkpoint, Vec<u8>)>,
    /// Bytes it takes in the file.
    pub(super) bytes: usize,
}

/// What `length` bytes of entry take in a body.
pub(super) const fn framed(length: usize) -> usize {
    4 + length
}

/// Lays `entries` out behind `before`. Returns the bytes and the position after each entry.
/// The caller keeps the body within [`BODY_BYTES_MAX`].
pub(super) fn encode(before: Checkpoint, entries: &[&[u8]]) -> (Vec<u8>, Vec<Checkpoint>) {
    let body_bytes: usize = entries.iter().map(|entry| framed(entry.len())).sum();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body_bytes + TRAILER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&length_prefix(body_bytes));
    bytes.extend_from_slice(&before.size.to_be_bytes());
    bytes.extend_from_slice(&before.head);
    let mut positions = Vec::with_capacity(entries.len());
    let mut at = before;
    for entry in entries {
        bytes.extend_from_slice(&length_prefix(entry.len()));
        bytes.extend_from_slice(entry);
        at = at.after(entry);
        positions.push(at);
    }
    bytes.extend_from_slice(&at.head);
    (bytes, positions)
}

fn length_prefix(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("invariant: frames are at most 2 MiB").to_be_bytes()
}

/// How many bytes the whole frame takes whose header this is; `None` for what is no header.
pub(super) fn frame_bytes(header: &[u8; HEADER_BYTES]) -> Option<usize> {
    let rest = header.strip_prefix(MAGIC)?;
    let body = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
    (1..=BODY_BYTES_MAX).contains(&body).then_some(HEADER_BYTES + body + TRAILER_BYTES)
}

/// Reads the frame at the beginning of `bytes`; `None` when there is no intact one.
pub(super) fn decode(bytes: &[u8]) -> Option<Frame> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let total = frame_bytes(header)?;
    let (start, rest) = header.split_at(8);
    debug_assert_eq!(start.len(), 8, "magic and length");
    let (size, head) = rest.split_first_chunk::<8>()?;
    let before = Checkpoint { size: u64::from_be_bytes(*size), head: head.try_into().ok()? };
    let (mut body, trailer) =
        bytes.get(HEADER_BYTES..total)?.split_last_chunk::<TRAILER_BYTES>()?;
    let mut entries = Vec::new();
    let mut at = before;
    while let Some((length, rest)) = body.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if length > ENTRY_BYTES_MAX {
            return None;
        }
        let (entry, rest) = rest.split_at_checked(length)?;
        at = at.after(entry);
        entries.push((at, entry.to_vec()));
        body = rest;
    }
    let intact = body.is_empty() && !entries.is_empty() && at.head == *trailer;
    intact.then_some(Frame { before, entries, bytes: total })
}

/// Whether an intact frame begins anywhere in `bytes`.
pub(super) fn any_intact(bytes: &[u8]) -> bool {
    let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| window == MAGIC);
    starts.into_iter().any(|(at, _)| bytes.get(at..).and_then(decode).is_some())
}
