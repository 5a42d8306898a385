//! The derivation itself: legs S and G of a whole batch, and the signed answer.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use keysherd_base::{Rng, SecretBytes};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::sign::SigningKey;
use zeroize::Zeroizing;

use super::Checked;
use crate::derive::{AnswerBody, DeriveAnswer, KeyAnswer, Mode};
use crate::dleq::{self, Pairs};
use crate::leg_g;
use crate::refusal::Refusal;
use crate::share::KeyShares;

/// What a manager derived, before it is signed. Partials of keys: zeroized on drop.
pub struct Derived {
    keys: Vec<KeyAnswer>,
    outputs: SecretBytes,
}

/// Derives every entry of a request that was checked, counted and logged. `shares` has the
/// fragments of each of [`Checked::keys`], in that order.
///
/// # Errors
/// [`Refusal::UnknownKey`] when `shares` are not those of the request's keys or not this
/// manager's; [`Refusal::RandomnessFailed`].
pub fn derive(checked: &Checked, shares: &[&KeyShares], rng: &dyn Rng) -> Result<Derived, Refusal> {
    let fit = shares.len() == checked.keys.len()
        && shares.iter().zip(&checked.keys).all(|(shares, key)| shares.key() == key.key)
        && shares.iter().all(|shares| shares.g().manager() == checked.manager);
    if !fit {
        return Err(Refusal::UnknownKey);
    }
    let mut hashed = Vec::with_capacity(checked.entries.len());
    let mut halves = Zeroizing::new(Vec::with_capacity(checked.entries.len()));
    for entry in &checked.entries {
        let shares = shares.get(usize::from(entry.slot)).ok_or(Refusal::UnknownKey)?;
        let point = leg_g::hash_context(&entry.context);
        halves.push(shares.g().evaluate_half(&point));
        hashed.push(point);
    }
    let points = Zeroizing::new(leg_g::compress_doubled(&halves));
    let outputs = outputs(checked, shares, &points)?;
    let mut keys: Vec<KeyAnswer> =
        shares.iter().map(|shares| KeyAnswer { epoch: shares.epoch(), proof: None }).collect();
    if checked.mode == Mode::Verify {
        let encoded: Vec<CompressedRistretto> =
            hashed.iter().map(RistrettoPoint::compress).collect();
        for (slot, (key, shares)) in keys.iter_mut().zip(shares).enumerate() {
            let of_slot = |place: &usize| {
                checked.entries.get(*place).is_some_and(|entry| usize::from(entry.slot) == slot)
            };
            let places: Vec<usize> = (0..checked.entries.len()).filter(of_slot).collect();
            let inputs = gather(&hashed, &places);
            let outputs_encoded = Zeroizing::new(gather(&points, &places));
            let pairs = Pairs {
                inputs: &inputs,
                inputs_encoded: &gather(&encoded, &places),
                outputs_encoded: &outputs_encoded,
            };
            key.proof = Some(dleq::prove(shares.g(), pairs, rng)?);
        }
    }
    Ok(Derived { keys, outputs })
}

impl Derived {
    /// Signs the answer. `checkpoint` is the head of the manager's log after the request was
    /// written to it durably: an answer must not leave before.
    pub fn seal(
        self,
        checked: &Checked,
        checkpoint: Vec<u8>,
        identity: &SigningKey,
    ) -> DeriveAnswer {
        let body = AnswerBody {
            request_sha256: checked.request_sha256,
            manager: checked.manager,
            keys: self.keys,
            outputs_sha256: sha256(&[self.outputs.expose()]),
            checkpoint,
        };
        DeriveAnswer::seal(identity, &body, self.outputs)
    }
}

/// Lays the points and the leg-S partials out, entry by entry.
fn outputs(
    checked: &Checked,
    shares: &[&KeyShares],
    points: &[CompressedRistretto],
) -> Result<SecretBytes, Refusal> {
    let prepared: Vec<_> = shares.iter().map(|shares| shares.s().prepare()).collect();
    let strides: Vec<usize> =
        shares.iter().map(|shares| shares.threshold().output_bytes()).collect();
    let stride = |slot: u16| strides.get(usize::from(slot)).copied().unwrap_or(0);
    let total = checked.entries.iter().map(|entry| stride(entry.slot)).sum();
    let mut outputs = SecretBytes::new(vec![0; total]);
    let mut rest = outputs.expose_mut().as_mut_slice();
    for (entry, point) in checked.entries.iter().zip(points) {
        let (output, after) =
            rest.split_at_mut_checked(stride(entry.slot)).ok_or(Refusal::UnknownKey)?;
        let (to, partials) = output.split_at_mut_checked(32).ok_or(Refusal::UnknownKey)?;
        to.copy_from_slice(point.as_bytes());
        let keys = prepared.get(usize::from(entry.slot)).ok_or(Refusal::UnknownKey)?;
        keys.partials(&entry.context, partials);
        rest = after;
    }
    Ok(outputs)
}

fn gather<T: Copy>(of: &[T], places: &[usize]) -> Vec<T> {
    places.iter().filter_map(|place| of.get(*place)).copied().collect()
}
