//! One manager's side of the refresh of one batch, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use curve25519_dalek::ristretto::RistrettoPoint;
use keysherd_base::{Rng, SecretBytes};
use keysherd_crypto::hash::{constant_time_eq, sha256};
use keysherd_crypto::sign::{PublicKey, SigningKey};

use super::frost::{self, AfterRound1, AfterRound2};
use super::{Collected, CollectedKey, RefreshDeal, RefreshKey, RefreshParams, Shelved, Statement};
use crate::bundle::Bundle;
use crate::context::Context;
use crate::encoding::{Encoding, Signed};
use crate::epoch::EpochRecord;
use crate::gateway_side::self_test;
use crate::interpolation::{Interpolation, value_at};
use crate::labels;
use crate::leg_g::{self, ShareG};
use crate::manager_set::{ManagerIndex, ManagerSet};
use crate::manifest::TrustedManifest;
use crate::messages::PeerRequest;
use crate::refusal::{Blame, Refusal};
use crate::share::KeyShares;

/// What a refresh of one key version begins from.
#[derive(Clone)]
pub struct Source {
    /// The manifest at the current epoch.
    pub manifest: Arc<TrustedManifest>,
    /// This manager's shares of that epoch.
    pub shares: Arc<KeyShares>,
}

/// A refresh in progress at one manager. Secrets in it are zeroized when it is dropped.
pub struct RefreshSession {
    params: RefreshParams,
    params_sha256: [u8; 32],
    me: ManagerIndex,
    identities: Vec<(ManagerIndex, PublicKey)>,
    sources: Vec<Source>,
    statement: Signed,
    step: Step,
    deals: BTreeMap<ManagerIndex, RefreshDeal>,
}

enum Step {
    Begun(Vec<AfterRound1>),
    Exchanged {
        view_sha256: [u8; 32],
        kept: Vec<AfterRound2>,
        outgoing: Vec<RefreshDeal>,
    },
    Collected {
        statement: Signed,
        made: Vec<Made>,
    },
    /// A step failed for good, or the shares were handed out for keeping.
    Over,
}

/// The shares of the next epoch of one key version.
struct Made {
    body: Vec<u8>,
    shares: KeyShares,
}

impl RefreshSession {
    /// Begins: draws a sharing of zero for each key and states its commitments. `sources` has what
    /// this manager holds of each key of the parameters, in that order.
    ///
    /// # Errors
    /// [`Refusal::NotAllParticipants`] unless this manager takes part and the bundle names all who
    /// do; [`Refusal::WrongEpoch`] when it is not at the epoch a key begins from;
    /// [`Refusal::RandomnessFailed`].
    pub fn begin(
        params: RefreshParams,
        me: ManagerIndex,
        bundle: &Bundle,
        sources: Vec<Source>,
        identity: &SigningKey,
        rng: &dyn Rng,
    ) -> Result<Self, Refusal> {
        params.check()?;
        let identities = params.participants.iter().map(|manager| {
            let entry = bundle.manager(manager).ok_or(Refusal::NotAllParticipants)?;
            Ok((manager, entry.key))
        });
        let identities = identities.collect::<Result<Vec<_>, Refusal>>()?;
        if !identities.contains(&(me, identity.public())) {
            return Err(Refusal::NotAllParticipants);
        }
        let at_epoch = sources.len() == params.keys.len()
            && sources.iter().zip(&params.keys).all(|(source, key)| source.is_at(key, &params));
        if !at_epoch {
            return Err(Refusal::WrongEpoch);
        }
        let mut kept = Vec::with_capacity(sources.len());
        let mut commitments = Vec::with_capacity(sources.len());
        for _ in &sources {
            let (secret, points) = frost::round1(me, params.participants, params.threshold, rng)?;
            kept.push(secret);
            commitments.push(points);
        }
        let params_sha256 = params.hash();
        let statement = Statement { params_sha256, manager: me, commitments };
        let statement = Signed::seal(identity, labels::SIGN_REFRESH_ROUND1, statement.to_bytes());
        let (step, deals) = (Step::Begun(kept), BTreeMap::new());
        Ok(Self { params, params_sha256, me, identities, sources, statement, step, deals })
    }

    /// What is being refreshed.
    pub fn params(&self) -> &RefreshParams {
        &self.params
    }

    /// Whether it failed, or its shares were handed out for keeping.
    pub const fn is_over(&self) -> bool {
        matches!(self.step, Step::Over)
    }

    /// This manager's signed statement.
    pub fn statement(&self) -> &Signed {
        &self.statement
    }

    /// Verifies the statements of all participants, ascending, and makes the deals: one message for
    /// each of the others. Repeating it with the same statements changes nothing.
    ///
    /// # Errors
    /// [`Refusal::BadRound1`] with the manager whose statement does not verify;
    /// [`Refusal::ViewsDiffer`] when the statements changed since; [`Refusal::WrongStep`]. A
    /// failure ends the session.
    pub fn exchange(
        &mut self,
        statements: &[Signed],
    ) -> Result<Vec<(ManagerIndex, SecretBytes)>, Blame> {
        let seen = view(&self.params_sha256, statements);
        let kept = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Begun(kept) => kept,
            Step::Exchanged { view_sha256, kept, outgoing } => {
                let messages = outgoing.iter().map(message).collect();
                self.step = Step::Exchanged { view_sha256, kept, outgoing };
                let same = view_sha256 == seen;
                return if same { Ok(messages) } else { Err(Refusal::ViewsDiffer.into()) };
            }
            other => {
                self.step = other;
                return Err(Refusal::WrongStep.into());
            }
        };
        let statements = self.verify_statements(statements)?;
        let mut outgoing: Vec<RefreshDeal> = self
            .others()
            .iter()
            .map(|to| RefreshDeal {
                session: self.params.session,
                from: self.me,
                to,
                view_sha256: seen,
                shares: Vec::with_capacity(kept.len()),
            })
            .collect();
        let mut after = Vec::with_capacity(kept.len());
        for (place, secret) in kept.into_iter().enumerate() {
            let mut published = Vec::with_capacity(statements.len());
            for (manager, statement) in &statements {
                let points = statement.commitments.get(place);
                let points = points.ok_or_else(|| Blame::on(*manager, Refusal::BadRound1))?;
                published.push((*manager, points.as_slice()));
            }
            let (secret, shares) = frost::round2(secret, &published)?;
            for ((_, share), deal) in shares.into_iter().zip(&mut outgoing) {
                deal.shares.push(share);
            }
            after.push(secret);
        }
        let messages = outgoing.iter().map(message).collect();
        self.step = Step::Exchanged { view_sha256: seen, kept: after, outgoing };
        Ok(messages)
    }

    /// Takes a deal that arrived on the connection of manager `from`. The same deal twice is one.
    ///
    /// # Errors
    /// [`Refusal::UnknownSession`], [`Refusal::WrongManager`] when session, sender or receiver do
    /// not fit; [`Refusal::DealRepeated`] for another deal of a manager that dealt already.
    pub fn take_deal(&mut self, from: ManagerIndex, deal: RefreshDeal) -> Result<(), Refusal> {
        if deal.session != self.params.session {
            return Err(Refusal::UnknownSession);
        }
        if deal.from != from || deal.to != self.me || !self.others().contains(from) {
            return Err(Refusal::WrongManager);
        }
        if !matches!(self.step, Step::Begun(_) | Step::Exchanged { .. }) {
            // A repetition of one that was used.
            return Ok(());
        }
        if let Some(taken) = self.deals.get(&from) {
            let ((_, a), (_, b)) = (message(taken), message(&deal));
            let same = constant_time_eq(a.expose(), b.expose());
            return if same { Ok(()) } else { Err(Refusal::DealRepeated) };
        }
        self.deals.insert(from, deal);
        Ok(())
    }

    /// Adds up the new shares, in memory, once all deals are there. Repeating it gives the same.
    ///
    /// # Errors
    /// [`Refusal::DealMissing`] (collect again later); [`Refusal::WrongStep`];
    /// [`Refusal::ViewsDiffer`] or [`Refusal::BadDeal`] with the manager that dealt wrongly, which
    /// end the session.
    pub fn collect(&mut self, identity: &SigningKey) -> Result<Signed, Blame> {
        if let Step::Collected { statement, .. } = &self.step {
            return Ok(statement.clone());
        }
        if self.deals.len() < usize::from(self.others().len()) {
            return Err(Refusal::DealMissing.into());
        }
        let (seen, kept) = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Exchanged { view_sha256, kept, .. } => (view_sha256, kept),
            other => {
                self.step = other;
                return Err(Refusal::WrongStep.into());
            }
        };
        let deals = std::mem::take(&mut self.deals);
        for (from, deal) in &deals {
            if deal.view_sha256 != seen {
                return Err(Blame::on(*from, Refusal::ViewsDiffer));
            }
            if deal.shares.len() != kept.len() {
                return Err(Blame::on(*from, Refusal::BadDeal));
            }
        }
        let mut made = Vec::with_capacity(kept.len());
        let mut collected = Vec::with_capacity(kept.len());
        for (place, kept) in kept.iter().enumerate() {
            let (key, share) = self.add_up(place, kept, &deals)?;
            collected.push(key);
            made.push(share);
        }
        let (params_sha256, manager) = (self.params_sha256, self.me);
        let statement = Collected { params_sha256, manager, keys: collected };
        let label = labels::SIGN_REFRESH_COLLECTED;
        let statement = Signed::seal(identity, label, statement.to_bytes());
        self.step = Step::Collected { statement: statement.clone(), made };
        Ok(statement)
    }

    /// Compares what all participants computed, ascending, and gives what is to be kept beside the
    /// current shares: durably, before any of the signatures in it leaves this manager.
    ///
    /// # Errors
    /// [`Refusal::WrongStep`]; [`Refusal::BadRound1`] for a statement that does not verify;
    /// [`Refusal::ManifestMismatch`] with the manager that saw another record;
    /// [`Refusal::SelfTestFailed`] when two quorums, or the old and the new shares, derive
    /// different values. A failure ends the session.
    pub fn prepare(
        &mut self,
        collected: &[Signed],
        identity: &SigningKey,
    ) -> Result<Vec<Shelved>, Blame> {
        let Step::Collected { made, .. } = &self.step else {
            return Err(Refusal::WrongStep.into());
        };
        let stated = self.verify_collected(collected, made)?;
        self.self_test(&stated)?;
        let Step::Collected { made, .. } = std::mem::replace(&mut self.step, Step::Over) else {
            return Err(Refusal::WrongStep.into());
        };
        Ok(made
            .into_iter()
            .map(|Made { body, shares }| Shelved {
                epoch: shares.epoch(),
                signature: identity.sign(labels::SIGN_EPOCH, &body),
                body,
                shares,
            })
            .collect())
    }

    fn others(&self) -> ManagerSet {
        self.params.participants.minus(ManagerSet::EMPTY.with(self.me))
    }

    fn verify_statements(
        &self,
        statements: &[Signed],
    ) -> Result<Vec<(ManagerIndex, Statement)>, Blame> {
        if statements.len() != self.identities.len() {
            return Err(Refusal::NotAllParticipants.into());
        }
        let coefficients = usize::from(self.params.threshold.t()) - 1;
        let mut verified = Vec::with_capacity(statements.len());
        for ((manager, key), signed) in self.identities.iter().zip(statements) {
            let bad = Blame::on(*manager, Refusal::BadRound1);
            if !signed.is_by(key, labels::SIGN_REFRESH_ROUND1) {
                return Err(bad);
            }
            let statement = Statement::from_bytes(&signed.body).map_err(|_| bad)?;
            let fits = statement.params_sha256 == self.params_sha256
                && statement.manager == *manager
                && statement.commitments.len() == self.params.keys.len()
                && statement.commitments.iter().all(|points| points.len() == coefficients);
            if !fits || (*manager == self.me && signed.body != self.statement.body) {
                return Err(bad);
            }
            if *manager != self.me {
                verified.push((*manager, statement));
            }
        }
        Ok(verified)
    }

    /// The new share of the key at `place`, its record, and the self-test's points.
    fn add_up(
        &self,
        place: usize,
        kept: &AfterRound2,
        deals: &BTreeMap<ManagerIndex, RefreshDeal>,
    ) -> Result<(CollectedKey, Made), Blame> {
        let wrong = || Blame::from(Refusal::WrongStep);
        let source = self.sources.get(place).ok_or_else(wrong)?;
        let key = self.params.keys.get(place).ok_or_else(wrong)?;
        let participants = self.params.participants;
        let dealt = deals.iter().filter_map(|(from, deal)| Some((*from, deal.shares.get(place)?)));
        let (share, points) =
            frost::round3(kept, &source.shares, &source.manifest, participants, dealt)?;
        let record = EpochRecord {
            key: key.key,
            epoch: key.to,
            session: self.params.session,
            participants,
            public_shares: self.extend(&points)?,
        };
        // The group key is unchanged, or this fails.
        source.manifest.at_epoch(record.epoch, record.public_shares.clone())?;
        let body = record.to_bytes();
        let fields = self_test::context_fields(&key.key, self.params.salt);
        let hashed = leg_g::hash_context(&Context::new(&fields));
        let collected = CollectedKey {
            record_sha256: sha256(&[&body]),
            before: evaluate(source.shares.g(), &hashed),
            after: evaluate(&share, &hashed),
        };
        let shares = source.shares.with_share(key.to, share);
        Ok((collected, Made { body, shares }))
    }

    /// The public shares of all n managers, from those of the participants.
    fn extend(&self, points: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, Refusal> {
        let participants = self.params.participants;
        let threshold = self.params.threshold;
        let decoded: Result<Vec<RistrettoPoint>, Refusal> =
            points.iter().map(leg_g::decode_point).collect();
        let decoded = decoded?;
        // Any t of them say what the others are.
        let base: ManagerSet = participants.iter().take(usize::from(threshold.t())).collect();
        let base_points: Vec<RistrettoPoint> =
            decoded.iter().take(usize::from(threshold.t())).copied().collect();
        let mut known = participants.iter().zip(points);
        let all = threshold.managers().iter().map(|manager| {
            if participants.contains(manager) {
                return known.next().map(|(_, point)| *point).unwrap_or_default();
            }
            value_at(base, manager.get(), &base_points).compress().to_bytes()
        });
        Ok(all.collect())
    }

    fn verify_collected(
        &self,
        collected: &[Signed],
        made: &[Made],
    ) -> Result<Vec<Collected>, Blame> {
        if collected.len() != self.identities.len() {
            return Err(Refusal::NotAllParticipants.into());
        }
        let mut stated = Vec::with_capacity(collected.len());
        for ((manager, key), signed) in self.identities.iter().zip(collected) {
            let bad = Blame::on(*manager, Refusal::BadRound1);
            if !signed.is_by(key, labels::SIGN_REFRESH_COLLECTED) {
                return Err(bad);
            }
            let statement = Collected::from_bytes(&signed.body).map_err(|_| bad)?;
            let fits = statement.params_sha256 == self.params_sha256
                && statement.manager == *manager
                && statement.keys.len() == made.len();
            if !fits {
                return Err(bad);
            }
            let records = statement.keys.iter().map(|key| key.record_sha256);
            if !records.eq(made.iter().map(|made| sha256(&[&made.body]))) {
                return Err(Blame::on(*manager, Refusal::ManifestMismatch));
            }
            stated.push(statement);
        }
        Ok(stated)
    }

    /// Every run of t participants derives the same value, before and after.
    fn self_test(&self, stated: &[Collected]) -> Result<(), Refusal> {
        let t = usize::from(self.params.threshold.t());
        let managers: Vec<ManagerIndex> = self.params.participants.iter().collect();
        for place in 0..self.params.keys.len() {
            let mut first = None;
            for run in 0..=managers.len().saturating_sub(t) {
                let members = managers.iter().skip(run).take(t).copied();
                let quorum: ManagerSet = members.collect();
                let of_run = stated.get(run..run + t).ok_or(Refusal::SelfTestFailed)?;
                for choose in [before, after] {
                    let points = of_run.iter().map(|stated| {
                        let key = stated.keys.get(place).ok_or(Refusal::SelfTestFailed)?;
                        leg_g::decode_point(choose(key))
                    });
                    let points = points.collect::<Result<Vec<_>, Refusal>>()?;
                    let value = Interpolation::of(quorum).combine(&points);
                    if *first.get_or_insert_with(|| value.clone()) != value {
                        return Err(Refusal::SelfTestFailed);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Source {
    fn is_at(&self, key: &RefreshKey, params: &RefreshParams) -> bool {
        let manifest = self.manifest.manifest();
        manifest.key == key.key
            && manifest.threshold == params.threshold
            && manifest.epoch == key.from
            && self.shares.key() == key.key
            && self.shares.epoch() == key.from
    }
}

fn before(key: &CollectedKey) -> &[u8; 32] {
    &key.before
}

fn after(key: &CollectedKey) -> &[u8; 32] {
    &key.after
}

fn evaluate(share: &ShareG, hashed: &RistrettoPoint) -> [u8; 32] {
    let doubled = leg_g::compress_doubled(&[share.evaluate_half(hashed)]);
    doubled.first().map(|point| point.to_bytes()).unwrap_or_default()
}

fn message(deal: &RefreshDeal) -> (ManagerIndex, SecretBytes) {
    (deal.to, PeerRequest::refresh_deal_bytes(deal))
}

/// The hash by which managers compare what they saw in round 1.
fn view(params_sha256: &[u8; 32], statements: &[Signed]) -> [u8; 32] {
    let bodies: Vec<[u8; 32]> = statements.iter().map(|signed| sha256(&[&signed.body])).collect();
    sha256(&[labels::REFRESH_VIEW, params_sha256, bodies.as_flattened()])
}
