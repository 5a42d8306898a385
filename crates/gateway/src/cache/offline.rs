//! What may be answered while control is not reached: nothing, unless the account's administrators
//! allow it, for one auth method, some paths and some time.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use arc_swap::ArcSwap;
use keysherd_api::{Configs, OFFLINE_CONFIG, OfflinePolicy};
use keysherd_base::{AccessId, Uid};
use keysherd_domain::policy::path_set::PathSet;

use crate::gateway::Gateway;

/// The policies in force.
#[derive(Default)]
pub(crate) struct OfflinePolicies(ArcSwap<HashMap<(Uid, AccessId), OfflinePolicy>>);

impl OfflinePolicies {
    /// Whether bearers of this auth method may read all of `paths` after control was silent for so
    /// long.
    pub(super) fn allow<'a>(
        &self,
        method: &(Uid, AccessId),
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

    pub(crate) fn set(&self, policies: HashMap<(Uid, AccessId), OfflinePolicy>) {
        self.0.store(policies.into());
    }
}

/// Puts in force what is configured, now and whenever that changes, until the gateway is gone.
pub async fn follow_offline_policies(configs: Weak<dyn Configs>, gateway: Weak<Gateway>) {
    loop {
        let (Some(configs), Some(gateway)) = (configs.upgrade(), gateway.upgrade()) else { return };
        let mut news = configs.news();
        let mut policies = HashMap::new();
        for known in configs.of_kind(OFFLINE_CONFIG) {
            // What cannot be read allows nothing.
            let found = configs.get(known.account, OFFLINE_CONFIG, &known.name).ok().flatten();
            if let Some(policy) = found.and_then(|(_, body)| OfflinePolicy::from_json(&body).ok()) {
                policies.insert((known.account.0, known.access_id), policy);
            }
        }
        gateway.allow_offline(policies);
        drop((configs, gateway));
        if news.changed().await.is_err() {
            return;
        }
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
