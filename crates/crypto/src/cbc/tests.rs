//! NIST SP 800-38A F.2.1 and F.2.5 (followed by a block of padding), and refusals.

use proptest::prelude::*;

use super::*;

const NIST_PLAINTEXT: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                              30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

#[test]
fn sp_800_38a_vectors() {
    let cases = [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2\
             73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d\
             39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
    ];
    for (key, expected) in cases {
        let key = CbcKey::new(&bytes(key)).unwrap();
        let ciphertext = key.encrypt(&IV, &bytes(NIST_PLAINTEXT));
        assert_eq!(ciphertext.len(), 80);
        assert_eq!(hex::encode(&ciphertext[..64]), expected);
        let plaintext = key.decrypt(&IV, &ciphertext).unwrap();
        assert_eq!(hex::encode(plaintext.expose()), NIST_PLAINTEXT);
    }
}

#[test]
fn refuses_lengths_that_are_not_whole_blocks() {
    let key = CbcKey::new(&[1; 32]).unwrap();
    let ciphertext = key.encrypt(&IV, &[7; 40]);
    for length in (0..ciphertext.len()).filter(|length| length % 16 != 0 || *length == 0) {
        assert!(key.decrypt(&IV, &ciphertext[..length]).is_err(), "{length}");
    }
}

#[test]
fn refuses_wrong_padding() {
    // With one block, flipping a bit of the IV flips that bit of the padded plaintext.
    let key = CbcKey::new(&[1; 16]).unwrap();
    let ciphertext = key.encrypt(&IV, b"four");
    for (byte, flip) in [(15, 0x0c), (15, 0x1d), (14, 0x01), (4, 0x80)] {
        let mut iv = IV;
        iv[byte] ^= flip;
        assert!(key.decrypt(&iv, &ciphertext).is_err(), "byte {byte} flipped by {flip:#x}");
    }
}

#[test]
fn refuses_keys_of_other_lengths() {
    for length in (0..64).filter(|length| ![16, 32].contains(length)) {
        assert!(CbcKey::new(&vec![0; length]).is_none(), "{length}");
    }
}

proptest! {
    #[test]
    fn every_plaintext_comes_back(plaintext: Vec<u8>, iv: [u8; 16]) {
        let key = CbcKey::new(&[1; 32]).unwrap();
        let ciphertext = key.encrypt(&iv, &plaintext);
        let opened = key.decrypt(&iv, &ciphertext).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
    }

    #[test]
    fn arbitrary_bytes_are_read_without_a_panic(bytes: Vec<u8>, iv: [u8; 16]) {
        let opened = CbcKey::new(&[1; 32]).unwrap().decrypt(&iv, &bytes);
        prop_assert!(opened.is_err() || bytes.len() % 16 == 0);
    }
}
