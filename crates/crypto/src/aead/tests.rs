//! Test cases 1-4 and 13-16 of the GCM specification (AES-128 and AES-256), and refusals.

use proptest::prelude::*;

use super::*;

struct Case {
    key: &'static str,
    nonce: &'static str,
    aad: &'static str,
    plaintext: &'static str,
    sealed: &'static str,
}

const ZERO_16: &str = "00000000000000000000000000000000";
const ZERO_32: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const ZERO_NONCE: &str = "000000000000000000000000";
const LONG_NONCE: &str = "cafebabefacedbaddecaf888";
const LONG_AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const LONG_PLAINTEXT: &str = "\
    d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";

const CASES: [Case; 8] = [
    Case {
        key: ZERO_16,
        nonce: ZERO_NONCE,
        aad: "",
        plaintext: "",
        sealed: "58e2fccefa7e3061367f1d57a4e7455a",
    },
    Case {
        key: ZERO_16,
        nonce: ZERO_NONCE,
        aad: "",
        plaintext: ZERO_16,
        sealed: "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
    },
    Case {
        key: "feffe9928665731c6d6a8f9467308308",
        nonce: LONG_NONCE,
        aad: "",
        plaintext: LONG_PLAINTEXT,
        sealed: "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466\
            931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f59854d5c2af327cd64a62cf35abd\
            2ba6fab4",
    },
    Case {
        key: "feffe9928665731c6d6a8f9467308308",
        nonce: LONG_NONCE,
        aad: LONG_AAD,
        plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c959568\
            09532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        sealed: "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466\
            931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
    },
    Case {
        key: ZERO_32,
        nonce: ZERO_NONCE,
        aad: "",
        plaintext: "",
        sealed: "530f8afbc74536b9a963b4f1c4cb738b",
    },
    Case {
        key: ZERO_32,
        nonce: ZERO_NONCE,
        aad: "",
        plaintext: ZERO_16,
        sealed: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    },
    Case {
        key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        nonce: LONG_NONCE,
        aad: "",
        plaintext: LONG_PLAINTEXT,
        sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590d\
            bb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015adb094dac5d93471bdec1a5022\
            70e3cc6c",
    },
    Case {
        key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        nonce: LONG_NONCE,
        aad: LONG_AAD,
        plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c959568\
            09532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590d\
            bb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
    },
];

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn nonce(hex: &str) -> [u8; 12] {
    bytes(hex).try_into().unwrap()
}

#[test]
fn gcm_specification_vectors() {
    for case in &CASES {
        let key = GcmKey::new(&bytes(case.key)).unwrap();
        let (nonce, aad) = (nonce(case.nonce), bytes(case.aad));
        let mut buffer = bytes(case.plaintext);
        key.seal(&nonce, &aad, &mut buffer);
        assert_eq!(hex::encode(&buffer), case.sealed);

        let mut plaintext = vec![0; buffer.len() - TAG_BYTES];
        key.open_into(&nonce, &aad, &buffer, &mut plaintext).unwrap();
        assert_eq!(hex::encode(&plaintext), case.plaintext);
        let opened = key.open(&nonce, &aad, &mut buffer).unwrap();
        assert_eq!(hex::encode(opened), case.plaintext);
    }
}

#[test]
fn refuses_keys_of_other_lengths() {
    for length in (0..64).filter(|length| ![16, 32].contains(length)) {
        assert!(GcmKey::new(&vec![0; length]).is_none(), "{length}");
    }
}

fn sealed_example() -> (GcmKey, [u8; 12], Vec<u8>) {
    let key = GcmKey::aes256(&[1; 32]);
    let nonce = [2; 12];
    let mut buffer = b"twenty bytes of text".to_vec();
    key.seal(&nonce, b"aad", &mut buffer);
    (key, nonce, buffer)
}

fn refused(key: &GcmKey, nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) {
    assert_eq!(key.open(nonce, aad, &mut sealed.to_vec()), Err(OpenFailed));
    let mut out = vec![0; sealed.len().saturating_sub(TAG_BYTES)];
    assert_eq!(key.open_into(nonce, aad, sealed, &mut out), Err(OpenFailed));
}

#[test]
fn refuses_every_flipped_bit() {
    let (key, nonce, sealed) = sealed_example();
    for bit in 0..sealed.len() * 8 {
        let mut wrong = sealed.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        refused(&key, &nonce, b"aad", &wrong);
    }
}

#[test]
fn refuses_every_truncation_and_an_appended_byte() {
    let (key, nonce, mut sealed) = sealed_example();
    for length in 0..sealed.len() {
        refused(&key, &nonce, b"aad", &sealed[..length]);
    }
    sealed.push(0);
    refused(&key, &nonce, b"aad", &sealed);
}

#[test]
fn refuses_another_nonce_aad_or_key() {
    let (key, nonce, sealed) = sealed_example();
    refused(&key, &[3; 12], b"aad", &sealed);
    refused(&key, &nonce, b"aae", &sealed);
    refused(&key, &nonce, b"", &sealed);
    refused(&key, &nonce, b"aad\0", &sealed);
    refused(&GcmKey::aes256(&[2; 32]), &nonce, b"aad", &sealed);
    refused(&GcmKey::new(&[1; 16]).unwrap(), &nonce, b"aad", &sealed);
}

#[test]
fn refuses_tags_that_are_constant_or_moved() {
    let (key, nonce, sealed) = sealed_example();
    let (ciphertext, tag) = sealed.split_at(sealed.len() - TAG_BYTES);
    for constant in [0x00, 0x80, 0xff] {
        refused(&key, &nonce, b"aad", &[ciphertext, &[constant; 16]].concat());
    }
    refused(&key, &nonce, b"aad", &[tag, ciphertext].concat());
}

#[test]
fn open_into_refuses_an_output_of_another_length() {
    let (key, nonce, sealed) = sealed_example();
    for length in (0..40).filter(|length| *length != 20) {
        let mut out = vec![0; length];
        assert_eq!(key.open_into(&nonce, b"aad", &sealed, &mut out), Err(OpenFailed));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_open(mut bytes: Vec<u8>, aad: Vec<u8>) {
        prop_assert!(GcmKey::aes256(&[1; 32]).open(&[0; 12], &aad, &mut bytes).is_err());
    }
}
