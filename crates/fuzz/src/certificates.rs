//! Certificates of peers and of the local authority.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Secret, SecretString, Timestamp};
use keysherd_crypto::pki::{
    ClientAuthorities, ClientCrl, ClientKey, LocalCa, certificate_spki, certificate_validity,
    certificates_of_pem, self_signed,
};
use keysherd_crypto::sign::{PublicKey, SigningKey};

use crate::randomness::Sequence;

const FROM: Timestamp = Timestamp::from_seconds(1_767_607_872);
const UNTIL: Timestamp = FROM.plus_seconds(86_400);

static AUTHORITY: LazyLock<LocalCa> = LazyLock::new(|| {
    LocalCa::create("fuzz", FROM, UNTIL, &Sequence::new(1)).expect("invariant: names and times fit")
});

/// Reads the bytes as a certificate, in DER and in PEM: the key is a part of the bytes, and only
/// the authority's own certificate makes one of its key.
pub fn certificates(data: &[u8]) {
    if let Some(spki) = certificate_spki(data) {
        assert!(data.windows(spki.len()).any(|window| window == spki));
        if let Some(key) = PublicKey::from_spki_der(spki) {
            assert_eq!(key.spki_der(), spki);
        }
    }
    if let Some(key) = PublicKey::from_spki_der(data) {
        assert_eq!(key.spki_der(), data);
    }
    let authorities = ClientAuthorities::from_pem(AUTHORITY.cert_pem());
    let authorities = authorities.expect("invariant: it is an authority's");
    let list = ClientCrl::read(data).ok();
    assert!(
        authorities.verify(&[data.to_vec()], list.as_ref(), FROM).is_err(),
        "nobody was let in"
    );
    let Ok(text) = std::str::from_utf8(data) else { return };
    if ClientAuthorities::from_pem(text).is_ok() {
        assert!(certificates_of_pem(text).is_some());
    }
    if let Some((from, until)) = certificate_validity(text) {
        // Both are years of four digits or what a two-digit year becomes.
        assert!(from.seconds().abs() < 1 << 40 && until.seconds().abs() < 1 << 40);
    }
    if let Ok(authority) = LocalCa::from_pem(text, &AUTHORITY.key_pem()) {
        assert_eq!(authority.cert_pem(), text);
    }
    let as_key: SecretString = Secret::new(text.to_owned());
    drop(ClientKey::from_pem(&as_key));
    if let Err(refused) = LocalCa::from_pem(AUTHORITY.cert_pem(), &as_key) {
        assert!(text.len() < 40 || !refused.to_string().contains(text));
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let key = SigningKey::from_seed(&Secret::new([3; 32]));
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issued = self_signed(&key, "peer", &names, FROM, UNTIL, &Sequence::new(2))
        .expect("invariant: names and times fit");
    let body: String = issued.cert_pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).expect("invariant: PEM is base64");
    let authority = AUTHORITY.cert_pem().as_bytes().to_vec();
    vec![der, issued.cert_pem.into_bytes(), authority, key.public().spki_der()]
}
