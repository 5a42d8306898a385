//! RFC 9497 A.1.2 proofs with the batch binding off, and what the binding adds.

use keysherd_base::RngFailed;

use super::*;
use crate::leg_g::{compress_doubled, decode_point, hash_to_group};
use crate::manager_set::ManagerIndex;

const SECRET: &str = "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909";
const PUBLIC: &str = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e";

const BLINDED_1: &str = "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945";
const BLINDED_2: &str = "cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c";
const BLINDED_3: &str = "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654";
const EVALUATED_1: &str = "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e";
const EVALUATED_2: &str = "60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468";
const EVALUATED_3: &str = "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a";
const NONCE_1: &str = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e";
const NONCE_3: &str = "419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c";

/// Pairs, nonce and proof.
type Vector = (&'static [(&'static str, &'static str)], &'static str, &'static str);

/// The three vectors; the third is a batch of two.
const VECTORS: [Vector; 3] = [
    (
        &[(BLINDED_1, EVALUATED_1)],
        NONCE_1,
        "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06\
         6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
    ),
    (
        &[(BLINDED_2, EVALUATED_2)],
        NONCE_1,
        "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a\
         67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
    ),
    (
        &[(BLINDED_1, EVALUATED_1), (BLINDED_3, EVALUATED_3)],
        NONCE_3,
        "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a\
         5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
    ),
];

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn share() -> ShareG {
    ShareG::new(ManagerIndex::new(1).unwrap(), &bytes(SECRET)).unwrap()
}

/// A batch with points and encodings.
struct Owned {
    inputs: Vec<RistrettoPoint>,
    inputs_encoded: Vec<CompressedRistretto>,
    outputs: Vec<RistrettoPoint>,
    outputs_encoded: Vec<CompressedRistretto>,
}

impl Owned {
    fn new(pairs: impl Iterator<Item = ([u8; 32], [u8; 32])>) -> Self {
        let (inputs, outputs): (Vec<_>, Vec<_>) =
            pairs.map(|(c, d)| (CompressedRistretto(c), CompressedRistretto(d))).unzip();
        let decode = |all: &[CompressedRistretto]| {
            all.iter().map(|point| decode_point(&point.0).unwrap()).collect()
        };
        Self {
            inputs: decode(&inputs),
            outputs: decode(&outputs),
            inputs_encoded: inputs,
            outputs_encoded: outputs,
        }
    }

    fn evaluated(share: &ShareG, size: u8) -> Self {
        Self::new((0..size).map(|number| {
            let input = hash_to_group(&[number]);
            let output = compress_doubled(&[share.evaluate_half(&input)]);
            (input.compress().to_bytes(), output[0].to_bytes())
        }))
    }

    fn pairs(&self) -> Pairs<'_> {
        Pairs {
            inputs: &self.inputs,
            inputs_encoded: &self.inputs_encoded,
            outputs_encoded: &self.outputs_encoded,
        }
    }
}

struct Constant(u8);

impl Rng for Constant {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RngFailed> {
        buffer.fill(self.0);
        Ok(())
    }
}

struct Broken;

impl Rng for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RngFailed> {
        Err(RngFailed)
    }
}

fn verifies(share: &ShareG, batch: &Owned, proof: &Proof) -> bool {
    let public = decode_point(share.public()).unwrap();
    verify(&public, share.public(), batch.pairs(), &batch.outputs, proof)
}

#[test]
fn rfc_9497_proofs_byte_for_byte() {
    let share = share();
    assert_eq!(hex::encode(share.public()), PUBLIC);
    for (pairs, nonce, proof) in VECTORS {
        let batch = Owned::new(pairs.iter().map(|(c, d)| (bytes(c), bytes(d))));
        let weights = weights(Binding::Rfc9497, share.public(), batch.pairs());
        let input = RistrettoPoint::vartime_multiscalar_mul(&weights, &batch.inputs);
        let nonce = Scalar::from_canonical_bytes(bytes(nonce)).unwrap();
        let made = prove_composite(&share, &input, &nonce);
        assert_eq!(hex::encode(made.0), proof);
        let public = decode_point(share.public()).unwrap();
        let check = |binding| {
            verify_bound(binding, &public, share.public(), batch.pairs(), &batch.outputs, &made)
        };
        assert!(check(Binding::Rfc9497));
        assert!(!check(Binding::Batch), "suite 1 must not accept a proof without batch binding");
    }
}

#[test]
fn proofs_verify_and_every_change_is_noticed() {
    let share = share();
    for size in [1, 2, 17] {
        let batch = Owned::evaluated(&share, size);
        let proof = prove(&share, batch.pairs(), &Constant(7)).unwrap();
        assert!(verifies(&share, &batch, &proof));
        for at in [0, 31, 32, 63] {
            let mut bad = proof;
            bad.0[at] ^= 1;
            assert!(!verifies(&share, &batch, &bad), "byte {at} of {size}");
        }
        let other = ShareG::new(ManagerIndex::new(1).unwrap(), &Scalar::ONE.to_bytes()).unwrap();
        let wrong = Owned::evaluated(&other, size);
        assert!(!verifies(&share, &wrong, &proof));
    }
}

#[test]
fn two_wrong_outputs_that_cancel_in_the_sum_are_noticed() {
    let share = share();
    let honest = Owned::evaluated(&share, 2);
    let proof = prove(&share, honest.pairs(), &Constant(7)).unwrap();
    let shift = hash_to_group(b"shift");
    let mut outputs = honest.outputs.clone();
    outputs[0] += shift;
    outputs[1] -= shift;
    let encoded = |of: &[RistrettoPoint]| -> Vec<[u8; 32]> {
        of.iter().map(|point| point.compress().to_bytes()).collect()
    };
    let batch = Owned::new(encoded(&honest.inputs).into_iter().zip(encoded(&outputs)));
    assert!(!verifies(&share, &batch, &proof));
}

#[test]
fn one_random_value_gives_different_nonces_to_different_statements() {
    let share = share();
    let (one, two) = (Owned::evaluated(&share, 1), Owned::evaluated(&share, 2));
    let first = prove(&share, one.pairs(), &Constant(7)).unwrap();
    let second = prove(&share, two.pairs(), &Constant(7)).unwrap();
    // With one nonce, s1 - s2 = (c2 - c1) * x would give the share away.
    let part = |proof: &Proof, at| scalar(&proof.0, at).unwrap();
    let challenges = part(&second, 0) - part(&first, 0);
    let responses = part(&first, 32) - part(&second, 32);
    assert_ne!(responses * challenges.invert(), *share.secret());
}

#[test]
fn a_failing_random_source_gives_no_proof() {
    let share = share();
    let batch = Owned::evaluated(&share, 1);
    assert_eq!(prove(&share, batch.pairs(), &Broken), Err(Refusal::RandomnessFailed));
}

#[test]
fn a_wrong_count_is_no_proof() {
    let share = share();
    let batch = Owned::evaluated(&share, 2);
    let proof = prove(&share, batch.pairs(), &Constant(7)).unwrap();
    let public = decode_point(share.public()).unwrap();
    let fewer = &batch.outputs[..1];
    assert!(!verify(&public, share.public(), batch.pairs(), fewer, &proof));
}
