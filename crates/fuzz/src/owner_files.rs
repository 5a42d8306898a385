//! The small text files and words that pass between the owner's machine and the others: requests to
//! be trusted, the owner's public key, fingerprints, addresses of machines and of tokens.

use keysherd_base::{Secret, Timestamp};
use keysherd_crypto::fingerprint::Fingerprint;
use keysherd_crypto::pkcs11::TokenUri;
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::address::is_address;
use keysherd_fragments::enrollment::{self, EnrolledRole, Enrollment};
use keysherd_fragments::owner_key;

/// What is read is said again in the same way, and nothing but what was signed is believed.
pub fn owner_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(request) = enrollment::from_file(text) {
        assert_eq!(request, manager_request(), "nobody but the seed's key signs here");
    }
    if let Some(key) = owner_key::from_file(text) {
        assert_eq!(owner_key::from_file(&owner_key::to_file(&key)), Some(key));
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    if let Ok(uri) = text.parse::<TokenUri>() {
        assert_eq!(uri.to_string().parse(), Ok(uri));
    }
    if is_address(text) {
        let (host, port) = text.rsplit_once(':').expect("a port");
        assert!(!host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
        assert!(text.is_ascii() && !text.contains(char::is_whitespace));
    }
}

fn identity() -> SigningKey {
    SigningKey::from_seed(&Secret::new([5; 32]))
}

fn manager_request() -> Enrollment {
    Enrollment {
        role: EnrolledRole::Manager { index: crate::fragment_samples::index(2) },
        key: identity().public(),
        name: "manager-2".to_owned(),
        address: "manager-2.example:8450".to_owned(),
        made_at: Timestamp(1_800_000_000_000),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let request = manager_request().seal(&identity());
    let key = PublicKey([0x3c; 32]);
    [
        enrollment::to_file(&request, &["a request".to_owned()]),
        owner_key::to_file(&key),
        key.fingerprint().to_string(),
        "pkcs11:token=the%20owner;object=key-1?module-path=/usr/lib/m.so".to_owned(),
        "pkcs11:serial=0f?module-path=m".to_owned(),
        "manager-1.example:8450".to_owned(),
        "[fd00::1]:65535".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_is_read() {
        let reads = |seed: &[u8]| {
            let text = std::str::from_utf8(seed).unwrap();
            enrollment::from_file(text).is_ok()
                || owner_key::from_file(text).is_some()
                || text.parse::<Fingerprint>().is_ok()
                || text.parse::<TokenUri>().is_ok()
                || is_address(text)
        };
        assert!(seeds().iter().all(|seed| reads(seed)));
    }
}
