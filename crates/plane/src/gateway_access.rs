//! Who may configure the cluster of the gateway that asks.

use keysherd_base::AccessId;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::gateway_access::{GatewayAccess, GatewayPermission};
use serde::{Deserialize, Serialize};

/// Allows bearers of an auth method to configure the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayAccessCreate {
    /// Its name.
    pub name: String,
    /// The rest.
    pub allowed: Allowed,
}

/// Replaces what one of them allows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayAccessUpdate {
    /// Its name.
    pub name: String,
    /// Its new name.
    pub new_name: Option<String>,
    /// The rest.
    pub allowed: Allowed,
}

/// Who may configure the cluster, as a gateway of it was started with: they take the place of all
/// that gateways brought before. Recorded when that changes something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayAccessProvide {
    /// The cluster's number.
    pub cluster: i64,
    /// Each with its name.
    pub all: Vec<(String, Allowed)>,
}

/// Who is allowed, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// The auth method's public name.
    pub access_id: AccessId,
    /// Free text.
    pub description: String,
    /// What a bearer's claims must satisfy.
    pub sub_claims: SubClaims,
    /// Whether letter case of claim values counts.
    pub case_sensitive: bool,
    /// At least one.
    pub permissions: Vec<GatewayPermission>,
}

/// Reads one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayAccessGet {
    /// Its name.
    pub name: String,
}

/// Deletes one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayAccessDelete {
    /// Its name.
    pub name: String,
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayAccessView {
    /// It.
    pub access: GatewayAccess,
    /// The kind of its auth method; `None` when that was deleted.
    pub access_type: Option<String>,
}
