//! The account and its settings.

use keysherd_domain::account::{Account, AccountSettings};
use serde::{Deserialize, Serialize};

/// Reads the account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountGet;

/// Reads the account in order to change it with [`AccountUpdate`], which writes the audit record.
/// Only for those who may change it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountEdit;

/// The account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountView {
    /// The account.
    pub account: Account,
    /// The path of the default key; `None` for the original key.
    pub default_key_name: Option<String>,
}

/// One change of a setting: (public name of the setting, new value), already checked for shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountUpdate {
    /// The settings the caller read, and what they should become. Applied only if `expected` is
    /// still in force, so that two administrators cannot undo each other unseen.
    pub expected: AccountSettings,
    /// The new settings.
    pub settings: AccountSettings,
    /// A new default key by path; `Some(None)` goes back to the original key.
    pub default_key: Option<Option<String>>,
}
