//! Signed notes: a text with a signature line that people and other programs can check (C2SP
//! signed-note, Ed25519).
//!
//! ```text
//! <text: one or more lines, each with its line feed>
//!
//! — <name> <base64 of key id (4 bytes) | signature (64 bytes)>
//! ```
//! The key id is the first 4 bytes of SHA-256(name | 0a | 01 | public key). The signature is over
//! the text alone, without a label of ours, because the format says so. It can stand for nothing
//! else: what this program signs under a label holds a zero byte, and a text of a note never does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::sha256;
use crate::sign::{PublicKey, Signature, SigningKey};

/// How a signature line begins.
const DASH: &str = "\u{2014} ";
/// The number of the Ed25519 algorithm in key ids.
const ED25519: u8 = 1;

/// Signs `text` as `name`. `None` when the text is empty, does not end in a line feed or holds
/// another control character, or when the name is empty or holds a space or a plus sign.
pub fn sign(key: &SigningKey, name: &str, text: &str) -> Option<String> {
    if !is_text(text) || !is_name(name) {
        return None;
    }
    let signature = key.sign_text(text);
    let id = key_id(name, &key.public());
    let line = STANDARD.encode([id.as_slice(), signature.as_bytes()].concat());
    Some(format!("{text}\n{DASH}{name} {line}\n"))
}

/// The text of a note that `key` signed as `name`; `None` when there is no such signature.
/// Signatures of others, such as witnesses, may stand beside it.
pub fn open<'n>(note: &'n str, name: &str, key: &PublicKey) -> Option<&'n str> {
    let (text, lines) = split(note)?;
    let id = key_id(name, key);
    let ours = |line: &str| {
        let (signer, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (found, signature) = bytes.split_first_chunk::<4>()?;
        let signature = Signature::from_slice(signature)?;
        (signer == name && *found == id && key.verify_text(text, &signature)).then_some(())
    };
    lines.split_terminator('\n').find_map(ours).map(|()| text)
}

/// The text of a note, whoever signed it; `None` for what is no signed note.
pub fn text(note: &str) -> Option<&str> {
    split(note).map(|(text, _)| text)
}

fn split(note: &str) -> Option<(&str, &str)> {
    let at = note.rfind("\n\n")?;
    let (text, lines) = (note.get(..=at)?, note.get(at + 2..)?);
    let complete = is_text(text) && lines.starts_with(DASH) && lines.ends_with('\n');
    complete.then_some((text, lines))
}

fn is_text(text: &str) -> bool {
    text.ends_with('\n') && !text.chars().any(|c| c.is_control() && c != '\n')
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[ED25519], key.as_bytes()]);
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use keysherd_base::Secret;

    use super::*;

    const TEXT: &str = "example.com/log\n7\nAwMD\n";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&Secret::new([seed; 32]))
    }

    #[test]
    fn a_note_opens_with_its_key_and_name_only() {
        let note = sign(&key(1), "example.com/log", TEXT).unwrap();
        assert!(note.starts_with("example.com/log\n7\nAwMD\n\n\u{2014} example.com/log "));
        assert_eq!(open(&note, "example.com/log", &key(1).public()), Some(TEXT));
        assert_eq!(text(&note), Some(TEXT));
        assert_eq!(open(&note, "example.com/log", &key(2).public()), None);
        assert_eq!(open(&note, "example.com/other", &key(1).public()), None);
        let changed = note.replacen("\n7\n", "\n8\n", 1);
        assert_eq!(open(&changed, "example.com/log", &key(1).public()), None);
        for cut in (0..note.len()).filter(|at| note.is_char_boundary(*at)) {
            assert_eq!(open(&note[..cut], "example.com/log", &key(1).public()), None);
        }
    }

    #[test]
    fn signatures_of_others_may_stand_beside_it() {
        let note = sign(&key(1), "log", TEXT).unwrap();
        let witnessed = sign(&key(2), "witness", TEXT).unwrap();
        let (_, line) = split(&witnessed).unwrap();
        let both = format!("{note}{line}");
        assert_eq!(open(&both, "log", &key(1).public()), Some(TEXT));
        assert_eq!(open(&both, "witness", &key(2).public()), Some(TEXT));
    }

    #[test]
    fn what_has_two_readings_is_not_signed() {
        for text in ["", "no end", "zero\0\n", "return\r\n"] {
            assert_eq!(sign(&key(1), "log", text), None, "{text:?}");
        }
        for name in ["", "a b", "a+b", "a\nb"] {
            assert_eq!(sign(&key(1), name, TEXT), None, "{name:?}");
        }
    }
}
