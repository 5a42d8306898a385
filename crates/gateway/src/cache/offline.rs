//! What may be answered while control is not reached: nothing, unless the account's administrators
//! allow it, for one auth method, some paths and some time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keysherd_api::OfflinePolicy;
use keysherd_base::{AccessId, Uid};
use keysherd_domain::policy::path_set::PathSet;

/// The bearers of an auth method of an account.
pub(crate) type Bearers = (Uid, AccessId);

/// The policies in force.
#[derive(Default)]
pub(crate) struct OfflinePolicies(ArcSwap<HashMap<Bearers, OfflinePolicy>>);

impl OfflinePolicies {
    /// Whether bearers of this auth method may read all of `paths` after control was silent for so
    /// long.
    pub(super) fn allow<'a>(
        &self,
        method: &Bearers,
        mut paths: impl Iterator<Item = &'a str>,
        silent: Duration,
    ) -> bool {
        let policies = self.0.load();
        policies.get(method).is_some_and(|policy| {
            let allowed = PathSet::new(policy.paths.iter().map(String::as_str));
            silent <= Duration::from_secs(u64::from(policy.max_minutes) * 60)
                && paths.all(|path| allowed.covering(path).is_some())
        })
    }

    /// These.
    pub(super) fn of(policies: HashMap<Bearers, OfflinePolicy>) -> Self {
        Self(ArcSwap::from_pointee(policies))
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(Uid, AccessId, OfflinePolicy)> {
        let all = self.0.load();
        let policies = all.iter().map(|((account, id), it)| (*account, id.clone(), it.clone()));
        policies.collect()
    }

    /// Puts these in force; whether they are others than before.
    pub(super) fn set(&self, policies: HashMap<Bearers, OfflinePolicy>) -> bool {
        let now = Arc::new(policies);
        *self.0.swap(now.clone()) != *now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_allows_its_method_its_paths_and_its_time() {
        let method = |account: u8, id: &str| (Uid([account; 16]), AccessId::parse(id).unwrap());
        let mine = method(1, "p-abcdefghijkl");
        let policies = OfflinePolicies::default();
        let allow = |method, paths: &[&str], seconds| {
            policies.allow(method, paths.iter().copied(), Duration::from_secs(seconds))
        };
        assert!(!allow(&mine, &["/shop/db"], 0), "nothing is allowed at first");
        let paths = vec!["/shop/*".to_owned(), "/one".to_owned()];
        policies.set([(mine.clone(), OfflinePolicy { max_minutes: 10, paths })].into());
        assert!(allow(&mine, &["/shop/db", "/one"], 600));
        assert!(!allow(&mine, &["/shop/db"], 601));
        assert!(!allow(&mine, &["/shop/db", "/two"], 0));
        assert!(!allow(&mine, &["/one/more"], 0));
        let others = [method(2, "p-abcdefghijkl"), method(1, "p-bbcdefghijkl")];
        assert!(others.iter().all(|other| !allow(other, &["/shop/db"], 0)));
    }
}
