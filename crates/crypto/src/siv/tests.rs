//! RFC 5297 appendix A, vectors made with a second implementation, and refusals.

use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

#[test]
fn rfc_5297_a_1_deterministic() {
    let key = bytes("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    let key = SivKey::new(&key).unwrap();
    let aad = bytes("101112131415161718191a1b1c1d1e1f2021222324252627");
    let sealed = key.seal(&aad, &bytes("112233445566778899aabbccddee"));
    assert_eq!(
        hex::encode(&sealed),
        "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
    );
    let opened = key.open(&aad, &sealed).unwrap();
    assert_eq!(hex::encode(opened.expose()), "112233445566778899aabbccddee");
}

#[test]
fn rfc_5297_a_2_three_components() {
    let key = bytes("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f");
    let first =
        bytes("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100");
    let second = bytes("102030405060708090a0");
    let nonce = bytes("09f911029d74e35bd84156c5635688c0");
    let plaintext = b"this is some plaintext to encrypt using SIV-AES";
    let sealed = SivKey::new(&key).unwrap().seal_components(&[&first, &second, &nonce], plaintext);
    assert_eq!(
        hex::encode(sealed),
        "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17\
         dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d"
    );
}

#[test]
fn aes_256_and_empty_data_match_a_second_implementation() {
    let material: Vec<u8> = (0..64).collect();
    let key = SivKey::new(&material).unwrap();
    let sealed = key.seal(b"associated data", b"attack at dawn, or a little later");
    assert_eq!(
        hex::encode(&sealed),
        "46d224674d7df1a4ff62ce72482405763f909c13602ac80b066a818bc316fda1\
         93b21068752a736f46d349a61563294307"
    );
    assert_eq!(hex::encode(key.seal(b"", b"x")), "88c07f717ba671023974b23b3bd47a3b33");
    let key = SivKey::new(&material[..32]).unwrap();
    assert_eq!(hex::encode(key.seal(b"", b"x")), "e7db244f8c92c54953983ee0f23bd67640");
}

#[test]
fn refuses_changed_bytes_truncation_and_other_context() {
    for length in [32, 64] {
        let key = SivKey::new(&vec![5; length]).unwrap();
        let sealed = key.seal(b"aad", b"plaintext");
        for bit in 0..sealed.len() * 8 {
            let mut wrong = sealed.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(b"aad", &wrong).is_err(), "bit {bit}");
        }
        for shorter in 0..sealed.len() {
            assert!(key.open(b"aad", &sealed[..shorter]).is_err(), "length {shorter}");
        }
        assert!(key.open(b"aae", &sealed).is_err());
        assert!(SivKey::new(&vec![6; length]).unwrap().open(b"aad", &sealed).is_err());
        assert_eq!(key.open(b"aad", &sealed).unwrap().expose(), b"plaintext");
    }
}

#[test]
fn refuses_keys_of_other_lengths() {
    for length in (0..100).filter(|length| ![32, 64].contains(length)) {
        assert!(SivKey::new(&vec![0; length]).is_none(), "{length}");
    }
}

proptest! {
    #[test]
    fn every_plaintext_comes_back(plaintext: Vec<u8>, aad: Vec<u8>) {
        let key = SivKey::new(&[1; 64]).unwrap();
        let sealed = key.seal(&aad, &plaintext);
        prop_assert_eq!(sealed.len(), plaintext.len() + IV_BYTES);
        let opened = key.open(&aad, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext);
    }

    #[test]
    fn arbitrary_bytes_do_not_open(bytes: Vec<u8>, aad: Vec<u8>) {
        prop_assert!(SivKey::new(&[1; 32]).unwrap().open(&aad, &bytes).is_err());
    }
}
