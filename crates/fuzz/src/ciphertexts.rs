//! The plain ciphers below envelopes and transit messages.

use keysherd_crypto::aead::{GcmKey, NONCE_BYTES, TAG_BYTES};
use keysherd_crypto::cbc::CbcKey;
use keysherd_crypto::siv::{IV_BYTES, SivKey};

use crate::input::Input;

/// Opens the bytes with each cipher, and opens again what they encrypt to, with a bit changed.
///
/// Nothing opens that was not sealed (CBC, which authenticates nothing, apart), and what was sealed
/// opens as it was sealed only.
pub fn ciphertexts(data: &[u8]) {
    let mut input = Input::new(data);
    let (bit, place) = (input.byte() % 8, input.below(usize::from(u16::MAX)));
    let (nonce, iv): ([u8; NONCE_BYTES], [u8; 16]) = (input.array(), input.array());
    let aad = input.bytes();
    let text = input.rest();
    let flip = |sealed: &[u8]| {
        let mut changed = sealed.to_vec();
        changed[place % sealed.len()] ^= 1 << bit;
        changed
    };
    for bytes in [16, 32] {
        gcm(&GcmKey::new(&vec![7; bytes]).expect("invariant: a key"), &nonce, aad, text, &flip);
        siv(&SivKey::new(&vec![7; 2 * bytes]).expect("invariant: a key"), aad, text, &flip);
        cbc(&CbcKey::new(&vec![7; bytes]).expect("invariant: a key"), &iv, text);
    }
}

type Flip<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

fn gcm(key: &GcmKey, nonce: &[u8; NONCE_BYTES], aad: &[u8], text: &[u8], flip: Flip<'_>) {
    let mut sealed = text.to_vec();
    assert!(key.open(nonce, aad, &mut sealed.clone()).is_err(), "GCM opened what nobody sealed");
    key.seal(nonce, aad, &mut sealed);
    assert_eq!(sealed.len(), text.len() + TAG_BYTES);
    let mut opened = vec![0; text.len()];
    assert_eq!(key.open_into(nonce, aad, &sealed, &mut opened), Ok(()));
    assert_eq!(opened, text);
    assert!(key.open(nonce, aad, &mut flip(&sealed)).is_err(), "GCM opened changed bytes");
    let mut longer = vec![0; text.len() + 1];
    assert!(key.open_into(nonce, aad, &sealed, &mut longer).is_err());
}

fn siv(key: &SivKey, aad: &[u8], text: &[u8], flip: Flip<'_>) {
    assert!(key.open(aad, text).is_err(), "SIV opened what nobody sealed");
    let sealed = key.seal(aad, text);
    assert_eq!(sealed.len(), text.len() + IV_BYTES);
    assert_eq!(key.open(aad, &sealed).expect("what was sealed opens").expose(), text);
    assert!(key.open(aad, &flip(&sealed)).is_err(), "SIV opened changed bytes");
}

fn cbc(key: &CbcKey, iv: &[u8; 16], text: &[u8]) {
    let encrypted = key.encrypt(iv, text);
    assert_eq!(key.decrypt(iv, &encrypted).expect("what was encrypted opens").expose(), text);
    if let Ok(plaintext) = key.decrypt(iv, text) {
        assert_eq!(key.encrypt(iv, plaintext.expose()), text, "padding has a second form");
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let key = CbcKey::new(&[7; 16]).expect("invariant: a key");
    let head = [0; 32];
    let block = key.encrypt(&[0; 16], b"fifteen bytes..");
    vec![Vec::new(), vec![3; 64], [&head[..], &block].concat(), [&head[..], &[0; 96]].concat()]
}
