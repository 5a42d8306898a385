//! Vectors of FIPS 180-4, RFC 4231 and RFC 5869.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

#[test]
fn sha256_of_parts_is_sha256_of_the_whole() {
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(&[b"abc"]).to_vec(), bytes(expected));
    assert_eq!(sha256(&[b"a", b"", b"bc"]).to_vec(), bytes(expected));
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sha256(&[]).to_vec(), bytes(empty));
}

#[test]
fn hmac_rfc_4231() {
    let cases: [(Vec<u8>, Vec<u8>, &str); 6] = [
        (
            vec![0x0b; 20],
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            vec![0xaa; 20],
            vec![0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            (1..=25).collect(),
            vec![0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            vec![0xaa; 131],
            b"This is a test using a larger than block-size key and a larger than block-size \
              data. The key needs to be hashed before being used by the HMAC algorithm."
                .to_vec(),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, data, expected) in cases {
        assert_eq!(hmac_sha256(&key, &[&data]).to_vec(), bytes(expected));
        let (head, tail) = data.split_at(data.len() / 2);
        assert_eq!(HmacKey::new(&key).tag(&[head, tail]).to_vec(), bytes(expected));
    }
}

#[test]
fn verify_takes_full_and_truncated_tags_only() {
    let key = HmacKey::new(&[7; 32]);
    let tag = key.tag(&[b"message"]);
    for length in 0..=32 {
        let accepted = key.verify(&[b"message"], &tag[..length]);
        assert_eq!(accepted, length >= TRUNCATED_TAG_BYTES_MIN, "length {length}");
    }
    let mut longer = tag.to_vec();
    longer.push(0);
    assert!(!key.verify(&[b"message"], &longer));
    for byte in 0..16 {
        let mut wrong = tag;
        wrong[byte] ^= 1;
        assert!(!key.verify(&[b"message"], &wrong[..16]), "byte {byte}");
    }
}

#[test]
fn hkdf_rfc_5869() {
    struct Case(Vec<u8>, Vec<u8>, Vec<u8>, &'static str, &'static str);
    let cases = [
        Case(
            vec![0x0b; 22],
            (0x00..=0x0c).collect(),
            (0xf0..=0xf9).collect(),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        Case(
            (0x00..=0x4f).collect(),
            (0x60..=0xaf).collect(),
            (0xb0..=0xff).collect(),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
             59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
             cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        Case(
            vec![0x0b; 22],
            vec![],
            vec![],
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for Case(ikm, salt, info, prk, okm) in cases {
        let extracted = hkdf_extract(&salt, &[&ikm]);
        assert_eq!(extracted.expose().to_vec(), bytes(prk));
        let okm = bytes(okm);
        let mut out = vec![0; okm.len()];
        let (head, tail) = info.split_at(info.len() / 2);
        hkdf_expand(extracted.expose(), &[head, tail], &mut out);
        assert_eq!(out, okm);
    }
}

#[test]
fn the_longest_hkdf_output_is_filled_to_the_end() {
    let mut out = vec![0; HKDF_OUTPUT_BYTES_MAX];
    hkdf_expand(&[1; 32], &[b"info"], &mut out);
    assert_ne!(out[HKDF_OUTPUT_BYTES_MAX - 32..], [0; 32]);
}

#[test]
fn constant_time_eq_compares() {
    assert!(constant_time_eq(b"", b""));
    assert!(constant_time_eq(b"abc", b"abc"));
    assert!(!constant_time_eq(b"abc", b"abd"));
    assert!(!constant_time_eq(b"abc", b"abcd"));
}

/// RFC 7914 section 11.
#[test]
fn pbkdf2_gives_what_is_published() {
    for (password, salt, iterations, expected) in [
        ("passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
        (
            "Password",
            "NaCl",
            80_000,
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56",
        ),
    ] {
        let iterations = NonZeroU32::new(iterations).unwrap();
        let derived = pbkdf2_sha256(password.as_bytes(), salt.as_bytes(), iterations);
        assert_eq!(derived.expose().to_vec(), bytes(expected));
    }
}
