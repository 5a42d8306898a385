//! RFC 9496 (ristretto255) and RFC 9497 A.1.2 (VOPRF mode) vectors, the latter also by threshold
//! evaluation.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;

use super::*;
use crate::interpolation::Interpolation;
use crate::manager_set::ManagerSet;

/// RFC 9497 A.1.2: the secret key.
const SECRET: &str = "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909";
/// RFC 9497 A.1.2: the blind of vectors 1 and 2.
const BLIND: &str = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706";

/// Input, blinded element, output of RFC 9497 A.1.2 vectors 1 and 2.
const VECTORS: [(&str, &str, &str); 2] = [
    (
        "00",
        "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
        "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7d\
         a4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
    ),
    (
        "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
        "cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c",
        "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60\
         356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6",
    ),
];

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn scalar(text: &str) -> Scalar {
    Scalar::from_canonical_bytes(bytes(text)).unwrap()
}

#[test]
fn rfc_9496_elements_from_uniform_bytes() {
    let uniform = "5d1be09e3d0c82fc538112490e35701979d99e06ca3e2b5b54bffe8b4dc772c1\
                   4d98b696a1bbfb5ca32c436cc61c16563790306c79eaca7705668b47dffe5bb6";
    let element = RistrettoPoint::from_uniform_bytes(&bytes(uniform)).compress();
    assert_eq!(
        hex::encode(element.as_bytes()),
        "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"
    );
}

#[test]
fn rfc_9496_multiples_of_the_generator() {
    let encoded = |times: u8| {
        let point = RISTRETTO_BASEPOINT_POINT * Scalar::from(times);
        hex::encode(point.compress().as_bytes())
    };
    assert_eq!(encoded(1), "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76");
    assert_eq!(encoded(2), "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919");
}

#[test]
fn the_identity_and_noncanonical_points_are_refused() {
    let bad = [
        // The identity.
        "0000000000000000000000000000000000000000000000000000000000000000",
        // RFC 9496 A.2: not below the field's prime.
        "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // Negative.
        "0100000000000000000000000000000000000000000000000000000000000000",
    ];
    for text in bad {
        assert_eq!(decode_point(&bytes(text)), Err(Refusal::BadPoint), "{text}");
    }
    let generator = RISTRETTO_BASEPOINT_POINT.compress().to_bytes();
    assert_eq!(decode_point(&generator), Ok(RISTRETTO_BASEPOINT_POINT));
}

#[test]
fn rfc_9497_hash_to_group_and_outputs() {
    for (input, blinded, output) in VECTORS {
        let input = hex::decode(input).unwrap();
        let element = hash_to_group(&input);
        let stated = (element * scalar(BLIND)).compress();
        assert_eq!(hex::encode(stated.as_bytes()), blinded);
        let point = (element * scalar(SECRET)).compress();
        let length = u16::try_from(input.len()).unwrap().to_be_bytes();
        let value = finalize_parts(&length, &input, point.as_bytes());
        assert_eq!(hex::encode(value.as_slice()), output);
    }
}

#[test]
fn rfc_9497_outputs_by_every_quorum_of_shares() {
    // Two of three: the polynomial SECRET + slope * x.
    let slope = hash_to_scalar(&[b"any slope"]);
    let share = |x: u8| {
        let secret = scalar(SECRET) + slope * Scalar::from(x);
        ShareG::new(ManagerIndex::new(x).unwrap(), secret.as_bytes()).unwrap()
    };
    for (input, _, output) in VECTORS {
        let input = hex::decode(input).unwrap();
        let element = hash_to_group(&input);
        for quorum in ManagerSet::first(3).subsets(2) {
            let halves: Vec<_> =
                quorum.iter().map(|m| share(m.get()).evaluate_half(&element)).collect();
            let partials = compress_doubled(&halves);
            let points: Vec<_> =
                partials.iter().map(|partial| decode_point(&partial.0).unwrap()).collect();
            let combined = Interpolation::of(quorum).combine(&points);
            let length = u16::try_from(input.len()).unwrap().to_be_bytes();
            let value = finalize_parts(&length, &input, combined[0].as_bytes());
            assert_eq!(hex::encode(value.as_slice()), output, "quorum {quorum}");
        }
    }
}

#[test]
fn a_share_is_a_canonical_scalar_that_is_not_zero() {
    let manager = ManagerIndex::new(1).unwrap();
    assert!(ShareG::new(manager, &[0; 32]).is_err());
    assert!(ShareG::new(manager, &[0xff; 32]).is_err());
    assert!(ShareG::new(manager, &Scalar::ONE.to_bytes()).is_ok());
}
