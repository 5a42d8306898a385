//! What was fetched from identity providers, kept for a while: key sets, issuer documents.
//!
//! One request at a time goes to an address, and no two within [`RETRY_SECONDS`], however many
//! logins ask and whatever their tokens say. What is older than [`FRESH_SECONDS`] is fetched anew,
//! so that a key which the issuer took away stops counting; when the issuer does not answer, what
//! was known goes on counting for [`STALE_SECONDS`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keysherd_base::{ClockHandle, Fault, Timestamp};

use crate::web::{Web, unreachable};

#[cfg(test)]
mod tests;

/// How long something counts without being looked at again.
pub const FRESH_SECONDS: i64 = 300;
/// How long it counts while its address does not answer.
pub const STALE_SECONDS: i64 = 3_600;
/// The shortest time between two requests to one address.
pub const RETRY_SECONDS: i64 = 10;
/// Most addresses remembered; beyond, the one not used for longest is forgotten.
const ADDRESSES_MAX: usize = 2_000;

/// Reads what was fetched from an address; an error says what is wrong with it.
pub(crate) type Read<T> = fn(&str, &[u8]) -> Result<T, String>;

/// Things of one kind, by address.
pub struct Fetched<T> {
    web: Web,
    clock: ClockHandle,
    read: Read<T>,
    places: Mutex<HashMap<String, Arc<Place<T>>>>,
}

struct Place<T> {
    slot: Mutex<Slot<T>>,
    // Whoever holds it is the one that asks.
    asking: tokio::sync::Mutex<()>,
}

struct Slot<T> {
    known: Option<(Arc<T>, Timestamp)>,
    tried: Option<Timestamp>,
    failure: Option<Fault>,
    used: Timestamp,
}

/// What to do about a wish.
enum Step<T> {
    /// This will do.
    Take(Arc<T>),
    /// It failed a moment ago.
    Fail(Fault),
    /// Ask the address; until it answers, what is old will do.
    Ask(Option<Arc<T>>),
}

impl<T> Fetched<T> {
    /// Nothing fetched yet.
    pub fn new(web: Web, clock: ClockHandle, read: Read<T>) -> Self {
        Self { web, clock, read, places: Mutex::default() }
    }

    /// What is at `url`. With `unfit`, something that was given before and did not do: something
    /// newer, or the same again when the address was asked too lately.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when nothing is known and the address does not answer as it should.
    pub async fn get(&self, url: &str, unfit: Option<&Arc<T>>) -> Result<Arc<T>, Fault> {
        let place = self.place(url);
        let old = match place.slot().step(self.clock.now(), unfit) {
            Step::Take(known) => return Ok(known),
            Step::Fail(fault) => return Err(fault),
            Step::Ask(old) => old,
        };
        let _asking = match (place.asking.try_lock(), old) {
            (Ok(turn), _) => turn,
            (Err(_), Some(old)) => return Ok(old),
            (Err(_), None) => place.asking.lock().await,
        };
        // Somebody else may have asked in the meantime.
        match place.slot().step(self.clock.now(), unfit) {
            Step::Take(known) => return Ok(known),
            Step::Fail(fault) => return Err(fault),
            Step::Ask(_) => {}
        }
        let answer = self.web.get(url).await;
        let read = answer.and_then(|bytes| {
            (self.read)(url, &bytes).map_err(|why| unreachable(url, &format!("its answer: {why}")))
        });
        place.slot().keep(read, self.clock.now())
    }

    fn place(&self, url: &str) -> Arc<Place<T>> {
        let now = self.clock.now();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(url) {
            place.slot().used = now;
            return place.clone();
        }
        if places.len() >= ADDRESSES_MAX {
            let oldest = places.iter().min_by_key(|(_, place)| place.slot().used);
            if let Some(oldest) = oldest.map(|(url, _)| url.clone()) {
                places.remove(&oldest);
            }
        }
        let slot = Slot { known: None, tried: None, failure: None, used: now };
        let place = Arc::new(Place { slot: Mutex::new(slot), asking: tokio::sync::Mutex::new(()) });
        places.insert(url.to_owned(), place.clone());
        place
    }
}

impl<T> Place<T> {
    fn slot(&self) -> MutexGuard<'_, Slot<T>> {
        // The data is consistent between any two statements, so a poisoned lock is usable.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Slot<T> {
    fn step(&self, now: Timestamp, unfit: Option<&Arc<T>>) -> Step<T> {
        let within = |since: &Timestamp, seconds: i64| {
            (0..seconds.saturating_mul(1000)).contains(&now.millis_since(*since))
        };
        let asked_lately = self.tried.is_some_and(|tried| within(&tried, RETRY_SECONDS));
        let Some((known, fetched)) = &self.known else {
            return match &self.failure {
                Some(fault) if asked_lately => Step::Fail(fault.clone()),
                _ => Step::Ask(None),
            };
        };
        let is_unfit = unfit.is_some_and(|unfit| Arc::ptr_eq(unfit, known));
        if within(fetched, FRESH_SECONDS) && (!is_unfit || asked_lately) {
            return Step::Take(known.clone());
        }
        let usable = within(fetched, STALE_SECONDS);
        match (&self.failure, asked_lately) {
            (_, true) if usable => Step::Take(known.clone()),
            (Some(fault), true) => Step::Fail(fault.clone()),
            _ => Step::Ask(usable.then(|| known.clone()).filter(|_| !is_unfit)),
        }
    }

    fn keep(&mut self, read: Result<T, Fault>, now: Timestamp) -> Result<Arc<T>, Fault> {
        self.tried = Some(now);
        match read {
            Ok(value) => {
                let value = Arc::new(value);
                self.known = Some((value.clone(), now));
                self.failure = None;
                Ok(value)
            }
            Err(fault) => {
                self.failure = Some(fault.clone());
                match &self.known {
                    Some((known, fetched))
                        if now.millis_since(*fetched) < STALE_SECONDS.saturating_mul(1000) =>
                    {
                        Ok(known.clone())
                    }
                    _ => Err(fault),
                }
            }
        }
    }
}

impl<T> std::fmt::Debug for Fetched<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetched")
    }
}
