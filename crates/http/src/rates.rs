//! How many requests a client may make in a minute: by its address, and by the identity that
//! its token names.
//!
//! A bucket holds a minute's worth of requests and fills evenly, so that a client gets at most
//! twice its share within any minute. An identity pays only for requests whose token was found to
//! be good: a made-up token that names somebody costs its sender's address, not them, whatever is
//! asked with it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keysherd_base::{Fault, FaultKind, client_network};

use crate::config::Limits;
use crate::host::{Host, IDENTITY_BYTES};

#[cfg(test)]
mod tests;

/// What a full bucket holds, as the time that it takes to fill.
const CAPACITY: Duration = Duration::from_secs(60);
/// Clients that are told apart. A bucket that is full again is forgotten, so that this many must
/// be active within seconds; further ones share a bucket.
const CLIENTS_MAX: usize = 65_536;
/// Between two looks for buckets that are full again.
const PURGE_PAUSE: Duration = Duration::from_secs(1);
/// Between two lines of the log about refused clients.
const TELL_PAUSE: Duration = Duration::from_secs(60);

/// An identity, as far as a token claims it.
pub(crate) type Identity = [u8; IDENTITY_BYTES];

/// The buckets of one kind of client.
struct Buckets<K> {
    /// The time in which one request's worth flows in.
    interval: Duration,
    table: Mutex<Table<K>>,
}

/// Buckets by when each is full again.
struct Table<K> {
    full_at: HashMap<K, Instant>,
    /// The bucket of those for whom there was no room.
    shared: Option<Instant>,
    purged: Option<Instant>,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    /// `None` without a limit.
    fn new(per_minute: u32) -> Option<Self> {
        let table = Table { full_at: HashMap::new(), shared: None, purged: None };
        let interval = CAPACITY.checked_div(per_minute)?;
        Some(Self { interval, table: Mutex::new(table) })
    }

    /// Whether one more request is in the bucket of `key`, without taking it.
    ///
    /// # Errors
    /// How long it takes until one is.
    fn look(&self, key: K, now: Instant) -> Result<(), Duration> {
        let table = self.table();
        match table.full_at.get(&key).copied().or(table.shared) {
            Some(full_at) => self.wait(full_at, now),
            None => Ok(()),
        }
    }

    /// Takes one request out of the bucket of `key`.
    ///
    /// # Errors
    /// How long it takes until there is one; nothing is taken then.
    fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut table = self.table();
        let full_at = table.bucket(key, now);
        self.wait(*full_at, now)?;
        *full_at = now.max(*full_at) + self.interval;
        Ok(())
    }

    /// Takes one request out of the bucket of `key`, even if there is none: what ran at the same
    /// time is paid, too. Nobody is kept out for longer than a minute by that.
    fn charge(&self, key: K, now: Instant) {
        let mut table = self.table();
        let full_at = table.bucket(key, now);
        let paid = now.max(*full_at) + self.interval;
        *full_at = paid.min(now + 2 * CAPACITY);
    }

    fn wait(&self, full_at: Instant, now: Instant) -> Result<(), Duration> {
        let missing = full_at.saturating_duration_since(now);
        match (missing + self.interval).checked_sub(CAPACITY) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<K>> {
        // Each change is one statement.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Table<K> {
    fn bucket(&mut self, key: K, now: Instant) -> &mut Instant {
        if self.full_at.len() >= CLIENTS_MAX && !self.full_at.contains_key(&key) {
            self.purge(now);
            if self.full_at.len() >= CLIENTS_MAX {
                return self.shared.get_or_insert(now);
            }
        }
        self.full_at.entry(key).or_insert(now)
    }

    fn purge(&mut self, now: Instant) {
        if self.purged.is_some_and(|last| now.saturating_duration_since(last) < PURGE_PAUSE) {
            return;
        }
        self.purged = Some(now);
        self.full_at.retain(|_, full_at| *full_at > now);
        self.shared = self.shared.filter(|full_at| *full_at > now);
    }
}

/// The limits of one edge.
pub(crate) struct Rates {
    addresses: Option<Buckets<IpAddr>>,
    identities: Option<Buckets<Identity>>,
    told: Mutex<Option<Instant>>,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            addresses: Buckets::new(limits.requests_per_minute),
            identities: Buckets::new(limits.identity_requests_per_minute),
            told: Mutex::default(),
        }
    }

    /// Counts a request from `address`.
    ///
    /// # Errors
    /// [`FaultKind::RateLimited`], with the time to wait.
    pub(crate) fn of_address(&self, address: IpAddr, now: Instant) -> Result<(), Fault> {
        let Some(buckets) = &self.addresses else { return Ok(()) };
        let client = client_network(address);
        buckets.take(client, now).map_err(|wait| {
            self.tell(now);
            refused(&format!("requests from {client}"), buckets.interval, wait)
        })
    }

    /// That `identity` has not used up its share.
    ///
    /// # Errors
    /// As [`Rates::of_address`].
    pub(crate) fn of_identity(
        &self,
        identity: Option<Identity>,
        now: Instant,
    ) -> Result<(), Fault> {
        let (Some(buckets), Some(identity)) = (&self.identities, identity) else { return Ok(()) };
        buckets.look(identity, now).map_err(|wait| {
            self.tell(now);
            refused("requests of this access id", buckets.interval, wait)
        })
    }

    /// Counts a request of `identity` that ended, and whose token was good.
    pub(crate) fn charge(&self, identity: Option<Identity>, now: Instant) {
        if let (Some(buckets), Some(identity)) = (&self.identities, identity) {
            buckets.charge(identity, now);
        }
    }

    /// Whether identities are counted.
    pub(crate) fn count_identities(&self) -> bool {
        self.identities.is_some()
    }

    /// Says so in the log, now and then.
    fn tell(&self, now: Instant) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|last| now.saturating_duration_since(last) >= TELL_PAUSE) {
            *told = Some(now);
            tracing::warn!("clients send more requests than they may; these are refused with 429");
        }
    }
}

/// What counts one call for the identity of its token.
pub(crate) struct Counted {
    rates: Arc<Rates>,
    /// `None` until somebody said whose the token is.
    identity: Option<Identity>,
}

impl Counted {
    /// A call of `identity`, if that is known already, which may make one now.
    ///
    /// # Errors
    /// As [`Rates::of_identity`].
    pub(crate) fn new(rates: Arc<Rates>, identity: Option<Identity>) -> Result<Self, Fault> {
        rates.of_identity(identity, Instant::now())?;
        Ok(Self { rates, identity })
    }

    /// Has `host` say whose `call` is, unless its token said so, and whether they may make one.
    ///
    /// # Errors
    /// As [`Host::identify`] and [`Rates::of_identity`].
    pub(crate) async fn identify<H: Host>(
        &mut self,
        host: &H,
        call: &H::Call,
    ) -> Result<(), Fault> {
        if self.identity.is_some() {
            return Ok(());
        }
        self.identity = host.identify(call).await?;
        self.rates.of_identity(self.identity, Instant::now())
    }

    /// Counts the call, whose token was good.
    pub(crate) fn charge(self) {
        self.rates.charge(self.identity, Instant::now());
    }
}

fn refused(whose: &str, interval: Duration, wait: Duration) -> Fault {
    let most = (CAPACITY.as_secs_f64() / interval.as_secs_f64()).round();
    let text = format!("more than {most} {whose} in a minute; wait and try again");
    // Whole seconds, and not too few.
    let wait = Duration::from_secs(wait.as_secs() + 1);
    Fault::new(FaultKind::RateLimited, text).with_retry_after(wait)
}
