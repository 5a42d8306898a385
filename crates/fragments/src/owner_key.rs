//! The file with the owner's public key that goes to every machine at install: one line with the
//! key, and its fingerprint, which people compare and which finds a line that was cut.

use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_crypto::sign::PublicKey;

/// Longest file in bytes.
pub const FILE_BYTES_MAX: usize = 512;
const FIRST_WORD: &str = "keysherd-owner";

/// The file's content.
pub fn to_file(key: &PublicKey) -> String {
    format!("{FIRST_WORD} {key} {}\n", key.fingerprint())
}

/// Reads the file; `None` for anything that [`to_file`] does not write.
pub fn from_file(text: &str) -> Option<PublicKey> {
    let mut words = text.split_ascii_whitespace();
    let (first, key, fingerprint) = (words.next()?, words.next()?, words.next()?);
    if text.len() > FILE_BYTES_MAX || first != FIRST_WORD || words.next().is_some() {
        return None;
    }
    let key = from_hex(key)?;
    let stated: Fingerprint = fingerprint.parse().ok()?;
    (key.fingerprint() == stated).then_some(key)
}

/// Reads the 64 hexadecimal digits of a key.
pub fn from_hex(text: &str) -> Option<PublicKey> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    Some(PublicKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_file_and_damage_is_found() {
        let key = PublicKey([0x3c; 32]);
        let text = to_file(&key);
        assert_eq!(from_file(&text), Some(key));
        assert_eq!(from_file(&format!("  {text}\r\n")), Some(key));
        let wrong = [
            String::new(),
            text.replacen("3c", "3d", 1),
            text.replacen(FIRST_WORD, "owner", 1),
            format!("{text} more"),
            text[..40].to_owned(),
            format!("{text}{}", " ".repeat(FILE_BYTES_MAX)),
            to_file(&PublicKey([1; 32])).replacen(&"01".repeat(32), &"3c".repeat(32), 1),
        ];
        for text in wrong {
            assert_eq!(from_file(&text), None, "{text}");
        }
    }
}
