//! The connections of a listener: who may have one, and which must go.
//!
//! One look at all of them every tick takes the place of timers in each: a request on a
//! connection that behaves costs a few counters.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keysherd_base::client_network;

use crate::config::Limits;
use crate::connection::{Activity, Order, Seen};

/// Before a connection can be taken for a new one, it has been idle for this long.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// Connections by number.
pub(crate) struct Registry {
    limits: Limits,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    entries: HashMap<u64, Entry>,
    per_address: HashMap<IpAddr, usize>,
    /// Entries that were told to go, but have not gone.
    leaving: usize,
}

struct Entry {
    activity: Arc<Activity>,
    /// `None` for proxies, which stand for many clients.
    address: Option<IpAddr>,
    seen: Seen,
    changed: Instant,
    /// Since when a request's head is incomplete.
    incomplete: Option<Instant>,
    /// Since when it is on its way out.
    leaving: Option<Instant>,
}

/// A place in the registry, given back on drop.
pub(crate) struct Place {
    registry: Arc<Registry>,
    number: u64,
    pub(crate) activity: Arc<Activity>,
}

impl Place {
    /// The connection turns out to be of the client at `address`, for whom a proxy made it. Whether
    /// there is a place for it.
    pub(crate) fn is_of(&self, address: IpAddr) -> bool {
        let client = client_network(address);
        let mut inner = self.registry.inner();
        let most = self.registry.limits.connections_per_address_max;
        let count = inner.per_address.entry(client).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        let Some(entry) = inner.entries.get_mut(&self.number) else { return false };
        let before = entry.address.replace(client);
        if let Some(before) = before {
            inner.one_less(before);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.leave(self.number);
    }
}

impl Registry {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, inner: Mutex::default() }
    }

    /// How often [`Registry::look`] is due: often enough for the shortest timeout.
    pub(crate) fn tick(&self) -> Duration {
        let shortest = self.limits.header_timeout.min(self.limits.idle_timeout);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing here panics between two related changes.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `peer`; `None` when there is none left for it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        is_proxy: bool,
        now: Instant,
    ) -> Option<Place> {
        let mut inner = self.inner();
        let address = (!is_proxy).then(|| client_network(peer));
        if let Some(address) = address {
            let count = inner.per_address.get(&address).copied().unwrap_or(0);
            if count >= self.limits.connections_per_address_max {
                return None;
            }
        }
        let staying = inner.entries.len() - inner.leaving;
        if staying >= self.limits.connections_max && !self.evict(&mut inner, now) {
            return None;
        }
        if let Some(address) = address {
            *inner.per_address.entry(address).or_default() += 1;
        }
        let number = inner.next;
        inner.next += 1;
        let activity = Arc::new(Activity::default());
        let entry = Entry {
            activity: activity.clone(),
            address,
            seen: activity.seen(),
            changed: now,
            incomplete: None,
            leaving: None,
        };
        inner.entries.insert(number, entry);
        Some(Place { registry: self.clone(), number, activity })
    }

    /// Sends away the longest idle connection of the address that has the most.
    fn evict(&self, inner: &mut Inner, now: Instant) -> bool {
        let idle_min = IDLE_MIN.min(self.limits.idle_timeout / 4);
        let counts = &inner.per_address;
        let victim = inner
            .entries
            .values_mut()
            .filter(|entry| entry.is_idle() && now.duration_since(entry.changed) >= idle_min)
            .max_by_key(|entry| {
                let count = entry.address.and_then(|address| counts.get(&address));
                (count, now.duration_since(entry.changed))
            });
        let Some(victim) = victim else {
            return false;
        };
        victim.leaving = Some(now);
        victim.activity.give(Order::Stop);
        inner.leaving += 1;
        true
    }

    fn leave(&self, number: u64) {
        let mut inner = self.inner();
        let Some(entry) = inner.entries.remove(&number) else {
            return;
        };
        if entry.leaving.is_some() {
            inner.leaving -= 1;
        }
        if let Some(address) = entry.address {
            inner.one_less(address);
        }
    }

    /// How many requests are being answered.
    pub(crate) fn in_flight(&self) -> usize {
        let inner = self.inner();
        let of = |entry: &Entry| usize::try_from(entry.activity.seen().in_flight).unwrap_or(0);
        inner.entries.values().map(of).sum()
    }

    /// Looks at each connection and sends away those that have been idle, or in the middle of a
    /// request's head, for too long.
    pub(crate) fn look(&self, now: Instant) {
        let mut inner = self.inner();
        let mut left = 0;
        for entry in inner.entries.values_mut() {
            let Some(order) = entry.judge(&self.limits, now) else {
                continue;
            };
            left += usize::from(entry.leaving.is_none());
            entry.leaving.get_or_insert(now);
            entry.activity.give(order);
        }
        inner.leaving += left;
    }

    /// Gives `order` to all connections.
    pub(crate) fn order_all(&self, order: Order) {
        for entry in self.inner().entries.values() {
            entry.activity.give(order);
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.inner().entries.len()
    }
}

impl Inner {
    fn one_less(&mut self, address: IpAddr) {
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }
}

impl Entry {
    fn is_idle(&self) -> bool {
        let seen = self.activity.seen();
        self.leaving.is_none() && seen == self.seen && seen.in_flight == 0
    }

    fn judge(&mut self, limits: &Limits, now: Instant) -> Option<Order> {
        let seen = self.activity.seen();
        if seen != self.seen || seen.in_flight > 0 {
            self.changed = now;
        }
        if !seen.head_incomplete || seen.requests != self.seen.requests {
            self.incomplete = None;
        }
        self.seen = seen;
        if let Some(since) = self.leaving {
            // Nothing is lost: no request runs, and the client does not take what is left.
            let stuck = seen.in_flight == 0 && now.duration_since(since) >= limits.header_timeout;
            return stuck.then_some(Order::Stop);
        }
        if seen.head_incomplete {
            let since = *self.incomplete.get_or_insert(now);
            if now.duration_since(since) >= limits.header_timeout {
                return Some(Order::Stop);
            }
        }
        let idle = now.duration_since(self.changed) >= limits.idle_timeout;
        idle.then_some(Order::Finish)
    }
}

#[cfg(test)]
mod tests;
