//! Which reads gateways answer without asking control, as administrators set it for their account.

use keysherd_base::{AccountId, Fault, Secret, SecretString};
use serde::{Deserialize, Serialize};

use crate::ctx::Services;

/// What it is kept as; there is one for each account.
pub const CACHE_CONFIG: &str = "cache";
/// Longest time of a decision, and longest interval, in minutes: a day.
pub const CACHE_MINUTES_MAX: u32 = 24 * 60;

/// How reads of an account are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachePolicy {
    /// Whether they are.
    pub enabled: bool,
    /// How long a decision is kept at most, and how long one is refreshed that nobody used, in
    /// minutes.
    pub ttl_minutes: u32,
    /// Whether what was read is read again from time to time, before anybody asks for it.
    pub proactive: bool,
    /// How old it is then at least, in minutes.
    pub fetch_minutes: u32,
    /// Minutes between two copies on disk of what may be read while control is not reached, where
    /// the operator has them made.
    pub backup_minutes: u32,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl_minutes: 60,
            proactive: false,
            fetch_minutes: 5,
            backup_minutes: 1,
        }
    }
}

impl CachePolicy {
    /// As it is kept.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_json(&self) -> Result<SecretString, Fault> {
        serde_json::to_string(self).map(Secret::new).map_err(Fault::internal)
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`] for anything else.
    pub fn from_json(text: &SecretString) -> Result<Self, Fault> {
        serde_json::from_str(text.expose()).map_err(Fault::internal)
    }

    /// Whether reads are to be read again only after they are over: the owner's bundle lets keys
    /// and decisions be used for so many seconds.
    pub fn is_ahead_too_late(&self, owner_seconds: u32) -> bool {
        let ahead = self.enabled && self.proactive;
        ahead && u64::from(self.fetch_minutes) * 60 >= u64::from(owner_seconds)
    }

    /// The one in force for `account`: what its administrators set, otherwise what the gateway was
    /// started with.
    ///
    /// # Errors
    /// When what they set cannot be read.
    pub fn of(services: &Services, account: AccountId) -> Result<Self, Fault> {
        let set = services.configs.get(account, CACHE_CONFIG, "")?;
        set.map_or(Ok(services.crypt.cache_default()), |(_, body)| Self::from_json(&body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else_is() {
        let policy = CachePolicy { enabled: true, fetch_minutes: 9, ..CachePolicy::default() };
        let kept = policy.to_json().unwrap();
        assert_eq!(CachePolicy::from_json(&kept).unwrap(), policy);
        for strange in ["{}", r#"{"enabled":true}"#, &kept.expose().replacen('{', r#"{"x":1,"#, 1)]
        {
            assert!(CachePolicy::from_json(&Secret::new(strange.to_owned())).is_err(), "{strange}");
        }
    }
}
