//! Budgets of wrong logins: token buckets, one for each address and kind of subject.
//!
//! A login takes from the bucket before it is tried and gives back what it took unless its
//! credential is wrong, so only wrong logins count and many at once are not more than many in a
//! row. A restart fills all buckets; the locks of people survive it.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keysherd_base::Timestamp;
use quick_cache::unsync::Cache;

/// Addresses that are remembered; each takes about a hundred bytes.
const ADDRESSES_MAX: usize = 50_000;

/// Thousandths of a wrong login.
type Milli = i64;

/// Whose logins a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Budget {
    /// Wrong passwords: 30 at once, then 10 in a minute.
    People,
    /// Everything else: 1,000 at once, then 50 in a second. Machines behind one address are many,
    /// one with an old key tries again and again, and some try one type after the other.
    Machines,
}

impl Budget {
    /// Most that a bucket holds.
    const fn most(self) -> Milli {
        match self {
            Self::People => 30_000,
            Self::Machines => 1_000_000,
        }
    }

    /// What a bucket gets back in a second.
    const fn per_second(self) -> Milli {
        match self {
            Self::People => 166,
            Self::Machines => 50_000,
        }
    }
}

/// The buckets.
pub(super) struct Addresses(Mutex<Cache<(IpAddr, Budget), Bucket>>);

#[derive(Clone, Copy)]
struct Bucket {
    left: Milli,
    at: Timestamp,
}

impl Bucket {
    fn refilled(self, budget: Budget, now: Timestamp) -> Self {
        let millis = now.millis_since(self.at).max(0);
        let gained = millis.saturating_mul(budget.per_second()) / 1_000;
        Self { left: self.left.saturating_add(gained).min(budget.most()), at: now }
    }

    fn refilled_at(self, budget: Budget) -> Timestamp {
        let missing = (1_000 - self.left).max(0);
        self.at.plus_seconds(missing.div_euclid(budget.per_second()) + 1)
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self(Mutex::new(Cache::new(ADDRESSES_MAX)))
    }
}

impl Addresses {
    /// Takes one wrong login out of the budget.
    ///
    /// # Errors
    /// When there will be one again; then nothing is taken.
    pub(super) fn take(
        &self,
        address: IpAddr,
        budget: Budget,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let mut buckets = self.buckets();
        let mut bucket = look(&buckets, address, budget, now);
        if bucket.left < 1_000 {
            return Err(bucket.refilled_at(budget));
        }
        bucket.left -= 1_000;
        buckets.insert((address, budget), bucket);
        Ok(())
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&self, address: IpAddr, budget: Budget) {
        let mut buckets = self.buckets();
        if let Some(bucket) = buckets.get(&(address, budget)).copied() {
            let left = (bucket.left + 1_000).min(budget.most());
            buckets.insert((address, budget), Bucket { left, ..bucket });
        }
    }

    /// When there will be one wrong login in the budget.
    pub(super) fn refilled_at(&self, address: IpAddr, budget: Budget, now: Timestamp) -> Timestamp {
        look(&self.buckets(), address, budget, now).refilled_at(budget)
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self, address: IpAddr, budget: Budget, now: Timestamp) -> bool {
        look(&self.buckets(), address, budget, now).left < 1_000
    }

    /// Everything here is consistent between any two statements, so a poisoned lock is usable.
    fn buckets(&self) -> MutexGuard<'_, Cache<(IpAddr, Budget), Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look(
    buckets: &Cache<(IpAddr, Budget), Bucket>,
    address: IpAddr,
    budget: Budget,
    now: Timestamp,
) -> Bucket {
    let full = Bucket { left: budget.most(), at: now };
    buckets.get(&(address, budget)).map_or(full, |bucket| bucket.refilled(budget, now))
}
