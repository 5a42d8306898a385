//! One fragment manager: how it starts and what it consists of.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use keysherd_base::{ClockHandle, Fault, FaultKind, RngHandle, Secret};
use keysherd_crypto::sign::{PublicKey, SigningKey};
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::keygen::Sessions;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_fragments::manager_side::{Budget, UseCounter};
use keysherd_fragments::member::Member;
use keysherd_fragments::refusal::Refusal;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, watch};

use crate::at_rest::{AtRestKey, EpochKey};
use crate::bad_permits::BadPermits;
use crate::config::{ManagerConfig, ManagerLimits};
use crate::generate::Generations;
use crate::home::Home;
use crate::keys::Keys;
use crate::log::{
    Appender, Entry, Event, LogOwner, LogSummary, LogWriter, SinkFactory, files, segments,
};
use crate::orders::Orders;
use crate::peer::PeerLink;
use crate::permits::Permits;
use crate::restore::Counters;
use crate::schedule::Chores;
use crate::store::{Pin, Store};

/// A running fragment manager. Shared as an [`Arc`]; when the last one is dropped, the log is
/// closed and the directory given back.
pub struct Manager {
    pub(crate) index: ManagerIndex,
    pub(crate) identity: SigningKey,
    pub(crate) owner: PublicKey,
    pub(crate) clock: ClockHandle,
    pub(crate) rng: RngHandle,
    pub(crate) at_rest: Arc<dyn AtRestKey>,
    pub(crate) limits: ManagerLimits,
    pub(crate) peers: Arc<dyn PeerLink>,
    /// The trust bundle; none before the owner signed the first.
    pub(crate) bundle: ArcSwapOption<PinnedBundle>,
    /// The version of that bundle, for those who wait for another one.
    pub(crate) bundle_version: watch::Sender<u64>,
    /// Held while a bundle is compared with the pinned one and replaces it.
    pub(crate) bundle_change: Mutex<()>,
    /// The newest orders of the owner. Held while one is compared with them and obeyed.
    pub(crate) orders: Mutex<Orders>,
    pub(crate) permits: Permits,
    pub(crate) bad_permits: Mutex<BadPermits>,
    pub(crate) uses: Mutex<UseCounter>,
    pub(crate) budget: Mutex<Budget>,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) generations: Mutex<Generations>,
    /// Refreshes and repairs under way.
    pub(crate) member: Mutex<Member>,
    /// Whether the others were asked, since the start, where they are.
    pub(crate) current: AtomicBool,
    /// Held while they are asked.
    pub(crate) checking: AsyncMutex<()>,
    /// Held while this manager coordinates a refresh.
    pub(crate) coordinating: AsyncMutex<()>,
    /// Whether shares were replaced that are not erased for good yet.
    pub(crate) replaced: AtomicBool,
    /// When the next chores among the managers are due.
    pub(crate) chores: Mutex<Chores>,
    #[cfg(test)]
    pub(crate) crash_points: crate::crash_points::CrashPoints,
    /// Bounds how much heavy work runs at one time.
    pub(crate) heavy: Arc<Semaphore>,
    pub(crate) answered: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) keys: Keys,
    pub(crate) log: LogWriter,
    /// Last, so that the lock is given back when all else is closed.
    pub(crate) home: Home,
}

impl Manager {
    /// Starts a manager in its directory; creates directory, epoch key, store, identity and log on
    /// the first start.
    ///
    /// `owner` is the owner key a person typed, mounted or compared at install; it is pinned by the
    /// first start. `bundle` is a signed trust bundle, when one is at hand: a manager without one
    /// has an identity but serves nothing. It does blocking IO.
    ///
    /// # Errors
    /// When the directory cannot be used, is another manager's or in use; when the epoch key is
    /// missing or another store's; when the log is damaged or was cut; when `owner` is not the
    /// pinned one; when the bundle is refused or lists another manager under this index.
    pub fn open(
        config: ManagerConfig,
        owner: PublicKey,
        bundle: Option<&[u8]>,
        peers: Arc<dyn PeerLink>,
    ) -> Result<Arc<Self>, Fault> {
        Self::open_with_sinks(config, owner, bundle, peers, files())
    }

    /// As [`Self::open`], with segment files of the caller's making.
    pub(crate) fn open_with_sinks(
        config: ManagerConfig,
        owner: PublicKey,
        bundle: Option<&[u8]>,
        peers: Arc<dyn PeerLink>,
        sinks: SinkFactory,
    ) -> Result<Arc<Self>, Fault> {
        let ManagerConfig { index, dir, clock, rng, at_rest, limits } = config;
        let home = Home::open(&dir)?;
        let store = open_store(&home, index, &*at_rest, &rng)?;
        let (identity, owner) = pinned_identity(&store, owner, &rng)?;
        let (bundle, newer) = pinned_bundle(&store, owner, bundle)?;
        if let Some(bundle) = &bundle {
            check_listed(bundle, index, &identity)?;
        }
        let keys = Keys::new(store, limits.keys_cached_max);
        let orders = Orders::load(keys.store())?;
        keys.set_stops(orders.stops());
        let mut counters = Counters::new(&limits);
        let log_dir = home.log_dir();
        let summary = counters.restore(&keys, bundle.as_ref(), &log_dir, index, clock.now())?;
        let last = segments(&log_dir)?.last().copied();
        let log_owner = LogOwner { manager: keys.store().owner().manager, index: index.get() };
        let appender =
            Appender::open(&log_dir, last, &summary, log_owner, clock.clone(), limits.log, sinks)?;
        report_tail(&log_dir, &summary);
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let manager = Arc::new(Self {
            index,
            identity,
            owner,
            clock,
            rng,
            at_rest,
            limits,
            peers,
            bundle_version: watch::Sender::new(bundle.as_ref().map_or(0, PinnedBundle::version)),
            bundle: ArcSwapOption::from_pointee(bundle),
            bundle_change: Mutex::new(()),
            orders: Mutex::new(orders),
            permits: Permits::new(limits.permit_entries_cached_max),
            bad_permits: Mutex::default(),
            uses: Mutex::new(counters.uses),
            budget: Mutex::new(counters.budget),
            sessions: Mutex::new(Sessions::default()),
            generations: Mutex::new(Generations::default()),
            member: Mutex::new(Member::default()),
            current: AtomicBool::new(false),
            checking: AsyncMutex::new(()),
            coordinating: AsyncMutex::new(()),
            // A crash may have come between a replacement and its erasure.
            replaced: AtomicBool::new(true),
            chores: Mutex::new(Chores::default()),
            #[cfg(test)]
            crash_points: crate::crash_points::CrashPoints::default(),
            heavy: Arc::new(Semaphore::new(threads)),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            keys,
            log: LogWriter::start(appender)?,
            home,
        });
        manager.log_start(newer)?;
        manager.tidy()?;
        Ok(manager)
    }

    /// This manager's index.
    pub fn index(&self) -> ManagerIndex {
        self.index
    }

    /// The public half of its identity key, for the trust bundle.
    pub fn identity(&self) -> PublicKey {
        self.identity.public()
    }

    /// The index of the manager whose TLS certificate has this SPKI hash, for a transport that has
    /// to tell who is on the line; `None` for anyone who is no manager.
    pub fn peer_index(&self, tls_spki_sha256: &[u8; 32]) -> Option<ManagerIndex> {
        let bundle = self.bundle.load();
        Some(bundle.as_ref()?.bundle().manager_by_tls(tls_spki_sha256)?.index)
    }

    /// The owner it obeys.
    pub fn owner(&self) -> PublicKey {
        self.owner
    }

    /// The key it proves itself with: to gateways and to other managers, by signatures and in TLS.
    pub fn identity_key(&self) -> &SigningKey {
        &self.identity
    }

    /// The trust bundle in force; `None` before the first.
    pub fn bundle(&self) -> Option<Arc<PinnedBundle>> {
        self.bundle.load_full()
    }

    /// Tells when another bundle comes into force, by its version.
    pub fn bundle_versions(&self) -> watch::Receiver<u64> {
        self.bundle_version.subscribe()
    }

    /// The first entries after a start.
    fn log_start(&self, newer_bundle: bool) -> Result<(), Fault> {
        let bundle = self.bundle.load();
        let bundle_version = bundle.as_ref().map_or(0, |bundle| bundle.version());
        let identity = *self.identity.public().as_bytes();
        let bundle = bundle.as_ref().filter(|_| newer_bundle);
        let opened = Event::Opened { bundle_version, identity };
        for event in [Some(opened), bundle.map(|bundle| crate::bundle::event(bundle))] {
            let Some(event) = event else { continue };
            let entry = Entry { at: self.clock.now(), event };
            self.log.append_blocking(&entry).map_err(|_| {
                let text = "the fragment log cannot be written; look for a full or failing disk";
                Fault::new(FaultKind::Unavailable, text)
            })?;
        }
        self.keep_log_floor()
    }

    /// Remembers in the store how long the log is, so that a log that was cut is noticed at the
    /// next start. Only a help: whoever can cut the log may put an old store back as well.
    pub(crate) fn keep_log_floor(&self) -> Result<(), Fault> {
        self.keys.store().set_log_floor(&self.log.status().checkpoint())
    }

    /// The pinned bundle, when it lets this manager serve.
    ///
    /// # Errors
    /// [`Refusal::BundleStale`] before the first bundle; [`Refusal::WrongManager`] when the owner
    /// has put another manager in this one's place.
    pub(crate) fn trusted_bundle(&self) -> Result<Arc<PinnedBundle>, Refusal> {
        let bundle = self.bundle.load_full().ok_or(Refusal::BundleStale)?;
        let listed = bundle.bundle().manager(self.index).map(|entry| entry.key);
        if listed == Some(self.identity.public()) { Ok(bundle) } else { Err(Refusal::WrongManager) }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.log.close();
        if let Err(fault) = self.keep_log_floor() {
            tracing::warn!(?fault, "the length of the log was not kept");
        }
    }
}

/// Locks a mutex whose data is valid at every moment, also after a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_store(
    home: &Home,
    index: ManagerIndex,
    at_rest: &dyn AtRestKey,
    rng: &RngHandle,
) -> Result<Store, Fault> {
    let file = home.store_file();
    let key = match at_rest.load()? {
        Some(key) => key,
        None if file.exists() => {
            return Err(Fault::new(
                FaultKind::Internal,
                format!(
                    "the epoch key of {} is missing (kept by: {}); restore it, or let this \
                     manager rejoin by repair with an empty directory",
                    file.display(),
                    at_rest.name(),
                ),
            ));
        }
        None => {
            let mut key = Secret::new([0; 32]);
            rng.fill(key.expose_mut())?;
            let key = EpochKey::only(1, key);
            // Durable before the store exists: a crash in between leaves a key without a store.
            at_rest.replace(&key)?;
            key
        }
    };
    let store = Store::open(&file, index.get(), &key, rng.clone())?;
    store.settle(at_rest)?;
    Ok(store)
}

/// The identity, and the owner key of the install.
fn pinned_identity(
    store: &Store,
    owner: PublicKey,
    rng: &RngHandle,
) -> Result<(SigningKey, PublicKey), Fault> {
    let Some(pin) = store.pin()? else {
        let identity = SigningKey::generate(&**rng)?;
        store.set_pin(&Pin { seed: Secret::new(*identity.seed().expose()), owner })?;
        return Ok((identity, owner));
    };
    if pin.owner != owner && believed_owner(store, pin.owner)? != Some(owner) {
        return Err(Fault::forbidden(format!(
            "this manager was installed with owner key {} and has seen no statement by which {} \
             follows it; give it the key it was installed with, or the bundle that the new owner \
             key signed",
            pin.owner.fingerprint(),
            owner.fingerprint(),
        )));
    }
    Ok((SigningKey::from_seed(&pin.seed), pin.owner))
}

/// The owner key that the stored bundle leads to.
fn believed_owner(store: &Store, installed: PublicKey) -> Result<Option<PublicKey>, Fault> {
    let Some(stored) = store.bundle()? else { return Ok(None) };
    let bundle = PinnedBundle::open(installed, SignedBundle::from_bytes(stored.expose())?)?;
    Ok(Some(bundle.owner()))
}

/// The bundle to start with, and whether it is newer than the stored one.
fn pinned_bundle(
    store: &Store,
    owner: PublicKey,
    given: Option<&[u8]>,
) -> Result<(Option<PinnedBundle>, bool), Fault> {
    let stored = store.bundle()?;
    let open = |bytes: &[u8]| -> Result<PinnedBundle, Refusal> {
        PinnedBundle::open(owner, SignedBundle::from_bytes(bytes)?)
    };
    let stored = stored.map(|stored| open(stored.expose())).transpose()?;
    let Some(given) = given else { return Ok((stored, false)) };
    let bundle = match &stored {
        Some(stored) => stored.accept(SignedBundle::from_bytes(given)?)?,
        None => open(given)?,
    };
    let newer = stored.is_none_or(|stored| stored.version() != bundle.version());
    if newer {
        store.set_bundle(bundle.signed().to_bytes())?;
    }
    Ok((Some(bundle), newer))
}

fn check_listed(
    bundle: &PinnedBundle,
    index: ManagerIndex,
    identity: &SigningKey,
) -> Result<(), Fault> {
    let listed = bundle.bundle().manager(index).map(|entry| entry.key);
    if listed == Some(identity.public()) {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "the trust bundle (version {}) does not list this manager's key {} under index {index}: \
         the directory is another manager's, or the owner has replaced this one",
        bundle.version(),
        identity.public(),
    )))
}

fn report_tail(dir: &Path, summary: &LogSummary) {
    if summary.torn_bytes > 0 {
        let (bytes, size) = (summary.torn_bytes, summary.end.size);
        let dir = dir.display();
        tracing::warn!(%dir, bytes, size, "a torn write was cut off the fragment log");
    }
}
