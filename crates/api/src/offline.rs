//! What may be read while control is not reached, as administrators allow it per auth method.

use keysherd_base::{Fault, Secret, SecretString};
use serde::{Deserialize, Serialize};

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
