//! The rows of a share as people read and type them.

use keysherd_base::{Secret, SecretString};
use keysherd_crypto::hash::sha256;
use zeroize::Zeroizing;

use super::{SHARE_BYTES, ShareProblem};
use crate::labels;

/// RFC 4648 section 6.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ROWS: usize = 4;
/// Bytes of one row: 24 characters.
const ROW_BYTES: usize = SHARE_BYTES / ROWS;
const ROW_CHARS: usize = ROW_BYTES / 5 * 8;
/// Characters that tell a mistyped row: 10 bits.
const CHECK_CHARS: usize = 2;
/// Longest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

pub(super) fn write(head: String, bytes: &Secret<[u8; SHARE_BYTES]>) -> SecretString {
    // Large enough that no copy is left behind by growing.
    let mut text = Secret::new(String::with_capacity(head.len() + 256));
    let out = text.expose_mut();
    out.push_str(&head);
    for (number, row) in (1..).zip(bytes.expose().chunks(ROW_BYTES)) {
        let chars = Zeroizing::new(encode(row));
        out.push_str(&format!("{number} "));
        for group in chars.chunks(4) {
            out.push(' ');
            out.extend(group.iter().map(|char| char::from(*char)));
        }
        out.push_str("  ");
        out.extend(check(number, &chars).map(char::from));
        out.push('\n');
    }
    text
}

pub(super) fn read(text: &str) -> Result<Secret<[u8; SHARE_BYTES]>, ShareProblem> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ShareProblem::NotAShare);
    }
    let mut bytes = Secret::new([0; SHARE_BYTES]);
    let mut seen = [false; ROWS];
    for line in text.lines() {
        let Some((number, chars)) = row(line) else { continue };
        let place = usize::from(number) - 1;
        let wrong = ShareProblem::Row(number);
        if std::mem::replace(&mut seen[place], true) || chars.len() != ROW_CHARS + CHECK_CHARS {
            return Err(wrong);
        }
        let (row, checks) = chars.split_at(ROW_CHARS);
        if check(number, row) != checks {
            return Err(wrong);
        }
        let out = &mut bytes.expose_mut()[place * ROW_BYTES..][..ROW_BYTES];
        decode(row, out).ok_or(wrong)?;
    }
    if seen == [true; ROWS] { Ok(bytes) } else { Err(ShareProblem::NotAShare) }
}

/// The number and the characters of a row, in upper case; `None` for other lines.
fn row(line: &str) -> Option<(u8, Zeroizing<Vec<u8>>)> {
    let line = line.trim_start();
    let number = line.bytes().next().filter(|byte| (b'1'..=b'4').contains(byte))? - b'0';
    let rest = line.get(1..)?;
    if !rest.starts_with([' ', '\t', ':', '.', ')']) {
        return None;
    }
    let wanted = |byte: &u8| !byte.is_ascii_whitespace() && !b"-:.)".contains(byte);
    let chars = rest.bytes().filter(wanted).map(|byte| byte.to_ascii_uppercase()).collect();
    Some((number, Zeroizing::new(chars)))
}

fn check(number: u8, chars: &[u8]) -> [u8; CHECK_CHARS] {
    let sum = sha256(&[labels::FRAGMENT_SHARE_ROW, &[number], chars]);
    [sum[0], sum[1]].map(|byte| ALPHABET[usize::from(byte & 31)])
}

fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut chars = Vec::with_capacity(ROW_CHARS);
    for group in bytes.chunks(5) {
        let (mut bits, mut held) = (0_u16, 0);
        for byte in group {
            bits = bits << 8 | u16::from(*byte);
            held += 8;
            while held >= 5 {
                held -= 5;
                chars.push(ALPHABET[usize::from(bits >> held & 31)]);
            }
        }
    }
    chars
}

fn decode(chars: &[u8], out: &mut [u8]) -> Option<()> {
    for (group, out) in chars.chunks(8).zip(out.chunks_mut(5)) {
        let mut bits = 0_u64;
        for char in group {
            let value = ALPHABET.iter().position(|known| known == char)?;
            bits = bits << 5 | value as u64;
        }
        out.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(())
}
