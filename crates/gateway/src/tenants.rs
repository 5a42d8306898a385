//! Which account a bearer token was last granted something for.
//!
//! The gateway cannot read tokens. What it remembers between requests is kept by account all the
//! same, so that one account cannot learn from it what another one reads. A token that is not known
//! here only makes its first request take the long way.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use keysherd_base::Uid;
use keysherd_plane::Caller;
use quick_cache::sync::Cache;

/// Tokens remembered at most.
const TOKENS_MAX: usize = 100_000;

/// Accounts by token. Tokens are kept as keyed hashes only.
pub(crate) struct Tenants {
    accounts: Cache<u64, Uid>,
    hasher: RandomState,
}

impl Tenants {
    /// Nothing known yet.
    pub(crate) fn new() -> Self {
        Self { accounts: Cache::new(TOKENS_MAX), hasher: RandomState::new() }
    }

    /// The account of the caller's token, if it is known.
    pub(crate) fn of(&self, caller: &Caller) -> Option<Uid> {
        self.accounts.get(&self.place(caller)?)
    }

    /// Remembers the account that control granted something to.
    pub(crate) fn learn(&self, caller: &Caller, account: Uid) {
        if let Some(place) = self.place(caller) {
            self.accounts.insert(place, account);
        }
    }

    fn place(&self, caller: &Caller) -> Option<u64> {
        caller.token.as_ref().map(|token| self.hasher.hash_one(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_account_it_was_granted_something_for() {
        let tenants = Tenants::new();
        let mut caller = Caller::of_the_server(Uid::default());
        tenants.learn(&caller, Uid([1; 16]));
        assert_eq!(tenants.of(&caller), None);
        caller.token = Some("t-1".into());
        tenants.learn(&caller, Uid([1; 16]));
        assert_eq!(tenants.of(&caller), Some(Uid([1; 16])));
        caller.token = Some("t-2".into());
        assert_eq!(tenants.of(&caller), None);
    }
}
