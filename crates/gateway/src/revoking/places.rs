//! Which targets get how many of the places there are to remove credentials at one time.
//!
//! A target that answers gets its share. One that nobody knows gets a small one, and one that does
//! not answer gets none for a while, then one place, until it has answered: so targets that are
//! silent never hold more than a part of the places, however much is due on them, and whatever is
//! due on the others goes on. Nothing is counted as tried that no place was taken for.
//!
//! A secret is looked at as its target is: its statements may be what takes so long, or this
//! gateway may not be able to open it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_base::ItemId;
use keysherd_plane::credential_leases::{LEASE_PLACES_MAX, LeaseRoom};
use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Credentials that are removed at one time.
pub(super) const PLACES: usize = 64;
/// Places of one target that answers.
const SHARE: usize = 8;
/// Places of one that nobody has heard of since this gateway started.
pub(super) const SHARE_UNKNOWN: usize = 2;
/// Places of all targets together that did not answer the last time.
const SHARE_SILENT: usize = 16;
/// How long a target that did not answer is left alone.
const ALONE: Duration = Duration::from_secs(5);
/// How long a secret that cannot be opened is left to others: the first time, and at most.
const CLOSED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));
/// Targets and secrets that are remembered.
const KNOWN_MAX: usize = 4_096;

/// What is known of a target or a secret.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    working: usize,
    known: Known,
}

#[derive(Clone, Copy, Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Answers,
    /// It did not answer; it is left alone until then.
    Silent(Instant),
    /// It could not be opened; it is left to others until then, and so long the next time.
    Closed(Instant, Duration),
}

impl Place {
    /// How many more it may have now; `silent`: as many more those may have that did not answer.
    fn left(&self, now: Instant, silent: usize) -> usize {
        let most = match self.known {
            Known::Answers => SHARE,
            Known::Nothing => SHARE_UNKNOWN,
            Known::Silent(until) | Known::Closed(until, _) if now < until => 0,
            Known::Silent(_) | Known::Closed(..) => 1.min(silent + self.working),
        };
        most.saturating_sub(self.working)
    }

    const fn is_silent(&self) -> bool {
        matches!(self.known, Known::Silent(_))
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Places {
    known: Mutex<HashMap<ItemId, Place>>,
    /// Somebody has given places back.
    pub(super) given_back: Notify,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// The target answered, whatever it said.
    Answered,
    /// Nobody got into the target.
    NotReached,
    /// It did not come to an end in time: it may be the statements.
    Late,
    /// The settings could not be opened here.
    Closed,
}

impl Places {
    /// What control is told: of which there is how much room.
    pub(super) fn room(&self) -> Vec<LeaseRoom> {
        let now = Instant::now();
        let known = self.known();
        let silent = silent_left(&known);
        let room = known.iter().map(|(place, one)| (*place, one.left(now, silent)));
        let mut room: Vec<_> = room.map(|(place, left)| LeaseRoom { place, left }).collect();
        // What must not be handed out is said first.
        room.sort_by_key(|room| room.left);
        room.truncate(LEASE_PLACES_MAX);
        room
    }

    /// A place on the target of a secret, if there is one.
    pub(super) fn take(self: &Arc<Self>, secret: ItemId, target: Option<ItemId>) -> Option<Taken> {
        let now = Instant::now();
        let both = [Some(secret), target.filter(|target| *target != secret)];
        let mut known = self.known();
        let silent = silent_left(&known);
        let left = |place: &ItemId| known.get(place).copied().unwrap_or_default().left(now, silent);
        if both.iter().flatten().any(|place| left(place) == 0) {
            return None;
        }
        for place in both.into_iter().flatten() {
            known.entry(place).or_default().working += 1;
        }
        Some(Taken { places: self.clone(), secret, target: target.unwrap_or(secret) })
    }

    fn keep(&self, place: ItemId, know: impl FnOnce(Known) -> Known) {
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, one| one.working > 0);
        }
        let one = known.entry(place).or_default();
        one.known = know(one.known);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ItemId, Place>> {
        // Nothing in it panics.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many more places those may have that did not answer.
fn silent_left(known: &HashMap<ItemId, Place>) -> usize {
    let working = |one: &Place| if one.is_silent() { one.working } else { 0 };
    SHARE_SILENT.saturating_sub(known.values().map(working).sum())
}

/// A place. It is given back when this is dropped.
pub(super) struct Taken {
    places: Arc<Places>,
    secret: ItemId,
    target: ItemId,
}

impl Taken {
    /// Says what became of the attempt.
    pub(super) fn became(&self, what: Became) {
        let until = Instant::now() + ALONE;
        let places = &self.places;
        match what {
            Became::Answered => {
                places.keep(self.secret, |_| Known::Answers);
                places.keep(self.target, |_| Known::Answers);
            }
            Became::NotReached => places.keep(self.target, |_| Known::Silent(until)),
            Became::Late => places.keep(self.secret, |_| Known::Silent(until)),
            Became::Closed => places.keep(self.secret, |known| {
                let (first, most) = CLOSED;
                let long = match known {
                    Known::Closed(_, long) => (long * 2).min(most),
                    _ => first,
                };
                Known::Closed(Instant::now() + long, long)
            }),
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut known = self.places.known();
        let both = [Some(self.secret), (self.target != self.secret).then_some(self.target)];
        for place in both.into_iter().flatten() {
            if let Some(one) = known.get_mut(&place) {
                one.working = one.working.saturating_sub(1);
            }
        }
        drop(known);
        self.places.given_back.notify_one();
    }
}
