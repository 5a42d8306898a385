//! The class-1 cache (`fragments.md` 5.13): payload keys in memory, encrypted under a key that dies
//! with the process, each for a bounded time.
//!
//! A hit replaces the managers, never the control plane: every read is authorized and audited
//! before this cache is asked. It is keyed by a hash of a whole wrap, its commitment
//! included, so a changed value can never be opened with a stale key, and a value that is said to
//! be under another key cannot be opened without asking for that key.

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

    /// Seconds an entry lives at most; 0: there are none.
    pub(crate) fn ttl_seconds(&self) -> i64 {
        self.ttl_seconds
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.entries.clear();
    }

    /// Seals a key for this process's memory.
    pub(crate) fn seal(&self, key: &PayloadKey) -> Arc<[u8]> {
        self.sealer.seal(key.as_bytes().expose()).into()
    }

    /// Opens what [`Self::seal`] gave.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<PayloadKey> {
        PayloadKey::from_slice(self.sealer.open(sealed)?.expose())
    }

    /// The key of the wrap with this identity, unless it is too old.
    pub(crate) fn get(&self, commitment: &[u8; 32]) -> Option<PayloadKey> {
        let entry = self.entries.get(commitment)?;
        if entry.expires <= self.clock.now() {
            self.entries.remove(commitment);
            return None;
        }
        self.open(&entry.sealed)
    }

    /// Keeps `key` for the shorter of the cache's own time and `ttl_seconds`.
    pub(crate) fn put(&self, commitment: [u8; 32], key: &PayloadKey, ttl_seconds: i64) {
        let ttl = self.ttl_seconds.min(ttl_seconds);
        if ttl > 0 {
            let sealed = self.seal(key);
            let expires = self.clock.now().plus_seconds(ttl);
            self.entries.insert(commitment, Entry { sealed, expires });
        }
    }
}

#[cfg(test)]
mod tests {
    use keysherd_base::ManualClock;
    use keysherd_crypto::random::SystemRng;

    use super::*;

    fn key(byte: u8) -> PayloadKey {
        PayloadKey::from_slice(&[byte; 96]).unwrap()
    }

    #[test]
    fn an_entry_lives_as_long_as_the_shorter_time() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let cache = KeyCache::new(clock.clone(), &SystemRng, 60).unwrap();
        cache.put([1; 32], &key(1), 10);
        cache.put([2; 32], &key(2), 3_600);
        assert_eq!(cache.get(&[1; 32]).unwrap().as_bytes().expose(), &[1; 96]);
        assert!(cache.get(&[3; 32]).is_none());
        clock.advance_seconds(10);
        assert!(cache.get(&[1; 32]).is_none());
        assert!(cache.get(&[2; 32]).is_some());
        clock.advance_seconds(50);
        assert!(cache.get(&[2; 32]).is_none());
    }

    #[test]
    fn a_cache_that_is_off_keeps_nothing() {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let cache = KeyCache::new(clock, &SystemRng, 0).unwrap();
        cache.put([1; 32], &key(1), 10);
        assert!(cache.get(&[1; 32]).is_none());
    }
}
