//! Drives derivations: asks managers, feeds the combiners of `fragments`, hands out keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keysherd_base::{Fault, RngHandle, Uid};
use keysherd_crypto::envelope::Kek;
use keysherd_crypto::hash::sha256;
use keysherd_fragments::combine::DerivedKey;
use keysherd_fragments::context::ContextFields;
use keysherd_fragments::derive::DeriveRequest;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::gateway_side::{
    Ask, Batch, BatchKey, Confirmation, ReadCombiner, ReadStep, VerifiedAnswer, WriteCombiner,
    WriteOutcome, self_test,
};
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manager_set::{ManagerIndex, ManagerSet, Threshold};
use keysherd_fragments::manifest::{KeyVersion, SignedManifest, TrustedManifest};
use keysherd_fragments::messages::{DeriveCall, ManagerAnswer, ManagerRequest};
use keysherd_fragments::refusal::Refusal;
use keysherd_plane::PlaneHandle;
use keysherd_plane::alerts::AlertKind;
use keysherd_plane::grants::{PermitSlot, SignedPermit};
use keysherd_plane::keys::ManifestGet;
use quick_cache::sync::Cache;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::customer::{CustomerFragments, check_binding};
use crate::incidents::{Incident, Incidents, names};
use crate::managers::{Failure, Managers, permit_of};
use crate::needs::Need;

/// Manifests kept; one is about 2 KiB.
const MANIFESTS_MAX: usize = 10_000;
/// How long a write that has enough answers waits for a manager that is well.
const STRAGGLERS_WAIT: Duration = Duration::from_secs(1);
/// How long a read that met a lie waits for the answers that tell whose it was.
const LIAR_WAIT: Duration = Duration::from_millis(500);
/// The least it waits for one that is not.
const FAILING_WAIT: Duration = Duration::from_millis(50);
/// Entries whose cryptography may run on the event loop; more would make other requests wait.
const ENTRIES_INLINE_MAX: usize = 32;

/// A key that was derived.
#[derive(Debug)]
pub(crate) struct DerivedKek {
    /// The key.
    pub(crate) kek: Kek,
    /// Managers that have still to confirm it: nobody knows yet whether they derive the same.
    /// Nobody for keys whose commitment was known.
    pub(crate) missing: ManagerSet,
}

/// Keys that were derived, each to be taken once.
#[derive(Default)]
pub(crate) struct Keks(HashMap<PermitSlot, Result<DerivedKek, Fault>>);

impl Keks {
    /// The key derived for `slot`.
    pub(crate) fn take(&mut self, slot: PermitSlot) -> Result<DerivedKek, Fault> {
        self.0.remove(&slot).unwrap_or_else(|| {
            Err(Fault::internal("a derivation was granted without a place in a permit"))
        })
    }
}

/// The customer fragments of the keys of one round of derivations, for no longer than that.
type Fragments = HashMap<KeyVersion, Arc<CustomerFragment>>;
/// The keys of a group, each or all of them refused.
type Outcomes = Result<Vec<Result<DerivedKek, Fault>>, Fault>;

/// What one manager answered in one round.
type Answered = (u8, ManagerIndex, Result<VerifiedAnswer, Failure>);

/// Requests that are under way, and what was asked.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Answered>,
    requests: Vec<(ManagerIndex, Vec<u8>)>,
}

/// How long a write waits for all managers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Until each has answered or failed.
    All,
    /// A little longer than enough of them take.
    Enough,
}

/// The driver.
pub(crate) struct Derivations {
    managers: Arc<Managers>,
    plane: PlaneHandle,
    rng: RngHandle,
    manifests: Cache<KeyVersion, Arc<TrustedManifest>>,
    fragments: Arc<CustomerFragments>,
    turn: AtomicUsize,
    incidents: Arc<Incidents>,
    /// Whether a write may go on with fewer than all managers.
    unconfirmed: bool,
}

/// Derivations that share a permit, a direction and a threshold.
struct Group {
    permit: Signed,
    needs: Vec<Need>,
    batch: Batch,
}

impl Derivations {
    /// A driver that binds keys to `fragments`.
    pub(crate) fn new(
        managers: Arc<Managers>,
        plane: PlaneHandle,
        rng: RngHandle,
        fragments: Arc<CustomerFragments>,
        incidents: Arc<Incidents>,
        unconfirmed: bool,
    ) -> Self {
        Self {
            incidents,
            unconfirmed,
            managers,
            plane,
            rng,
            manifests: Cache::new(MANIFESTS_MAX),
            fragments,
            turn: AtomicUsize::new(0),
        }
    }

    /// The customer fragments of this gateway.
    pub(crate) fn fragments(&self) -> &CustomerFragments {
        &self.fragments
    }

    /// Remembers a manifest that was verified.
    pub(crate) fn learn(&self, manifest: TrustedManifest) {
        self.manifests.insert(manifest.manifest().key, Arc::new(manifest));
    }

    /// Derives everything that is needed. Each need gets a key or its own fault.
    pub(crate) async fn derive(
        self: &Arc<Self>,
        permits: &[SignedPermit],
        needs: Vec<Need>,
    ) -> Keks {
        let mut keks = Keks::default();
        let mut by_kind: HashMap<(u16, bool, Option<Threshold>), Vec<Need>> = HashMap::new();
        let mut fragments = Fragments::default();
        for need in needs {
            match self.usable(&need, &mut fragments).await {
                Ok(manifest) => {
                    let threshold = manifest.manifest().threshold;
                    let kind = (need.slot.permit, need.commitment.is_some(), Some(threshold));
                    by_kind.entry(kind).or_default().push(need);
                }
                Err(fault) => {
                    keks.0.insert(need.slot, Err(fault));
                }
            }
        }
        let mut running = JoinSet::new();
        for ((permit, existing, _), mut needs) in by_kind {
            needs.sort_by_key(|need| need.slot.entry);
            match self.group(permits.get(usize::from(permit)), &needs, &fragments) {
                Ok(group) => {
                    let driver = self.clone();
                    running.spawn(async move { driver.run(group, existing).await });
                }
                Err(fault) => {
                    keks.0.extend(needs.iter().map(|need| (need.slot, Err(fault.clone()))));
                }
            }
        }
        while let Some(done) = running.join_next().await {
            // A panic is logged by the runtime; its needs have no key then.
            keks.0.extend(done.into_iter().flatten());
        }
        keks
    }

    /// Has two quorums derive `need` under the generation's permit, and compares.
    pub(crate) async fn self_test(
        self: &Arc<Self>,
        permit: &SignedPermit,
        need: Need,
    ) -> Result<(), Fault> {
        let mut fragments = Fragments::default();
        self.usable(&need, &mut fragments).await?;
        let needs = [need];
        let group = self.group(Some(permit), &needs, &fragments)?;
        let (combiner, _) = self.all_answers(&group, Patience::All).await?;
        self_test::passes(&combiner).map_err(|refusal| {
            Fault::unavailable(format!("the new key failed its self-test: {refusal}"))
        })
    }

    /// The manifest of a need's key, when everything of the key is at hand: its customer fragment,
    /// if it is bound to one, is then in `fragments`.
    async fn usable(
        &self,
        need: &Need,
        fragments: &mut Fragments,
    ) -> Result<Arc<TrustedManifest>, Fault> {
        let trusted = self.manifest(need).await?;
        let manifest = trusted.manifest();
        check_binding(need.customer_fragment, manifest)?;
        if let (Some(id), Entry::Vacant(place)) =
            (manifest.fragment(), fragments.entry(manifest.key))
        {
            place.insert(self.fragments.of_key(id, manifest).await?);
        }
        Ok(trusted)
    }

    /// Has all managers derive `need`, or fails.
    pub(crate) async fn derive_confirmed(
        self: &Arc<Self>,
        permit: &SignedPermit,
        manifest: &[u8],
        need: Need,
    ) -> Result<Kek, Fault> {
        self.trust(&key_version(&need.fields), manifest)?;
        let mut fragments = Fragments::default();
        self.usable(&need, &mut fragments).await?;
        let group = self.group(Some(permit), &[need], &fragments)?;
        let (combiner, requests) = self.all_answers(&group, Patience::All).await?;
        let mut keys = self.outcome(&group, combiner, requests)?.into_iter();
        let no_key = || Fault::internal("a derivation came to nothing");
        let DerivedKek { kek, missing } = keys.next().ok_or_else(no_key)??;
        if missing.is_empty() { Ok(kek) } else { Err(too_few(missing)) }
    }

    async fn manifest(&self, need: &Need) -> Result<Arc<TrustedManifest>, Fault> {
        let key = key_version(&need.fields);
        if let Some(known) = self.manifests.get(&key) {
            return Ok(known);
        }
        let ask = ManifestGet { key_id: key.id, version: key.version };
        let reply = self.plane.ask(need.caller.clone(), ask).await?;
        self.trust(&key, &reply.manifest)
    }

    /// Verifies a manifest against this gateway's own pinned bundle, and remembers it.
    fn trust(&self, key: &KeyVersion, manifest: &[u8]) -> Result<Arc<TrustedManifest>, Fault> {
        let untrusted = |refusal: Refusal| {
            let what = format!("key {}: its manifest is not trusted: {refusal}", key.id);
            Fault::internal(what).with_code(UNTRUSTED_KEY)
        };
        let signed = SignedManifest::from_bytes(manifest).map_err(untrusted)?;
        let trusted = signed.verify(&self.managers.bundle.load()).map_err(untrusted)?;
        if trusted.manifest().key != *key {
            return Err(untrusted(Refusal::ManifestMismatch));
        }
        let trusted = Arc::new(trusted);
        self.manifests.insert(*key, trusted.clone());
        Ok(trusted)
    }

    fn group(
        &self,
        permit: Option<&SignedPermit>,
        needs: &[Need],
        fragments: &Fragments,
    ) -> Result<Group, Fault> {
        let permit =
            permit.ok_or_else(|| Fault::internal("a grant names a permit there is not"))?;
        let fields: Vec<_> = needs.iter().map(|need| need.fields).collect();
        let batch = Batch::new(&fields, |key| {
            let manifest = self.manifests.get(key).ok_or(Refusal::UnknownKey)?;
            // One that is missing is refused by the batch.
            Ok(BatchKey { manifest, fragment: fragments.get(key).cloned() })
        })
        .map_err(refused)?;
        Ok(Group { permit: permit_of(permit)?, needs: needs.to_vec(), batch })
    }

    async fn run(
        self: Arc<Self>,
        group: Group,
        existing: bool,
    ) -> Vec<(PermitSlot, Result<DerivedKek, Fault>)> {
        let keys = if existing { self.read(&group).await } else { self.write(&group).await };
        match keys {
            Ok(keys) => group.needs.iter().map(|need| need.slot).zip(keys).collect(),
            Err(fault) => group.needs.iter().map(|need| (need.slot, Err(fault.clone()))).collect(),
        }
    }

    async fn read(self: &Arc<Self>, group: &Group) -> Outcomes {
        let commitments = group.needs.iter().filter_map(|need| need.commitment).collect();
        let threshold = group.batch.threshold();
        let health = &self.managers.health;
        let first = health.first(threshold, self.turn.fetch_add(1, Ordering::Relaxed));
        let mut combiner =
            ReadCombiner::new(group.batch.clone(), commitments, first).map_err(refused)?;
        let mut running = Running::default();
        let mut hedge = pin!(tokio::time::sleep(health.hedge_delay(threshold)));
        let mut hedged = false;
        loop {
            match off_loop(group, || combiner.step()) {
                ReadStep::Done => break,
                ReadStep::Ask(ask) => self.send(group, &ask, &mut running)?,
                ReadStep::Wait => tokio::select! {
                    biased;
                    answered = running.tasks.join_next() => match answered {
                        Some(Ok((round, _, Ok(answer)))) => combiner.offer(round, answer),
                        Some(Ok((round, manager, Err(_)))) => combiner.lost(round, manager),
                        Some(Err(panic)) => return Err(Fault::internal(panic)),
                        None => break,
                    },
                    () = hedge.as_mut(), if !hedged => {
                        hedged = true;
                        health.overtaken(combiner.widen());
                    }
                },
            }
        }
        if combiner.suspects() {
            let _named_or_not =
                tokio::time::timeout(LIAR_WAIT, hear_suspects(&mut combiner, &mut running)).await;
        }
        // Whoever still answers is heard for its health alone.
        running.tasks.detach_all();
        let report = combiner.finish();
        if !report.liars.is_empty() {
            health.lied(report.liars);
            let with_outputs = report.liars.len() < threshold.t();
            let kind = AlertKind::LieOnRead;
            let found = Found { kind, managers: report.liars, answers: report.evidence };
            self.report(group, found, running.requests, with_outputs);
        }
        let all = ManagerSet::EMPTY;
        let keys = report.keys.into_iter();
        Ok(keys.map(|key| key.map(|key| kek(key, all)).map_err(refused)).collect())
    }

    async fn write(self: &Arc<Self>, group: &Group) -> Outcomes {
        let patience = if self.unconfirmed { Patience::Enough } else { Patience::All };
        let (combiner, requests) = self.all_answers(group, patience).await?;
        let keys = self.outcome(group, combiner, requests)?;
        let missing = keys.iter().flatten().find(|key| !key.missing.is_empty());
        match missing {
            Some(key) if !self.unconfirmed => Err(too_few(key.missing)),
            _ => Ok(keys),
        }
    }

    /// The keys of a write, each with those who have still to confirm it.
    fn outcome(
        self: &Arc<Self>,
        group: &Group,
        combiner: WriteCombiner,
        requests: Vec<(ManagerIndex, Vec<u8>)>,
    ) -> Outcomes {
        match off_loop(group, || combiner.finish()) {
            WriteOutcome::Sealed { keys, confirmation, liars, evidence } => {
                self.report_liars(group, liars, evidence, requests);
                let missing = match confirmation {
                    Confirmation::Confirmed => ManagerSet::EMPTY,
                    Confirmation::Unconfirmed { missing } => missing,
                };
                Ok(keys.into_iter().map(|key| Ok(kek(key, missing))).collect())
            }
            WriteOutcome::Refused { suspects, evidence, .. } => {
                self.managers.health.contradicted(suspects);
                let kind = AlertKind::Contradiction;
                let found = Found { kind, managers: suspects, answers: evidence };
                self.report(group, found, requests, true);
                Err(contradiction(suspects))
            }
            WriteOutcome::Failed { refusal, liars, evidence } => {
                self.report_liars(group, liars, evidence, requests);
                Err(refused(refusal))
            }
        }
    }

    /// Asks all managers with proofs, and waits until each answered or failed; with
    /// [`Patience::Enough`] only a little longer than it takes until the answers are enough.
    async fn all_answers(
        self: &Arc<Self>,
        group: &Group,
        patience: Patience,
    ) -> Result<(WriteCombiner, Vec<(ManagerIndex, Vec<u8>)>), Fault> {
        let mut combiner = off_loop(group, || WriteCombiner::new(group.batch.clone()));
        let mut running = Running::default();
        self.send(group, &combiner.ask(), &mut running)?;
        let mut stragglers = pin!(tokio::time::sleep(STRAGGLERS_WAIT));
        let mut enough = false;
        while !combiner.is_settled() {
            if !enough && patience == Patience::Enough && combiner.is_enough() {
                enough = true;
                let wait = self.stragglers_wait(combiner.outstanding(), group);
                stragglers.as_mut().reset(Instant::now() + wait);
            }
            tokio::select! {
                biased;
                answered = running.tasks.join_next() => match answered {
                    Some(Ok((_, manager, Ok(answer)))) => {
                        if let Err(refusal) = off_loop(group, || combiner.offer(answer)) {
                            tracing::warn!(%manager, %refusal, "invalid answer of a manager");
                        }
                    }
                    Some(Ok((_, manager, Err(failure)))) => {
                        tracing::warn!(%manager, ?failure, "no answer of a fragment manager");
                        combiner.lost(manager);
                    }
                    Some(Err(panic)) => return Err(Fault::internal(panic)),
                    None => break,
                },
                () = stragglers.as_mut(), if enough => {
                    self.managers.health.overtaken(combiner.outstanding());
                    break;
                }
            }
        }
        running.tasks.detach_all();
        Ok((combiner, running.requests))
    }

    /// How long a write that has enough answers waits for these managers: not long for those that
    /// failed just before.
    fn stragglers_wait(&self, outstanding: ManagerSet, group: &Group) -> Duration {
        let health = &self.managers.health;
        if outstanding.is_within(health.passed_over()) {
            health.hedge_delay(group.batch.threshold()).max(FAILING_WAIT)
        } else {
            STRAGGLERS_WAIT
        }
    }

    fn send(
        self: &Arc<Self>,
        group: &Group,
        ask: &Ask,
        running: &mut Running,
    ) -> Result<(), Fault> {
        let request_id = Uid::random(&*self.rng)?;
        let permit_sha256 = sha256(&[&group.permit.body]);
        let index_of = |place: u16| {
            let need = group.needs.get(usize::from(place));
            need.expect("invariant: combiners ask for places of their batch").slot.entry
        };
        for manager in ask.managers.iter() {
            let request = ask.request(manager, permit_sha256, request_id, index_of);
            let call = DeriveCall {
                permit: group.permit.clone(),
                request: request.seal(&self.managers.instance),
                endorsement: self.managers.endorsement(),
            };
            running.requests.push((manager, call.request.signed.body.clone()));
            let (driver, round) = (self.clone(), ask.round);
            running.tasks.spawn(async move { (round, manager, driver.ask(manager, call).await) });
        }
        Ok(())
    }

    async fn ask(
        &self,
        manager: ManagerIndex,
        call: DeriveCall,
    ) -> Result<VerifiedAnswer, Failure> {
        let request_sha256 = DeriveRequest::hash(&call.request.signed.body);
        let answer = self.managers.ask(manager, &ManagerRequest::Derive(call)).await?;
        let ManagerAnswer::Derived(answer) = answer else { return Err(Failure::NoAnswer) };
        let bundle = self.managers.bundle.load();
        let identity = bundle.bundle().manager(manager).ok_or(Failure::NoAnswer)?.key;
        VerifiedAnswer::open(answer, &identity, manager, &request_sha256).map_err(Failure::Refused)
    }

    fn report_liars(
        self: &Arc<Self>,
        group: &Group,
        liars: ManagerSet,
        answers: Vec<VerifiedAnswer>,
        requests: Vec<(ManagerIndex, Vec<u8>)>,
    ) {
        if !liars.is_empty() {
            self.managers.health.lied(liars);
            let with_outputs = liars.len() < group.batch.threshold().t();
            let found = Found { kind: AlertKind::LieOnWrite, managers: liars, answers };
            self.report(group, found, requests, with_outputs);
        }
    }

    fn report(
        &self,
        group: &Group,
        found: Found,
        requests: Vec<(ManagerIndex, Vec<u8>)>,
        with_outputs: bool,
    ) {
        let Found { kind, managers, answers } = found;
        if let Some(need) = group.needs.first() {
            let incident = Incident { kind, managers, answers, requests, with_outputs };
            self.incidents.report(&need.caller, incident);
        }
    }
}

/// Hears managers that have not answered while somebody is to be named for a lie.
async fn hear_suspects(combiner: &mut ReadCombiner, running: &mut Running) {
    while combiner.suspects() {
        match running.tasks.join_next().await {
            Some(Ok((round, _, Ok(answer)))) => combiner.offer(round, answer),
            Some(Ok((round, manager, Err(_)))) => combiner.lost(round, manager),
            _ => return,
        }
    }
}

/// Managers that were found out, with what they signed.
struct Found {
    kind: AlertKind,
    managers: ManagerSet,
    answers: Vec<VerifiedAnswer>,
}

/// Runs cryptography of a large batch beside the event loop, so that other requests go on.
fn off_loop<T>(group: &Group, work: impl FnOnce() -> T) -> T {
    let multi_thread = tokio::runtime::Handle::current().runtime_flavor()
        == tokio::runtime::RuntimeFlavor::MultiThread;
    if group.batch.len() > ENTRIES_INLINE_MAX && multi_thread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

fn key_version(fields: &ContextFields) -> KeyVersion {
    KeyVersion { account: fields.account, id: fields.key_id, version: fields.key_version }
}

fn kek(key: DerivedKey, missing: ManagerSet) -> DerivedKek {
    DerivedKek { kek: Kek { kek: key.kek, com: key.commitment }, missing }
}

/// A write that needs all managers, and did not hear of these.
pub(crate) fn too_few(missing: ManagerSet) -> Fault {
    Fault::unavailable(format!(
        "nothing was written: it needs all fragment managers, and there is no valid answer from {}",
        names(missing)
    ))
    .with_code(NOT_CONFIRMED)
}

fn contradiction(suspects: ManagerSet) -> Fault {
    Fault::unavailable(format!(
        "nothing was written: fragment managers {} contradict each other, so one of them gives \
         wrong values; the owner has to find out which (the gateway keeps what they signed) and \
         to remove it from the trust bundle",
        names(suspects)
    ))
    .with_code(CONTRADICTION)
}

/// Code of the fault that says: control gave a manifest that the owner's bundle does not vouch for.
pub(crate) const UNTRUSTED_KEY: &str = "UntrustedKey";
/// Code of the fault that says: a write needs all managers, and one is missing.
pub(crate) const NOT_CONFIRMED: &str = "NotConfirmed";
/// Code of the fault that says: managers contradict each other.
pub(crate) const CONTRADICTION: &str = "ManagersContradict";
/// Code of the fault that says: what was derived is not what the ciphertext commits to.
pub(crate) const NOT_COMMITTED: &str = "CommitmentMismatch";

fn refused(refusal: Refusal) -> Fault {
    let fault = Fault::new(refusal.kind(), format!("the value cannot be derived: {refusal}"));
    match refusal {
        Refusal::CommitmentMismatch => fault.with_code(NOT_COMMITTED),
        _ => fault,
    }
}
