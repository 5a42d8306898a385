//! Drives derivations: asks managers, feeds the combiners of `fragments`, hands out keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
use keysherd_plane::grants::{PermitSlot, SignedPermit};
use keysherd_plane::keys::ManifestGet;
use quick_cache::sync::Cache;
use tokio::task::JoinSet;

use crate::customer::{CustomerFragments, check_binding};
use crate::managers::{Failure, Managers, permit_of};
use crate::needs::Need;

/// Manifests kept; one is about 2 KiB.
const MANIFESTS_MAX: usize = 10_000;
/// Entries whose cryptography may run on the event loop; more would make other requests wait.
const ENTRIES_INLINE_MAX: usize = 32;

/// Keys that were derived, each to be taken once.
#[derive(Default)]
pub(crate) struct Keks(HashMap<PermitSlot, Result<Kek, Fault>>);

impl Keks {
    /// The key derived for `slot`.
    pub(crate) fn take(&mut self, slot: PermitSlot) -> Result<Kek, Fault> {
        self.0.remove(&slot).unwrap_or_else(|| {
            Err(Fault::internal("a derivation was granted without a place in a permit"))
        })
    }
}

/// The customer fragments of the keys of one round of derivations, for no longer than that.
type Fragments = HashMap<KeyVersion, Arc<CustomerFragment>>;

/// What one manager answered in one round.
type Answered = (u8, ManagerIndex, Result<VerifiedAnswer, Failure>);

/// The driver.
pub(crate) struct Derivations {
    managers: Arc<Managers>,
    plane: PlaneHandle,
    rng: RngHandle,
    manifests: Cache<KeyVersion, Arc<TrustedManifest>>,
    fragments: Arc<CustomerFragments>,
    turn: AtomicUsize,
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
    ) -> Self {
        Self {
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
        let combiner = self.all_answers(&group).await?;
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

    async fn manifest(&self, need: &Need) -> Result<Arc<TrustedManifest>, Fault> {
        let key = key_version(&need.fields);
        if let Some(known) = self.manifests.get(&key) {
            return Ok(known);
        }
        let ask = ManifestGet { key_id: key.id, version: key.version };
        let reply = self.plane.ask(need.caller.clone(), ask).await?;
        let untrusted = |refusal: Refusal| {
            Fault::internal(format!("key {}: its manifest is not trusted: {refusal}", key.id))
        };
        let signed = SignedManifest::from_bytes(&reply.manifest).map_err(untrusted)?;
        let trusted = signed.verify(&self.managers.bundle.load()).map_err(untrusted)?;
        if trusted.manifest().key != key {
            return Err(untrusted(Refusal::ManifestMismatch));
        }
        let trusted = Arc::new(trusted);
        self.manifests.insert(key, trusted.clone());
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
    ) -> Vec<(PermitSlot, Result<Kek, Fault>)> {
        let keys = if existing { self.read(&group).await } else { self.write(&group).await };
        match keys {
            Ok(keys) => group.needs.iter().map(|need| need.slot).zip(keys).collect(),
            Err(fault) => group.needs.iter().map(|need| (need.slot, Err(fault.clone()))).collect(),
        }
    }

    async fn read(self: &Arc<Self>, group: &Group) -> Result<Vec<Result<Kek, Fault>>, Fault> {
        let commitments = group.needs.iter().filter_map(|need| need.commitment).collect();
        let first = self.next_quorum(group.batch.threshold());
        let mut combiner =
            ReadCombiner::new(group.batch.clone(), commitments, first).map_err(refused)?;
        let mut running = JoinSet::new();
        loop {
            match off_loop(group, || combiner.step()) {
                ReadStep::Done => break,
                ReadStep::Ask(ask) => self.send(group, &ask, &mut running)?,
                ReadStep::Wait => match running.join_next().await {
                    Some(Ok((round, _, Ok(answer)))) => combiner.offer(round, answer),
                    Some(Ok((round, manager, Err(_)))) => combiner.lost(round, manager),
                    Some(Err(panic)) => return Err(Fault::internal(panic)),
                    None => break,
                },
            }
        }
        let report = combiner.finish();
        self.report_liars(report.liars);
        Ok(report.keys.into_iter().map(|key| key.map(kek).map_err(refused)).collect())
    }

    async fn write(self: &Arc<Self>, group: &Group) -> Result<Vec<Result<Kek, Fault>>, Fault> {
        let combiner = self.all_answers(group).await?;
        match off_loop(group, || combiner.finish()) {
            WriteOutcome::Sealed { keys, confirmation: Confirmation::Confirmed, liars, .. } => {
                self.report_liars(liars);
                Ok(keys.into_iter().map(|key| Ok(kek(key))).collect())
            }
            WriteOutcome::Sealed {
                confirmation: Confirmation::Unconfirmed { missing },
                liars,
                ..
            } => {
                self.report_liars(liars);
                Err(Fault::unavailable(format!(
                    "writing needs all fragment managers; no valid answer from {}",
                    names(missing)
                )))
            }
            WriteOutcome::Refused { suspects, .. } => {
                self.report_liars(suspects);
                Err(Fault::unavailable(format!(
                    "nothing was written: fragment managers {} contradict each other",
                    names(suspects)
                )))
            }
            WriteOutcome::Failed { refusal, liars, .. } => {
                self.report_liars(liars);
                Err(refused(refusal))
            }
        }
    }

    /// Asks all managers with proofs, and waits until each answered or failed.
    async fn all_answers(self: &Arc<Self>, group: &Group) -> Result<WriteCombiner, Fault> {
        let mut combiner = off_loop(group, || WriteCombiner::new(group.batch.clone()));
        let mut running = JoinSet::new();
        self.send(group, &combiner.ask(), &mut running)?;
        while !combiner.is_settled() {
            match running.join_next().await {
                Some(Ok((_, manager, Ok(answer)))) => {
                    if let Err(refusal) = off_loop(group, || combiner.offer(answer)) {
                        tracing::warn!(%manager, %refusal, "invalid answer of a fragment manager");
                    }
                }
                Some(Ok((_, manager, Err(failure)))) => {
                    tracing::warn!(%manager, ?failure, "no answer of a fragment manager");
                    combiner.lost(manager);
                }
                Some(Err(panic)) => return Err(Fault::internal(panic)),
                None => break,
            }
        }
        Ok(combiner)
    }

    fn send(
        self: &Arc<Self>,
        group: &Group,
        ask: &Ask,
        running: &mut JoinSet<Answered>,
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
            let (driver, round) = (self.clone(), ask.round);
            running.spawn(async move { (round, manager, driver.ask(manager, call).await) });
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

    /// The managers that are asked first: `t` neighbors, whose answers combine fastest, by turns.
    fn next_quorum(&self, threshold: Threshold) -> ManagerSet {
        let (t, n) = (threshold.t(), threshold.n());
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % usize::from(n - t + 1);
        let start = u8::try_from(turn).unwrap_or(0);
        ManagerSet::first(start + t).minus(ManagerSet::first(start))
    }

    fn report_liars(&self, liars: ManagerSet) {
        if !liars.is_empty() {
            tracing::error!(
                managers = names(liars),
                "fragment managers gave wrong values; the owner must look at them"
            );
        }
    }
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

fn kek(key: DerivedKey) -> Kek {
    Kek { kek: key.kek, com: key.commitment }
}

fn names(managers: ManagerSet) -> String {
    managers.iter().map(|manager| manager.to_string()).collect::<Vec<_>>().join(", ")
}

/// Code of the fault that says: what was derived is not what the ciphertext commits to.
pub(crate) const NOT_COMMITTED: &str = "CommitmentMismatch";

fn refused(refusal: Refusal) -> Fault {
    let fault = Fault::new(refusal.kind(), format!("the value cannot be derived: {refusal}"));
    match refusal {
        Refusal::CommitmentMismatch => fault.with_code(NOT_COMMITTED),
        _ => fault,
    }
}
