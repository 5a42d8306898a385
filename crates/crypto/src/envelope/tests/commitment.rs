//! Key commitment: GCM lets one ciphertext open under two keys, an envelope does not.
//!
//! The tag is linear in each ciphertext block over GF(2^128), so one free block suffices to make
//! two keys give the same tag. The forgery is made here for real, shown to work on bare GCM, and
//! then put into an envelope.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};

use super::super::open::{chunk_nonce, wrap_aad};
use super::*;
use crate::aead::GcmKey;

/// Multiplication in GCM's field (NIST SP 800-38D section 6.3); the first bit is the lowest power.
fn multiply(x: u128, y: u128) -> u128 {
    let (mut product, mut shifted) = (0, x);
    for bit in (0..128).rev() {
        if y >> bit & 1 == 1 {
            product ^= shifted;
        }
        shifted = (shifted >> 1) ^ ((shifted & 1) * (0xe1 << 120));
    }
    product
}

/// `x` to the power of 2^128 - 2.
fn invert(x: u128) -> u128 {
    let (mut result, mut square) = (1 << 127, x);
    for _ in 1..128 {
        square = multiply(square, square);
        result = multiply(result, square);
    }
    result
}

fn blocks(bytes: &[u8]) -> Vec<u128> {
    bytes
        .chunks(16)
        .map(|chunk| {
            let mut block = [0; 16];
            block[..chunk.len()].copy_from_slice(chunk);
            u128::from_be_bytes(block)
        })
        .collect()
}

struct RawKey {
    hash_key: u128,
    mask: u128,
}

impl RawKey {
    fn new(key: &[u8; 32], nonce: &[u8; 12]) -> Self {
        let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
        let encrypt = |block: u128| {
            let mut bytes = block.to_be_bytes();
            cipher.encrypt(&mut bytes).unwrap();
            u128::from_be_bytes(bytes)
        };
        let counter = blocks(&[nonce.as_slice(), &[0, 0, 0, 1]].concat())[0];
        Self { hash_key: encrypt(0), mask: encrypt(counter) }
    }

    fn tag(&self, aad: &[u8], ciphertext: &[u8]) -> u128 {
        let lengths = (aad.len() as u128 * 8) << 64 | (ciphertext.len() as u128 * 8);
        let all = [blocks(aad), blocks(ciphertext), vec![lengths]].concat();
        all.iter().fold(0, |hash, block| multiply(hash ^ block, self.hash_key)) ^ self.mask
    }
}

/// A ciphertext and tag that open under both keys: `start`, then the block that makes it so.
fn forge(keys: [&[u8; 32]; 2], nonce: &[u8; 12], aad: &[u8], start: &[u8]) -> Vec<u8> {
    let [one, two] = keys.map(|key| RawKey::new(key, nonce));
    let mut ciphertext = [start, &[0; 16]].concat();
    let difference = one.tag(aad, &ciphertext) ^ two.tag(aad, &ciphertext);
    let square = |key: &RawKey| multiply(key.hash_key, key.hash_key);
    let block = multiply(difference, invert(square(&one) ^ square(&two)));
    ciphertext[start.len()..].copy_from_slice(&block.to_be_bytes());
    let tag = one.tag(aad, &ciphertext);
    [ciphertext, tag.to_be_bytes().to_vec()].concat()
}

fn opens_bare(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Vec<u8> {
    let mut buffer = sealed.to_vec();
    GcmKey::aes256(key).open(nonce, aad, &mut buffer).unwrap().to_vec()
}

#[test]
fn t_key_commitment() {
    let sealed = sealed_with(&[0; 16], PLAIN, SMALL);
    let envelope = Envelope::parse(&sealed).unwrap();
    let aad = envelope.immutable_header();
    let nonce = chunk_nonce(envelope.nonce_prefix, 0, true);
    let keys = [(); 2].map(|()| Dek::generate(&SystemRng).unwrap().payload_key(&envelope));
    let raw = keys.each_ref().map(|key| key.as_bytes().expose().first_chunk::<32>().unwrap());

    let chunk = forge(raw, &nonce, &aad, &[]);
    let plaintexts = raw.map(|key| opens_bare(key, &nonce, &aad, &chunk));
    assert_ne!(plaintexts[0], plaintexts[1], "bare GCM opens to two plaintexts");

    for (committed, key) in keys.iter().enumerate() {
        let chunks = sealed.len() - chunk.len();
        let forged = [&sealed[..chunks - 32], key.pcom(), &chunk].concat();
        let forged = Envelope::parse(&forged).unwrap();
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(forged.open(key).is_ok(), index == committed);
        }
    }
}

#[test]
fn t_key_commitment_of_a_wrap() {
    let mut sealed = sealed_with(b"value", PLAIN, SMALL);
    let keks = [kek(0x55), kek(0xaa)];
    let raw = keks.each_ref().map(|kek| kek.kek.expose());
    let envelope = Envelope::parse(&sealed).unwrap();
    let wrap = envelope.wrap(0).unwrap();
    let (nonce, aad) = (wrap.nonce(), wrap_aad(&envelope.immutable_header(), wrap.aad_fields()));

    let forged = forge(raw, &nonce, &aad, &[0x77; 16]);
    assert_eq!(forged.len(), 48);
    let deks = raw.map(|key| opens_bare(key, &nonce, &aad, &forged));
    assert_ne!(deks[0], deks[1], "bare GCM opens to two data keys");

    sealed[WRAPS_OFFSET + WRAP_BYTES - 48..WRAPS_OFFSET + WRAP_BYTES].copy_from_slice(&forged);
    let envelope = Envelope::parse(&sealed).unwrap();
    assert_eq!(envelope.unwrap_dek(0, &keks[0]).unwrap().expose().to_vec(), deks[0]);
    assert!(envelope.unwrap_dek(0, &keks[1]).is_err());
}
