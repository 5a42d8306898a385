//! Messages of SAP HANA's protocol: a head, one segment, and its parts. Numbers are little-endian.

use keysherd_base::{SecretBuffer, SecretBytes};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::StatementError;

/// Heads of messages, segments and parts, in bytes.
const MESSAGE_HEAD_BYTES: usize = 32;
const SEGMENT_HEAD_BYTES: usize = 24;
const PART_HEAD_BYTES: usize = 16;
/// Longest answer, in bytes, and most parts of one.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const PARTS_MAX: usize = 64;
/// Parts begin at multiples of it.
const ALIGNMENT: usize = 8;
/// Kinds of segments: a request, an answer, and one that refuses.
const REQUEST: u8 = 1;
const ANSWER: u8 = 2;
const REFUSAL: u8 = 5;
/// The kind of a part that says what is wrong; what an error has before its text, in bytes.
const ERROR: u8 = 6;
const ERROR_HEAD_BYTES: usize = 18;
/// How a length is written that does not fit into a byte: in two, in four; and that of nothing.
const LENGTH_MAX: u8 = 245;
const LENGTH_IN_TWO: u8 = 246;
const LENGTH_IN_FOUR: u8 = 247;
const NOTHING: u8 = 255;

/// A part to send: its kind, how many things it has, and what they are.
pub(super) type Piece<'a> = (u8, u16, &'a [u8]);

/// A part of an answer.
pub(super) struct Part {
    kind: u8,
    /// How many things it has.
    pub(super) count: usize,
    pub(super) bytes: Vec<u8>,
}

/// An answer.
pub(super) struct Reply {
    /// The session that it belongs to.
    pub(super) session: i64,
    parts: Vec<Part>,
}

/// What a server refuses with.
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) text: String,
}

/// A message of one segment.
pub(super) fn message(
    session: i64,
    number: u32,
    kind: u8,
    parts: &[Piece<'_>],
) -> Result<SecretBytes, StatementError> {
    let whole = |bytes: &[u8]| PART_HEAD_BYTES + bytes.len().next_multiple_of(ALIGNMENT);
    let mut room: usize = parts.iter().map(|(_, _, bytes)| whole(bytes)).sum();
    let length = room + SEGMENT_HEAD_BYTES;
    let size = |bytes: usize| u32::try_from(bytes).map_err(|_| StatementError::strange());
    let count = u16::try_from(parts.len()).map_err(|_| StatementError::strange())?;
    let mut into = SecretBuffer::with_capacity(MESSAGE_HEAD_BYTES + length);
    into.extend(&session.to_le_bytes());
    into.extend(&number.to_le_bytes());
    into.extend(&size(length)?.to_le_bytes());
    into.extend(&size(length)?.to_le_bytes());
    into.extend(&1_u16.to_le_bytes());
    into.extend(&[0; 10]);
    into.extend(&size(length)?.to_le_bytes());
    into.extend(&[0; 4]);
    into.extend(&count.to_le_bytes());
    into.extend(&1_u16.to_le_bytes());
    // What is done is done: nothing waits for a commit.
    into.extend(&[REQUEST, kind, 1, 0]);
    into.extend(&[0; 8]);
    for (kind, count, bytes) in parts {
        into.extend(&[*kind, 0]);
        into.extend(&count.to_le_bytes());
        into.extend(&[0; 4]);
        into.extend(&size(bytes.len())?.to_le_bytes());
        into.extend(&size(room)?.to_le_bytes());
        into.extend(bytes);
        let padding = bytes.len().next_multiple_of(ALIGNMENT) - bytes.len();
        into.extend(&[0; ALIGNMENT][..padding]);
        room -= whole(bytes);
    }
    Ok(into.finish())
}

/// The next answer; `None`: what was said is none.
pub(super) async fn heard(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Reply>> {
    let mut head = [0; MESSAGE_HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    let length = number(&head, 12).and_then(|length| usize::try_from(length).ok());
    let fits = |length: &usize| (SEGMENT_HEAD_BYTES..=ANSWER_BYTES_MAX).contains(length);
    let Some(length) = length.filter(fits) else { return Ok(None) };
    // One segment, which is not compressed: that was not asked for.
    if head[20..23] != [1, 0, 0] {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let session = head.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes));
    Ok(session.and_then(|session| read(session, &body)))
}

fn read(session: i64, body: &[u8]) -> Option<Reply> {
    let count = usize::from(u16::from_le_bytes(body.get(8..10)?.try_into().ok()?));
    let refuses = match *body.get(12)? {
        ANSWER => false,
        REFUSAL => true,
        _ => return None,
    };
    if count > PARTS_MAX {
        return None;
    }
    let mut reply = Reply { session, parts: Vec::new() };
    let mut at = SEGMENT_HEAD_BYTES;
    for _ in 0..count {
        match part(body, at) {
            Some((part, next)) => {
                reply.parts.push(part);
                at = next;
            }
            // Servers do not agree on how long errors are.
            None if reply.error().is_some() => break,
            None => return None,
        }
    }
    (!refuses || reply.error().is_some()).then_some(reply)
}

/// The part that begins there, and where the next one does.
fn part(body: &[u8], at: usize) -> Option<(Part, usize)> {
    let head = body.get(at..at.checked_add(PART_HEAD_BYTES)?)?;
    let few = i16::from_le_bytes(head[2..4].try_into().ok()?);
    // There is another place for numbers that do not fit.
    let count = if few == -1 { number(head, 4)? } else { i32::from(few) };
    let length = usize::try_from(number(head, 8)?).ok()?;
    let begin = at + PART_HEAD_BYTES;
    let end = begin.checked_add(length)?;
    let bytes = body.get(begin..end)?.to_vec();
    let count = usize::try_from(count).ok()?;
    let next = begin + length.next_multiple_of(ALIGNMENT);
    Some((Part { kind: head[0], count, bytes }, next))
}

impl Reply {
    /// The part of this kind.
    pub(super) fn part(&self, kind: u8) -> Option<&Part> {
        self.parts.iter().find(|part| part.kind == kind)
    }

    /// What the server refuses with; warnings are not that.
    pub(super) fn error(&self) -> Option<Said> {
        let part = self.part(ERROR)?;
        let mut at = 0;
        for _ in 0..part.count.max(1) {
            let error = part.bytes.get(at..)?;
            let code = number(error, 0)?;
            let length = usize::try_from(number(error, 8)?).ok()?;
            let end = ERROR_HEAD_BYTES.checked_add(length)?;
            let text = error.get(ERROR_HEAD_BYTES..end)?;
            if *error.get(12)? != 0 {
                return Some(Said { code, text: String::from_utf8_lossy(text).into_owned() });
            }
            at += end.next_multiple_of(ALIGNMENT);
        }
        None
    }
}

/// A number of four bytes.
fn number(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Fields of a part about signing in.
pub(super) fn fields(texts: &[&[u8]]) -> Result<Vec<u8>, StatementError> {
    let count = u16::try_from(texts.len()).map_err(|_| StatementError::strange())?;
    let mut whole = count.to_le_bytes().to_vec();
    for text in texts {
        match u8::try_from(text.len()) {
            Ok(length) if length <= LENGTH_MAX => whole.push(length),
            _ => {
                let length = u16::try_from(text.len()).map_err(|_| StatementError::strange())?;
                whole.push(LENGTH_IN_TWO);
                whole.extend(length.to_le_bytes());
            }
        }
        whole.extend(*text);
    }
    Ok(whole)
}

/// The same, taken apart.
pub(super) fn read_fields(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = bytes.split_first_chunk::<2>()?;
    let mut found = Vec::new();
    for _ in 0..u16::from_le_bytes(*count) {
        let (field, after) = match rest.strip_prefix(&[NOTHING]) {
            None => long_text(rest)?,
            // Here it says how a long field's length is written: with the higher byte first.
            Some(rest) => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                let (field, after) =
                    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                (Some(field), after)
            }
        };
        found.push(field?);
        rest = after;
    }
    Some(found)
}

/// A text with its length before it, or nothing; and what follows.
fn long_text(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = match *first {
        LENGTH_IN_TWO => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        LENGTH_IN_FOUR => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
        }
        NOTHING => return Some((None, rest)),
        length if length <= LENGTH_MAX => (usize::from(length), rest),
        _ => return None,
    };
    let (text, rest) = rest.split_at_checked(length)?;
    Some((Some(text), rest))
}

/// The rows of a part, each of which is one text; nothing is an empty one.
pub(super) fn texts(part: &Part) -> Option<Vec<String>> {
    let mut rest = part.bytes.as_slice();
    let mut found = Vec::new();
    for _ in 0..part.count {
        let (text, after) = long_text(rest)?;
        found.push(std::str::from_utf8(text.unwrap_or_default()).ok()?.to_owned());
        rest = after;
    }
    Some(found)
}

/// Options of a part: their numbers, and what they are, as bytes.
pub(super) fn options(part: &Part) -> Option<Vec<(u8, &[u8])>> {
    let mut rest = part.bytes.as_slice();
    let mut found = Vec::new();
    for _ in 0..part.count {
        let ([option, kind], after) = rest.split_first_chunk::<2>()?;
        let (length, after) = match *kind {
            1 | 28 => (1, after),
            2 => (2, after),
            3 => (4, after),
            4 | 7 => (8, after),
            29 | 30 | 33 => {
                let (length, after) = after.split_first_chunk::<2>()?;
                (usize::from(u16::from_le_bytes(*length)), after)
            }
            _ => return None,
        };
        let (value, after) = after.split_at_checked(length)?;
        found.push((*option, value));
        rest = after;
    }
    Some(found)
}

/// A text as HANA writes it: as UTF-8, but characters beyond the first 65,536 as the two halves
/// that UTF-16 has of them (CESU-8).
pub(super) fn push_cesu8(into: &mut SecretBuffer, text: &str) {
    let mut units = [0; 2];
    let mut bytes = [0; 4];
    for c in text.chars() {
        if c.len_utf8() < 4 {
            into.extend(c.encode_utf8(&mut bytes).as_bytes());
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            let [high, low] = unit.to_be_bytes();
            into.extend(&[0xe0 | high >> 4, 0x80 | (high & 15) << 2 | low >> 6, 0x80 | low & 63]);
        }
    }
}
