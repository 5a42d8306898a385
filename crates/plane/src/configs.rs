//! What a gateway asks before it changes or shows its own configurations, which control never
//! sees.

use keysherd_base::{AccessId, AccountId};
use serde::{Deserialize, Serialize};

/// Asks whether the caller may configure gateways; the audit record is written when it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayConfigure {
    /// The auth method that the configuration is to sign for, with the kind it must have; `None`
    /// to show or delete one.
    pub signs_for: Option<(AccessId, String)>,
}

/// The caller may.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayConfigureReply {
    /// The caller's account: configurations of others are not there.
    pub account: AccountId,
}
