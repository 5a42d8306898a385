//! The open connections of a listener: how many each address and key has, when each was used last,
//! and what each is told to do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::limits::Limits;
use crate::peer::ShownKey;
use crate::trust::TrustHandle;

/// All connections of a listener.
pub(crate) struct Connections {
    limits: Limits,
    trust: OnceLock<TrustHandle>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, Entry>,
    by_address: HashMap<IpAddr, usize>,
    by_key: HashMap<[u8; 32], Arc<OfKey>>,
}

/// What one key has, over all its connections.
#[derive(Default)]
struct OfKey {
    connections: AtomicUsize,
    calls: AtomicUsize,
}

struct Entry {
    address: IpAddr,
    key: Option<[u8; 32]>,
    activity: Arc<Activity>,
}

/// What happens on one connection.
pub(crate) struct Activity {
    opened: Instant,
    /// Milliseconds after `opened` of the last sign of use.
    used: AtomicU64,
    in_flight: AtomicU32,
    of_key: OnceLock<Arc<OfKey>>,
    /// Take no more calls, finish the running ones, close.
    pub(crate) finish: CancellationToken,
    /// Close now.
    pub(crate) stop: CancellationToken,
}

/// A connection's place; given back when it is dropped.
pub(crate) struct Place {
    connections: Arc<Connections>,
    id: u64,
    pub(crate) activity: Arc<Activity>,
}

/// A call in progress.
pub(crate) struct InFlight(Arc<Activity>);

impl OfKey {
    fn is_in_use(&self) -> bool {
        let [connections, calls] = [&self.connections, &self.calls];
        connections.load(Ordering::Relaxed) > 0 || calls.load(Ordering::Relaxed) > 0
    }
}

impl Activity {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            used: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            of_key: OnceLock::new(),
            finish: CancellationToken::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Notes a sign of use.
    pub(crate) fn touch(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used.fetch_max(now, Ordering::Relaxed);
    }

    /// Notes the beginning of a call; its end is the drop of what is returned. `None` when the
    /// connection's key has `most` calls in progress, answered or given up.
    pub(crate) fn begin(self: &Arc<Self>, most: usize) -> Option<InFlight> {
        self.touch();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let before = self.of_key.get().map_or(0, |key| key.calls.fetch_add(1, Ordering::Relaxed));
        let counted = InFlight(self.clone());
        (before < most).then_some(counted)
    }

    /// How long nothing has happened; zero while a call is in progress.
    pub(crate) fn idle(&self) -> Duration {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(used)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.touch();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(key) = self.0.of_key.get() {
            key.calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, trust: OnceLock::new(), open: Mutex::default() }
    }

    /// Says by whom connections are judged; once.
    pub(crate) fn trust(&self, trust: TrustHandle) {
        drop(self.trust.set(trust));
    }

    /// A place for a connection from `address`; `None` when there are too many.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut open = self.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.entries.len() >= self.limits.connections_max
            || of_address >= self.limits.connections_per_address_max
        {
            return None;
        }
        open.by_address.insert(address, of_address + 1);
        let id = open.next;
        open.next += 1;
        let activity = Arc::new(Activity::new());
        open.entries.insert(id, Entry { address, key: None, activity: activity.clone() });
        drop(open);
        Some(Place { connections: self.clone(), id, activity })
    }

    /// Closes the connections of keys that are not trusted any more; says how many.
    pub(crate) fn revalidate(&self) -> usize {
        let Some(trust) = self.trust.get() else { return 0 };
        self.stop_if(|entry| entry.key.is_some_and(|key| !trust.allows(&key)))
    }

    /// Tells all connections to finish what they do.
    pub(crate) fn finish_all(&self) {
        self.lock().entries.values().for_each(|entry| entry.activity.finish.cancel());
    }

    /// Closes all connections; says how many there were.
    pub(crate) fn stop_all(&self) -> usize {
        self.stop_if(|_| true)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn stop_if(&self, is_meant: impl Fn(&Entry) -> bool) -> usize {
        let open = self.lock();
        let meant = open.entries.values().filter(|entry| is_meant(entry));
        meant.map(|entry| entry.activity.stop.cancel()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Notes whose connection it is. `false` when the key has too many already.
    pub(crate) fn belongs_to(&self, key: [u8; 32]) -> bool {
        let mut open = self.connections.lock();
        if open.by_key.len() > self.connections.limits.connections_max {
            open.by_key.retain(|_, of_key| of_key.is_in_use());
        }
        let of_key = open.by_key.entry(key).or_default().clone();
        let connections = of_key.connections.fetch_add(1, Ordering::Relaxed);
        if let Some(entry) = open.entries.get_mut(&self.id) {
            entry.key = Some(key);
        }
        drop(open);
        // Set once: a connection gets its key once, before its first call.
        drop(self.activity.of_key.set(of_key));
        let is_allowed = connections < self.connections.limits.connections_per_key_max;
        if !is_allowed {
            tracing::warn!(key = %ShownKey(&key), connections, "too many connections");
        }
        is_allowed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        let Some(entry) = open.entries.remove(&self.id) else { return };
        if let Some(count) = open.by_address.get_mut(&entry.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&entry.address);
            }
        }
        let Some(key) = entry.key else { return };
        let Some(of_key) = open.by_key.get(&key) else { return };
        of_key.connections.fetch_sub(1, Ordering::Relaxed);
        // Calls go on without their connection, and still count.
        if !of_key.is_in_use() {
            open.by_key.remove(&key);
        }
    }
}
