//! The class-1 cache (`fragments.md` 5.13): payload keys in memory, encrypted under a key that dies
//! with the process, each for a bounded time.
//!
//! Nothing else in a gateway keeps a key that opens values. So whoever freezes or destroys a key or
//! takes a customer fragment away, has ended what it opens once the time of an entry is over, which
//! is counted from before the managers were asked, by both clocks. Only while control is not
//! reached, and administrators allow reads all the same, is that the longer time that the owner's
//! bundle says, which is a minute unless the owner signs more.
//!
//! A hit replaces the managers, never a decision: control's, or a kept one of it
//! ([`crate::cache`]). It is keyed by a hash of a whole wrap, its commitment included, so a changed
//! value can never be opened with a stale key, and a value that is said to be under another key
//! cannot be opened without asking for that key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use keysherd_base::{ClockHandle, Rng, RngFailed};
use keysherd_crypto::envelope::PayloadKey;
use keysherd_crypto::memory::Sealer;
use quick_cache::sync::Cache;

use crate::moment::{Clocks, Moment};

#[cfg(test)]
mod tests;

/// Keys kept at most. One entry is about 200 bytes.
const KEYS_MAX: usize = 100_000;
/// Seconds an opened key may be kept, whatever the cache is set to.
const TTL_SECONDS_MAX: u32 = 60;

/// When somebody began to have a key derived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    at: Moment,
    /// How often everything had been forgotten by then.
    round: u64,
}

impl Asked {
    /// The same so long before; `None` for longer than anything is kept.
    pub(crate) fn before(self, ago: Duration) -> Option<Self> {
        Some(Self { at: self.at.before(ago)?, round: self.round })
    }
}

#[derive(Clone)]
struct Entry {
    sealed: Arc<[u8]>,
    asked: Asked,
    /// Whether another process had it derived.
    restored: bool,
}

/// The cache.
pub(crate) struct KeyCache {
    entries: Cache<[u8; 32], Entry>,
    sealer: Sealer,
    clocks: Clocks,
    own_seconds: u32,
    owner_seconds: AtomicU32,
    /// How often everything was forgotten.
    round: AtomicU64,
}

impl KeyCache {
    /// An empty cache whose entries live `ttl_seconds`, at most [`TTL_SECONDS_MAX`]; 0 switches it
    /// off.
    pub(crate) fn new(
        clock: ClockHandle,
        rng: &dyn Rng,
        ttl_seconds: i64,
    ) -> Result<Self, RngFailed> {
        let own = ttl_seconds.clamp(0, TTL_SECONDS_MAX.into());
        Ok(Self {
            entries: Cache::new(KEYS_MAX),
            sealer: Sealer::new(rng)?,
            clocks: Clocks::new(clock),
            own_seconds: u32::try_from(own).unwrap_or(0),
            owner_seconds: AtomicU32::new(TTL_SECONDS_MAX),
            round: AtomicU64::new(0),
        })
    }

    /// Seconds an entry lives at most; 0: there are none.
    pub(crate) fn ttl_seconds(&self) -> u32 {
        self.own_seconds.min(self.offline_seconds())
    }

    /// Seconds an entry is used while control is not reached.
    pub(crate) fn offline_seconds(&self) -> u32 {
        if self.own_seconds == 0 { 0 } else { self.owner_seconds.load(Ordering::Acquire) }
    }

    /// From now on no entry is used for longer than the owner's bundle says.
    pub(crate) fn bound(&self, owner_seconds: u32) {
        self.owner_seconds.store(owner_seconds, Ordering::Release);
    }

    /// Forgets everything, also what is on its way.
    pub(crate) fn clear(&self) {
        self.round.fetch_add(1, Ordering::AcqRel);
        self.entries.clear();
    }

    /// To be called before the managers are asked for a key that is put here.
    pub(crate) fn asked(&self) -> Asked {
        let round = self.round.load(Ordering::Acquire);
        Asked { at: self.clocks.now(), round }
    }

    /// The key of the wrap with this identity, unless it is too old.
    pub(crate) fn get(&self, identity: &[u8; 32]) -> Option<PayloadKey> {
        let entry = self.good(identity)?;
        let is_good = !entry.restored && self.is_good(entry.asked, self.ttl_seconds());
        if is_good { self.open(&entry) } else { None }
    }

    /// The same, for what may be read while control is not reached.
    pub(crate) fn get_offline(&self, identity: &[u8; 32]) -> Option<PayloadKey> {
        self.open(&self.good(identity)?)
    }

    /// Whether [`Self::get_offline`] has it.
    pub(crate) fn has_offline(&self, identity: &[u8; 32]) -> bool {
        self.good(identity).is_some()
    }

    /// What [`Self::get_offline`] has, and how long ago somebody began to have it derived.
    pub(crate) fn aged(&self, identity: &[u8; 32]) -> Option<(PayloadKey, Duration)> {
        let entry = self.good(identity)?;
        let age = self.clocks.now().since(entry.asked.at)?;
        Some((self.open(&entry)?, age))
    }

    /// The entry, unless it is over.
    fn good(&self, identity: &[u8; 32]) -> Option<Entry> {
        let entry = self.entries.get(identity)?;
        if self.is_good(entry.asked, self.offline_seconds()) {
            return Some(entry);
        }
        self.entries.remove(identity);
        None
    }

    fn open(&self, entry: &Entry) -> Option<PayloadKey> {
        PayloadKey::from_slice(self.sealer.open(&entry.sealed)?.expose())
    }

    /// Keeps a key that somebody began to have derived at `asked`.
    pub(crate) fn put(&self, identity: [u8; 32], key: &PayloadKey, asked: Asked) {
        self.put_as(identity, key, (asked, false));
    }

    /// Keeps a key that an earlier process began to have derived at `asked`. It opens only what is
    /// read while control is not reached.
    pub(crate) fn put_restored(&self, identity: [u8; 32], key: &PayloadKey, asked: Asked) {
        self.put_as(identity, key, (asked, true));
    }

    fn put_as(&self, identity: [u8; 32], key: &PayloadKey, (asked, restored): (Asked, bool)) {
        if self.is_good(asked, self.offline_seconds()) {
            let sealed = self.sealer.seal(key.as_bytes().expose()).into();
            self.entries.insert(identity, Entry { sealed, asked, restored });
        }
    }

    fn is_good(&self, asked: Asked, seconds: u32) -> bool {
        let ttl = Duration::from_secs(seconds.into());
        let age = self.clocks.now().since(asked.at);
        asked.round == self.round.load(Ordering::Acquire) && age.is_some_and(|age| age < ttl)
    }
}
