//! What may be read while control is not reached, as administrators allow it per auth method.

use keysherd_base::{AccountId, Fault, Secret, SecretString};
use serde::{Deserialize, Serialize};

use crate::configs::Configs;

/// What the policies are kept as; each under the access id it is about.
pub const OFFLINE_CONFIG: &str = "offline";
/// Longest time in minutes: a day.
pub const OFFLINE_MINUTES_MAX: u32 = 24 * 60;
/// Paths of one policy, at most.
pub const OFFLINE_PATHS_MAX: usize = 64;

/// What the bearers of an auth method may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfflinePolicy {
    /// For how long after control was heard last, in minutes.
    pub max_minutes: u32,
    /// The paths, as rules of roles have them.
    pub paths: Vec<String>,
}

impl OfflinePolicy {
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
}

/// The policies of an account, each with the access id it is about, in their order.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn policies_of(
    configs: &dyn Configs,
    account: AccountId,
) -> Result<Vec<(String, OfflinePolicy)>, Fault> {
    let mut policies = Vec::new();
    let known = configs.of_kind(OFFLINE_CONFIG).into_iter();
    for known in known.filter(|known| known.account == account) {
        // Somebody may have removed it meanwhile.
        if let Some((_, body)) = configs.get(account, OFFLINE_CONFIG, &known.name)? {
            policies.push((known.name, OfflinePolicy::from_json(&body)?));
        }
    }
    policies.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(policies)
}
