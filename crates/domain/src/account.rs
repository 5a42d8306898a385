//! An account and its settings.

use std::collections::BTreeMap;

use keysherd_base::{AccountId, ItemId, KeyId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::auth_method::IpNetwork;
use crate::guard_rails::{GuardRails, Policy};

/// Token lifetimes in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenTtl {
    /// Shortest an auth method may ask for.
    pub minimum: u32,
    /// Used when it asks for none.
    pub default: u32,
    /// Longest it may ask for.
    pub maximum: u32,
}

impl Default for TokenTtl {
    fn default() -> Self {
        Self { minimum: 5, default: 60, maximum: 720 }
    }
}

/// Versions of items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSettings {
    /// New values make new versions unless the caller says otherwise.
    pub default_versioning: bool,
    /// New values always make new versions.
    pub force_new_versions: bool,
    /// Versions kept, by item type.
    pub max_versions: BTreeMap<String, u32>,
}

/// The protection key that items use when nobody names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultKey {
    /// The key item, `None` for the account's original key, which is not an item.
    pub item: Option<ItemId>,
    /// Its identity.
    pub key_id: KeyId,
}

/// Everything `update-account-settings` can change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSettings {
    /// The company.
    pub company_name: String,
    /// Contact.
    pub email: String,
    /// Contact.
    pub phone: String,
    /// Street.
    pub address: String,
    /// City.
    pub city: String,
    /// Country.
    pub country: String,
    /// Postal code.
    pub postal_code: String,
    /// Token lifetimes.
    pub token_ttl: TokenTtl,
    /// Versions of items.
    pub versions: VersionSettings,
    /// The key item chosen as default; `None` for the account's original key.
    pub default_key: Option<ItemId>,
    /// Whether another key may be named when an item is created.
    pub lock_default_key: bool,
    /// What happens to items at `/`.
    pub root_path: Policy,
    /// New items, roles and methods start with delete protection.
    pub protect_items_by_default: bool,
    /// Whether `lock-item` is allowed; on unless switched off.
    pub item_locking_disabled: bool,
    /// Client networks the whole account accepts; empty: any.
    pub bound_ips: Vec<IpNetwork>,
    /// Gateways trusted to forward client addresses.
    pub gateway_bound_ips: Vec<IpNetwork>,
    /// Client types the whole account accepts; empty: any.
    pub allowed_client_types: Vec<String>,
    /// What happens to other things that are better left undone.
    #[serde(default)]
    pub guard_rails: GuardRails,
    /// Settings that are stored and shown but have no effect yet, by their public name.
    pub stored_only: BTreeMap<String, String>,
}

/// Whether [`MAX_TTL`] is in force: `true`.
const MAX_TTL_ENABLE: &str = "dynamic-secret-max-ttl-enable";
/// Longest life of temporary credentials, in minutes.
const MAX_TTL: &str = "dynamic-secret-max-ttl";

/// Whether [`MAX_INTERVAL`] is in force: `true`.
const MAX_INTERVAL_ENABLE: &str = "max-rotation-interval-enable";
/// Days between two rotations of a secret, at most.
const MAX_INTERVAL: &str = "max-rotation-interval";

impl AccountSettings {
    /// Days between two rotations of a secret, at most; `None`: as the secret says.
    pub fn rotation_days_max(&self) -> Option<u32> {
        let kept = |name| self.stored_only.get(name);
        kept(MAX_INTERVAL_ENABLE).filter(|text| text.eq_ignore_ascii_case("true"))?;
        kept(MAX_INTERVAL)?.parse().ok().filter(|days| *days > 0)
    }

    /// Longest life of temporary credentials, in seconds; `None`: as long as dynamic secrets say.
    pub fn credential_ttl_seconds_max(&self) -> Option<i64> {
        let kept = |name| self.stored_only.get(name);
        kept(MAX_TTL_ENABLE).filter(|text| text.eq_ignore_ascii_case("true"))?;
        let minutes: i64 = kept(MAX_TTL)?.parse().ok()?;
        Some(minutes.saturating_mul(60)).filter(|seconds| *seconds > 0)
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The auth method of the person who owns it; cannot be deleted.
    pub owner_method: i64,
    /// The original protection key, made with the account.
    pub original_key: KeyId,
    /// Its settings.
    pub settings: AccountSettings,
    /// When it was created.
    pub created: Timestamp,
    /// Since when its owner is sealed: let in, and kept from everything that is kept in it.
    #[serde(default)]
    pub owner_sealed: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longest_life_is_in_force_only_when_it_is_switched_on() {
        let settings = |enable: &str, minutes: &str| {
            let mut settings = AccountSettings::default();
            settings.stored_only.insert(MAX_TTL_ENABLE.to_owned(), enable.to_owned());
            settings.stored_only.insert(MAX_TTL.to_owned(), minutes.to_owned());
            settings.credential_ttl_seconds_max()
        };
        assert_eq!(settings("true", "10"), Some(600));
        for (enable, minutes) in [("false", "10"), ("true", "0"), ("true", "-5"), ("true", "x")] {
            assert_eq!(settings(enable, minutes), None, "{enable} {minutes}");
        }
        assert_eq!(settings("True", &i64::MAX.to_string()), Some(i64::MAX));
        assert_eq!(AccountSettings::default().credential_ttl_seconds_max(), None);
    }

    #[test]
    fn a_longest_interval_is_in_force_only_when_it_is_switched_on() {
        let settings = |enable: &str, days: &str| {
            let mut settings = AccountSettings::default();
            settings.stored_only.insert(MAX_INTERVAL_ENABLE.to_owned(), enable.to_owned());
            settings.stored_only.insert(MAX_INTERVAL.to_owned(), days.to_owned());
            settings.rotation_days_max()
        };
        assert_eq!(settings("true", "30"), Some(30));
        for (enable, days) in [("false", "30"), ("true", "0"), ("true", "-5"), ("true", "x")] {
            assert_eq!(settings(enable, days), None, "{enable} {days}");
        }
        assert_eq!(AccountSettings::default().rotation_days_max(), None);
    }
}
