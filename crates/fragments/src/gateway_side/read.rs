//! Reading: t answers, and the commitment stored with the ciphertext decides.
//!
//! When it does not match, or holders of one leg-S key disagree, all managers are asked again with
//! proofs, for the failed entries only. Then every group of at least t managers that agree among
//! themselves is a hypothesis of who tells the truth; the one whose key the ciphertext commits to
//! does, and whoever differs from it lies. With at most 7 managers these are few.

use super::batch::{Batch, Hashed};
use super::held::{Held, Holders, VerifiedAnswer, hash_for};
use super::{Ask, Mode};
use crate::combine::DerivedKey;
use crate::interpolation::{best_quorum, value_at};
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::refusal::Refusal;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// Ask these managers; then step again when something arrives.
    Ask(Ask),
    /// Wait for what was asked, or for its time-out ([`ReadCombiner::lost`]).
    Wait,
    /// It is over: [`ReadCombiner::finish`].
    Done,
}

/// What came of a read.
#[derive(Debug)]
pub struct ReadReport {
    /// For each entry its key, or [`Refusal::NotEnoughManagers`], [`Refusal::EpochsDiffer`],
    /// [`Refusal::CommitmentMismatch`], or [`Refusal::Undecided`].
    pub keys: Vec<Result<DerivedKey, Refusal>>,
    /// Managers that gave wrong values. Alert; the owner must look.
    pub liars: ManagerSet,
    /// Their signed answers.
    pub evidence: Vec<VerifiedAnswer>,
    /// Managers that answered from another epoch than the manifests have: when a key is missing,
    /// learn the epochs and read again.
    pub stale: ManagerSet,
}

/// Combines answers into the keys of items that exist.
pub struct ReadCombiner {
    batch: Batch,
    commitments: Vec<[u8; 32]>,
    keys: Vec<Option<Result<DerivedKey, Refusal>>>,
    round: Round,
    liars: ManagerSet,
    evidence: Vec<VerifiedAnswer>,
    stale: ManagerSet,
    /// Of the round with proofs: who was found to tell the truth about which entry.
    truths: Vec<Truth>,
}

/// Managers that derive what a ciphertext commits to.
#[derive(Clone, Copy)]
struct Truth {
    /// All that agree.
    group: ManagerSet,
    /// Those of them whose points were used.
    quorum: ManagerSet,
    /// Place of the entry in the round's batch.
    place: usize,
    /// Place of its key.
    slot: usize,
}

struct Round {
    number: u8,
    mode: Mode,
    batch: Batch,
    hashed: Option<Hashed>,
    /// For each entry of this round's batch its place in the whole.
    places: Vec<u16>,
    holders: Holders,
    /// To be asked and not yet handed to the driver.
    to_ask: ManagerSet,
    asked: ManagerSet,
    lost: ManagerSet,
}

impl ReadCombiner {
    /// Begins with asking the managers `first`: t of them, or more to hedge against a slow one.
    /// `commitments` has what the ciphertext of each entry commits to.
    ///
    /// # Errors
    /// [`Refusal::BadEntries`] unless there is one commitment for each entry;
    /// [`Refusal::NotEnoughManagers`] for fewer than t managers of the batch's keys.
    pub fn new(
        batch: Batch,
        commitments: Vec<[u8; 32]>,
        first: ManagerSet,
    ) -> Result<Self, Refusal> {
        if batch.len() != commitments.len() {
            return Err(Refusal::BadEntries);
        }
        let threshold = batch.threshold();
        if !first.is_within(threshold.managers()) || first.len() < threshold.t() {
            return Err(Refusal::NotEnoughManagers);
        }
        let places = places_up_to(batch.len());
        Ok(Self {
            keys: std::iter::repeat_with(|| None).take(batch.len()).collect(),
            round: Round::new(0, Mode::Read, batch.clone(), places, first),
            batch,
            commitments,
            liars: ManagerSet::EMPTY,
            evidence: Vec::new(),
            stale: ManagerSet::EMPTY,
            truths: Vec::new(),
        })
    }

    /// Takes an answer to the request of `round`. Answers to an earlier round are dropped.
    pub fn offer(&mut self, round: u8, answer: VerifiedAnswer) {
        if round != self.round.number {
            return;
        }
        let manager = answer.manager();
        let epochs = answer.body().keys.iter().map(|key| key.epoch);
        if !epochs.eq(self.round.batch.epoch_hints()) {
            self.stale = self.stale.with(manager);
        }
        match Held::check(&self.round.batch, self.round.hashed.as_ref(), answer) {
            Ok(held) => self.round.holders.keep(held),
            Err((refusal, answer)) => {
                self.round.lost = self.round.lost.with(manager);
                if matches!(refusal, Refusal::BadPoint | Refusal::BadProof) {
                    self.liars = self.liars.with(manager);
                    self.evidence.push(*answer);
                }
            }
        }
    }

    /// Notes that a manager refused, failed or timed out in `round`.
    pub fn lost(&mut self, round: u8, manager: ManagerIndex) {
        if round == self.round.number && !self.round.holders.managers().contains(manager) {
            self.round.lost = self.round.lost.with(manager);
        }
    }

    /// Hedges: the managers of this round that were not asked yet will be asked too, because those
    /// that were take long. Gives the ones that take long.
    pub fn widen(&mut self) -> ManagerSet {
        let all = self.batch.threshold().managers();
        self.round.to_ask = self.round.to_ask.union(all.minus(self.round.asked));
        self.round.outstanding()
    }

    /// What to do next. Call it at the beginning and after every [`Self::offer`] and
    /// [`Self::lost`].
    pub fn step(&mut self) -> ReadStep {
        loop {
            if !self.round.to_ask.is_empty() {
                return ReadStep::Ask(self.round.ask());
            }
            if self.keys.iter().all(Option::is_some) {
                return ReadStep::Done;
            }
            let enough = self.round.enough();
            if enough {
                self.resolve();
            }
            let open = self.open();
            if open.is_empty() {
                return ReadStep::Done;
            }
            if enough && self.round.mode == Mode::Read {
                let all = self.batch.threshold().managers();
                let batch = self.batch.subset(&open);
                self.evidence.extend(self.round.holders.take(self.liars));
                self.round = Round::new(1, Mode::Verify, batch, open, all);
                continue;
            }
            if !self.round.outstanding().is_empty() {
                return ReadStep::Wait;
            }
            let others = self.batch.threshold().managers().minus(self.round.asked);
            if others.is_empty() {
                self.give_up(&open);
                return ReadStep::Done;
            }
            self.round.to_ask = others;
        }
    }

    /// Whether a lie was met, nobody is named for it yet, and somebody has not answered: the keys
    /// are there, but it is worth waiting a moment for who lied.
    pub fn suspects(&self) -> bool {
        self.round.mode == Mode::Verify
            && self.liars.is_empty()
            && !self.truths.is_empty()
            && !self.round.outstanding().is_empty()
    }

    /// What came of it. Entries that are still open count as if no more managers answered.
    pub fn finish(mut self) -> ReadReport {
        let open = self.open();
        self.give_up(&open);
        // Answers may have come after the keys were found.
        for truth in std::mem::take(&mut self.truths) {
            let holders = self.round.holders.at_epoch_of(truth.slot, truth.group);
            self.name_liars(holders, truth);
        }
        let liars = self.liars;
        let mut evidence = self.evidence;
        evidence.extend(self.round.holders.take(liars));
        let missing = || Err(Refusal::NotEnoughManagers);
        let keys = self.keys.into_iter().map(|key| key.unwrap_or_else(missing)).collect();
        ReadReport { keys, liars, evidence, stale: self.stale }
    }

    /// Places of the entries without a result.
    fn open(&self) -> Vec<u16> {
        let keys = self.keys.iter().zip(places_up_to(self.keys.len()));
        keys.filter(|(key, _)| key.is_none()).map(|(_, place)| place).collect()
    }

    /// Derives what can be derived from the answers of this round.
    fn resolve(&mut self) {
        for slot in 0..self.round.batch.keys().len() {
            let holders = self.round.holders.at_one_epoch(slot);
            let t = self.round.batch.threshold().t();
            let Some(quorum) = best_quorum(holders, t) else {
                continue;
            };
            let mut places = self.round.batch.places_of(slot);
            places.retain(|place| self.is_open(*place));
            // The usual case: everybody tells the truth.
            let derived = self.round.batch.derive(&self.round.holders, &places, holders, quorum);
            let mut failed = Vec::new();
            for (place, key) in places.into_iter().zip(derived) {
                match key.filter(|key| self.is_committed(place, key)) {
                    Some(key) => {
                        self.remember(Truth { group: holders, quorum, place, slot });
                        self.settle(place, key);
                    }
                    None => failed.push(place),
                }
            }
            self.search(slot, holders, &failed);
        }
    }

    /// Tries every group of managers that may be the truthful ones, the largest first.
    fn search(&mut self, slot: usize, holders: ManagerSet, failed: &[usize]) {
        let t = self.round.batch.threshold().t();
        // With t answers the one group was tried already.
        if holders.len() <= t {
            return;
        }
        let sizes = (t..=holders.len()).rev();
        let mut groups: Vec<ManagerSet> = sizes.flat_map(|size| holders.subsets(size)).collect();
        for place in failed {
            let found = groups.iter().enumerate().find_map(|(at, group)| {
                let quorum = best_quorum(*group, t)?;
                let batch = &self.round.batch;
                let key = batch.derive(&self.round.holders, &[*place], *group, quorum).pop()??;
                self.is_committed(*place, &key).then_some((at, *group, quorum, key))
            });
            let Some((at, group, quorum, key)) = found else {
                continue;
            };
            let truth = Truth { group, quorum, place: *place, slot };
            self.name_liars(holders, truth);
            self.remember(truth);
            self.settle(*place, key);
            // Mostly the same managers lie about the next entry.
            groups.swap(0, at);
        }
    }

    /// Compares everybody with the group that derives the committed key.
    fn name_liars(&mut self, holders: ManagerSet, truth: Truth) {
        let Truth { group, quorum, place, .. } = truth;
        let (batch, answers) = (&self.round.batch, &self.round.holders);
        let points: Vec<_> =
            quorum.iter().filter_map(|manager| answers.point(batch, manager, place)).collect();
        for manager in holders.minus(quorum).iter() {
            let expected = value_at(quorum, manager.get(), &points);
            let truthful = answers.point(batch, manager, place) == Some(expected)
                && batch.agrees(answers, manager, group, place);
            if !truthful {
                self.liars = self.liars.with(manager);
            }
        }
    }

    /// One entry of each key is enough to compare late answers with.
    fn remember(&mut self, truth: Truth) {
        let known = self.truths.iter().any(|known| known.slot == truth.slot);
        if self.round.mode == Mode::Verify && !known {
            self.truths.push(truth);
        }
    }

    fn is_open(&self, place: usize) -> bool {
        let whole = self.round.places.get(place);
        whole.is_some_and(|whole| matches!(self.keys.get(usize::from(*whole)), Some(None)))
    }

    fn is_committed(&self, place: usize, key: &DerivedKey) -> bool {
        let whole = self.round.places.get(place);
        let commitment = whole.and_then(|whole| self.commitments.get(usize::from(*whole)));
        commitment.is_some_and(|commitment| key.is_committed(commitment))
    }

    fn settle(&mut self, place: usize, key: DerivedKey) {
        let whole = self.round.places.get(place).map(|whole| usize::from(*whole));
        if let Some(open) = whole.and_then(|whole| self.keys.get_mut(whole)) {
            *open = Some(Ok(key));
        }
    }

    fn give_up(&mut self, open: &[u16]) {
        let answered = self.round.holders.managers();
        let threshold = self.batch.threshold();
        let refusal = if answered.len() < threshold.t() {
            Refusal::NotEnoughManagers
        } else if !self.round.enough() {
            Refusal::EpochsDiffer
        } else if answered.union(self.liars) == threshold.managers() {
            Refusal::CommitmentMismatch
        } else {
            Refusal::Undecided
        };
        for place in open {
            if let Some(key) = self.keys.get_mut(usize::from(*place)) {
                *key = Some(Err(refusal));
            }
        }
    }
}

impl Round {
    fn new(number: u8, mode: Mode, batch: Batch, places: Vec<u16>, to_ask: ManagerSet) -> Self {
        Self {
            number,
            mode,
            hashed: hash_for(mode, &batch),
            batch,
            places,
            holders: Holders::default(),
            to_ask,
            asked: ManagerSet::EMPTY,
            lost: ManagerSet::EMPTY,
        }
    }

    fn ask(&mut self) -> Ask {
        let managers = std::mem::take(&mut self.to_ask);
        self.asked = self.asked.union(managers);
        Ask {
            round: self.number,
            managers,
            mode: self.mode,
            entries: self.places.clone(),
            epoch_hints: self.batch.epoch_hints(),
        }
    }

    /// Asked, and neither answered nor lost.
    fn outstanding(&self) -> ManagerSet {
        self.asked.minus(self.holders.managers()).minus(self.lost)
    }

    /// Whether every key has t answers of one epoch.
    fn enough(&self) -> bool {
        let t = self.batch.threshold().t();
        (0..self.batch.keys().len()).all(|slot| self.holders.at_one_epoch(slot).len() >= t)
    }
}

fn places_up_to(length: usize) -> Vec<u16> {
    (0_u16..).take(length).collect()
}
