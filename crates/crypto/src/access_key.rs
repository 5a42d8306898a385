//! Access keys: the base64 text of an Ed25519 seed, which the server never learns.
//!
//! The owner of an access key signs a challenge with it; the server keeps the public key only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Rng, RngFailed, Secret, SecretString};
use zeroize::Zeroizing;

use crate::sign::SigningKey;

/// Characters of an access key: 32 bytes in base64 with padding.
pub const TEXT_BYTES: usize = 44;

/// An access key.
#[derive(Debug)]
pub struct AccessKey(Secret<[u8; 32]>);

impl AccessKey {
    /// A fresh access key.
    ///
    /// # Errors
    /// [`RngFailed`] when the random source fails.
    pub fn generate(rng: &dyn Rng) -> Result<Self, RngFailed> {
        let mut seed = Secret::new([0; 32]);
        rng.fill(seed.expose_mut())?;
        Ok(Self(seed))
    }

    /// Reads the 44 characters of standard base64 (RFC 4648 section 4, canonical, with padding);
    /// `None` for all else. Surrounding space is not removed.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        // One byte more than a seed: 44 characters without padding would be 33 bytes.
        let mut decoded = Zeroizing::new([0; 33]);
        let length = STANDARD.decode_slice(text, decoded.as_mut_slice()).ok()?;
        let seed = decoded.get(..length)?.try_into().ok()?;
        Some(Self(Secret::new(seed)))
    }

    /// The 44 characters.
    pub fn text(&self) -> SecretString {
        Secret::new(STANDARD.encode(self.0.expose()))
    }

    /// The signing key it stands for.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SystemRng;

    #[test]
    fn text_and_back() {
        let key = AccessKey::generate(&SystemRng).unwrap();
        let text = key.text();
        assert_eq!(text.expose().len(), TEXT_BYTES);
        let again = AccessKey::parse(text.expose()).unwrap();
        assert_eq!(again.signing_key().public(), key.signing_key().public());
        assert_eq!(again.text().expose(), text.expose());
    }

    #[test]
    fn a_known_seed_gives_the_public_key_of_rfc_8032() {
        let key = AccessKey::parse("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").unwrap();
        assert_eq!(
            key.signing_key().public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn refuses_every_other_spelling() {
        let good = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let bad = [
            "",
            &good[..43],
            "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
            "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2B=",
            "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2AA",
            "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2==",
            "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\n",
            " nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n",
        ];
        for text in bad {
            assert!(AccessKey::parse(text).is_none(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_read_without_a_panic(
            text: String,
            near in "[A-Za-z0-9+/=é]{40,44}",
        ) {
            for text in [text, near] {
                if let Some(key) = AccessKey::parse(&text) {
                    let again = key.text();
                    prop_assert_eq!(again.expose(), &text);
                }
            }
        }
    }
}
