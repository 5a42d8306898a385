//! Answers a gateway has, and the checks of each by itself.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use keysherd_crypto::sign::PublicKey;
use zeroize::Zeroizing;

use super::batch::{Batch, Hashed};
use crate::derive::{AnswerBody, DeriveAnswer, Mode};
use crate::dleq::{self, Pairs};
use crate::leg_g;
use crate::manager_set::{MANAGERS_MAX, ManagerIndex, ManagerSet};
use crate::refusal::Refusal;

/// An answer whose signature, sender and request were verified.
#[derive(Debug)]
pub struct VerifiedAnswer {
    manager: ManagerIndex,
    body: AnswerBody,
    answer: DeriveAnswer,
}

impl VerifiedAnswer {
    /// Verifies an answer. `identity` is the manager's key in the pinned bundle; `request_sha256`
    /// the hash of the request that was sent to it.
    ///
    /// # Errors
    /// As [`DeriveAnswer::verify`].
    pub fn open(
        answer: DeriveAnswer,
        identity: &PublicKey,
        manager: ManagerIndex,
        request_sha256: &[u8; 32],
    ) -> Result<Self, Refusal> {
        let body = answer.verify(identity, manager, request_sha256)?;
        Ok(Self { manager, body, answer })
    }

    /// Who answered.
    pub fn manager(&self) -> ManagerIndex {
        self.manager
    }

    /// What was signed; the log checkpoint in it is to be remembered.
    pub fn body(&self) -> &AnswerBody {
        &self.body
    }

    /// The answer as it came: evidence, when the manager turns out to lie. Its outputs are secret.
    pub fn answer(&self) -> &DeriveAnswer {
        &self.answer
    }
}

/// An answer that fits a batch.
pub(super) struct Held {
    answer: VerifiedAnswer,
    /// The points, decoded, when the proofs were verified.
    points: Option<Zeroizing<Vec<RistrettoPoint>>>,
}

impl Held {
    /// Takes an answer to `batch` in, and verifies its proofs against `hashed` if there is one.
    ///
    /// On failure the answer comes back with the reason: [`Refusal::AnswerMismatch`] for another
    /// shape, [`Refusal::EpochsDiffer`] for a proof of another epoch than the manifest's, and
    /// [`Refusal::BadPoint`] or [`Refusal::BadProof`], which prove that the manager lies.
    pub(super) fn check(
        batch: &Batch,
        hashed: Option<&Hashed>,
        answer: VerifiedAnswer,
    ) -> Result<Self, (Refusal, Box<VerifiedAnswer>)> {
        let fits = answer.answer.outputs.expose().len() == batch.output_bytes()
            && answer.body.keys.len() == batch.keys().len()
            && batch.threshold().managers().contains(answer.manager);
        if !fits {
            return Err((Refusal::AnswerMismatch, Box::new(answer)));
        }
        let held = Self { answer, points: None };
        let Some(hashed) = hashed else {
            return Ok(held);
        };
        match held.verify(batch, hashed) {
            Ok(points) => Ok(Self { points: Some(points), ..held }),
            Err(refusal) => Err((refusal, Box::new(held.answer))),
        }
    }

    pub(super) fn outputs(&self) -> &[u8] {
        self.answer.answer.outputs.expose()
    }

    pub(super) fn epoch(&self, slot: usize) -> Option<u32> {
        self.answer.body.keys.get(slot).map(|key| key.epoch)
    }

    pub(super) fn into_answer(self) -> VerifiedAnswer {
        self.answer
    }

    fn verify(
        &self,
        batch: &Batch,
        hashed: &Hashed,
    ) -> Result<Zeroizing<Vec<RistrettoPoint>>, Refusal> {
        let epochs = batch.epoch_hints();
        let at_epoch = self.answer.body.keys.iter().map(|key| key.epoch).eq(epochs);
        if !at_epoch {
            return Err(Refusal::EpochsDiffer);
        }
        let mut encoded = Zeroizing::new(Vec::with_capacity(batch.len()));
        let mut points = Zeroizing::new(Vec::with_capacity(batch.len()));
        for place in 0..batch.len() {
            let bytes = batch.point(self, place).ok_or(Refusal::AnswerMismatch)?;
            points.push(leg_g::decode_point(bytes)?);
            encoded.push(CompressedRistretto(*bytes));
        }
        for (slot, key) in batch.keys().iter().enumerate() {
            let manager = self.answer.manager;
            let proof = self.answer.body.keys.get(slot).and_then(|key| key.proof);
            let proof = proof.ok_or(Refusal::BadProof)?;
            let public = key.manifest.public_share(manager).ok_or(Refusal::BadProof)?;
            let public_encoded = &key.manifest.manifest().public_shares;
            let public_encoded = public_encoded.get(manager.place()).ok_or(Refusal::BadProof)?;
            let places = batch.places_of(slot);
            let pairs = Pairs {
                inputs: &gather(&hashed.points, &places),
                inputs_encoded: &gather(&hashed.encoded, &places),
                outputs_encoded: &gather(&encoded, &places),
            };
            let outputs = gather(&points, &places);
            if !dleq::verify(public, public_encoded, pairs, &outputs, &proof) {
                return Err(Refusal::BadProof);
            }
        }
        Ok(points)
    }
}

/// The answers of one round, by manager.
#[derive(Default)]
pub(super) struct Holders([Option<Held>; MANAGERS_MAX as usize]);

impl Holders {
    pub(super) fn get(&self, manager: ManagerIndex) -> Option<&Held> {
        self.0.get(manager.place())?.as_ref()
    }

    /// Keeps an answer; the first one of a manager stays.
    pub(super) fn keep(&mut self, held: Held) {
        if let Some(place) = self.0.get_mut(held.answer.manager.place()) {
            place.get_or_insert(held);
        }
    }

    /// Who answered.
    pub(super) fn managers(&self) -> ManagerSet {
        self.0.iter().flatten().map(|held| held.answer.manager).collect()
    }

    /// Those at the epoch of the key of `slot` at which most are.
    pub(super) fn at_one_epoch(&self, slot: usize) -> ManagerSet {
        let at = |epoch| -> ManagerSet {
            let same = self.0.iter().flatten().filter(|held| held.epoch(slot) == epoch);
            same.map(|held| held.answer.manager).collect()
        };
        let groups = self.0.iter().flatten().map(|held| at(held.epoch(slot)));
        groups.max_by_key(|group| group.len()).unwrap_or_default()
    }

    /// Those at the epoch of the key of `slot` at which the managers `group` are.
    pub(super) fn at_epoch_of(&self, slot: usize, group: ManagerSet) -> ManagerSet {
        let epoch = group.iter().find_map(|manager| self.get(manager)?.epoch(slot));
        let same = self.0.iter().flatten().filter(|held| held.epoch(slot) == epoch);
        same.map(|held| held.answer.manager).collect::<ManagerSet>().union(group)
    }

    /// The point `manager` gave for the entry at `place`, if it is valid.
    pub(super) fn point(
        &self,
        batch: &Batch,
        manager: ManagerIndex,
        place: usize,
    ) -> Option<RistrettoPoint> {
        let held = self.get(manager)?;
        match &held.points {
            Some(points) => points.get(place).copied(),
            None => leg_g::decode_point(batch.point(held, place)?).ok(),
        }
    }

    /// Gives up the answers of `managers`.
    pub(super) fn take(&mut self, managers: ManagerSet) -> impl Iterator<Item = VerifiedAnswer> {
        let places = self.0.iter_mut();
        places
            .filter_map(move |place| place.take_if(|held| managers.contains(held.answer.manager)))
            .map(Held::into_answer)
    }
}

/// Whether proofs are verified in a round of this mode.
pub(super) fn hash_for(mode: Mode, batch: &Batch) -> Option<Hashed> {
    match mode {
        Mode::Read => None,
        Mode::Verify => Some(batch.hash()),
    }
}

fn gather<T: Copy>(of: &[T], places: &[usize]) -> Vec<T> {
    places.iter().filter_map(|place| of.get(*place)).copied().collect()
}
