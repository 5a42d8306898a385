//! Leases: which one of several instances does what only one may do.
//!
//! A lease ends by itself. Each time it passes on it gets the next number, so what somebody writes
//! who held it before, and does not know that it ended, can be told from what its holder writes.
//! Everything here is decided by one clock, that of whoever keeps the leases.

use keysherd_base::{Timestamp, Uid};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The lease for sending the audit log of a cluster.
pub const LOG_FORWARDING: &str = "log-forwarding";
/// All that a lease can be for: control gives nobody another one, so none can be made without end.
const KNOWN: [&str; 1] = [LOG_FORWARDING];
/// How long a lease lasts after it was taken or renewed, in milliseconds.
pub const LIFE_MILLIS: i64 = 6_000;
/// A lease that has less than this left is renewed when its holder asks, in milliseconds.
const RENEW_MILLIS: i64 = LIFE_MILLIS / 2;
/// A lease that ends later than any could, by this much, was given by a clock that was set back
/// since, in milliseconds. Nodes whose clocks differ by less agree on who holds one.
const CLOCKS_DIFFER_MILLIS: i64 = 2_000;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// SHA-256 of the `SubjectPublicKeyInfo` of the key that its connection proves.
    pub spki_sha256: [u8; 32],
    /// By chance at each start: a copy of a machine, or its next start, is another holder.
    pub process: Uid,
}

/// A lease as it is kept; it stays when it has ended, for its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who had it last.
    pub holder: Holder,
    /// Which time this is that it is held, from 1.
    pub fence: u64,
    /// When it ends.
    pub ends: Timestamp,
}

/// What becomes of a lease when somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is the asker's, and this is to be kept first.
    Given(Lease),
    /// It is the asker's as it is.
    Held(Lease),
    /// It is another one's.
    Refused,
}

/// Whether there is such a lease.
pub fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

impl Lease {
    /// Whether nobody holds it at `now`.
    fn is_free(&self, now: Timestamp) -> bool {
        let left = self.ends.millis_since(now);
        left <= 0 || left > LIFE_MILLIS + CLOCKS_DIFFER_MILLIS
    }

    /// Whether `who` may write under the number `fence`: nobody else has had it since. That it has
    /// ended alone does not matter.
    pub fn covers(&self, who: &Holder, fence: u64) -> bool {
        self.holder == *who && self.fence == fence
    }

    /// The same, ended.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { ends: Timestamp(0), ..self }
    }
}

/// What becomes of the lease `current` when `who` asks at `now`, who believes to hold it under the
/// number `fence`.
pub fn ask(current: Option<&Lease>, who: &Holder, fence: Option<u64>, now: Timestamp) -> Asked {
    let ends = Timestamp(now.0.saturating_add(LIFE_MILLIS));
    let Some(current) = current else {
        return Asked::Given(Lease { holder: *who, fence: 1, ends });
    };
    if fence.is_some_and(|fence| current.covers(who, fence)) {
        let left = current.ends.millis_since(now);
        return match left > RENEW_MILLIS && !current.is_free(now) {
            true => Asked::Held(*current),
            false => Asked::Given(Lease { ends, ..*current }),
        };
    }
    // A holder that does not know its number has not heard that it got it: it gets the next one.
    if current.holder != *who && !current.is_free(now) {
        return Asked::Refused;
    }
    match current.fence.checked_add(1) {
        Some(fence) => Asked::Given(Lease { holder: *who, fence, ends }),
        None => Asked::Refused,
    }
}
