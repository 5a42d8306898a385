//! What templates can call. A value may stand in front (`truncate .email 8`) or come through a
//! pipe (`.email | truncate 8`), as V2's examples have it both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, Timestamp};
use keysherd_crypto::hash::sha256;

use super::{Known, Worth};
use crate::password::draw;

/// Characters of `random` without a number.
const RANDOM_CHARS: i64 = 20;
/// Most characters of `random`.
const RANDOM_CHARS_MAX: i64 = 64;
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Characters of a hash that `truncate_sha256` ends with.
const HASH_CHARS: usize = 8;

/// What a call is given.
pub(super) struct Given {
    pub(super) given: Vec<Worth>,
    pub(super) piped: Option<Worth>,
}

/// `None`: it was not given what it needs.
type Outcome = Result<Option<Worth>, Fault>;

/// Something to call.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) usage: &'static str,
    pub(super) run: fn(Given, &Known<'_>) -> Outcome,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All of them.
pub(super) static FUNCTIONS: &[Function] = &[
    Function { name: "uppercase", usage: "uppercase TEXT", run: |g, _| Ok(of_text(g, upper)) },
    Function { name: "lowercase", usage: "lowercase TEXT", run: |g, _| Ok(of_text(g, lower)) },
    Function { name: "base64", usage: "base64 TEXT", run: |g, _| Ok(of_text(g, to_base64)) },
    Function { name: "sha256", usage: "sha256 TEXT", run: |g, _| Ok(of_text(g, hash)) },
    Function { name: "replace", usage: "replace TEXT \"old\" \"new\"", run: replace },
    Function { name: "truncate", usage: "truncate TEXT LENGTH", run: |g, _| Ok(cut(g, prefix)) },
    Function {
        name: "truncate_sha256",
        usage: "truncate_sha256 TEXT LENGTH",
        run: |g, _| Ok(cut(g, hashed_prefix)),
    },
    Function {
        name: "restricted_chars",
        usage: "restricted_chars TEXT \"characters to leave out\"",
        run: restricted,
    },
    Function { name: "random", usage: "random LENGTH, 1 to 64", run: random },
    Function { name: "timestamp", usage: "timestamp \"2006-01-02T15:04:05\"", run: timestamp },
    Function {
        name: "unix_time",
        usage: "unix_time",
        run: |g, known| Ok(g.nothing().then(|| Worth::Int(known.clock.now().seconds()))),
    },
    Function {
        name: "unix_time_millis",
        usage: "unix_time_millis",
        run: |g, known| Ok(g.nothing().then(|| Worth::Int(known.clock.now().0))),
    },
    Function { name: "uuid", usage: "uuid", run: uuid },
];

impl Given {
    fn nothing(&self) -> bool {
        self.given.is_empty() && self.piped.is_none()
    }

    /// All of it, what came through the pipe first.
    fn all(self) -> Vec<Worth> {
        self.piped.into_iter().chain(self.given).collect()
    }
}

fn of_text(given: Given, change: fn(&str) -> String) -> Option<Worth> {
    let [text] = <[Worth; 1]>::try_from(given.all()).ok()?;
    Some(Worth::Text(change(&text.text())))
}

fn upper(text: &str) -> String {
    text.to_uppercase()
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

fn to_base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn hash(text: &str) -> String {
    hex::encode(sha256(&[text.as_bytes()]))
}

fn replace(given: Given, _: &Known<'_>) -> Outcome {
    let Ok([text, old, new]) = <[Worth; 3]>::try_from(given.all()) else { return Ok(None) };
    let (text, old, new) = (text.text(), old.text(), new.text());
    if old.is_empty() {
        return Ok(None);
    }
    Ok(Some(Worth::Text(text.replace(&old, &new))))
}

/// One number and one text, whichever is first.
fn cut(given: Given, change: fn(&str, usize) -> String) -> Option<Worth> {
    let (text, length) = match <[Worth; 2]>::try_from(given.all()).ok()? {
        [Worth::Int(length), text] | [text, Worth::Int(length)] => (text.text(), length),
        _ => return None,
    };
    let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
    Some(Worth::Text(change(&text, length)))
}

fn prefix(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// Texts that are too long keep their difference: they end with a part of their hash.
fn hashed_prefix(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let digits = &hash(text)[..HASH_CHARS];
    match length.checked_sub(HASH_CHARS) {
        Some(rest) => format!("{}{digits}", prefix(text, rest)),
        None => digits[..length].to_owned(),
    }
}

fn restricted(given: Given, _: &Known<'_>) -> Outcome {
    let mut all = given.all().into_iter().map(Worth::text);
    let Some(text) = all.next() else { return Ok(None) };
    let without = all.next();
    if all.next().is_some() {
        return Ok(None);
    }
    let stays = |c: &char| match &without {
        Some(without) => !without.contains(*c),
        None => c.is_ascii_alphanumeric() || "_-.".contains(*c),
    };
    Ok(Some(Worth::Text(text.chars().filter(stays).collect())))
}

fn random(given: Given, known: &Known<'_>) -> Outcome {
    let length = match given.all().as_slice() {
        [] => RANDOM_CHARS,
        [Worth::Int(length)] => *length,
        _ => return Ok(None),
    };
    let fits = (1..=RANDOM_CHARS_MAX).contains(&length);
    let Some(length) = usize::try_from(length).ok().filter(|_| fits) else { return Ok(None) };
    let drawn = draw(known.rng, ALPHANUMERIC, length)?;
    Ok(Some(Worth::Text(drawn.expose().clone())))
}

fn timestamp(given: Given, known: &Known<'_>) -> Outcome {
    let now = known.clock.now();
    match <[Worth; 1]>::try_from(given.all()) {
        Ok([layout]) => Ok(Some(Worth::Text(formatted(now, &layout.text())))),
        Err(all) if all.is_empty() => Ok(Some(Worth::Text(now.rfc3339()))),
        Err(_) => Ok(None),
    }
}

/// A time in Go's way of writing layouts: as that moment of 2006 would be written, as far as digits
/// go.
fn formatted(time: Timestamp, layout: &str) -> String {
    let full = time.rfc3339();
    let parts = [("2006", 0..4), ("01", 5..7), ("02", 8..10), ("15", 11..13), ("04", 14..16)];
    let parts = parts.into_iter().chain([("05", 17..19)]);
    let known: Vec<_> =
        parts.map(|(sign, range)| (sign, full.get(range).unwrap_or_default())).collect();
    let (mut text, mut rest) = (String::new(), layout);
    'next: while let Some(c) = rest.chars().next() {
        for (sign, value) in &known {
            if let Some(after) = rest.strip_prefix(sign) {
                text.push_str(value);
                rest = after;
                continue 'next;
            }
        }
        text.push(c);
        rest = &rest[c.len_utf8()..];
    }
    text
}

/// A random one (RFC 9562 section 5.4).
fn uuid(given: Given, known: &Known<'_>) -> Outcome {
    if !given.nothing() {
        return Ok(None);
    }
    let mut bytes = known.rng.array::<16>()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex::encode(bytes);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(Some(Worth::Text(parts.join("-"))))
}
