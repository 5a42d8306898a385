//! Making a copy: which reads are in it, and what it takes to open them later.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keysherd_base::{AccountId, Uid};
use keysherd_crypto::envelope::Envelope;
use keysherd_crypto::permit::{CLOCK_SKEW_MS, PERMIT_LIFE_MS_MAX};
use keysherd_fragments::leg_c::CustomerFragment;
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::grants::{GrantedItem, KeyRef, PermitSlot, SignedPermit};
use tokio::runtime::Handle;

use super::file::{
    CopiedKeys, CopiedManifest, CopiedRead, Known, READS_BYTES_MAX, Record, Writing,
};
use super::keys::{KEYS_MAX, KeySeal, OpenedKey};
use super::{Cold, OpenedWith, Permitted, boot};
use crate::cache::{Kept, ReadCache};
use crate::moment::Moment;
use crate::needs::wrap_of;

/// What a read takes in a copy beside what is packed of it, roughly.
const READ_BYTES: u64 = 200;
/// How long managers take a permit after control was asked for it.
const PERMIT_LIFE: Duration =
    Duration::from_millis(PERMIT_LIFE_MS_MAX.unsigned_abs() + CLOCK_SKEW_MS.unsigned_abs());

/// Reads that find no room, after which no others are tried.
const LEFT_OUT_MAX: usize = 10_000;

/// How much of a copy each account may have: where there is no room for all, none of them takes
/// that of another one.
struct Shares {
    each: u64,
    taken: HashMap<Uid, u64>,
}

impl Shares {
    /// Of `room` for accounts that want so much: those that want little have it, and the others
    /// the same each of what is left.
    fn of(mut wanted: Vec<u64>, room: u64) -> Self {
        wanted.sort_unstable();
        let mut room = room;
        for (one, others) in wanted.iter().zip((1..=wanted.len() as u64).rev()) {
            let each = room / others;
            if *one > each {
                return Self { each, taken: HashMap::new() };
            }
            room -= one;
        }
        Self { each: u64::MAX, taken: HashMap::new() }
    }

    /// Takes the room of a read, if its account has so much left.
    fn have_room(&mut self, kept: &Kept) -> bool {
        self.take(kept.account(), bytes_of(kept))
    }

    fn take(&mut self, account: Uid, bytes: u64) -> bool {
        let taken = self.taken.entry(account).or_default();
        let fits = taken.saturating_add(bytes) <= self.each;
        if fits {
            *taken += bytes;
        }
        fits
    }
}

/// What a read takes in a copy, roughly.
fn bytes_of(kept: &Kept) -> u64 {
    kept.packed.len() as u64 + READ_BYTES
}

/// What the reads of a copy need to be opened.
struct Needed<'a> {
    with: &'a OpenedWith,
    permits: Vec<SignedPermit>,
    /// Places of permits, by where their bytes are.
    places: HashMap<usize, u16>,
    keys: HashMap<(Uid, KeyRef), UnderFragment>,
}

/// What of a key version can be sealed under its customer fragment.
#[derive(Default)]
struct UnderFragment {
    /// `None`: it has none, or that cannot be had.
    fragment: Option<Arc<CustomerFragment>>,
    /// The wraps whose keys are opened.
    wraps: HashSet<[u8; 32]>,
}

impl<'a> Needed<'a> {
    fn new(with: &'a OpenedWith) -> Self {
        let (permits, places, keys) = Default::default();
        Self { with, permits, places, keys }
    }

    fn slot(&mut self, permitted: &Permitted) -> Option<PermitSlot> {
        let at = permitted.permit.bytes.as_ptr().addr();
        let permit = match self.places.get(&at) {
            Some(place) => *place,
            None => {
                let place = u16::try_from(self.permits.len()).ok()?;
                // Held here, so no other one comes to lie there.
                self.permits.push(permitted.permit.clone());
                self.places.insert(at, place);
                place
            }
        };
        Some(PermitSlot { permit, entry: permitted.entry })
    }

    /// Whether the key of this wrap is opened, and can be sealed under a customer fragment. Called
    /// where it may block: a module may have to make the fragment.
    fn holds(&mut self, account: Uid, key: KeyRef, wrap: [u8; 32]) -> bool {
        let (opened, derivations) = self.with;
        let under = self.keys.entry((account, key)).or_insert_with(|| {
            let bound = key.customer_fragment.map(|_| named(account, key));
            let found =
                bound.map(|named| Handle::current().block_on(derivations.fragment_of(&named)));
            // Who reads is told why it cannot be had.
            let fragment = found.and_then(Result::ok).flatten();
            UnderFragment { fragment, wraps: HashSet::new() }
        });
        let holds = under.fragment.is_some() && opened.has_offline(&wrap);
        if holds {
            under.wraps.insert(wrap);
        }
        holds
    }
}

impl Cold {
    /// The items, each version with its place in the permits that a copy has, or with its opened
    /// key; `None` when one of them could not be opened.
    fn openable(
        &self,
        account: Uid,
        items: Vec<Arc<GrantedItem>>,
        (needed, now): (&mut Needed<'_>, Moment),
    ) -> Option<Vec<Arc<GrantedItem>>> {
        let placed = items.into_iter().map(|item| {
            let mut item = Arc::unwrap_or_clone(item);
            for version in &mut item.versions {
                let envelope = Envelope::parse(&version.ciphertext).ok()?;
                let (_, wrap) = wrap_of(&envelope, &version.key)?;
                let identity = wrap.identity();
                let permitted = self.permits.get(&identity).filter(|permitted| {
                    now.since(permitted.at).is_some_and(|age| age < PERMIT_LIFE)
                });
                version.permit_slot = permitted.and_then(|permitted| needed.slot(&permitted));
                let is_held = needed.holds(account, version.key, identity);
                if version.permit_slot.is_none() && !is_held {
                    return None;
                }
            }
            Some(Arc::new(item))
        });
        placed.collect()
    }

    /// Says once that opened keys are on the disk now: whoever has that, the operator's key and
    /// the customer fragment needs nobody else.
    fn tell_of_keys(&self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the copy of reads on disk has opened keys, sealed under customer fragments: keep \
                 these, the cache key and the data directory apart from each other in backups"
            );
        }
    }
}

impl ReadCache {
    /// Makes a copy of what may be read without control; whether there is one now. One without
    /// reads takes no other one's place.
    pub(super) fn copy(&self, with: &OpenedWith) -> io::Result<bool> {
        let Some(cold) = &self.cold else { return Ok(false) };
        cold.file.settle()?;
        if self.is_restored() {
            cold.file.note(self.moment().wall)?;
            return Ok(true);
        }
        let ended = cold.file.ended();
        let (now, policies) = (self.moment(), self.policies.all());
        let silent = self.coherence().silent(now, now);
        let Some(silent) = silent.filter(|_| !policies.is_empty() && self.caching.any()) else {
            return Ok(false);
        };
        let (written, boot, silent_millis) = (now.wall, boot::now(), millis(silent));
        let known = Known { written, boot, silent_millis, policies };
        let mut writing = cold.file.begin(known, ended)?;
        let (mut needed, mut count) = (Needed::new(with), 0_usize);
        let (mut shares, mut left_out) = (self.shares(), 0_usize);
        for (call, kept) in self.entries.iter() {
            let Some(read) = self.copied(cold, (call, &kept), (&mut needed, now)) else { continue };
            if shares.have_room(&kept) && writing.add(&Record::Read(read))? {
                count += 1;
                continue;
            }
            // A shorter one, or another account's, may find room.
            left_out += 1;
            if left_out >= LEFT_OUT_MAX {
                break;
            }
        }
        if left_out > 0 {
            tracing::warn!(count, "the copy of reads on disk has no room for all of them");
        }
        if count == 0 {
            return Ok(false);
        }
        self.add_needed(cold, &mut writing, needed)?;
        writing.finish(now.wall)
    }

    /// What accounts may have of a copy.
    fn shares(&self) -> Shares {
        let mut wanted: HashMap<Uid, u64> = HashMap::new();
        for (_, kept) in self.entries.iter() {
            *wanted.entry(kept.account()).or_default() += bytes_of(&kept);
        }
        Shares::of(wanted.into_values().collect(), READS_BYTES_MAX)
    }

    /// Adds what opens the reads.
    fn add_needed(
        &self,
        cold: &Cold,
        writing: &mut Writing<'_>,
        needed: Needed<'_>,
    ) -> io::Result<()> {
        let Needed { with: (opened, derivations), permits, keys, .. } = needed;
        // Of permits the places count.
        let permits = permits.into_iter().map(Record::Permit);
        let manifests = keys.keys().filter_map(|(account, key)| {
            let signed = derivations.signed(&named(*account, *key))?;
            let (account, version) = (*account, key.version);
            Some(Record::Manifest(CopiedManifest { account, key: key.key_id, version, signed }))
        });
        for record in permits.chain(manifests) {
            add(writing, &record)?;
        }
        let bound = writing.bound();
        for ((account, key), UnderFragment { fragment, wraps }) in keys {
            let Some(fragment) = fragment.filter(|_| !wraps.is_empty()) else { continue };
            let seal = KeySeal::new(&fragment, &named(account, key), &bound);
            let wraps: Vec<_> = wraps.into_iter().collect();
            for some in wraps.chunks(KEYS_MAX) {
                let aged = some.iter().filter_map(|identity| {
                    let (key, age) = opened.aged(identity)?;
                    Some(OpenedKey { identity: *identity, key, age_millis: millis(age) })
                });
                let sealed = seal.seal(aged, &self.place.rng);
                let sealed = sealed.map_err(|_| io::Error::other("no randomness"))?;
                let (key, version) = (key.key_id, key.version);
                add(writing, &Record::Keys(CopiedKeys { account, key, version, sealed }))?;
            }
            cold.tell_of_keys();
        }
        Ok(())
    }

    /// The read as it is copied, if it may be repeated without control.
    fn copied(
        &self,
        cold: &Cold,
        (call, kept): ([u8; 32], &Kept),
        (needed, now): (&mut Needed<'_>, Moment),
    ) -> Option<CopiedRead> {
        if kept.restored().is_some() || self.is_over(kept, now) || !kept.tied.holds() {
            return None;
        }
        let silent = self.coherence().silent(kept.asked, now)?;
        if !kept.is_allowed(&self.policies, silent) {
            return None;
        }
        let ttl = u64::from(self.caching.of(kept.account()).ttl_minutes) * 60_000;
        Some(CopiedRead {
            call,
            account: kept.method.0,
            access_id: kept.method.1.clone(),
            items: cold.openable(kept.account(), kept.items(), (needed, now))?,
            age_millis: millis(now.since(kept.asked)?),
            good_millis: kept.good_millis.min(ttl),
            receipt: kept.packed.receipt()?,
        })
    }
}

fn add(writing: &mut Writing<'_>, record: &Record) -> io::Result<()> {
    let fits = writing.add(record)?;
    let full = || io::Error::other("there is no room for what opens the reads");
    fits.then_some(()).ok_or_else(full)
}

fn named(account: Uid, key: KeyRef) -> KeyVersion {
    KeyVersion { account: AccountId(account), id: key.key_id, version: key.version }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_takes_the_room_of_another() {
        let [a, b] = [Uid([1; 16]), Uid([2; 16])];
        let each = |wanted: &[u64]| Shares::of(wanted.to_vec(), 1_000).each;
        assert_eq!(each(&[]), u64::MAX);
        assert_eq!(each(&[1_000]), u64::MAX);
        assert_eq!(each(&[400, 600]), u64::MAX, "there is room for all");
        assert_eq!(each(&[5_000]), 1_000);
        assert_eq!(each(&[5_000, 5_000]), 500);
        assert_eq!(each(&[100, 5_000, 5_000]), 450, "who wants little has it");
        let mut shares = Shares::of(vec![100, 5_000], 1_000);
        assert!((0..9).all(|_| shares.take(b, 100)));
        assert!(!shares.take(b, 100));
        assert!(shares.take(a, 100), "whichever comes first");
    }
}
