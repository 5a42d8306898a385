//! Opaque bearer tokens: a body only the server reads, and a tag only the server can make.
//!
//! Text: `prefix`, then the lower-case hex of `body | tag`. The tag is the first 16 bytes of
//! HMAC-SHA-256 over `"KSF1/token" | 00 | length of prefix (1 byte) | prefix | body`. The body is
//! not encrypted: it must hold nothing its bearer may not see.

use keysherd_base::limits::TOKEN_BYTES_MAX;
use keysherd_base::{Secret, SecretString};

use crate::hash::HmacKey;
use crate::labels;

#[cfg(test)]
mod tests;

/// Bytes of the tag.
pub const TAG_BYTES: usize = 16;

/// Longest prefix, in bytes; its length is one byte of what the tag covers.
pub const PREFIX_BYTES_MAX: usize = 16;

/// The key that makes and checks tokens.
#[derive(Clone, Debug)]
pub struct TokenKey(HmacKey);

impl TokenKey {
    /// Takes the key in.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self(HmacKey::new(key.expose()))
    }

    /// Makes a token with `prefix` (a constant of the program, such as `t-`) and `body`.
    ///
    /// A body over half of [`TOKEN_BYTES_MAX`] makes a token that [`Self::open`] refuses.
    pub fn seal(&self, prefix: &str, body: &[u8]) -> SecretString {
        let tag = self.0.tag(&message(prefix, &length_byte(prefix), body));
        let mut text = String::with_capacity(prefix.len() + 2 * (body.len() + TAG_BYTES));
        text.push_str(prefix);
        for byte in body.iter().chain(&tag[..TAG_BYTES]) {
            text.push(HEX[usize::from(byte >> 4)]);
            text.push(HEX[usize::from(byte & 15)]);
        }
        Secret::new(text)
    }

    /// The body of `text`, when it is a token this key made with `prefix`.
    pub fn open(&self, prefix: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut body = from_hex(text.strip_prefix(prefix)?)?;
        let tag: [u8; TAG_BYTES] = *body.last_chunk()?;
        body.truncate(body.len() - TAG_BYTES);
        let valid = self.0.verify(&message(prefix, &length_byte(prefix), &body), &tag);
        valid.then_some(body)
    }
}

const HEX: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// Lower case only, so that a token has one spelling.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let mut bytes = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        bytes.push(nibble(*high)? << 4 | nibble(*low)?);
    }
    odd.is_empty().then_some(bytes)
}

fn message<'a>(prefix: &'a str, length: &'a [u8; 1], body: &'a [u8]) -> [&'a [u8]; 5] {
    [labels::TOKEN.as_bytes(), &[0], length, prefix.as_bytes(), body]
}

fn length_byte(prefix: &str) -> [u8; 1] {
    assert!(prefix.len() <= PREFIX_BYTES_MAX, "invariant: prefixes are short constants");
    prefix.len().to_le_bytes()[..1].try_into().expect("invariant: one byte")
}
