//! One manager's side of refresh and repair, over whatever keeps its fragments durably.
//!
//! [`Member`] holds what a crash may lose: the runs under way. Everything else is the [`Vault`]'s,
//! whose writes are durable when they return. So a crash is the same as dropping the [`Member`].

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::{Rng, SecretBytes, Timestamp, Uid};
use keysherd_crypto::sign::SigningKey;

use crate::bundle::pinned::PinnedBundle;
use crate::encoding::Signed;
use crate::epoch::SignedRecord;
use crate::manager_set::ManagerIndex;
use crate::manifest::{KeyVersion, TrustedManifest};
use crate::messages::{KeyEpoch, PEER_KEYS_MAX, PeerAnswer, PeerRequest, Prepared};
use crate::refresh::{RefreshParams, RefreshSession, Shelved, Source};
use crate::refusal::{Blame, Refusal};
use crate::repair::{Helping, KeyNotes, RepairDeltas, RepairParams};
use crate::share::KeyShares;

/// Most refreshes, and most repairs, at one time.
pub const RUNS_MAX: usize = 8;
/// How long a refresh or a repair may take, in seconds.
pub const RUN_SECONDS_MAX: i64 = 60;
/// Most epochs of one key version that are prepared and not committed.
pub const SHELF_MAX: usize = 8;

/// What a manager holds of a key version.
pub struct Holding {
    /// The manifest at the epoch that is in force.
    pub manifest: Arc<TrustedManifest>,
    /// This manager's shares of that epoch; `None` when it missed the refresh.
    pub shares: Option<Arc<KeyShares>>,
    /// The record of that epoch; `None` at epoch 0.
    pub record: Option<SignedRecord>,
    /// The highest epoch it ever prepared or took.
    pub highest: u32,
    /// How many epochs are prepared and not committed.
    pub shelved: usize,
    /// What else is known.
    pub notes: KeyNotes,
}

/// An epoch that takes the place of the one before.
pub struct Change {
    /// Which key version.
    pub key: KeyVersion,
    /// The proof.
    pub record: SignedRecord,
    /// This manager's shares of it; `None` when it took no part, so that it has none until they are
    /// repaired.
    pub shares: Option<KeyShares>,
}

/// What keeps a manager's fragments. Writes are durable, and all or nothing, when they return.
pub trait Vault {
    /// What is held of a key version; `None` when it is unknown, destroyed, or was never completed.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when it cannot be read.
    fn holding(&self, key: &KeyVersion) -> Result<Option<Holding>, Refusal>;

    /// At which epoch a key version is held; `None` as for [`Self::holding`].
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when it cannot be read.
    fn epoch(&self, key: &KeyVersion) -> Result<Option<KeyEpoch>, Refusal>;

    /// The same of up to `max` key versions after this one, ascending. None are left when it is
    /// empty.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when they cannot be read.
    fn epochs(&self, after: Option<&KeyVersion>, max: usize) -> Result<Vec<KeyEpoch>, Refusal>;

    /// What was prepared for an epoch.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when it cannot be read.
    fn shelved(&self, key: &KeyVersion, epoch: u32) -> Result<Option<Shelved>, Refusal>;

    /// Keeps shares beside the current ones.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when they cannot be kept; nothing is, then.
    fn shelve(&self, run: &RefreshParams, shares: Vec<Shelved>) -> Result<(), Refusal>;

    /// Puts other epochs in force, and erases the shares of every epoch before, those that were
    /// prepared too.
    ///
    /// # Errors
    /// [`Refusal::BadRecord`] when it cannot be done; nothing is, then.
    fn change(&self, changes: Vec<Change>) -> Result<(), Refusal>;
}

/// Whose side it is, at one moment.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The manager.
    pub me: ManagerIndex,
    /// Its identity key.
    pub identity: &'a SigningKey,
    /// The trust bundle it obeys.
    pub bundle: &'a PinnedBundle,
    /// The time.
    pub now: Timestamp,
    /// Randomness.
    pub rng: &'a dyn Rng,
    /// What keeps its fragments.
    pub vault: &'a dyn Vault,
}

/// An answer, and what other managers have to have taken before it may leave.
pub struct Served {
    /// The answer.
    pub answer: PeerAnswer,
    /// Messages to other managers.
    pub before: Vec<(ManagerIndex, SecretBytes)>,
}

/// The refreshes and repairs a manager takes part in: bounded, expiring.
#[derive(Default)]
pub struct Member {
    refreshes: BTreeMap<Uid, (Timestamp, RefreshSession)>,
    repairs: BTreeMap<(ManagerIndex, Uid), (Timestamp, Helping)>,
}

impl Member {
    /// Serves a request that arrived on the connection of manager `from`. Generations are none of
    /// its business.
    ///
    /// # Errors
    /// As the steps of [`RefreshSession`] and [`Helping`]; [`Refusal::WrongManager`] when the
    /// message is another manager's; [`Refusal::RefreshBusy`], [`Refusal::TooManySessions`],
    /// [`Refusal::UnknownSession`], [`Refusal::UnknownKey`], [`Refusal::ShareOutdated`],
    /// [`Refusal::WrongEpoch`], [`Refusal::RefreshUnresolved`]; what the vault says.
    pub fn serve(
        &mut self,
        env: &Env<'_>,
        from: ManagerIndex,
        request: PeerRequest,
    ) -> Result<Served, Blame> {
        self.expire(env.now);
        let answer = match request {
            PeerRequest::RefreshBegin(params) => self.begin(env, from, params)?,
            PeerRequest::RefreshExchange { session, statements } => {
                let before = self.run(from, &session)?.exchange(&statements)?;
                return Ok(Served { answer: PeerAnswer::Taken, before });
            }
            PeerRequest::RefreshDeal(deal) => {
                let (_, run) =
                    self.refreshes.get_mut(&deal.session).ok_or(Refusal::UnknownSession)?;
                run.take_deal(from, deal)?;
                PeerAnswer::Taken
            }
            PeerRequest::RefreshCollect { session } => {
                PeerAnswer::Statement(self.run(from, &session)?.collect(env.identity)?)
            }
            PeerRequest::RefreshPrepare { session, collected } => {
                self.prepare(env, from, &session, &collected)?
            }
            PeerRequest::RefreshCommit(records) => {
                commit(env, &records)?;
                PeerAnswer::Taken
            }
            PeerRequest::Keys { after } => {
                PeerAnswer::Keys(env.vault.epochs(after.as_ref(), PEER_KEYS_MAX)?)
            }
            PeerRequest::Epochs(keys) => {
                let mut known = Vec::with_capacity(keys.len());
                for key in &keys {
                    known.extend(env.vault.epoch(key)?);
                }
                PeerAnswer::Keys(known)
            }
            PeerRequest::Records(keys) => {
                let record = |key| Ok(env.vault.holding(key)?.and_then(|held| held.record));
                let records: Result<Vec<_>, Refusal> = keys.iter().map(record).collect();
                PeerAnswer::Records(records?)
            }
            PeerRequest::Shelf(items) => {
                let prepared: Result<Vec<_>, Refusal> =
                    items.iter().map(|(key, epoch)| prepared(env, key, *epoch)).collect();
                PeerAnswer::Prepared(prepared?)
            }
            PeerRequest::RepairBegin(params) => return self.help(env, from, params),
            PeerRequest::RepairDeltas(deltas) => {
                self.take_deltas(env, from, deltas)?;
                PeerAnswer::Taken
            }
            PeerRequest::RepairCollect { session, manager } => {
                let run = self.repairs.get(&(manager, session)).filter(|_| manager == from);
                let (_, helping) = run.ok_or(Refusal::UnknownSession)?;
                PeerAnswer::Help(helping.help()?)
            }
            PeerRequest::Deal(_) | PeerRequest::RefreshEnd { .. } => {
                return Err(Refusal::UnknownMessage.into());
            }
        };
        Ok(Served { answer, before: Vec::new() })
    }

    /// Drops, and zeroizes, the runs that are over their time. To be called now and then.
    pub fn expire(&mut self, now: Timestamp) {
        self.refreshes.retain(|_, (ends_at, _)| now <= *ends_at);
        self.repairs.retain(|_, (ends_at, _)| now <= *ends_at);
    }

    /// How many runs are under way.
    pub fn len(&self) -> usize {
        self.refreshes.len() + self.repairs.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn begin(
        &mut self,
        env: &Env<'_>,
        from: ManagerIndex,
        params: RefreshParams,
    ) -> Result<PeerAnswer, Blame> {
        if params.coordinator != from {
            return Err(Refusal::WrongManager.into());
        }
        if let Some((_, run)) = self.refreshes.get(&params.session) {
            let same = *run.params() == params;
            let statement = || PeerAnswer::Statement(run.statement().clone());
            return if same { Ok(statement()) } else { Err(Refusal::SessionExists.into()) };
        }
        // A coordinator that begins again has given up what it began before.
        self.refreshes.retain(|_, (_, run)| {
            run.params().coordinator != from || !overlap(run.params(), &params)
        });
        let busy = |run: &RefreshSession| !run.is_over() && overlap(run.params(), &params);
        if self.refreshes.values().any(|(_, run)| busy(run)) {
            return Err(Refusal::RefreshBusy.into());
        }
        if self.refreshes.len() >= RUNS_MAX {
            self.refreshes.retain(|_, (_, run)| !run.is_over());
        }
        if self.refreshes.len() >= RUNS_MAX {
            return Err(Refusal::TooManySessions.into());
        }
        let mut sources = Vec::with_capacity(params.keys.len());
        for key in &params.keys {
            let held = env.vault.holding(&key.key)?.ok_or(Refusal::UnknownKey)?;
            if key.to <= held.highest {
                return Err(Refusal::WrongEpoch.into());
            }
            if held.shelved >= SHELF_MAX {
                return Err(Refusal::RefreshUnresolved.into());
            }
            let shares = held.shares.ok_or(Refusal::ShareOutdated)?;
            sources.push(Source { manifest: held.manifest, shares });
        }
        let session = params.session;
        let bundle = env.bundle.bundle();
        let run = RefreshSession::begin(params, env.me, bundle, sources, env.identity, env.rng)?;
        let statement = run.statement().clone();
        self.refreshes.insert(session, (env.now.plus_seconds(RUN_SECONDS_MAX), run));
        Ok(PeerAnswer::Statement(statement))
    }

    /// Keeps the new shares, then signs. A repeated request after a lost answer gets the same
    /// signatures again.
    fn prepare(
        &mut self,
        env: &Env<'_>,
        from: ManagerIndex,
        session: &Uid,
        collected: &[Signed],
    ) -> Result<PeerAnswer, Blame> {
        let run = self.run(from, session)?;
        let params = run.params().clone();
        let shares = match run.prepare(collected, env.identity) {
            Ok(shares) => shares,
            Err(Blame { refusal: Refusal::WrongStep, .. }) => {
                let again = params.keys.iter().map(|key| prepared(env, &key.key, key.to));
                let again = again.collect::<Result<Vec<_>, Refusal>>()?;
                if again.contains(&Prepared::NOTHING) {
                    return Err(Refusal::WrongStep.into());
                }
                return Ok(PeerAnswer::Prepared(again));
            }
            Err(blame) => return Err(blame),
        };
        let prepared = shares
            .iter()
            .map(|shelved| Prepared { body: shelved.body.clone(), signature: shelved.signature });
        let prepared = prepared.collect();
        env.vault.shelve(&params, shares)?;
        Ok(PeerAnswer::Prepared(prepared))
    }

    fn help(
        &mut self,
        env: &Env<'_>,
        from: ManagerIndex,
        params: RepairParams,
    ) -> Result<Served, Blame> {
        if params.manager != from {
            return Err(Refusal::WrongManager.into());
        }
        let mut held = Vec::with_capacity(params.keys.len());
        for (key, _) in &params.keys {
            let holding = env.vault.holding(key)?.ok_or(Refusal::UnknownKey)?;
            let shares = holding.shares.ok_or(Refusal::ShareOutdated)?;
            let (manifest, notes, record) = (holding.manifest, holding.notes, holding.record);
            held.push(crate::repair::Held { manifest, shares, notes, record });
        }
        let (me, rng) = (env.me, env.rng);
        let helping = self.helping(env, from, params.session)?;
        let before = helping.begin(params, me, held, rng)?;
        Ok(Served { answer: PeerAnswer::Taken, before })
    }

    fn take_deltas(
        &mut self,
        env: &Env<'_>,
        from: ManagerIndex,
        deltas: RepairDeltas,
    ) -> Result<(), Refusal> {
        if deltas.from != from || deltas.to != env.me {
            return Err(Refusal::WrongManager);
        }
        self.helping(env, deltas.manager, deltas.session)?.take(deltas)
    }

    fn helping(
        &mut self,
        env: &Env<'_>,
        manager: ManagerIndex,
        session: Uid,
    ) -> Result<&mut Helping, Refusal> {
        let known = self.repairs.contains_key(&(manager, session));
        if !known && self.repairs.len() >= RUNS_MAX {
            return Err(Refusal::TooManySessions);
        }
        let ends_at = env.now.plus_seconds(RUN_SECONDS_MAX);
        let new = || (ends_at, Helping::default());
        Ok(&mut self.repairs.entry((manager, session)).or_insert_with(new).1)
    }

    fn run(&mut self, from: ManagerIndex, session: &Uid) -> Result<&mut RefreshSession, Refusal> {
        let (_, run) = self.refreshes.get_mut(session).ok_or(Refusal::UnknownSession)?;
        if run.params().coordinator == from { Ok(run) } else { Err(Refusal::UnknownSession) }
    }
}

/// Takes records that prove themselves: the prepared shares become the current ones. Whoever has
/// none erases its share all the same, because nobody else has shares of that epoch any more.
///
/// # Errors
/// As [`SignedRecord::verify`]; what the vault says.
pub fn commit(env: &Env<'_>, records: &[SignedRecord]) -> Result<(), Refusal> {
    let mut changes: Vec<Change> = Vec::with_capacity(records.len());
    for signed in records {
        let body = crate::encoding::Encoding::from_bytes(&signed.body);
        let record: crate::epoch::EpochRecord = body.map_err(|_| Refusal::BadEpochRecord)?;
        let Some(held) = env.vault.holding(&record.key)? else { continue };
        if record.epoch <= held.manifest.manifest().epoch {
            continue;
        }
        signed.verify(env.bundle, &held.manifest)?;
        let shelved = env.vault.shelved(&record.key, record.epoch)?;
        let shares = shelved.filter(|shelved| shelved.body == signed.body);
        let shares = shares.map(|shelved| shelved.shares);
        changes.push(Change { key: record.key, record: signed.clone(), shares });
    }
    if changes.is_empty() { Ok(()) } else { env.vault.change(changes) }
}

/// What this manager prepared for an epoch, if it still may be committed.
fn prepared(env: &Env<'_>, key: &KeyVersion, epoch: u32) -> Result<Prepared, Refusal> {
    let shelved = env.vault.shelved(key, epoch)?;
    Ok(shelved.map_or(Prepared::NOTHING, |shelved| Prepared {
        body: shelved.body,
        signature: shelved.signature,
    }))
}

fn overlap(a: &RefreshParams, b: &RefreshParams) -> bool {
    a.keys.iter().any(|key| b.keys.iter().any(|other| other.key == key.key))
}
