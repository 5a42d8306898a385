//! What a gateway asks before it changes or shows its own configurations, which control never
//! sees.

use keysherd_base::{AccessId, AccountId, ItemPath};
use serde::{Deserialize, Serialize};

/// Asks whether the caller may configure gateways; the audit record is written when it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayConfigure {
    /// The auth method that the configuration is about, with the kind it must have, if any; `None`
    /// to show or delete one.
    pub signs_for: Option<(AccessId, Option<String>)>,
}

/// The caller may.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayConfigureReply {
    /// The caller's account: configurations of others are not there.
    pub account: AccountId,
}

/// Asks, before a command about an auth method, whether the caller may have this gateway keep
/// something for it; the command itself is recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeepBegin {
    /// The method that is changed; `None` for a new one.
    pub path: Option<ItemPath>,
}

/// The caller may.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeepBeginReply {
    /// The caller's account.
    pub account: AccountId,
    /// The method at the path, if there is one.
    pub access_id: Option<AccessId>,
}

/// Asks which of these auth methods are gone, so that nothing is kept for them any longer. A
/// gateway asks that by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptFor {
    /// At most [`KEPT_FOR_MAX`].
    pub methods: Vec<AccessId>,
}

/// Most methods that are asked about at once.
pub const KEPT_FOR_MAX: usize = 1_024;

/// The answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptForReply {
    /// Those that do not exist.
    pub gone: Vec<AccessId>,
}
