//! Reads that this gateway answers by itself: decisions of control that are repeated for as long as
//! nothing they hang on has changed.
//!
//! | part | what it does |
//! |---|---|
//! | [`coherence`] | knows what has ended, and whether control was heard of a moment ago; pure |
//! | [`policies`] | whether and how long reads of an account are kept |
//! | [`offline`] | what administrators allow while control is not reached |
//! | [`ahead`] | reads again what clients of this gateway read lately |
//! | [`cold`] | the copy on disk, for a start while control is not reached |
//! | [`packed`] | what was granted, in little memory |
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

pub(crate) mod ahead;
mod coherence;
pub(crate) mod cold;
mod journal;
mod kept;
mod key;
mod listener;
mod observed;
pub(crate) mod offline;
mod packed;
pub(crate) mod policies;

#[cfg(test)]
mod footprint;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use keysherd_api::{CachePolicy, OfflinePolicy};
use keysherd_base::{ClockHandle, Fault, RngHandle, Uid};
use keysherd_crypto::memory::Sealer;
use keysherd_plane::cache::Keep;
use keysherd_plane::grants::{GrantedItem, ItemRef, VersionWish};
use keysherd_plane::{Caller, PlaneHandle};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Notify;

use self::ahead::{Again, Call, Turns};
use self::coherence::{Coherence, LEASE};
use self::cold::{Cold, CopyKey};
use self::journal::{Entry, Journal};
pub(crate) use self::kept::Kept;
use self::kept::More;
pub(crate) use self::observed::ObservedPlane;
use self::offline::{Bearers, OfflinePolicies};
use self::packed::Packed;
use self::policies::CachePolicies;
use crate::moment::{Clocks, Moment};

/// Bytes that count as one item: a larger one counts as several.
const ITEM_BYTES: usize = 4_096;
/// A control that is silent for so long is not asked first, where its decision may be repeated.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// Auth methods whose name is shared by their entries, at most.
const BEARERS_MAX: usize = 10_000;
/// What an entry takes beside what is packed in it, roughly.
const ENTRY_BYTES: usize = 512;

/// What a gateway's cache of reads is opened with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSettings {
    /// How reads are kept of accounts that set nothing else; the owner's bundle may say less.
    pub policy: CachePolicy,
    /// Items at most; one of more than 4 KiB counts for as many as it has 4 KiB.
    pub items_max: u64,
    /// Reads that are read again in the background at one time, at most.
    pub workers: usize,
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
    /// Reads that nobody waited for.
    pub ahead: u64,
    /// Whether somebody wants them, and the owner's bundle ends what is kept before it is old
    /// enough: then there are none.
    pub ahead_too_late: bool,
    /// Bytes of the journal that control has not yet.
    pub journal_bytes: u64,
    /// Files of the journal that control refuses, because they are another gateway's as it knows
    /// them, or of which it sets reads aside, because the log of their account is damaged.
    pub journals_refused: u64,
    /// Reads since the start that control did not record, because it did not know its receipts.
    pub unproven: u64,
}

/// The cache.
pub(crate) struct ReadCache {
    entries: Cache<[u8; 32], Arc<Kept>, ByItems>,
    /// Those that entries are for, each once.
    bearers: Cache<Bearers, Arc<Bearers>>,
    coherence: Mutex<Coherence>,
    journal: OnceLock<Journal>,
    place: Place,
    clocks: Clocks,
    caching: CachePolicies,
    /// Held by whoever sets them.
    setting: Mutex<()>,
    /// Keeps the tokens of what is read again.
    sealer: Sealer,
    workers: usize,
    /// What accounts may have of reading ahead.
    turns: Turns,
    /// Something of this gateway's own may have ended: ask at once.
    poke: Notify,
    /// Whether the last call to control did not reach it; the listener's only say that one did.
    unreached: AtomicBool,
    /// Whether the listener's last question did not.
    deaf: AtomicBool,
    hits: AtomicU64,
    offline_hits: AtomicU64,
    read_ahead: AtomicU64,
    policies: OfflinePolicies,
    /// The copy on disk, where there may be one.
    cold: Option<Cold>,
}

/// What the journal is opened with.
struct Place {
    home: PathBuf,
    plane: PlaneHandle,
    clock: ClockHandle,
    rng: RngHandle,
}

/// On what ground a decision is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Nothing has changed.
    Coherent,
    /// Control is not reached, and a policy allows it.
    Offline,
}

#[derive(Clone)]
struct ByItems;

impl Weighter<[u8; 32], Arc<Kept>> for ByItems {
    fn weight(&self, _: &[u8; 32], kept: &Arc<Kept>) -> u64 {
        let again = kept.again().map_or(0, Again::len);
        let room = (ENTRY_BYTES + kept.packed.len() + again).div_ceil(ITEM_BYTES);
        room.max(kept.packed.count()) as u64
    }
}

impl ReadCache {
    /// A cache whose journal is in `home`; `copy`: what a copy of it is sealed under, and SHA-256
    /// of the gateway's own public key. Brings what older processes have left, and listens as soon
    /// as reads of anybody are kept. Call it on the runtime that serves.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub(crate) fn start(
        settings: CacheSettings,
        (home, copy): (&Path, Option<(&CopyKey, [u8; 32])>),
        plane: &PlaneHandle,
        clock: ClockHandle,
        rng: RngHandle,
    ) -> Result<Arc<Self>, Fault> {
        let sealer = Sealer::new(&*rng)?;
        let clocks = Clocks::new(clock.clone());
        let begun = (rng.clone(), clocks.now());
        let cold = copy.map(|(key, gateway)| Cold::new(home, key, &gateway, begun));
        if cold.is_none() {
            cold::remove_left(home);
        }
        let options = quick_cache::OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(settings.items_max).unwrap_or(usize::MAX))
            .weight_capacity(settings.items_max)
            .build()
            .map_err(Fault::internal)?;
        let entries = Cache::with_options(options, ByItems, Default::default(), Default::default());
        let this = Arc::new(Self {
            entries,
            bearers: Cache::new(BEARERS_MAX),
            coherence: Mutex::default(),
            journal: OnceLock::new(),
            clocks,
            place: Place { home: home.to_owned(), plane: plane.clone(), clock, rng },
            caching: CachePolicies::new(settings.policy),
            setting: Mutex::default(),
            sealer,
            workers: settings.workers,
            turns: Turns::new(settings.items_max),
            poke: Notify::new(),
            unreached: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            offline_hits: AtomicU64::new(0),
            read_ahead: AtomicU64::new(0),
            policies: OfflinePolicies::default(),
            cold,
        });
        if this.answers() || Journal::is_left(home) {
            this.open_journal();
        }
        tokio::spawn(listener::listen(Arc::downgrade(&this), plane.clone()));
        Ok(this)
    }

    /// Whether reads of anybody are kept, or it only brings what an earlier process has left.
    pub(crate) fn answers(&self) -> bool {
        self.caching.any()
    }

    /// How reads are kept of accounts that set nothing else.
    pub(crate) fn started_as(&self) -> CachePolicy {
        self.caching.default()
    }

    /// Keeps reads of one account so from now on; whether they were kept before, and are not now.
    pub(crate) fn set_one(&self, account: Uid, policy: CachePolicy) -> bool {
        self.keep_as(|caching| caching.set_one(account, policy))
    }

    /// Keeps reads of these accounts so from now on, and of others as it was started; whether
    /// those of an account were kept before, and are not now.
    pub(crate) fn set(&self, policies: HashMap<Uid, CachePolicy>) -> bool {
        self.keep_as(|caching| caching.set(policies))
    }

    /// Sets it, and drops what was kept in another way.
    fn keep_as(&self, set: impl FnOnce(&CachePolicies) -> policies::Ended) -> bool {
        let _turn = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = set(&self.caching);
        if !ended.changed.is_empty() {
            let changed = |kept: &Kept| ended.changed.contains(&kept.account());
            // What was set before the start is not known before control is heard.
            self.entries.retain(|_, kept| kept.restored().is_some() || !changed(kept));
            self.forget_own_copy();
        }
        if self.answers() {
            self.open_journal();
        }
        ended.switched_off
    }

    /// Opens the journal, unless it is open. Without one, control is asked for every read.
    fn open_journal(&self) {
        if self.journal.get().is_some() {
            return;
        }
        let Place { home, plane, clock, rng } = &self.place;
        match Journal::open(home, plane.clone(), clock.clone(), rng.clone()) {
            Ok(journal) => drop(self.journal.set(journal)),
            // Everything works without, only slower.
            Err(fault) => {
                tracing::error!(?fault, "no read is answered without control: no journal");
            }
        }
    }

    /// How it is, where the owner's bundle lets what is kept be used for so many seconds.
    pub(crate) fn health(&self, owner_seconds: u32) -> CacheHealth {
        let journal = self.journal.get();
        let (journals_refused, unproven) = journal.map(Journal::problems).unwrap_or_default();
        CacheHealth {
            entries: self.entries.len(),
            coherent: self.coherence().is_alive(self.moment()),
            hits: self.hits.load(Ordering::Relaxed),
            offline: self.offline_hits.load(Ordering::Relaxed),
            ahead: self.read_ahead.load(Ordering::Relaxed),
            ahead_too_late: self.reads_ahead_too_late(owner_seconds),
            journal_bytes: journal.map_or(0, Journal::waiting_bytes),
            journals_refused,
            unproven,
        }
    }

    /// Now, by both clocks.
    pub(crate) fn moment(&self) -> Moment {
        self.clocks.now()
    }

    /// Allows this while control is not reached, in place of what was allowed before.
    pub(crate) fn allow_offline(&self, policies: HashMap<Bearers, OfflinePolicy>) {
        if self.policies.set(policies) {
            self.forget_own_copy();
        }
    }

    /// Takes note of how a call to control ended. Whatever it answers, it is there.
    fn saw<T>(&self, outcome: &Result<T, Fault>) {
        let unreached = outcome.as_ref().is_err_and(Fault::is_not_reached);
        if self.unreached.load(Ordering::Relaxed) != unreached {
            self.unreached.store(unreached, Ordering::Relaxed);
            if unreached {
                self.want_copy();
            } else if let Some(journal) = self.journal.get() {
                journal.hurry();
            }
        }
    }

    /// The same for a question of the listener. It has a connection of its own, so one that did
    /// not arrive says nothing of calls: they are tried.
    fn listened<T>(&self, outcome: &Result<T, Fault>) {
        let deaf = outcome.as_ref().is_err_and(Fault::is_not_reached);
        if !deaf {
            self.saw(outcome);
        }
        if self.deaf.swap(deaf, Ordering::Relaxed) != deaf && deaf {
            self.want_copy();
        }
    }

    /// Whether control is gone for so long that it is not asked before a policy is: one that is
    /// slow to tell of changes is asked, because it may have more to say.
    pub(crate) fn is_alone(&self) -> bool {
        if !self.unreached.load(Ordering::Relaxed) {
            return false;
        }
        let now = self.moment();
        self.coherence().silent(now, now).is_some_and(|silent| silent >= GONE_AFTER)
            || self.is_alone_since_start()
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
            if let Some(again) = kept.again() {
                again.used(self.moment());
            }
            return Some(kept);
        }
        if self.is_over(&kept, self.moment()) {
            self.entries.remove(&key);
        }
        None
    }

    /// Writes down that `kept` answers this request. Whether the answer may leave: it is on disk,
    /// and nothing has ended in the meantime.
    pub(crate) async fn note(&self, caller: &Caller, kept: &Kept, ground: Ground) -> bool {
        let Some(receipt) = kept.packed.receipt() else { return false };
        let entry = Entry {
            account: kept.account(),
            receipt,
            at: caller.received,
            request: caller.request,
            offline: ground == Ground::Offline,
        };
        let Some(journal) = self.journal.get() else { return false };
        let noted = journal.append(entry).await && self.may_answer(kept, ground);
        if noted {
            self.hits.fetch_add(1, Ordering::Relaxed);
            let offline = u64::from(ground == Ground::Offline);
            self.offline_hits.fetch_add(offline, Ordering::Relaxed);
        }
        noted
    }

    /// Keeps what control granted to a call that was begun at `asked`, and that its client last
    /// made at `used`, unless it may have ended since. `ttl_seconds_max` is the owner's bound.
    pub(crate) fn keep(
        &self,
        (caller, items, version): Call<'_>,
        (asked, used): (Moment, Moment),
        (account, granted): (Uid, Vec<Arc<GrantedItem>>),
        keep: Keep,
        ttl_seconds_max: u32,
    ) {
        let Some(key) = key::of(caller, items, version) else { return };
        let policy = self.caching.of(account);
        if !policy.enabled {
            return;
        }
        let good_millis = keep.good_millis.min(u64::from(ttl_seconds_max) * 1_000);
        let Some(tied) = self.coherence().tie(&keep, asked) else { return };
        let Some(packed) = Packed::new(&granted, &keep.receipt) else { return };
        let method = self.shared((account, keep.access_id));
        let has_turn = policy.proactive && self.has_turn(account, &key);
        let again = has_turn.then(|| Again::new(&self.sealer, (caller, items, version), used));
        let more = again.flatten().map(|again| Box::new(More::Again(again)));
        let kept = Kept { method, packed, tied, asked, good_millis, more };
        self.entries.insert(key, Arc::new(kept));
    }

    /// The same name that other entries have.
    fn shared(&self, method: Bearers) -> Arc<Bearers> {
        self.bearers.get(&method).unwrap_or_else(|| {
            let shared = Arc::new(method.clone());
            self.bearers.insert(method, shared.clone());
            shared
        })
    }

    /// Waits until control has what was answered here, at most `limit`.
    pub(crate) async fn drain(&self, limit: Duration) {
        if let Some(journal) = self.journal.get() {
            journal.drain(limit).await;
        }
    }

    /// Forgets everything, also what is on its way.
    pub(crate) fn clear(&self) {
        self.coherence().forget_until(self.moment());
        self.entries.clear();
        self.forget_copy();
    }

    /// Something changed through this gateway: what is kept has to prove that it still holds.
    fn changed_here(&self, done: bool) {
        self.coherence().changed_here(self.moment(), done);
        if done {
            self.forget_copy();
        }
        self.poke.notify_one();
    }

    fn may_answer(&self, kept: &Kept, ground: Ground) -> bool {
        let now = self.moment();
        if self.is_over(kept, now) || !kept.tied.holds() {
            return false;
        }
        if let Some(restored) = kept.restored() {
            return ground == Ground::Offline && restored.allows(kept, now);
        }
        match ground {
            Ground::Coherent => self.coherence().covers(kept.asked, now),
            Ground::Offline => {
                let silent = self.coherence().silent(kept.asked, now);
                silent.is_some_and(|silent| {
                    silent >= LEASE && kept.is_allowed(&self.policies, silent)
                })
            }
        }
    }

    /// Whether time alone has ended it.
    fn is_over(&self, kept: &Kept, now: Moment) -> bool {
        let policy = self.caching.of(kept.account());
        let good = Duration::from_millis(kept.good_millis);
        let (enabled, ttl) = match kept.restored() {
            // What administrators set is not known before control is heard, and was obeyed then.
            Some(_) => (!self.caching.is_set_off(kept.account()), good),
            None => (policy.enabled, Duration::from_secs(u64::from(policy.ttl_minutes) * 60)),
        };
        !enabled || now.since(kept.asked).is_none_or(|age| age >= ttl.min(good))
    }

    fn coherence(&self) -> MutexGuard<'_, Coherence> {
        // Whoever broke off in the middle has at most forgotten too much.
        self.coherence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
