//! The keys of a copy. Those that are in it are taken once managers were asked whether the owner
//! stopped what they were opened with; managers that are not reached say nothing, and then the time
//! that the owner's bundle gives is all that ends them. For all others managers are asked anew,
//! with the permits that control gave for the reads: they log it, and control is not needed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{AccountId, Uid};
use keysherd_crypto::envelope::Envelope;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::Caller;
use keysherd_plane::grants::{Granted, GrantedItem, GrantedTo, GrantedVersion, SignedPermit};

use super::OpenedWith;
use super::file::CopiedKeys;
use super::keys::KeySeal;
use crate::derive::Derivations;
use crate::key_cache::{Asked, KeyCache};
use crate::needs::{Need, needs, wrap_of};
use crate::reader::payload_key;

/// Permits that managers are asked with at one time.
const PERMITS_AT_ONCE: usize = 16;
/// Attempts, and the pause between them: managers may be away for a moment, or not reached yet.
const ATTEMPTS: usize = 5;
const ATTEMPT_PAUSE: Duration = Duration::from_secs(2);

/// What it takes to open the reads of a copy.
pub(super) struct Sealed {
    pub(super) permits: Vec<SignedPermit>,
    pub(super) manifests: Vec<(KeyVersion, Arc<[u8]>)>,
    /// Opened keys, sealed under customer fragments.
    pub(super) keys: Vec<CopiedKeys>,
    /// What they are sealed for.
    bound: [u8; 32],
    /// When the copy was written.
    written: Asked,
    /// What was granted, of which account, with places in the permits.
    pub(super) reads: Vec<(Uid, Vec<Arc<GrantedItem>>)>,
}

/// A key that is wanted, and what it opens.
type Wanted = (Need, GrantedVersion);

impl Sealed {
    /// Nothing yet of the copy that was written then.
    pub(super) fn of(bound: [u8; 32], written: Asked) -> Self {
        let (permits, manifests, keys, reads) = Default::default();
        Self { permits, manifests, keys, bound, written, reads }
    }

    /// Opens the keys that are in the copy, and has the managers derive all others; how many were
    /// in it, how many were derived, and how many are missing.
    pub(super) async fn open(&self, (keys, derivations): &OpenedWith) -> (usize, usize, usize) {
        for (key, signed) in &self.manifests {
            if let Err(fault) = derivations.trust(key, signed) {
                tracing::warn!(key = %key.id, %fault, "a key of the copy of reads is not used");
            }
        }
        let wraps = self.wraps();
        let held = self.open_held(&wraps, keys, derivations).await;
        let mut missing = self.wanted(&held);
        let (all, in_it, asked_for) = (wraps.len(), held.len(), missing.len());
        for attempt in 0..ATTEMPTS {
            if missing.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
            missing = self.derive(missing, derivations, keys).await;
        }
        let derived = asked_for - missing.len();
        (in_it, derived, all.saturating_sub(in_it + derived))
    }

    /// Every wrap that has to be opened, and what it is wrapped by.
    fn wraps(&self) -> HashMap<[u8; 32], KeyVersion> {
        let items = self.reads.iter().flat_map(|(account, items)| {
            items.iter().flat_map(|item| &item.versions).map(|version| (*account, version))
        });
        let wraps = items.filter_map(|(account, version)| {
            let envelope = Envelope::parse(&version.ciphertext).ok()?;
            let identity = wrap_of(&envelope, &version.key)?.1.identity();
            let (account, id) = (AccountId(account), version.key.key_id);
            Some((identity, KeyVersion { account, id, version: version.key.version }))
        });
        wraps.collect()
    }

    /// Takes the keys that are in the copy, unless the owner stopped what they were opened with.
    async fn open_held(
        &self,
        wraps: &HashMap<[u8; 32], KeyVersion>,
        keys: &KeyCache,
        derivations: &Derivations,
    ) -> HashSet<[u8; 32]> {
        let versions: HashSet<KeyVersion> = self.keys.iter().map(of).collect();
        let stopped = derivations.stopped(versions.into_iter().collect()).await;
        let mut held = HashSet::new();
        for copied in &self.keys {
            let of = of(copied);
            if stopped.contains(&of) {
                tracing::warn!(key = %of.id, "the owner stopped a key of the copy of reads");
                continue;
            }
            let fragment = match derivations.fragment_of(&of).await {
                Ok(fragment) => fragment,
                Err(fault) => {
                    tracing::warn!(key = %of.id, %fault, "keys of the copy of reads stay sealed");
                    continue;
                }
            };
            let Some(fragment) = fragment else { continue };
            let opened = KeySeal::new(&fragment, &of, &self.bound).open(&copied.sealed);
            for key in opened.into_iter().flatten() {
                let age = Duration::from_millis(key.age_millis);
                let asked = self.written.before(age);
                if wraps.get(&key.identity) == Some(&of)
                    && let Some(asked) = asked
                {
                    keys.put_restored(key.identity, &key.key, asked);
                    held.insert(key.identity);
                }
            }
        }
        held
    }

    /// Every other key once, in the order of the permits.
    fn wanted(&self, held: &HashSet<[u8; 32]>) -> Vec<Wanted> {
        let caller = Caller::of_the_server(Uid::default());
        let mut wanted = BTreeMap::new();
        for (account, items) in &self.reads {
            let granted = Granted::Read(items.clone());
            let granted = GrantedTo { account: *account, granted, keep: None, opened: None };
            let Ok(needs) = needs(&caller, &granted, None, None) else { continue };
            let versions = items.iter().flat_map(|item| &item.versions);
            let permitted = versions.filter(|version| version.permit_slot.is_some());
            for (need, version) in needs.into_iter().zip(permitted) {
                if !is_of(held, version) {
                    wanted.insert((need.slot.permit, need.slot.entry), (need, version.clone()));
                }
            }
        }
        wanted.into_values().collect()
    }

    /// One attempt; what is still missing.
    async fn derive(
        &self,
        wanted: Vec<Wanted>,
        derivations: &Arc<Derivations>,
        keys: &KeyCache,
    ) -> Vec<Wanted> {
        let mut missing = Vec::new();
        let by_permit =
            |(one, _): &Wanted, (other, _): &Wanted| one.slot.permit == other.slot.permit;
        let groups: Vec<&[Wanted]> = wanted.chunk_by(by_permit).collect();
        for some in groups.chunks(PERMITS_AT_ONCE) {
            let asked = keys.asked();
            let some = || some.iter().copied().flatten();
            let needs = some().map(|(need, _)| need.clone()).collect();
            let mut keks = derivations.derive(&self.permits, needs).await;
            for (need, version) in some() {
                let kek = keks.take(need.slot);
                let opened = kek.as_ref().ok().and_then(|derived| {
                    let envelope = Envelope::parse(&version.ciphertext).ok()?;
                    let (_, wrap) = wrap_of(&envelope, &version.key)?;
                    let key = payload_key(&envelope, &version.key, &derived.kek)?;
                    keys.put(wrap.identity(), &key, asked);
                    Some(())
                });
                if opened.is_none() {
                    missing.push((need.clone(), version.clone()));
                }
            }
        }
        missing
    }
}

fn of(copied: &CopiedKeys) -> KeyVersion {
    let CopiedKeys { account, key, version, .. } = copied;
    KeyVersion { account: AccountId(*account), id: *key, version: *version }
}

fn is_of(held: &HashSet<[u8; 32]>, version: &GrantedVersion) -> bool {
    let envelope = Envelope::parse(&version.ciphertext).ok();
    let identity =
        envelope.and_then(|envelope| Some(wrap_of(&envelope, &version.key)?.1.identity()));
    identity.is_some_and(|identity| held.contains(&identity))
}
