//! Derivations: which are needed together, under which manifests; hands out their keys.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use keysherd_base::{Fault, RngHandle};
use keysherd_crypto::envelope::Kek;
use keysherd_fragments::combine::DerivedKey;
use keysherd_fragments::context::ContextFields;
use keysherd_fragments::encoding::{Encoding, Signed};
use keysherd_fragments::gateway_side::{Batch, BatchKey, self_test};
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manager_set::{ManagerSet, Threshold};
use keysherd_fragments::manifest::{KeyVersion, SignedManifest, TrustedManifest};
use keysherd_fragments::order::REPORTS_MAX;
use keysherd_fragments::refusal::Refusal;
use keysherd_plane::grants::{PermitSlot, SignedPermit};
use keysherd_plane::keys::ManifestGet;
use keysherd_plane::{Caller, PlaneHandle};
use quick_cache::sync::Cache;
use tokio::task::JoinSet;

use crate::customer::{CustomerFragments, check_binding, check_group};
use crate::incidents::{Incidents, names};
use crate::managers::{Managers, permit_of};
use crate::needs::Need;
use crate::orders;

mod drive;
mod epochs;

use drive::Patience;

/// Manifests kept; one is about 2 KiB.
const MANIFESTS_MAX: usize = 10_000;

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

/// The customer fragments of the keys of one round of derivations, or why there is none, for no
/// longer than that.
type Fragments = HashMap<KeyVersion, Result<Arc<CustomerFragment>, Fault>>;
/// The driver.
pub(crate) struct Derivations {
    managers: Arc<Managers>,
    plane: PlaneHandle,
    rng: RngHandle,
    manifests: Cache<KeyVersion, Arc<TrustedManifest>>,
    /// As their managers signed them.
    signed: Cache<KeyVersion, Arc<[u8]>>,
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
            signed: Cache::new(MANIFESTS_MAX),
            fragments,
            turn: AtomicUsize::new(0),
        }
    }

    /// The customer fragments of this gateway.
    pub(crate) fn fragments(&self) -> &CustomerFragments {
        &self.fragments
    }

    /// Remembers a manifest that was verified, and its signed bytes.
    pub(crate) fn learn(&self, manifest: TrustedManifest, signed: Arc<[u8]>) {
        let key = manifest.manifest().key;
        self.signed.insert(key, signed);
        self.manifests.insert(key, Arc::new(manifest));
    }

    /// The manifest of a key version as its managers signed it, if this gateway has it.
    pub(crate) fn signed(&self, key: &KeyVersion) -> Option<Arc<[u8]>> {
        self.signed.get(key)
    }

    /// The customer fragment of a key version whose manifest this gateway has, if it is bound to
    /// one.
    ///
    /// # Errors
    /// Where the fragment is not to be had, or the owner's bundle does not allow the key.
    pub(crate) async fn fragment_of(
        &self,
        key: &KeyVersion,
    ) -> Result<Option<Arc<CustomerFragment>>, Fault> {
        let Some(trusted) = self.manifests.get(key) else { return Ok(None) };
        let manifest = trusted.manifest();
        let Some(id) = manifest.fragment() else { return Ok(None) };
        check_group(&manifest.group, true, self.managers.bundle.load().bundle())?;
        self.fragments.of_key(id, manifest).await.map(Some)
    }

    /// Those of these key versions that a manager says the owner stopped: frozen, destroyed or to
    /// be destroyed. A manager that does not answer says nothing.
    pub(crate) async fn stopped(&self, keys: Vec<KeyVersion>) -> HashSet<KeyVersion> {
        let mut stopped = HashSet::new();
        for some in keys.chunks(REPORTS_MAX) {
            let said = orders::reports(&self.managers, some.to_vec()).await;
            let reports = said.into_iter().filter_map(|manager| manager.said.ok()).flatten();
            stopped.extend(reports.filter(|one| one.is_stopped()).map(|report| report.key));
        }
        stopped
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
        let bound = manifest.fragment().is_some();
        check_group(&manifest.group, bound, self.managers.bundle.load().bundle())?;
        if let Some(id) = manifest.fragment() {
            let found = match fragments.entry(manifest.key) {
                Entry::Occupied(place) => place.into_mut(),
                Entry::Vacant(place) => place.insert(self.fragments.of_key(id, manifest).await),
            };
            found.as_ref().map_err(Fault::clone)?;
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
        let (group, combiner, requests) = self.current_answers(group, Patience::All).await?;
        let mut keys = self.outcome(&group, combiner, requests)?.into_iter();
        let no_key = || Fault::internal("a derivation came to nothing");
        let DerivedKek { kek, missing } = keys.next().ok_or_else(no_key)??;
        if missing.is_empty() { Ok(kek) } else { Err(too_few(missing)) }
    }

    async fn manifest(&self, need: &Need) -> Result<Arc<TrustedManifest>, Fault> {
        self.manifest_of(&need.caller, key_version(&need.fields)).await
    }

    /// The verified manifest of a key version; `caller` asks control when it is not known yet.
    ///
    /// # Errors
    /// Control's; or when the manifest is not signed by all its managers.
    pub(crate) async fn manifest_of(
        &self,
        caller: &Caller,
        key: KeyVersion,
    ) -> Result<Arc<TrustedManifest>, Fault> {
        if let Some(known) = self.manifests.get(&key) {
            return Ok(known);
        }
        let ask = ManifestGet { key_id: key.id, version: key.version };
        let reply = self.plane.ask(caller.clone(), ask).await?;
        self.trust(&key, &reply.manifest)
    }

    /// Verifies a manifest against this gateway's own pinned bundle, and remembers it.
    ///
    /// # Errors
    /// When it is not the key's, or not signed by all its managers.
    pub(crate) fn trust(
        &self,
        key: &KeyVersion,
        manifest: &[u8],
    ) -> Result<Arc<TrustedManifest>, Fault> {
        let untrusted = |refusal: Refusal| {
            let what = format!("key {}: its manifest is not trusted: {refusal}", key.id);
            Fault::internal(what).with_code(UNTRUSTED_KEY)
        };
        let read = SignedManifest::from_bytes(manifest).map_err(untrusted)?;
        let trusted = read.verify(&self.managers.bundle.load()).map_err(untrusted)?;
        if trusted.manifest().key != *key {
            return Err(untrusted(Refusal::ManifestMismatch));
        }
        self.signed.insert(*key, manifest.into());
        if let Some(known) = self.manifests.get(key)
            && known.manifest().group_key == trusted.manifest().group_key
        {
            // The same key, at the epoch this gateway knows of.
            return Ok(known);
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
            let fragment = fragments.get(key).and_then(|found| found.as_ref().ok()).cloned();
            Ok(BatchKey { manifest, fragment })
        })
        .map_err(refused)?;
        Ok(Group { permit: permit_of(permit)?, needs: needs.to_vec(), batch })
    }

    async fn run(
        self: Arc<Self>,
        group: Group,
        existing: bool,
    ) -> Vec<(PermitSlot, Result<DerivedKek, Fault>)> {
        let needs = group.needs.clone();
        let keys = if existing { self.read(group).await } else { self.write(group).await };
        match keys {
            Ok(keys) => needs.iter().map(|need| need.slot).zip(keys).collect(),
            Err(fault) => needs.iter().map(|need| (need.slot, Err(fault.clone()))).collect(),
        }
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
