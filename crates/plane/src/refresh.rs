//! Refreshing keys: their managers give themselves other fragments of the same key.

use keysherd_base::{KeyId, Uid};
use serde::{Deserialize, Serialize};

use crate::grants::SignedPermit;
use crate::rotation::RotatedKey;

/// Asks for permission to have every version of a key refreshed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRefresh {
    /// The key.
    pub key: RotatedKey,
    /// Salt of the permit's entries, drawn by the gateway.
    pub salt: [u8; 32],
}

/// Permission to refresh a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRefreshReply {
    /// The account the key belongs to.
    pub account: Uid,
    /// The key.
    pub key_id: KeyId,
    /// A permit for each version, the newest first.
    pub versions: Vec<(u32, SignedPermit)>,
}
