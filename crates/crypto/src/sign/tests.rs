//! Vectors of RFC 8032 section 7.1 and RFC 8410, and the label's separation.

use super::*;

struct Fixed;

impl Rng for Fixed {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        buffer.fill(9);
        Ok(())
    }
}

struct Broken;

impl Rng for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RngFailed> {
        Err(RngFailed)
    }
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

/// Seed, public key, message, signature.
const RFC_8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn rfc_8032_keys_and_signatures() {
    for [seed, public, message, signature] in RFC_8032 {
        let key = SigningKey::from_seed(&Secret::new(array(seed)));
        assert_eq!(key.public(), PublicKey(array(public)));
        assert_eq!(*key.seed().expose(), array::<32>(seed));
        // The vectors have no label, so they are checked beneath it.
        let message = hex::decode(message).unwrap();
        assert_eq!(key.pair.sign(&message).as_ref(), array::<64>(signature));
        let public = UnparsedPublicKey::new(&ED25519, key.public().0);
        assert!(public.verify(&message, &array::<64>(signature)).is_ok());
    }
}

#[test]
fn the_signed_bytes_are_label_zero_body() {
    let key = SigningKey::generate(&Fixed).unwrap();
    let signature = key.sign("KSF1-sig/test", b"body");
    assert_eq!(key.pair.sign(b"KSF1-sig/test\0body").as_ref(), signature.0);
    let public = key.public();
    assert!(public.verify("KSF1-sig/test", b"body", &signature));
    assert!(!public.verify("KSF1-sig/tes", b"tbody", &signature));
    assert!(!public.verify("KSF1-sig/test", b"bodies", &signature));
    for bit in 0..512 {
        let mut wrong = signature;
        wrong.0[bit / 8] ^= 1 << (bit % 8);
        assert!(!public.verify("KSF1-sig/test", b"body", &wrong), "bit {bit}");
    }
}

#[test]
fn a_signature_with_s_over_the_group_order_is_refused() {
    let key = SigningKey::generate(&Fixed).unwrap();
    let mut malleable = key.sign("l", b"b");
    // S + L verifies in implementations that do not check the range of S.
    let order: [u8; 32] = array("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0_u16;
    for (byte, add) in malleable.0[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert!(!key.public().verify("l", b"b", &malleable));
}

#[test]
fn spki_is_the_one_of_rfc_8410() {
    let public = array("19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    let public = PublicKey(public);
    let der = hex::decode(
        "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
    )
    .unwrap();
    assert_eq!(public.spki_der(), der);
    assert_eq!(public.spki_sha256(), sha256(&[&der]));
    assert_eq!(PublicKey::from_spki_der(&der), Some(public));
    for length in 0..der.len() {
        assert_eq!(PublicKey::from_spki_der(&der[..length]), None);
    }
    let mut longer = der;
    longer.push(0);
    assert_eq!(PublicKey::from_spki_der(&longer), None);
}

#[test]
fn a_failed_random_source_gives_no_key() {
    assert!(SigningKey::generate(&Broken).is_err());
}

#[test]
fn debug_shows_no_seed() {
    let key = SigningKey::generate(&Fixed).unwrap();
    assert!(!format!("{key:?}").contains(&hex::encode([9; 32])));
}

#[test]
fn a_public_key_that_is_no_point_verifies_nothing() {
    let key = SigningKey::generate(&Fixed).unwrap();
    let signature = key.sign("l", b"b");
    for bytes in [[0xff; 32], [0; 32], [2; 32]] {
        assert!(!PublicKey(bytes).verify("l", b"b", &signature));
    }
}

#[test]
fn pkcs8_is_the_one_of_rfc_8410() {
    let seed = array("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842");
    let key = SigningKey::from_seed(&Secret::new(seed));
    assert_eq!(
        key.pkcs8_pem().expose(),
        "-----BEGIN PRIVATE KEY-----\n\
         MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
         -----END PRIVATE KEY-----\n"
    );
}
