//! What a gateway keeps for the logins of a directory's people.

use keysherd_base::{Fault, Secret, SecretString};
use serde::{Deserialize, Serialize};

use crate::directory::Directory;

/// A gateway's configuration of a directory. It has secrets: never shown, kept sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapConfig {
    /// Whether logins are checked at all.
    pub enabled: bool,
    /// Whom it asks.
    pub directory: Directory,
    /// The private half of the auth method's key, in PEM.
    pub signing_key: String,
}

impl LdapConfig {
    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`Fault::internal`].
    pub fn from_json(text: &SecretString) -> Result<Self, Fault> {
        // The error's text could quote a value.
        serde_json::from_str(text.expose())
            .map_err(|_| Fault::internal("a configuration of a directory cannot be read"))
    }

    /// As it is kept.
    ///
    /// # Errors
    /// [`Fault::internal`], which is a defect.
    pub fn to_json(&self) -> Result<SecretString, Fault> {
        serde_json::to_string(self).map(Secret::new).map_err(Fault::internal)
    }
}

impl Drop for LdapConfig {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.signing_key)));
    }
}

impl std::fmt::Debug for LdapConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LdapConfig").field("directory", &self.directory).finish_non_exhaustive()
    }
}
