//! Writing: all n managers are asked with proofs, since there is no commitment yet that could
//! decide who tells the truth.

use super::batch::{Batch, Hashed};
use super::held::{Held, Holders, VerifiedAnswer};
use super::{Ask, Mode};
use crate::combine::DerivedKey;
use crate::interpolation::best_quorum;
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::refusal::Refusal;

/// Whether what is written is known to be readable by every quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// All n managers proved and agreed.
    Confirmed,
    /// Fewer than n did: store it as unconfirmed and compare when the others are back.
    Unconfirmed {
        /// Whose answer is missing or was thrown away.
        missing: ManagerSet,
    },
}

/// What came of a write.
#[derive(Debug)]
pub enum WriteOutcome {
    /// The keys, one for each entry.
    Sealed {
        /// In the order of the batch.
        keys: Vec<DerivedKey>,
        /// Whether all managers stand behind them.
        confirmation: Confirmation,
        /// Managers whose proof is wrong. Alert; the owner must look.
        liars: ManagerSet,
        /// Their signed answers.
        evidence: Vec<VerifiedAnswer>,
    },
    /// Holders of one leg-S key contradict each other, and nothing can decide who lies. Nothing may
    /// be written until the owner has removed one of them.
    Refused {
        /// Who holds the key in question.
        suspects: ManagerSet,
        /// Place in the batch of the first entry they disagree about.
        entry: usize,
        /// Their signed answers.
        evidence: Vec<VerifiedAnswer>,
    },
    /// Too few managers: [`Refusal::NotEnoughManagers`] or [`Refusal::EpochsDiffer`].
    Failed {
        /// Why.
        refusal: Refusal,
        /// Managers whose proof is wrong.
        liars: ManagerSet,
        /// Their signed answers.
        evidence: Vec<VerifiedAnswer>,
    },
}

/// Combines answers into keys for items that are being written.
pub struct WriteCombiner {
    batch: Batch,
    hashed: Hashed,
    holders: Holders,
    lost: ManagerSet,
    stale: ManagerSet,
    liars: ManagerSet,
    evidence: Vec<VerifiedAnswer>,
}

impl WriteCombiner {
    /// Begins.
    pub fn new(batch: Batch) -> Self {
        Self {
            hashed: batch.hash(),
            batch,
            holders: Holders::default(),
            lost: ManagerSet::EMPTY,
            stale: ManagerSet::EMPTY,
            liars: ManagerSet::EMPTY,
            evidence: Vec::new(),
        }
    }

    /// Whom to ask: all managers of the keys, for everything, with proofs.
    pub fn ask(&self) -> Ask {
        Ask {
            round: 0,
            managers: self.batch.threshold().managers(),
            mode: Mode::Verify,
            entries: (0_u16..).take(self.batch.len()).collect(),
            epoch_hints: self.batch.epoch_hints(),
        }
    }

    /// Takes an answer and verifies its proofs.
    ///
    /// # Errors
    /// What is wrong with it; the combiner has noted it and goes on with the others.
    pub fn offer(&mut self, answer: VerifiedAnswer) -> Result<(), Refusal> {
        let manager = answer.manager();
        match Held::check(&self.batch, Some(&self.hashed), answer) {
            Ok(held) => {
                self.holders.keep(held);
                Ok(())
            }
            Err((refusal, answer)) => {
                match refusal {
                    Refusal::BadPoint | Refusal::BadProof => {
                        self.liars = self.liars.with(manager);
                        self.evidence.push(*answer);
                    }
                    Refusal::EpochsDiffer => self.stale = self.stale.with(manager),
                    _ => self.lost = self.lost.with(manager),
                }
                Err(refusal)
            }
        }
    }

    /// Managers whose answer is of another epoch than the manifests: learn the epochs, and ask
    /// again.
    pub fn stale(&self) -> ManagerSet {
        self.stale
    }

    /// Notes that a manager refused, failed or timed out.
    pub fn lost(&mut self, manager: ManagerIndex) {
        self.lost = self.lost.with(manager);
    }

    /// Whether every manager answered or is lost: nothing more can come.
    pub fn is_settled(&self) -> bool {
        self.outstanding().is_empty()
    }

    /// Whether enough managers proved what they say; the others can only confirm it.
    pub fn is_enough(&self) -> bool {
        self.holders.managers().len() >= self.batch.threshold().t()
    }

    /// Those that have neither answered nor failed.
    pub fn outstanding(&self) -> ManagerSet {
        let heard = self.holders.managers().union(self.lost).union(self.stale).union(self.liars);
        self.batch.threshold().managers().minus(heard)
    }

    /// What came of it, with the answers that are there: call it when [`Self::is_settled`], or when
    /// the time for stragglers is over.
    pub fn finish(mut self) -> WriteOutcome {
        let (valid, liars) = (self.holders.managers(), self.liars);
        let threshold = self.batch.threshold();
        let Some(quorum) = best_quorum(valid, threshold.t()) else {
            let stale = valid.union(self.stale).len() >= threshold.t();
            let refusal = if stale { Refusal::EpochsDiffer } else { Refusal::NotEnoughManagers };
            return WriteOutcome::Failed { refusal, liars, evidence: self.evidence };
        };
        for entry in 0..self.batch.len() {
            if let Err(set) = self.batch.leg_s(&self.holders, valid, entry) {
                let suspects = set.intersection(valid);
                let mut evidence = self.evidence;
                evidence.extend(self.holders.take(suspects));
                return WriteOutcome::Refused { suspects, entry, evidence };
            }
        }
        let Some(keys) = self.derive(valid, quorum) else {
            let refusal = Refusal::NotEnoughManagers;
            return WriteOutcome::Failed { refusal, liars, evidence: self.evidence };
        };
        let missing = threshold.managers().minus(valid);
        let confirmation = if missing.is_empty() {
            Confirmation::Confirmed
        } else {
            Confirmation::Unconfirmed { missing }
        };
        WriteOutcome::Sealed { keys, confirmation, liars, evidence: self.evidence }
    }

    /// The keys by leg G of `quorum` and leg S of `among`, in the order of the batch.
    pub(super) fn derive(&self, among: ManagerSet, quorum: ManagerSet) -> Option<Vec<DerivedKey>> {
        let mut keys: Vec<Option<DerivedKey>> =
            std::iter::repeat_with(|| None).take(self.batch.len()).collect();
        for slot in 0..self.batch.keys().len() {
            let places = self.batch.places_of(slot);
            let derived = self.batch.derive(&self.holders, &places, among, quorum);
            for (place, key) in places.into_iter().zip(derived) {
                *keys.get_mut(place)? = key;
            }
        }
        keys.into_iter().collect()
    }

    pub(super) fn valid(&self) -> ManagerSet {
        self.holders.managers()
    }

    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }
}
