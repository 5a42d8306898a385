//! How often each permit was used (step 6), within a bound of memory.

use std::collections::{BTreeMap, BTreeSet};

use keysherd_base::{Timestamp, Uid};

use crate::permit::CLOCK_SKEW_MS;
use crate::refusal::Refusal;

/// Most permits counted at one time. A permit is forgotten when it has expired, after about 90
/// seconds; this many are 1,100 new permits per second.
pub const PERMITS_COUNTED_MAX: usize = 100_000;

/// Counts uses of permits. One for the whole manager: a lock around it closes the race between two
/// requests with one permit.
#[derive(Debug, Default)]
pub struct UseCounter {
    uses: BTreeMap<Uid, u8>,
    /// When each permit can be forgotten.
    ends: BTreeSet<(Timestamp, Uid)>,
}

impl UseCounter {
    /// Counts one use of a permit that may be used `max_uses` times until `expires_at`.
    ///
    /// # Errors
    /// [`Refusal::PermitUsedUp`]; [`Refusal::CountersFull`] when too many permits are live, since
    /// forgetting one of them would let it be used again.
    pub fn take(
        &mut self,
        permit_id: Uid,
        max_uses: u8,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.forget_expired(now);
        if let Some(uses) = self.uses.get_mut(&permit_id) {
            if *uses >= max_uses {
                return Err(Refusal::PermitUsedUp);
            }
            *uses += 1;
            return Ok(());
        }
        if max_uses == 0 {
            return Err(Refusal::PermitUsedUp);
        }
        if self.uses.len() >= PERMITS_COUNTED_MAX {
            return Err(Refusal::CountersFull);
        }
        self.uses.insert(permit_id, 1);
        self.ends.insert((expires_at, permit_id));
        Ok(())
    }

    /// How many permits are being counted.
    pub fn len(&self) -> usize {
        self.uses.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    fn forget_expired(&mut self, now: Timestamp) {
        while let Some((ends, permit_id)) = self.ends.first().copied() {
            // The check of a permit's time allows the same skew, so a permit that is forgotten
            // here is refused there.
            if now.millis_since(ends) <= CLOCK_SKEW_MS {
                break;
            }
            self.ends.remove(&(ends, permit_id));
            self.uses.remove(&permit_id);
        }
    }
}
