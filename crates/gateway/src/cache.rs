//! Reads that this gateway answers by itself: decisions of control that are repeated for as long as
//! nothing they hang on has changed.
//!
//! | part | what it does |
//! |---|---|
//! | [`coherence`] | knows what has ended, and whether control was heard of a moment ago; pure |
//! | [`offline`] | what administrators allow while control is not reached |
//! | [`listener`] | asks control, several times a second, what has ended |
//! | [`journal`] | has every such answer on disk before it leaves, and brings it to control |
//! | this file | the decisions, with ciphertext, each for one caller |
//!
//! Only decisions are kept that control made for this very token, address, client type, command and
//! list of names; nobody else is ever answered with them. A change that goes through this gateway
//! puts everything it keeps to the test before it is answered.
//!
//! No keys are kept here: the key cache has them, for as long as it may ([`crate::key_cache`]). A
//! decision whose key is gone answers nothing, so that managers, and through them the owner's
//! orders, have their say.

mod coherence;
mod journal;
mod key;
mod listener;
mod observed;
pub(crate) mod offline;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_base::{AccessId, ClockHandle, Fault, RngHandle, Uid};
use keysherd_plane::cache::{Keep, Receipt};
use keysherd_plane::grants::{GrantedItem, ItemRef, VersionWish};
use keysherd_plane::{Caller, PlaneHandle};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Notify;

use self::coherence::{Coherence, LEASE, Tied};
use self::journal::{Entry, Journal};
pub(crate) use self::observed::ObservedPlane;
use self::offline::OfflinePolicies;
use crate::moment::{Clocks, Moment};

/// Bytes that count as one item: a larger one counts as several.
const ITEM_BYTES: usize = 4_096;
/// A control that is silent for so long is not asked first, where its decision may be repeated.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// What an entry takes beside its texts, its ciphertext and its receipt, roughly.
const ENTRY_BYTES: usize = 512;

/// What a gateway's cache of reads is opened with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// Seconds an answer is repeated at most; the owner's bundle may say less.
    pub ttl_seconds: u32,
    /// Items at most; one of more than 4 KiB counts for as many as it has 4 KiB.
    pub items_max: u64,
}

/// How the cache is, for `/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheHealth {
    /// Reads that can be repeated, if nothing has ended.
    pub entries: usize,
    /// Whether control was heard of a moment ago.
    pub coherent: bool,
    /// Reads that were answered without control.
    pub hits: u64,
    /// Those of them that were answered while it was not reached.
    pub offline: u64,
    /// Bytes of the journal that control has not yet.
    pub journal_bytes: u64,
    /// Files of the journal that control refuses: they are another gateway's, as it knows them.
    pub journals_refused: u64,
    /// Reads since the start that control did not record, because it did not know its receipts.
    pub unproven: u64,
}

/// The cache.
pub(crate) struct ReadCache {
    entries: Cache<[u8; 32], Arc<Kept>, ByItems>,
    coherence: Mutex<Coherence>,
    journal: Journal,
    clocks: Clocks,
    settings: CacheSettings,
    /// Something of this gateway's own may have ended: ask at once.
    poke: Notify,
    hits: AtomicU64,
    offline_hits: AtomicU64,
    policies: OfflinePolicies,
}

/// On what ground a decision is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Nothing has changed.
    Coherent,
    /// Control is not reached, and a policy allows it.
    Offline,
}

/// A decision, and all that answers it but keys.
pub(crate) struct Kept {
    /// The caller's account and auth method.
    method: (Uid, AccessId),
    /// What control granted, ciphertext included, in the order of the call.
    pub(crate) items: Vec<Arc<GrantedItem>>,
    tied: Tied,
    asked: Moment,
    good: Duration,
    receipt: Receipt,
}

#[derive(Clone)]
struct ByItems;

impl Weighter<[u8; 32], Arc<Kept>> for ByItems {
    fn weight(&self, _: &[u8; 32], kept: &Arc<Kept>) -> u64 {
        let item = |item: &Arc<GrantedItem>| {
            let ciphertext = item.versions.iter().map(|version| version.ciphertext.len());
            let bytes = ENTRY_BYTES + item.path.as_str().len() + ciphertext.sum::<usize>();
            bytes.div_ceil(ITEM_BYTES)
        };
        kept.items.iter().map(item).sum::<usize>().max(1) as u64
    }
}

impl CacheSettings {
    /// Whether there is a cache, or what an earlier one in `home` left.
    pub(crate) fn is_needed(&self, home: &Path) -> bool {
        self.enabled || Journal::is_left(home)
    }
}

impl ReadCache {
    /// Opens the cache with its journal in `home`, and starts to listen and to bring what older
    /// processes have left. Call it on the runtime that serves.
    ///
    /// # Errors
    /// When the journal's directory cannot be used.
    pub(crate) fn start(
        settings: CacheSettings,
        home: &Path,
        plane: &PlaneHandle,
        clock: ClockHandle,
        rng: RngHandle,
    ) -> Result<Arc<Self>, Fault> {
        let journal = Journal::open(home, plane.clone(), clock.clone(), rng)?;
        let options = quick_cache::OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(settings.items_max).unwrap_or(usize::MAX))
            .weight_capacity(settings.items_max)
            .build()
            .map_err(Fault::internal)?;
        let entries = Cache::with_options(options, ByItems, Default::default(), Default::default());
        let this = Arc::new(Self {
            entries,
            coherence: Mutex::default(),
            journal,
            clocks: Clocks::new(clock),
            settings,
            poke: Notify::new(),
            hits: AtomicU64::new(0),
            offline_hits: AtomicU64::new(0),
            policies: OfflinePolicies::default(),
        });
        if settings.enabled {
            tokio::spawn(listener::listen(Arc::downgrade(&this), plane.clone()));
        }
        Ok(this)
    }

    /// Whether it answers, or only brings what an earlier process has left.
    pub(crate) fn answers(&self) -> bool {
        self.settings.enabled
    }

    /// How it is.
    pub(crate) fn health(&self) -> CacheHealth {
        let (journals_refused, unproven) = self.journal.problems();
        CacheHealth {
            entries: self.entries.len(),
            coherent: self.coherence().is_alive(self.moment()),
            hits: self.hits.load(Ordering::Relaxed),
            offline: self.offline_hits.load(Ordering::Relaxed),
            journal_bytes: self.journal.waiting_bytes(),
            journals_refused,
            unproven,
        }
    }

    /// Now, by both clocks.
    pub(crate) fn moment(&self) -> Moment {
        self.clocks.now()
    }

    /// What is allowed while control is not reached.
    pub(crate) fn policies(&self) -> &OfflinePolicies {
        &self.policies
    }

    /// Whether control is silent for so long that it is not asked before a policy is.
    pub(crate) fn is_alone(&self) -> bool {
        let now = self.moment();
        self.coherence().silent(now, now).is_some_and(|silent| silent >= GONE_AFTER)
    }

    /// What answers this call, if it may be answered without control now, on this ground.
    pub(crate) fn find(
        &self,
        caller: &Caller,
        items: &[ItemRef],
        version: VersionWish,
        ground: Ground,
    ) -> Option<Arc<Kept>> {
        let key = key::of(caller, items, version)?;
        let kept = self.entries.get(&key)?;
        if self.may_answer(&kept, ground) {
            return Some(kept);
        }
        if kept.is_over(self.moment()) {
            self.entries.remove(&key);
        }
        None
    }

    /// Writes down that `kept` answers this request. Whether the answer may leave: it is on disk,
    /// and nothing has ended in the meantime.
    pub(crate) async fn note(&self, caller: &Caller, kept: &Kept, ground: Ground) -> bool {
        let entry = Entry {
            receipt: kept.receipt.clone(),
            at: caller.received,
            request: caller.request,
            offline: ground == Ground::Offline,
        };
        let noted = self.journal.append(entry).await && self.may_answer(kept, ground);
        if noted {
            self.hits.fetch_add(1, Ordering::Relaxed);
            let offline = u64::from(ground == Ground::Offline);
            self.offline_hits.fetch_add(offline, Ordering::Relaxed);
        }
        noted
    }

    /// Keeps what control granted to a call that was begun at `asked`, unless it may have ended
    /// since. `ttl_seconds_max` is the owner's bound.
    pub(crate) fn keep(
        &self,
        (caller, items, version): (&Caller, &[ItemRef], VersionWish),
        asked: Moment,
        (account, granted): (Uid, Vec<Arc<GrantedItem>>),
        keep: Keep,
        ttl_seconds_max: u32,
    ) {
        let Some(key) = key::of(caller, items, version) else { return };
        let ttl = Duration::from_secs(self.settings.ttl_seconds.min(ttl_seconds_max).into());
        let good = Duration::from_millis(keep.good_millis).min(ttl);
        let Some(tied) = self.coherence().tie(&keep, asked) else { return };
        let (method, receipt) = ((account, keep.access_id), keep.receipt);
        let kept = Kept { method, items: granted, tied, asked, good, receipt };
        self.entries.insert(key, Arc::new(kept));
    }

    /// Waits until control has what was answered here, at most `limit`.
    pub(crate) async fn drain(&self, limit: Duration) {
        self.journal.drain(limit).await;
    }

    /// Forgets everything, also what is on its way.
    pub(crate) fn clear(&self) {
        self.coherence().forget_until(self.moment());
        self.entries.clear();
    }

    /// Something changed through this gateway: what is kept has to prove that it still holds.
    fn changed_here(&self, done: bool) {
        self.coherence().changed_here(self.moment(), done);
        self.poke.notify_one();
    }

    fn may_answer(&self, kept: &Kept, ground: Ground) -> bool {
        let now = self.moment();
        if kept.is_over(now) || !kept.tied.holds() {
            return false;
        }
        match ground {
            Ground::Coherent => self.coherence().covers(kept.asked, now),
            Ground::Offline => {
                let silent = self.coherence().silent(kept.asked, now);
                let paths = kept.items.iter().map(|item| item.path.as_str());
                silent.is_some_and(|silent| {
                    silent >= LEASE && self.policies.allow(&kept.method, paths, silent)
                })
            }
        }
    }

    fn coherence(&self) -> MutexGuard<'_, Coherence> {
        // Whoever broke off in the middle has at most forgotten too much.
        self.coherence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The caller's account.
    pub(crate) fn account(&self) -> Uid {
        self.method.0
    }

    fn is_over(&self, now: Moment) -> bool {
        now.since(self.asked).is_none_or(|age| age >= self.good)
    }
}
