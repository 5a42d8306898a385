//! The leases of this gateway: what it wants to do alone in its cluster, and whether it may now.
//!
//! A lease counts from the moment that the question was sent which control answered with it: a
//! process that was stopped for a while, or is cut off, finds that it has ended, though nobody
//! could tell it. Time is measured by two clocks, and the one that says more counts: the one that
//! nobody sets stands still while a machine sleeps. One that went back ends the lease as well, and
//! the next answer, a second later, gives it again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keysherd_base::ClockHandle;
use keysherd_plane::clusters::{LeaseHeld, LeaseWish};
use tokio::sync::watch;

use crate::duty::Duty;
use crate::moment::{Clocks, Moment};

#[cfg(test)]
mod tests;

/// A lease that this process has, as it was told.
#[derive(Clone, Copy, Debug)]
struct Held {
    fence: u64,
    /// When it was asked for.
    sent: Moment,
    /// How long it lasts from then on.
    life: Duration,
}

impl Held {
    fn is_good(&self, now: Moment) -> bool {
        now.since(self.sent).is_some_and(|age| age < self.life)
    }
}

/// What a gateway wants to do alone, and what it may.
pub(crate) struct Leases {
    wanted: Mutex<BTreeMap<&'static str, Option<Held>>>,
    changed: watch::Sender<()>,
    clocks: Clocks,
    /// Whether it works at all; on standby, what is wanted is not asked for.
    works: Duty,
}

impl Leases {
    /// Wants nothing yet, of a gateway that works as it says.
    pub(crate) fn new(clock: ClockHandle, works: Duty) -> Self {
        let (wanted, changed) = (Mutex::default(), watch::Sender::new(()));
        Self { wanted, changed, clocks: Clocks::new(clock), works }
    }

    /// Asks for nothing any more, and has nothing; what it had, to be given back.
    pub(crate) fn rest(&self) -> Vec<(&'static str, u64)> {
        self.works.set(false);
        let mut wanted = self.wanted();
        let had = wanted.iter_mut().filter_map(|(name, held)| Some((*name, held.take()?.fence)));
        let had = had.collect();
        drop(wanted);
        self.changed.send_replace(());
        had
    }

    /// Asks for what is wanted again.
    pub(crate) fn work(&self) {
        self.works.set(true);
    }

    pub(crate) fn works(&self) -> bool {
        self.works.is_on()
    }

    /// Now, by both clocks.
    pub(crate) fn moment(&self) -> Moment {
        self.clocks.now()
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeMap<&'static str, Option<Held>>> {
        // Each change is one statement.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants the lease from now on.
    pub(crate) fn want(&self, name: &'static str) {
        self.wanted().entry(name).or_default();
    }

    /// Does not want it any more; the number to give back, if it has it.
    pub(crate) fn give_up(&self, name: &str) -> Option<u64> {
        self.wanted().remove(name).flatten().map(|held| held.fence)
    }

    /// The number under which it has the lease now.
    pub(crate) fn held(&self, name: &str) -> Option<u64> {
        let held = self.wanted().get(name).copied().flatten().filter(|_| self.works())?;
        held.is_good(self.moment()).then_some(held.fence)
    }

    /// What it has now, with numbers.
    pub(crate) fn all_held(&self) -> Vec<(&'static str, u64)> {
        let now = self.moment();
        let held = |(name, held): (&&'static str, &Option<Held>)| {
            held.filter(|held| held.is_good(now)).map(|held| (*name, held.fence))
        };
        self.wanted().iter().filter_map(held).collect()
    }

    /// What to ask control for.
    pub(crate) fn wishes(&self) -> Vec<LeaseWish> {
        if !self.works() {
            return Vec::new();
        }
        let wish = |(name, held): (&&'static str, &Option<Held>)| LeaseWish {
            name: (*name).to_owned(),
            fence: held.map(|held| held.fence),
        };
        self.wanted().iter().map(wish).collect()
    }

    /// Control's answer to a question that was sent at `sent`.
    pub(crate) fn heard(&self, sent: Moment, answer: &[LeaseHeld]) {
        let mut wanted = self.wanted();
        if !self.works() {
            // It was asked before.
            return;
        }
        let now = self.moment();
        let mut news = false;
        for (name, known) in wanted.iter_mut() {
            let told = answer.iter().find(|told| told.name == *name).map(|told| Held {
                fence: told.fence,
                sent,
                life: Duration::from_millis(told.millis.into()),
            });
            let had = known.filter(|held| held.is_good(now)).map(|held| held.fence);
            let has = told.filter(|held| held.is_good(now)).map(|held| held.fence);
            // An end that was not noticed is none for control; its worker may have noticed it.
            news |= had != has;
            *known = told;
        }
        drop(wanted);
        if news {
            self.changed.send_replace(());
        }
    }

    /// Wakes when a lease was got or lost.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
