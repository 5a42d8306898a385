//! Batched proofs that a manager derived with its own share: RFC 9497 section 2.2 with one change.
//!
//! The seed of the weights also hashes every pair of the batch. In the RFC each weight depends on
//! its own pair only, so for large batches a cheating prover could search offline for wrong values
//! whose weighted sum cancels. Binding the batch ends that and costs nothing (design 5.3). With the
//! binding off, the RFC's own proofs come out byte for byte, which a test shows.

use aws_lc_rs::digest::{self, SHA512};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use keysherd_base::Rng;
use zeroize::Zeroizing;

use crate::labels;
use crate::leg_g::{ShareG, hash_to_scalar, sha512};
use crate::refusal::Refusal;

#[cfg(test)]
mod tests;

/// A proof: challenge, then response, both canonical little-endian scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(pub [u8; 64]);

/// What the seed of the weights hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    /// The public key and every pair: suite 1.
    Batch,
    /// The public key only: RFC 9497.
    #[cfg(test)]
    Rfc9497,
}

/// The pairs of a batch: hashed contexts C and what a manager made of them, D.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'a> {
    /// The hashed contexts.
    pub(crate) inputs: &'a [RistrettoPoint],
    /// Their encodings.
    pub(crate) inputs_encoded: &'a [CompressedRistretto],
    /// The encodings of the outputs.
    pub(crate) outputs_encoded: &'a [CompressedRistretto],
}

/// Proves that every output is the input times the share. Costs the share one multiplication
/// whatever the size of the batch.
///
/// # Errors
/// [`Refusal::RandomnessFailed`].
pub(crate) fn prove(share: &ShareG, pairs: Pairs<'_>, rng: &dyn Rng) -> Result<Proof, Refusal> {
    let weights = weights(Binding::Batch, share.public(), pairs);
    let random = Zeroizing::new(rng.array::<32>()?);
    let input = RistrettoPoint::vartime_multiscalar_mul(&weights, pairs.inputs);
    // Hedged: the share and the statement enter the nonce too, so that a random source that was
    // rolled back (a restored machine) does not give one nonce to two statements.
    let nonce = Zeroizing::new(Scalar::from_bytes_mod_order_wide(&Zeroizing::new(sha512(&[
        labels::DLEQ_NONCE,
        random.as_slice(),
        Zeroizing::new(share.secret().to_bytes()).as_slice(),
        input.compress().as_bytes(),
    ]))));
    Ok(prove_composite(share, &input, &nonce))
}

fn prove_composite(share: &ShareG, input: &RistrettoPoint, nonce: &Scalar) -> Proof {
    let output = input * share.secret();
    let commitments = [RistrettoPoint::mul_base(nonce), input * nonce];
    let challenge = challenge(share.public(), input, &output, &commitments);
    let response = nonce - challenge * share.secret();
    let mut proof = [0; 64];
    proof[..32].copy_from_slice(challenge.as_bytes());
    proof[32..].copy_from_slice(response.as_bytes());
    Proof(proof)
}

/// Whether `proof` shows that every output is its input times the secret of `public`. `outputs` are
/// the decoded outputs.
pub(crate) fn verify(
    public: &RistrettoPoint,
    public_encoded: &[u8; 32],
    pairs: Pairs<'_>,
    outputs: &[RistrettoPoint],
    proof: &Proof,
) -> bool {
    verify_bound(Binding::Batch, public, public_encoded, pairs, outputs, proof)
}

fn verify_bound(
    binding: Binding,
    public: &RistrettoPoint,
    public_encoded: &[u8; 32],
    pairs: Pairs<'_>,
    outputs: &[RistrettoPoint],
    proof: &Proof,
) -> bool {
    let (Some(stated), Some(response)) = (scalar(&proof.0, 0), scalar(&proof.0, 32)) else {
        return false;
    };
    let counts = [pairs.inputs.len(), pairs.inputs_encoded.len(), pairs.outputs_encoded.len()];
    if counts != [outputs.len(); 3] {
        return false;
    }
    let weights = weights(binding, public_encoded, pairs);
    let input = RistrettoPoint::vartime_multiscalar_mul(&weights, pairs.inputs);
    let output = RistrettoPoint::vartime_multiscalar_mul(&weights, outputs);
    let commitments = [
        RistrettoPoint::vartime_double_scalar_mul_basepoint(&stated, public, &response),
        RistrettoPoint::vartime_multiscalar_mul([response, stated], [input, output]),
    ];
    challenge(public_encoded, &input, &output, &commitments) == stated
}

/// The weights of RFC 9497 ComputeComposites.
fn weights(binding: Binding, public_encoded: &[u8; 32], pairs: Pairs<'_>) -> Vec<Scalar> {
    let both = || pairs.inputs_encoded.iter().zip(pairs.outputs_encoded);
    let mut seed = digest::Context::new(&SHA512);
    for part in [public_encoded.as_slice(), labels::DLEQ_SEED] {
        seed.update(&length(part.len()));
        seed.update(part);
    }
    if binding == Binding::Batch {
        seed.update(&length(pairs.inputs_encoded.len()));
        for (input, output) in both() {
            seed.update(&POINT_LENGTH);
            seed.update(input.as_bytes());
            seed.update(&POINT_LENGTH);
            seed.update(output.as_bytes());
        }
    }
    let seed = seed.finish();
    let weight = |(place, (input, output)): (usize, (&CompressedRistretto, _))| {
        let output: &CompressedRistretto = output;
        hash_to_scalar(&[
            &length(64),
            seed.as_ref(),
            &length(place),
            &POINT_LENGTH,
            input.as_bytes(),
            &POINT_LENGTH,
            output.as_bytes(),
            b"Composite",
        ])
    };
    both().enumerate().map(weight).collect()
}

/// The challenge of RFC 9497 GenerateProof.
fn challenge(
    public_encoded: &[u8; 32],
    input: &RistrettoPoint,
    output: &RistrettoPoint,
    commitments: &[RistrettoPoint; 2],
) -> Scalar {
    let [first, second] = commitments;
    let encoded = [input, output, first, second].map(RistrettoPoint::compress);
    let [input, output, first, second] = &encoded;
    hash_to_scalar(&[
        &POINT_LENGTH,
        public_encoded,
        &POINT_LENGTH,
        input.as_bytes(),
        &POINT_LENGTH,
        output.as_bytes(),
        &POINT_LENGTH,
        first.as_bytes(),
        &POINT_LENGTH,
        second.as_bytes(),
        b"Challenge",
    ])
}

/// I2OSP(32, 2).
const POINT_LENGTH: [u8; 2] = [0, 32];

/// I2OSP(value, 2); a batch has at most 1000 pairs.
fn length(value: usize) -> [u8; 2] {
    u16::try_from(value).expect("invariant: batches and labels are short").to_be_bytes()
}

fn scalar(bytes: &[u8; 64], at: usize) -> Option<Scalar> {
    let bytes: [u8; 32] = bytes.get(at..at + 32)?.try_into().ok()?;
    Scalar::from_canonical_bytes(bytes).into()
}
