//! One manager's side of one generation, step by step.

use std::collections::BTreeMap;

use keysherd_base::{Rng, Secret, SecretBytes};
use keysherd_crypto::hash::{constant_time_eq, sha256};
use keysherd_crypto::sign::SigningKey;
use zeroize::Zeroizing;

use super::frost::{self, AfterRound1, AfterRound2};
use super::{Deal, GenerateParams, PendingKey, Proposal, Round1};
use crate::encoding::{Encoding, Signed};
use crate::labels;
use crate::leg_s::{self, ShareS};
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::messages::PeerRequest;
use crate::refusal::{Blame, Refusal};
use crate::share::KeyShares;

/// A generation in progress at one manager. Secrets in it are zeroized when it is dropped.
pub struct Session {
    params: GenerateParams,
    params_sha256: [u8; 32],
    me: ManagerIndex,
    round1: Signed,
    step: Step,
    /// Deals that arrived; they may arrive before this manager's own exchange.
    deals: BTreeMap<ManagerIndex, Deal>,
}

enum Step {
    Begun(AfterRound1),
    Exchanged(Exchanged),
    /// A step failed for good, or the key was made.
    Over,
}

struct Exchanged {
    view_sha256: [u8; 32],
    frost: AfterRound2,
    /// This manager's own contribution to each leg-S key it will hold.
    own: BTreeMap<ManagerSet, Zeroizing<[u8; 32]>>,
    /// What goes to each peer, kept so that a repeated exchange sends the same.
    outgoing: Vec<Deal>,
}

impl Session {
    /// Begins: draws this manager's polynomial and states its commitment.
    ///
    /// # Errors
    /// [`Refusal::NotAllParticipants`] unless this manager is one of the parameters', under its
    /// own identity key; [`Refusal::RandomnessFailed`].
    pub fn begin(
        params: GenerateParams,
        me: ManagerIndex,
        identity: &SigningKey,
        rng: &dyn Rng,
    ) -> Result<Self, Refusal> {
        if params.managers.get(me.place()) != Some(&identity.public()) {
            return Err(Refusal::NotAllParticipants);
        }
        let params_sha256 = params.hash();
        let (kept, (commitments, proof)) = frost::round1(me, params.threshold, rng)?;
        let statement = Round1 { params_sha256, manager: me, commitments, proof };
        let round1 = Signed::seal(identity, labels::SIGN_ROUND1, statement.to_bytes());
        let step = Step::Begun(kept);
        Ok(Self { params, params_sha256, me, round1, step, deals: BTreeMap::new() })
    }

    /// What is being generated.
    pub fn params(&self) -> &GenerateParams {
        &self.params
    }

    /// This manager's signed round-1 statement.
    pub fn round1(&self) -> &Signed {
        &self.round1
    }

    /// Verifies all round-1 statements and makes the deals. Repeating it with the same statements
    /// changes nothing.
    ///
    /// # Errors
    /// [`Refusal::NotAllParticipants`] unless there is one statement of each manager, by index;
    /// [`Refusal::BadRound1`] with the manager whose statement does not verify;
    /// [`Refusal::ViewsDiffer`] when the statements changed since; [`Refusal::WrongStep`];
    /// [`Refusal::RandomnessFailed`]. A failure ends the session.
    pub fn exchange(&mut self, round1: &[Signed], rng: &dyn Rng) -> Result<(), Blame> {
        let view_sha256 = view(&self.params_sha256, round1);
        let kept = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Begun(kept) => kept,
            Step::Exchanged(exchanged) => {
                let same = exchanged.view_sha256 == view_sha256;
                self.step = Step::Exchanged(exchanged);
                return if same { Ok(()) } else { Err(Refusal::ViewsDiffer.into()) };
            }
            Step::Over => return Err(Refusal::WrongStep.into()),
        };
        let published = self.verify_statements(round1)?;
        let (frost, shares) = frost::round2(kept, &published)?;
        let mut own = BTreeMap::new();
        for set in self.params.threshold.sets_of(self.me) {
            own.insert(set, Zeroizing::new(rng.array().map_err(Refusal::from)?));
        }
        let outgoing = shares.into_iter().map(|(to, share)| Deal {
            session: self.params.session,
            from: self.me,
            to,
            view_sha256,
            share,
            contributions: own
                .iter()
                .filter(|(set, _)| set.contains(to))
                .map(|(set, contribution)| (*set, Secret::new(**contribution)))
                .collect(),
        });
        let outgoing = outgoing.collect();
        self.step = Step::Exchanged(Exchanged { view_sha256, frost, own, outgoing });
        Ok(())
    }

    /// The deals to send, one message for each other manager, after [`Self::exchange`].
    pub fn outgoing(&self) -> Vec<(ManagerIndex, SecretBytes)> {
        let Step::Exchanged(exchanged) = &self.step else {
            return Vec::new();
        };
        exchanged.outgoing.iter().map(|deal| (deal.to, PeerRequest::deal_bytes(deal))).collect()
    }

    /// Takes a deal that arrived on the connection of manager `from`. The same deal twice is one.
    ///
    /// # Errors
    /// [`Refusal::UnknownSession`], [`Refusal::WrongManager`] when session, sender or receiver do
    /// not fit; [`Refusal::DealRepeated`] for another deal of a manager that dealt already.
    pub fn take_deal(&mut self, from: ManagerIndex, deal: Deal) -> Result<(), Refusal> {
        if deal.session != self.params.session {
            return Err(Refusal::UnknownSession);
        }
        let others = self.params.threshold.managers().minus(ManagerSet::EMPTY.with(self.me));
        if deal.from != from || deal.to != self.me || !others.contains(from) {
            return Err(Refusal::WrongManager);
        }
        if let Some(taken) = self.deals.get(&from) {
            let (a, b) = (PeerRequest::deal_bytes(taken), PeerRequest::deal_bytes(&deal));
            let same = constant_time_eq(a.expose(), b.expose());
            return if same { Ok(()) } else { Err(Refusal::DealRepeated) };
        }
        self.deals.insert(from, deal);
        Ok(())
    }

    /// Makes this manager's fragments once all deals are there.
    ///
    /// # Errors
    /// [`Refusal::DealMissing`] (collect again later); [`Refusal::WrongStep`];
    /// [`Refusal::ViewsDiffer`], [`Refusal::BadDeal`] with the manager that dealt wrongly, or
    /// [`Refusal::ContributionReplayed`], which end the session.
    pub fn finish(&mut self) -> Result<PendingKey, Blame> {
        if self.deals.len() + 1 < usize::from(self.params.threshold.n()) {
            return Err(Refusal::DealMissing.into());
        }
        let exchanged = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Exchanged(exchanged) => exchanged,
            other => {
                self.step = other;
                return Err(Refusal::WrongStep.into());
            }
        };
        let deals = std::mem::take(&mut self.deals);
        for (from, deal) in &deals {
            if deal.view_sha256 != exchanged.view_sha256 {
                return Err(Blame::on(*from, Refusal::ViewsDiffer));
            }
        }
        let dealt = deals.iter().map(|(from, deal)| (*from, &deal.share));
        let threshold = self.params.threshold;
        let (g, (group_key, public_shares)) =
            frost::round3(self.me, threshold, &exchanged.frost, dealt)?;
        let s = self.join(&exchanged.own, &deals)?;
        let proposal = Proposal { group_key, public_shares, checks: s.checks() };
        let shares = KeyShares::new(self.params.key, threshold, 0, g, s);
        Ok(PendingKey { params: self.params.clone(), shares, proposal })
    }

    fn verify_statements(
        &self,
        round1: &[Signed],
    ) -> Result<Vec<(ManagerIndex, frost::Published)>, Blame> {
        if round1.len() != self.params.managers.len() {
            return Err(Refusal::NotAllParticipants.into());
        }
        let t = usize::from(self.params.threshold.t());
        let mut published = Vec::with_capacity(round1.len());
        let managers = self.params.threshold.managers().iter().zip(&self.params.managers);
        for ((manager, key), signed) in managers.zip(round1) {
            let bad = Blame::on(manager, Refusal::BadRound1);
            if !signed.is_by(key, labels::SIGN_ROUND1) {
                return Err(bad);
            }
            let statement = Round1::from_bytes(&signed.body).map_err(|_| bad)?;
            let fits = statement.params_sha256 == self.params_sha256
                && statement.manager == manager
                && statement.commitments.len() == t;
            if !fits || (manager == self.me && signed.body != self.round1.body) {
                return Err(bad);
            }
            if manager != self.me {
                published.push((manager, (statement.commitments, statement.proof)));
            }
        }
        Ok(published)
    }

    /// The leg-S keys from all contributions.
    fn join(
        &self,
        own: &BTreeMap<ManagerSet, Zeroizing<[u8; 32]>>,
        deals: &BTreeMap<ManagerIndex, Deal>,
    ) -> Result<ShareS, Blame> {
        for (from, deal) in deals {
            let shared = own.keys().filter(|set| set.contains(*from));
            if !shared.eq(deal.contributions.iter().map(|(set, _)| set)) {
                return Err(Blame::on(*from, Refusal::BadDeal));
            }
        }
        let mut seen: Vec<&[u8]> = own.values().map(|value| value.as_slice()).collect();
        for (from, deal) in deals {
            for (_, contribution) in &deal.contributions {
                let value = contribution.expose().as_slice();
                if *value == [0; 32] || seen.contains(&value) {
                    return Err(Blame::on(*from, Refusal::ContributionReplayed));
                }
                seen.push(value);
            }
        }
        let mut keys = Vec::with_capacity(own.len());
        for (set, value) in own {
            let mut all = vec![value.clone()];
            for (other, contribution) in deals.values().flat_map(|deal| &deal.contributions) {
                if other == set {
                    all.push(Zeroizing::new(*contribution.expose()));
                }
            }
            keys.push((*set, leg_s::join_contributions(&mut all, *set, &self.params.key)));
        }
        Ok(ShareS::new(self.params.threshold, self.me, keys)?)
    }
}

/// The hash by which managers compare what they saw in round 1.
fn view(params_sha256: &[u8; 32], round1: &[Signed]) -> [u8; 32] {
    let bodies: Vec<[u8; 32]> = round1.iter().map(|signed| sha256(&[&signed.body])).collect();
    sha256(&[labels::GENERATION_VIEW, params_sha256, bodies.as_flattened()])
}
