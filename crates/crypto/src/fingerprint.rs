//! The short form of a public key that people compare, type and read aloud: `ks-`, then eight
//! groups of four letters and digits.
//!
//! It is the base32 (RFC 4648, lower case) of the first 160 bits of SHA-256 over the key's
//! `SubjectPublicKeyInfo`: another key with the same fingerprint takes 2^160 tries. Since it is
//! made from the hash that pins a certificate, it can be shown where only that hash is known.

use std::fmt;
use std::str::FromStr;

use crate::sign::PublicKey;

const BYTES: usize = 20;
const CHARS: usize = BYTES * 8 / 5;
const GROUP: usize = 4;
const PREFIX: &str = "ks-";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The fingerprint of a public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    /// The fingerprint of the key whose `SubjectPublicKeyInfo` has this SHA-256.
    pub fn of_spki_sha256(spki_sha256: &[u8; 32]) -> Self {
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&spki_sha256[..BYTES]);
        Self(bytes)
    }
}

impl PublicKey {
    /// The fingerprint that people compare.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_spki_sha256(&self.spki_sha256())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for at in 0..CHARS {
            if at > 0 && at % GROUP == 0 {
                f.write_str("-")?;
            }
            let value = (0..5).fold(0, |value, bit| {
                let bit = at * 5 + bit;
                value << 1 | (self.0[bit / 8] >> (7 - bit % 8) & 1)
            });
            write!(f, "{}", char::from(ALPHABET[usize::from(value)]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFingerprint;

impl fmt::Display for NoFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a fingerprint is ks- and eight groups of four letters and digits, such as \
             ks-mzxw-6ytb-oi2d-gnzt-mzxw-6ytb-oi2d-gnzt",
        )
    }
}

impl std::error::Error for NoFingerprint {}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    /// Reads what `Display` writes; capitals are as good, and the hyphens may be missing or blanks,
    /// because people type it.
    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let text = text.trim().to_ascii_lowercase();
        let letters = text.strip_prefix("ks").ok_or(NoFingerprint)?;
        let mut bytes = [0; BYTES];
        let mut count = 0;
        for letter in letters.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
            let value = ALPHABET.iter().position(|known| *known == letter).ok_or(NoFingerprint)?;
            if count == CHARS {
                return Err(NoFingerprint);
            }
            for bit in (0..5).filter(|bit| value >> (4 - bit) & 1 == 1) {
                let at = count * 5 + bit;
                bytes[at / 8] |= 1 << (7 - at % 8);
            }
            count += 1;
        }
        if count == CHARS { Ok(Self(bytes)) } else { Err(NoFingerprint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_base32_of_the_hash() {
        let text = "ks-mzxw-6ytb-oi2d-gnzt-mzxw-6ytb-oi2d-gnzt";
        let mut hash = [0xff; 32];
        hash[..20].copy_from_slice(b"foobar4373foobar4373");
        // RFC 4648: base32 of "foobar" begins MZXW6YTB.
        assert_eq!(&Fingerprint::of_spki_sha256(&hash).to_string()[..12], &text[..12]);
        let key = PublicKey([7; 32]);
        assert_eq!(key.fingerprint(), Fingerprint::of_spki_sha256(&key.spki_sha256()));
    }

    #[test]
    fn comes_back_as_people_type_it() {
        for fill in [0, 0x5a, 0xff] {
            let fingerprint = Fingerprint::of_spki_sha256(&[fill; 32]);
            let text = fingerprint.to_string();
            assert_eq!(text.len(), 3 + 32 + 7);
            for typed in [text.clone(), text.to_uppercase(), text.replace('-', " ")] {
                assert_eq!(typed.parse(), Ok(fingerprint), "{typed}");
            }
            for wrong in [&text[3..], &text[..41], &format!("{text}a"), &text.replace('-', "1")] {
                assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint), "{wrong}");
            }
        }
    }
}
