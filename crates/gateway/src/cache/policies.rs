//! How reads are kept: as administrators set it for their account, otherwise as the gateway was
//! started.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use keysherd_api::{CACHE_CONFIG, CachePolicy, Configs, OFFLINE_CONFIG, OfflinePolicy};
use keysherd_base::Uid;
use tokio::sync::watch;

use crate::gateway::Gateway;

/// The policies in force.
pub(super) struct CachePolicies {
    /// Of accounts that set none.
    default: CachePolicy,
    of_accounts: ArcSwap<HashMap<Uid, CachePolicy>>,
    /// Whether there are reads that an earlier process kept.
    restored: AtomicBool,
    /// Whether reads of anybody are kept, or were.
    any: watch::Sender<bool>,
}

/// What another setting ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Accounts whose reads are kept in another way from now on.
    pub(super) changed: Vec<Uid>,
    /// Whether reads of one of them are not kept any more.
    pub(super) switched_off: bool,
}

impl CachePolicies {
    /// Those of a gateway that was started so.
    pub(super) fn new(default: CachePolicy) -> Self {
        let any = watch::Sender::new(default.enabled);
        let restored = AtomicBool::new(false);
        Self { default, of_accounts: ArcSwap::default(), restored, any }
    }

    /// What the gateway was started with.
    pub(super) fn default(&self) -> CachePolicy {
        self.default
    }

    /// The one of an account.
    pub(super) fn of(&self, account: Uid) -> CachePolicy {
        self.of_accounts.load().get(&account).copied().unwrap_or(self.default)
    }

    /// Whether an account's administrators do not want its reads to be kept.
    pub(super) fn is_set_off(&self, account: Uid) -> bool {
        self.of_accounts.load().get(&account).is_some_and(|policy| !policy.enabled)
    }

    /// How often a copy is made: as often as the account wants whose reads are kept and that wants
    /// it most often; where none says anything, as the gateway was started.
    pub(super) fn backup_minutes(&self) -> u32 {
        let of_accounts = self.of_accounts.load();
        let kept = of_accounts.values().filter(|policy| policy.enabled);
        let most_often = kept.map(|policy| policy.backup_minutes).min();
        most_often.unwrap_or(self.default.backup_minutes).max(1)
    }

    /// Whether reads of anybody are to be made again in the background.
    pub(super) fn any_proactive(&self) -> bool {
        self.proactive().next().is_some()
    }

    /// Whether they are to be, but what is kept is over before after so many seconds: then nothing
    /// ever is.
    pub(super) fn is_ahead_too_late(&self, seconds: u32) -> bool {
        self.proactive().any(|policy| policy.is_ahead_too_late(seconds))
    }

    /// The policies with which something is read again.
    fn proactive(&self) -> impl Iterator<Item = CachePolicy> {
        let of_accounts: Vec<CachePolicy> = self.of_accounts.load().values().copied().collect();
        let all = [self.default].into_iter().chain(of_accounts);
        all.filter(|policy| policy.enabled && policy.proactive)
    }

    /// There are reads now that an earlier process kept, or no longer.
    pub(super) fn restored(&self, there_are: bool) {
        self.restored.store(there_are, Ordering::Release);
        self.tell();
    }

    fn tell(&self) {
        let of_accounts = self.of_accounts.load();
        let any = self.default.enabled
            || self.restored.load(Ordering::Acquire)
            || of_accounts.values().any(|policy| policy.enabled);
        self.any.send_if_modified(|known| std::mem::replace(known, any) != any);
    }

    /// Whether reads of anybody are kept, or were by an earlier process.
    pub(super) fn any(&self) -> bool {
        *self.any.borrow()
    }

    /// Tells when that changes.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.any.subscribe()
    }

    /// Puts the policy of one account in force.
    pub(super) fn set_one(&self, account: Uid, policy: CachePolicy) -> Ended {
        let mut all = HashMap::clone(&self.of_accounts.load());
        all.insert(account, policy);
        self.set(all)
    }

    /// Puts these in force, in place of all there were.
    pub(super) fn set(&self, policies: HashMap<Uid, CachePolicy>) -> Ended {
        let now = Arc::new(policies);
        let before = self.of_accounts.swap(now.clone());
        self.tell();
        let of = |all: &HashMap<Uid, CachePolicy>, account| {
            all.get(account).copied().unwrap_or(self.default)
        };
        let mut ended = Ended::default();
        let accounts = before.keys().chain(now.keys().filter(|key| !before.contains_key(key)));
        for account in accounts {
            let (was, is) = (of(&before, account), of(&now, account));
            if was != is {
                ended.changed.push(*account);
                ended.switched_off |= was.enabled && !is.enabled;
            }
        }
        ended
    }
}

/// Puts in force what is configured about reads, now and whenever that changes, until the gateway
/// is gone.
pub async fn follow_read_policies(configs: Weak<dyn Configs>, gateway: Weak<Gateway>) {
    loop {
        let (Some(configs), Some(gateway)) = (configs.upgrade(), gateway.upgrade()) else { return };
        let mut news = configs.news();
        gateway.allow_offline(offline(&*configs));
        gateway.cache_accounts_as(caching(&*configs, gateway.cache_started_as()));
        drop((configs, gateway));
        if news.changed().await.is_err() {
            return;
        }
    }
}

/// What cannot be read allows nothing.
fn offline(configs: &dyn Configs) -> HashMap<super::offline::Bearers, OfflinePolicy> {
    let all = configs.of_kind(OFFLINE_CONFIG).into_iter();
    let policies = all.filter_map(|known| {
        let (_, body) = configs.get(known.account, OFFLINE_CONFIG, &known.name).ok()??;
        let policy = OfflinePolicy::from_json(&body).ok()?;
        Some(((known.account.0, known.access_id), policy))
    });
    policies.collect()
}

/// Where one cannot be read, nothing is kept.
fn caching(configs: &dyn Configs, default: CachePolicy) -> HashMap<Uid, CachePolicy> {
    let all = configs.of_kind(CACHE_CONFIG).into_iter();
    let policies = all.filter_map(|known| {
        let found = configs.get(known.account, CACHE_CONFIG, &known.name).transpose()?;
        let policy = found.and_then(|(_, body)| CachePolicy::from_json(&body));
        Some((known.account.0, policy.unwrap_or(CachePolicy { enabled: false, ..default })))
    });
    policies.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uid = Uid([1; 16]);
    const OTHER: Uid = Uid([2; 16]);

    #[test]
    fn what_an_account_set_wins_over_the_start_and_is_for_nobody_else() {
        let off = CachePolicy::default();
        let on = CachePolicy { enabled: true, ..off };
        for (started, set) in [(off, on), (on, off)] {
            let policies = CachePolicies::new(started);
            assert_eq!((policies.of(ONE), policies.any()), (started, started.enabled));
            let ended = policies.set_one(ONE, set);
            let switched_off = started.enabled;
            assert_eq!(ended, Ended { changed: vec![ONE], switched_off });
            assert_eq!((policies.of(ONE), policies.of(OTHER)), (set, started));
            assert!(policies.any(), "one of the two is kept");
            assert_eq!(policies.set_one(ONE, set), Ended::default());
            // Taken away, it is as it was started.
            let ended = policies.set(HashMap::new());
            assert_eq!(ended, Ended { changed: vec![ONE], switched_off: set.enabled });
            assert_eq!(policies.of(ONE), started);
        }
    }

    #[test]
    fn another_time_is_a_change_that_switches_nothing_off() {
        let on = CachePolicy { enabled: true, ..CachePolicy::default() };
        let policies = CachePolicies::new(on);
        let ended = policies.set_one(ONE, CachePolicy { ttl_minutes: 1, ..on });
        assert_eq!(ended, Ended { changed: vec![ONE], switched_off: false });
    }

    #[test]
    fn copies_are_made_as_often_as_those_want_whose_reads_are_kept() {
        let on = CachePolicy { enabled: true, ..CachePolicy::default() };
        let policies = CachePolicies::new(on);
        assert_eq!(policies.backup_minutes(), 1);
        policies.set_one(ONE, CachePolicy { backup_minutes: 30, ..on });
        assert_eq!(policies.backup_minutes(), 30);
        policies.set_one(OTHER, CachePolicy { backup_minutes: 5, ..on });
        assert_eq!(policies.backup_minutes(), 5);
        policies.set_one(OTHER, CachePolicy { enabled: false, backup_minutes: 5, ..on });
        assert_eq!(policies.backup_minutes(), 30);
    }
}
