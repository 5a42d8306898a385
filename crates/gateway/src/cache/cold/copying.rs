//! Making a copy: which reads are in it, and what it takes to open them later.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use keysherd_base::{AccountId, Uid};
use keysherd_crypto::envelope::Envelope;
use keysherd_crypto::permit::{CLOCK_SKEW_MS, PERMIT_LIFE_MS_MAX};
use keysherd_fragments::manifest::KeyVersion;
use keysherd_plane::grants::{GrantedItem, KeyRef, PermitSlot, SignedPermit};

use super::file::{CopiedManifest, CopiedRead, Known, Record};
use super::{Cold, Permitted, boot};
use crate::cache::{Kept, ReadCache};
use crate::derive::Derivations;
use crate::moment::Moment;
use crate::needs::wrap_of;

/// How long managers take a permit after control was asked for it.
const PERMIT_LIFE: Duration =
    Duration::from_millis(PERMIT_LIFE_MS_MAX.unsigned_abs() + CLOCK_SKEW_MS.unsigned_abs());

/// What the reads of a copy need to be opened.
#[derive(Default)]
struct Needed {
    permits: Vec<SignedPermit>,
    /// Places of permits, by where their bytes are.
    places: HashMap<usize, u16>,
    keys: HashSet<(Uid, KeyRef)>,
}

impl Needed {
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
}

impl Cold {
    /// The items, each version with its place in the permits that a copy has; `None` when one of
    /// them could not be opened.
    fn with_permits(
        &self,
        account: Uid,
        items: Vec<Arc<GrantedItem>>,
        (needed, now): (&mut Needed, Moment),
    ) -> Option<Vec<Arc<GrantedItem>>> {
        let placed = items.into_iter().map(|item| {
            let mut item = Arc::unwrap_or_clone(item);
            for version in &mut item.versions {
                let envelope = Envelope::parse(&version.ciphertext).ok()?;
                let (_, wrap) = wrap_of(&envelope, &version.key)?;
                let permitted = self.permits.get(&wrap.identity())?;
                if now.since(permitted.at).is_none_or(|age| age >= PERMIT_LIFE) {
                    return None;
                }
                version.permit_slot = Some(needed.slot(&permitted)?);
                needed.keys.insert((account, version.key));
            }
            Some(Arc::new(item))
        });
        placed.collect()
    }
}

impl ReadCache {
    /// Makes a copy of what may be read without control; whether there is one now. One without
    /// reads takes no other one's place.
    pub(super) fn copy(&self, derivations: &Derivations) -> io::Result<bool> {
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
        let (mut needed, mut count) = (Needed::default(), 0_usize);
        for (call, kept) in self.entries.iter() {
            let Some(read) = self.copied(cold, (call, &kept), (&mut needed, now)) else { continue };
            if !writing.add(&Record::Read(read))? {
                break;
            }
            count += 1;
        }
        for permit in needed.permits {
            // Their places count.
            if !writing.add(&Record::Permit(permit))? {
                return Err(io::Error::other("there is no room for what opens the reads"));
            }
        }
        for (account, key) in needed.keys {
            let KeyRef { key_id, version, .. } = key;
            let named = KeyVersion { account: AccountId(account), id: key_id, version };
            if let Some(signed) = derivations.signed(&named) {
                let manifest = CopiedManifest { account, key: key_id, version, signed };
                writing.add(&Record::Manifest(manifest))?;
            }
        }
        if count == 0 {
            return Ok(false);
        }
        writing.finish(now.wall)
    }

    /// The read as it is copied, if it may be repeated without control.
    fn copied(
        &self,
        cold: &Cold,
        (call, kept): ([u8; 32], &Kept),
        (needed, now): (&mut Needed, Moment),
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
            items: cold.with_permits(kept.account(), kept.items(), (needed, now))?,
            age_millis: millis(now.since(kept.asked)?),
            good_millis: kept.good_millis.min(ttl),
            receipt: kept.packed.receipt()?,
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
