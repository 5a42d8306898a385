//! What a manager is started with.

use std::path::PathBuf;
use std::sync::Arc;

use keysherd_base::{ClockHandle, RngHandle};
use keysherd_fragments::manager_set::ManagerIndex;

use crate::at_rest::AtRestKey;
use crate::log::LogLimits;

/// What a manager is started with.
#[derive(Clone)]
pub struct ManagerConfig {
    /// Its index in the trust bundle.
    pub index: ManagerIndex,
    /// Its directory; created when missing, for its user alone.
    pub dir: PathBuf,
    /// The time.
    pub clock: ClockHandle,
    /// Randomness.
    pub rng: RngHandle,
    /// Who keeps the key of the store.
    pub at_rest: Arc<dyn AtRestKey>,
    /// Sizes and times.
    pub limits: ManagerLimits,
}

/// Sizes and times of one manager. None of them widens what the trust bundle allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagerLimits {
    /// Segments of the log and the disk space kept ready for it.
    pub log: LogLimits,
    /// Distinct items remembered for the budgets, over all scopes; about 100 bytes each. More are
    /// refused.
    pub items_counted_max: usize,
    /// Key versions whose fragments are kept decrypted in memory; about 1 kB each.
    pub keys_cached_max: usize,
    /// Entries of verified permits kept in memory, over all permits; about 200 bytes each.
    pub permit_entries_cached_max: u64,
    /// How long a key version whose manifest was never completed is kept, in seconds.
    pub pending_seconds: i64,
    /// How long another manager may take to accept a deal, in seconds.
    pub peer_seconds: u64,
    /// How often all key versions are refreshed, in seconds, a tenth more or less; 0: never.
    pub refresh_seconds: i64,
    /// How long a due refresh waits for a manager that is away, in seconds: whoever was left out
    /// has no share before its repair.
    pub refresh_patience_seconds: i64,
}

const DAY_SECONDS: i64 = 24 * 60 * 60;

impl Default for ManagerLimits {
    /// A million items, 10,000 key versions, 65,536 permit entries, a day, ten seconds; refreshed
    /// daily, waiting three days for who is away.
    fn default() -> Self {
        Self {
            log: LogLimits::default(),
            items_counted_max: 1_000_000,
            keys_cached_max: 10_000,
            permit_entries_cached_max: 65_536,
            pending_seconds: 24 * 60 * 60,
            peer_seconds: 10,
            refresh_seconds: DAY_SECONDS,
            refresh_patience_seconds: 3 * DAY_SECONDS,
        }
    }
}
