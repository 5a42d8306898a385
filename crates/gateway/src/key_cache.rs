//! The class-1 cache (`fragments.md` 5.13): payload keys in memory, encrypted under a key that dies
//! with the process, each for a bounded time.
//!
//! A hit replaces the managers, never the control plane: every read is authorized and audited
//! before this cache is asked. It is keyed by the commitment of the wrap, which is unique to one
//! derivation, so a changed value can never be opened with a stale key.

use std::sync::Arc;

use keysherd_base::{ClockHandle, Rng, RngFailed, Timestamp};
use keysherd_crypto::envelope::PayloadKey;
use keysherd_crypto::memory::Sealer;
use quick_cache::sync::Cache;

/// Keys kept at most. One entry is about 200 bytes.
const KEYS_MAX: usize = 100_000;

#[derive(Clone)]
struct Entry {
    sealed: Arc<[u8]>,
    expires: Timestamp,
}

/// The cache.
pub(crate) struct KeyCache {
    entries: Cache<[u8; 32], Entry>,
    sealer: Sealer,
    clock: ClockHandle,
    ttl_seconds: i64,
}

impl KeyCache {
    /// An empty cache whose entries live `ttl_seconds`; 0 switches it off.
    pub(crate) fn new(
        clock: ClockHandle,
        rng: &dyn Rng,
        ttl_seconds: i64,
    ) -> Result<Self, RngFailed> {
        let sealer = Sealer::new(rng)?;
        Ok(Self { entries: Cache::new(KEYS_MAX), sealer, clock, ttl_seconds })
    }

    /// The key with this commitment, unless it is too old.
    pub(crate) fn get(&self, commitment: &[u8; 32]) -> Option<PayloadKey> {
        let entry = self.entries.get(commitment)?;
        if entry.expires <= self.clock.now() {
            self.entries.remove(commitment);
            return None;
        }
        let opened = self.sealer.open(&entry.sealed)?;
        PayloadKey::from_slice(opened.expose())
    }

    /// Keeps `key` for the shorter of the cache's own time and `ttl_seconds`.
    pub(crate) fn put(&self, commitment: [u8; 32], key: &PayloadKey, ttl_seconds: i64) {
        let ttl = self.ttl_seconds.min(ttl_seconds);
        if ttl > 0 {
            let sealed = self.sealer.seal(key.as_bytes().expose()).into();
            let expires = self.clock.now().plus_seconds(ttl);
            self.entries.insert(commitment, Entry { sealed, expires });
        }
    }
}
