//! What a cluster's gateways take where a request does not say: part of its configuration.

use std::fmt;

use keysherd_base::{AccessId, BadPath, Fault, FolderPath, ItemId, Secret, SecretString};
use serde::{Deserialize, Serialize};

use crate::configs::Configs;

/// What the defaults are kept as; a cluster has one.
pub const DEFAULTS_CONFIG: &str = "defaults";

/// The defaults of a cluster.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The key item that protects new secrets; `None`: the account's default key.
    pub key: Option<ItemId>,
    /// Where consoles propose to put new items. No name of a request is changed by it.
    pub location: Option<String>,
    /// The auth methods of logins that name none.
    pub logins: LoginDefaults,
    /// Kept and shown.
    pub hvp_route_version: Option<u32>,
    /// Kept and shown: whether an event is wanted when the gateway's status changes.
    pub tells_status: Option<bool>,
}

/// The auth methods of logins that name none.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginDefaults {
    /// For SAML in a browser.
    pub saml: Option<AccessId>,
    /// For OIDC in a browser.
    pub oidc: Option<AccessId>,
    /// For certificates: shown to those who sign in with one.
    pub certificate: Option<AccessId>,
}

/// A default location as it is kept and shown: a folder without a slash at the end.
///
/// # Errors
/// [`BadPath`] when it is no folder.
pub fn location(text: &str) -> Result<String, BadPath> {
    let folder = FolderPath::parse(text)?.to_string();
    match folder.trim_end_matches('/') {
        "" => Ok("/".to_owned()),
        shown => Ok(shown.to_owned()),
    }
}

impl fmt::Debug for Defaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Defaults").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Defaults {
    /// Those of the cluster that the gateway is in; nothing by default when it is in none.
    ///
    /// # Errors
    /// [`Fault::unavailable`] while the gateway does not know its cluster's configuration:
    /// something would be done in another way than the cluster wants it.
    pub async fn of_cluster(configs: &dyn Configs) -> Result<Self, Fault> {
        match configs.of_cluster(DEFAULTS_CONFIG).await? {
            Some(body) => Self::from_json(&body),
            None => Ok(Self::default()),
        }
    }

    /// As they are kept.
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

    /// The auth method of a login by this access type that names none.
    pub fn login(&self, access_type: &str) -> Option<&AccessId> {
        match access_type {
            "saml" | "saml2" => self.logins.saml.as_ref(),
            "oidc" => self.logins.oidc.as_ref(),
            _ => None,
        }
    }
}
