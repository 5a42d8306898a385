//! Files with a configuration that was carried from another machine.

use keysherd_base::{Secret, SecretBytes};
use keysherd_crypto::carried::{Carried, seal};
use keysherd_crypto::hpke;
use keysherd_crypto::sign::SigningKey;

use crate::randomness::Sequence;

const PURPOSE: &str = "fuzz";
const PLAIN: &[u8] = b"a configuration";

fn seed() -> Secret<[u8; 32]> {
    Secret::new([1; 32])
}

/// Takes the bytes apart and opens them. What opens is what was sealed, and nothing was sealed for
/// another purpose or recipient.
pub fn carried_files(data: &[u8]) {
    let Some(carried) = Carried::parse(data) else { return };
    if let Ok(opened) = carried.open(&seed(), PURPOSE) {
        assert_eq!(opened.expose(), PLAIN, "nobody sealed it");
        assert_eq!(carried.signer(), SigningKey::from_seed(&seed()).public(), "another signer");
    }
    assert!(carried.open(&seed(), "another").is_err(), "another purpose");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let plain = SecretBytes::new(PLAIN.to_vec());
    let signer = SigningKey::from_seed(&seed());
    let public = hpke::public_key(&seed());
    let sealed = seal(&plain, PURPOSE, &public, &signer, &Sequence::new(7));
    let sealed = sealed.expect("invariant: the key is one, and the source does not fail");
    vec![sealed, b"KSF1-CA\n".to_vec(), Vec::new()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_seed_opens() {
        let seeds = seeds();
        let carried = Carried::parse(&seeds[0]).unwrap();
        assert_eq!(carried.open(&seed(), PURPOSE).unwrap().expose(), PLAIN);
    }
}
