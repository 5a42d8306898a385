//! Every domain-separation label of this crate, in one place so that they can be compared.
//!
//! A label is followed by one zero byte wherever it starts a message; no label may be a prefix of
//! another. Crates with labels of their own check them against [`ALL`].

/// HKDF salt between a data-encryption key and what is derived from it.
pub const PAYLOAD: &str = "KSF1/payload";
/// HKDF info of the payload key and its commitment.
pub const PAYLOAD_KEY: &str = "KSF1/pk";
/// HKDF info of the key under which a gateway attests the name of an item.
pub const NAME_KEY: &str = "KSF1/name";
/// HMAC input of a bearer token.
pub const TOKEN: &str = "KSF1/token";
/// HKDF info of the key and commitment that a passphrase gives.
pub const PASSPHRASE: &str = "KSF1/passphrase";
/// HKDF info of the key of a small secret that the control plane seals for itself.
pub const VAULT: &str = "KSF1/vault";

/// HPKE info of a document that is carried from one machine to another.
pub const CARRIED: &str = "KSF1/carried";
/// What is signed by whoever sealed such a document.
pub const CARRIED_BY: &str = "KSF1/sealed-by";

/// All of them.
pub const ALL: [&str; 8] =
    [PAYLOAD, PAYLOAD_KEY, NAME_KEY, TOKEN, PASSPHRASE, VAULT, CARRIED, CARRIED_BY];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_a_prefix_of_another() {
        for (i, one) in ALL.iter().enumerate() {
            assert!(!one.as_bytes().contains(&0), "{one}");
            for (j, other) in ALL.iter().enumerate() {
                assert!(i == j || !other.starts_with(one), "{one} is a prefix of {other}");
            }
        }
    }
}
