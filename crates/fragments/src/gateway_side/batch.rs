//! The derivations a gateway wants at one time.

use std::sync::Arc;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use zeroize::Zeroizing;

use super::held::{Held, Holders};
use crate::combine::{DerivedKey, combine};
use crate::context::{Context, ContextFields};
use crate::interpolation::Interpolation;
use crate::leg_c::CustomerFragment;
use crate::leg_g;
use crate::leg_s;
use crate::manager_set::{MANAGERS_MAX, ManagerIndex, ManagerSet, Threshold};
use crate::manifest::{KeyVersion, TrustedManifest};
use crate::permit::PERMIT_ENTRIES_MAX;
use crate::refusal::Refusal;

/// What a gateway needs to know of a key version.
#[derive(Clone)]
pub struct BatchKey {
    /// Its manifest, verified against this gateway's own pinned bundle.
    pub manifest: Arc<TrustedManifest>,
    /// The customer fragment it is bound to, if it is.
    pub fragment: Option<Arc<CustomerFragment>>,
}

/// Up to 1000 derivations under keys of one threshold. The contexts are the gateway's own: of the
/// ciphertext it reads, or with the salts it drew. What a permit says does not enter.
#[derive(Clone)]
pub struct Batch {
    threshold: Threshold,
    keys: Vec<BatchKey>,
    entries: Vec<Entry>,
    layout: Arc<Layout>,
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) slot: u16,
    pub(super) context: Context,
}

/// Where in a manager's output each leg-S partial lies.
struct Layout {
    sets: Vec<ManagerSet>,
    /// By manager, by place in `sets`: offset of the partial in the output of one entry.
    offsets: Vec<Vec<Option<usize>>>,
}

/// The hashed contexts of a batch, for proofs.
pub(super) struct Hashed {
    pub(super) points: Vec<RistrettoPoint>,
    pub(super) encoded: Vec<CompressedRistretto>,
}

impl Batch {
    /// A batch of these derivations. `key_of` gives what is known of a key version.
    ///
    /// # Errors
    /// [`Refusal::BadEntries`] for none or more than 1000 entries, or keys of different
    /// thresholds (make a batch for each); [`Refusal::ManifestMismatch`] for another key's
    /// manifest; [`Refusal::FragmentRequired`] when the customer fragment is missing or another;
    /// whatever `key_of` says.
    pub fn new(
        entries: &[ContextFields],
        mut key_of: impl FnMut(&KeyVersion) -> Result<BatchKey, Refusal>,
    ) -> Result<Self, Refusal> {
        if entries.is_empty() || entries.len() > PERMIT_ENTRIES_MAX {
            return Err(Refusal::BadEntries);
        }
        let mut keys: Vec<BatchKey> = Vec::new();
        let mut placed = Vec::with_capacity(entries.len());
        for fields in entries {
            let key = KeyVersion {
                account: fields.account,
                id: fields.key_id,
                version: fields.key_version,
            };
            // Neighbors mostly share their key.
            let known = keys.iter().rposition(|known| known.manifest.manifest().key == key);
            let slot = match known {
                Some(slot) => slot,
                None => {
                    let found = key_of(&key)?;
                    found.check(&key)?;
                    keys.push(found);
                    keys.len() - 1
                }
            };
            let slot = u16::try_from(slot).map_err(|_| Refusal::BadEntries)?;
            placed.push(Entry { slot, context: Context::new(fields) });
        }
        let mut thresholds = keys.iter().map(|key| key.manifest.manifest().threshold);
        let threshold = thresholds.next().ok_or(Refusal::BadEntries)?;
        if thresholds.any(|other| other != threshold) {
            return Err(Refusal::BadEntries);
        }
        let layout = Arc::new(Layout::new(threshold));
        Ok(Self { threshold, keys, entries: placed, layout })
    }

    /// How many derivations.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never: a batch has a derivation at least.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The threshold of its keys.
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The key versions of its entries, each once.
    pub fn key_versions(&self) -> impl Iterator<Item = KeyVersion> {
        self.keys.iter().map(|key| key.manifest.manifest().key)
    }

    /// The same derivations with the manifests of other epochs, where `newer` gives some.
    #[must_use]
    pub fn at_epochs(&self, newer: impl Fn(&KeyVersion) -> Option<Arc<TrustedManifest>>) -> Self {
        let mut batch = self.clone();
        for key in &mut batch.keys {
            if let Some(manifest) = newer(&key.manifest.manifest().key) {
                key.manifest = manifest;
            }
        }
        batch
    }

    /// The epochs the managers are expected to be at, for the request's hints.
    pub(super) fn epoch_hints(&self) -> Vec<u32> {
        self.keys.iter().map(|key| key.manifest.manifest().epoch).collect()
    }

    pub(super) fn keys(&self) -> &[BatchKey] {
        &self.keys
    }

    /// The batch of the entries at these places.
    pub(super) fn subset(&self, places: &[u16]) -> Self {
        let mut slots: Vec<u16> = Vec::new();
        let mut entries = Vec::with_capacity(places.len());
        for entry in places.iter().filter_map(|place| self.entries.get(usize::from(*place))) {
            let known = slots.iter().position(|slot| *slot == entry.slot);
            let slot = known.unwrap_or_else(|| {
                slots.push(entry.slot);
                slots.len() - 1
            });
            let slot = u16::try_from(slot).expect("invariant: a part of a batch is no larger");
            entries.push(Entry { slot, context: entry.context });
        }
        let keys = slots.iter().filter_map(|slot| self.keys.get(usize::from(*slot))).cloned();
        Self {
            threshold: self.threshold,
            keys: keys.collect(),
            entries,
            layout: Arc::clone(&self.layout),
        }
    }

    /// Places of the entries under the key of `slot`.
    pub(super) fn places_of(&self, slot: usize) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| usize::from(entry.slot) == slot).map(|(at, _)| at).collect()
    }

    pub(super) fn output_bytes(&self) -> usize {
        self.entries.len() * self.threshold.output_bytes()
    }

    pub(super) fn hash(&self) -> Hashed {
        let points: Vec<_> =
            self.entries.iter().map(|entry| leg_g::hash_context(&entry.context)).collect();
        let encoded = points.iter().map(RistrettoPoint::compress).collect();
        Hashed { points, encoded }
    }

    /// The point a manager gave for the entry at `place`.
    pub(super) fn point<'h>(&self, held: &'h Held, place: usize) -> Option<&'h [u8; 32]> {
        held.outputs().get(place * self.threshold.output_bytes()..)?.first_chunk()
    }

    /// The partial a manager gave for the entry at `place` and the set at `set`.
    fn partial<'h>(
        &self,
        held: &'h Held,
        manager: ManagerIndex,
        place: usize,
        set: usize,
    ) -> Option<&'h [u8; 32]> {
        let offset = (*self.layout.offsets.get(manager.place())?.get(set)?)?;
        let start = place * self.threshold.output_bytes() + offset;
        held.outputs().get(start..)?.first_chunk()
    }

    /// Leg S of the entry at `place` as the managers `among` give it; the set whose holders among
    /// them disagree otherwise.
    pub(super) fn leg_s(
        &self,
        holders: &Holders,
        among: ManagerSet,
        place: usize,
    ) -> Result<Zeroizing<[u8; 32]>, ManagerSet> {
        let mut sum = Zeroizing::new([0; 32]);
        for (at, set) in self.layout.sets.iter().enumerate() {
            let mut partials = set
                .intersection(among)
                .iter()
                .filter_map(|manager| self.partial(holders.get(manager)?, manager, place, at));
            let Some(first) = partials.next() else {
                return Err(*set);
            };
            if !partials.all(|other| leg_s::same(first, other)) {
                return Err(*set);
            }
            leg_s::add(&mut sum, first);
        }
        Ok(sum)
    }

    /// Whether `manager` gave the same leg-S partials as the managers `truth`, who agree.
    pub(super) fn agrees(
        &self,
        holders: &Holders,
        manager: ManagerIndex,
        truth: ManagerSet,
        place: usize,
    ) -> bool {
        let sets = self.layout.sets.iter().enumerate().filter(|(_, set)| set.contains(manager));
        let given = |by: ManagerIndex, at| self.partial(holders.get(by)?, by, place, at);
        { sets }.all(|(at, set)| {
            let known = set.intersection(truth).iter().find_map(|other| given(other, at));
            match (known, given(manager, at)) {
                (Some(known), Some(stated)) => leg_s::same(known, stated),
                _ => false,
            }
        })
    }

    /// Derives the keys of the entries at `places`, which are under one key version: leg G from
    /// `quorum`, leg S from `among`, which contains it. `None` where a point is invalid or the
    /// holders of a set disagree.
    pub(super) fn derive(
        &self,
        holders: &Holders,
        places: &[usize],
        among: ManagerSet,
        quorum: ManagerSet,
    ) -> Vec<Option<DerivedKey>> {
        let mut points =
            Zeroizing::new(Vec::with_capacity(places.len() * usize::from(self.threshold.t())));
        let mut valid = Vec::with_capacity(places.len());
        for place in places {
            let before = points.len();
            points.extend(quorum.iter().filter_map(|manager| holders.point(self, manager, *place)));
            let all = points.len() - before == usize::from(quorum.len());
            if !all {
                points.truncate(before);
            }
            valid.push(all);
        }
        let combined = Zeroizing::new(Interpolation::of(quorum).combine(&points));
        let mut combined = combined.iter();
        let keys = places.iter().zip(valid).map(|(place, valid)| {
            let point = if valid { combined.next()? } else { return None };
            self.finish(holders, among, *place, point)
        });
        keys.collect()
    }

    fn finish(
        &self,
        holders: &Holders,
        among: ManagerSet,
        place: usize,
        point: &CompressedRistretto,
    ) -> Option<DerivedKey> {
        // The identity is all zeros; no honest quorum gives it.
        if point.0 == [0; 32] {
            return None;
        }
        let entry = self.entries.get(place)?;
        let key = self.keys.get(usize::from(entry.slot))?;
        let leg_s = self.leg_s(holders, among, place).ok()?;
        Some(combine(&entry.context, &leg_s, &point.0, key.fragment.as_deref()))
    }
}

impl BatchKey {
    fn check(&self, key: &KeyVersion) -> Result<(), Refusal> {
        let manifest = self.manifest.manifest();
        if manifest.key != *key {
            return Err(Refusal::ManifestMismatch);
        }
        let held = self.fragment.as_ref().map(|fragment| fragment.id());
        if held == manifest.fragment() { Ok(()) } else { Err(Refusal::FragmentRequired) }
    }
}

impl Layout {
    fn new(threshold: Threshold) -> Self {
        let sets: Vec<ManagerSet> = threshold.sets().collect();
        let offsets = (1..=MANAGERS_MAX).filter_map(ManagerIndex::new).map(|manager| {
            let mut next = 32;
            let place = |set: &ManagerSet| {
                set.contains(manager).then(|| {
                    let offset = next;
                    next += 32;
                    offset
                })
            };
            sets.iter().map(place).collect()
        });
        let offsets = offsets.collect();
        Self { sets, offsets }
    }
}
