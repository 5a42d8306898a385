//! The keys of a copy: managers are asked for them anew, with the permits that control gave for its
//! reads. So the owner's orders hold, and managers log it; control is not needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::Uid;
use keysherd_crypto::envelope::Envelope;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::Caller;
use keysherd_plane::grants::{Granted, GrantedItem, GrantedTo, GrantedVersion, SignedPermit};

use crate::derive::Derivations;
use crate::key_cache::KeyCache;
use crate::needs::{Need, needs, wrap_of};
use crate::reader::payload_key;

/// Permits that managers are asked with at one time.
const PERMITS_AT_ONCE: usize = 16;
/// Attempts, and the pause between them: managers may be away for a moment, or not reached yet.
const ATTEMPTS: usize = 5;
const ATTEMPT_PAUSE: Duration = Duration::from_secs(2);

/// What it takes to open the reads of a copy.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) permits: Vec<SignedPermit>,
    pub(super) manifests: Vec<(KeyVersion, Arc<[u8]>)>,
    /// What was granted, of which account, with places in the permits.
    pub(super) reads: Vec<(Uid, Vec<Arc<GrantedItem>>)>,
}

/// A key that is wanted, and what it opens.
type Wanted = (Need, GrantedVersion);

impl Sealed {
    /// Has the managers derive all keys; how many there are by then, and how many are missing.
    pub(super) async fn open(
        &self,
        derivations: &Arc<Derivations>,
        keys: &KeyCache,
    ) -> (usize, usize) {
        for (key, signed) in &self.manifests {
            if let Err(fault) = derivations.trust(key, signed) {
                tracing::warn!(key = %key.id, %fault, "a key of the copy of reads is not used");
            }
        }
        let mut missing = self.wanted();
        let all = missing.len();
        for attempt in 0..ATTEMPTS {
            if missing.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(ATTEMPT_PAUSE).await;
            }
            missing = self.derive(missing, derivations, keys).await;
        }
        (all - missing.len(), missing.len())
    }

    /// Every key once, in the order of the permits.
    fn wanted(&self) -> Vec<Wanted> {
        let caller = Caller::of_the_server(Uid::default());
        let mut wanted = BTreeMap::new();
        for (account, items) in &self.reads {
            let granted = Granted::Read(items.clone());
            let granted = GrantedTo { account: *account, granted, keep: None, opened: None };
            let Ok(needs) = needs(&caller, &granted, None, None) else { continue };
            let versions = items.iter().flat_map(|item| &item.versions);
            let opened = versions.filter(|version| version.permit_slot.is_some()).cloned();
            for (need, version) in needs.into_iter().zip(opened) {
                wanted.insert((need.slot.permit, need.slot.entry), (need, version));
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
