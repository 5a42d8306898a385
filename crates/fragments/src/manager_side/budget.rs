//! How much may be derived (step 7): the caps of the trust bundle, which the control plane cannot
//! raise, counted per cluster, account, key group and key.
//!
//! Per cluster and not per gateway, or many instances of one cluster would have many budgets.
//! Hours and days begin at full hours and days of the clock that is handed in.

use std::collections::BTreeMap;

use keysherd_base::{AccountId, Timestamp, Uid};

use super::Checked;
use crate::bundle::pinned::PinnedBundle;
use crate::bundle::{Bundle, Caps};
use crate::refusal::Refusal;

/// A bucket holds as many derivations as its cap allows in this many seconds, so that a batch does
/// not have to be spread.
pub const BURST_SECONDS: u64 = 10;
/// Most clusters, accounts, groups and keys counted at one time.
pub const SCOPES_MAX: usize = 100_000;

/// The budgets of a manager. One for the whole manager, behind a lock.
#[derive(Debug)]
pub struct Budget {
    scopes: BTreeMap<Scope, Usage>,
    items_max: usize,
    items: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Cluster(Uid),
    Account(AccountId),
    Group(String),
    Key(Uid),
}

#[derive(Debug)]
struct Usage {
    /// Thousandths of derivations left in the bucket.
    level: u64,
    filled_at: Timestamp,
    hour: i64,
    items_this_hour: usize,
    day: i64,
    /// Each distinct item of the day and the last hour in which it counted.
    items: BTreeMap<Uid, i64>,
}

/// What one request costs one scope.
struct Charge {
    scope: Scope,
    caps: Caps,
    derivations: u64,
    /// Distinct items, ascending.
    items: Vec<Uid>,
}

impl Budget {
    /// Budgets that remember at most `items_max` distinct items in all, about 100 bytes each.
    pub fn new(items_max: usize) -> Self {
        Self { scopes: BTreeMap::new(), items_max, items: 0 }
    }

    /// Takes what `checked` costs from every budget it falls under, or nothing at all.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`], [`Refusal::TooManyItems`]; [`Refusal::CountersFull`] when memory
    /// is used up: what cannot be counted is refused.
    pub fn charge(
        &mut self,
        bundle: &PinnedBundle,
        checked: &Checked,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let charges = charges(bundle.bundle(), checked)?;
        self.make_room(charges.len(), now)?;
        let mut new_items = 0;
        for charge in &charges {
            let usage = self
                .scopes
                .entry(charge.scope.clone())
                .or_insert_with(|| Usage::full(charge.caps, now));
            self.items -= usage.roll(charge.caps, now);
            new_items += usage.fits(charge)?;
        }
        if self.items + new_items > self.items_max {
            return Err(Refusal::CountersFull);
        }
        for charge in charges {
            if let Some(usage) = self.scopes.get_mut(&charge.scope) {
                usage.take(&charge);
            }
        }
        self.items += new_items;
        Ok(())
    }

    /// Distinct items remembered at this moment, over all scopes.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Forgets scopes that are as good as new when there are too many.
    fn make_room(&mut self, wanted: usize, now: Timestamp) -> Result<(), Refusal> {
        if self.scopes.len() + wanted <= SCOPES_MAX {
            return Ok(());
        }
        let day = now.seconds().div_euclid(86_400);
        let before = self.items;
        let mut forgotten = 0;
        self.scopes.retain(|_, usage| {
            // After a day every bucket that allows anything is full again.
            let idle = usage.day < day - 1;
            forgotten += if idle { usage.items.len() } else { 0 };
            !idle
        });
        self.items = before - forgotten;
        if self.scopes.len() + wanted <= SCOPES_MAX { Ok(()) } else { Err(Refusal::CountersFull) }
    }
}

impl Usage {
    fn full(caps: Caps, now: Timestamp) -> Self {
        Self {
            level: capacity(caps),
            filled_at: now,
            hour: i64::MIN,
            items_this_hour: 0,
            day: i64::MIN,
            items: BTreeMap::new(),
        }
    }

    /// Brings bucket and windows to `now`; gives how many items were forgotten. A clock that goes
    /// back opens no new window and fills no bucket.
    fn roll(&mut self, caps: Caps, now: Timestamp) -> usize {
        let passed = u64::try_from(now.millis_since(self.filled_at)).unwrap_or(0);
        // One derivation per second is one thousandth per millisecond.
        let gained = passed.saturating_mul(u64::from(caps.derivations_per_second));
        self.level = self.level.saturating_add(gained).min(capacity(caps));
        self.filled_at = self.filled_at.max(now);
        let (hour, day) = (now.seconds().div_euclid(3_600), now.seconds().div_euclid(86_400));
        if hour > self.hour {
            self.hour = hour;
            self.items_this_hour = 0;
        }
        if day > self.day {
            self.day = day;
            return std::mem::take(&mut self.items).len();
        }
        0
    }

    /// Whether the charge fits; gives how many items it would add to memory.
    fn fits(&self, charge: &Charge) -> Result<usize, Refusal> {
        if self.level < charge.derivations * 1_000 {
            return Err(Refusal::RateLimited);
        }
        if !counts_items(charge.caps) {
            return Ok(0);
        }
        let seen = charge.items.iter().filter_map(|item| self.items.get(item));
        let (seen_today, seen_this_hour) = seen.fold((0, 0), |(today, this_hour), hour| {
            (today + 1, this_hour + usize::from(*hour == self.hour))
        });
        let hourly = self.items_this_hour + charge.items.len() - seen_this_hour;
        let daily = self.items.len() + charge.items.len() - seen_today;
        let over = |count: usize, cap: u32| u32::try_from(count).map_or(true, |count| count > cap);
        if over(hourly, charge.caps.items_per_hour) || over(daily, charge.caps.items_per_day) {
            return Err(Refusal::TooManyItems);
        }
        Ok(charge.items.len() - seen_today)
    }

    fn take(&mut self, charge: &Charge) {
        self.level -= charge.derivations * 1_000;
        if !counts_items(charge.caps) {
            return;
        }
        for item in &charge.items {
            if self.items.insert(*item, self.hour) != Some(self.hour) {
                self.items_this_hour += 1;
            }
        }
    }
}

/// Without a cap on items none are remembered.
fn counts_items(caps: Caps) -> bool {
    caps.items_per_hour != u32::MAX || caps.items_per_day != u32::MAX
}

fn capacity(caps: Caps) -> u64 {
    u64::from(caps.derivations_per_second) * BURST_SECONDS * 1_000
}

fn charges(bundle: &Bundle, checked: &Checked) -> Result<Vec<Charge>, Refusal> {
    let cluster = bundle.clusters.iter().find(|cluster| cluster.id == checked.cluster);
    let cluster = cluster.ok_or(Refusal::BundleChanged)?;
    let all = || checked.entries.iter().map(|entry| (entry.slot, entry.item_id)).collect();
    let mut charges = vec![
        charge(Scope::Cluster(cluster.id), cluster.caps, all()),
        charge(Scope::Account(checked.account), bundle.account_caps, all()),
    ];
    // Places of the charges of a key and its group, by slot.
    let mut by_slot = Vec::with_capacity(checked.keys.len());
    for key in &checked.keys {
        let group = bundle.group(&key.group).ok_or(Refusal::BundleChanged)?;
        let scopes = [
            (Scope::Key(key.key.id), group.key_caps),
            (Scope::Group(key.group.clone()), group.caps),
        ];
        by_slot.push(scopes.map(|(scope, caps)| {
            let found = charges.iter().position(|charge| charge.scope == scope);
            found.unwrap_or_else(|| {
                charges.push(Charge { scope, caps, derivations: 0, items: Vec::new() });
                charges.len() - 1
            })
        }));
    }
    for entry in &checked.entries {
        for place in by_slot.get(usize::from(entry.slot)).into_iter().flatten() {
            if let Some(charge) = charges.get_mut(*place) {
                charge.derivations += 1;
                charge.items.push(entry.item_id);
            }
        }
    }
    for charge in charges.iter_mut().skip(2) {
        charge.items.sort_unstable();
        charge.items.dedup();
    }
    Ok(charges)
}

fn charge(scope: Scope, caps: Caps, entries: Vec<(u16, Uid)>) -> Charge {
    let derivations = entries.len() as u64;
    let mut items: Vec<Uid> = entries.into_iter().map(|(_, item)| item).collect();
    items.sort_unstable();
    items.dedup();
    Charge { scope, caps, derivations, items }
}
