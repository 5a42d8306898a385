//! Confirming values that were written while a fragment manager was missing (`fragments.md` 5.7).
//!
//! A gateway asks this by itself, not for a client: it is bound to the gateway's identity, and it
//! reaches values only that are marked unconfirmed.

use std::sync::Arc;

use keysherd_base::Uid;
use serde::{Deserialize, Serialize};

use crate::grants::{PermitSlot, SignedPermit};

/// Asks for a permit to derive again what an unconfirmed value was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmBegin {
    /// The account.
    pub account: Uid,
    /// The item.
    pub uid: Uid,
    /// The version.
    pub version: u32,
}

/// The answer to [`ConfirmBegin`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ConfirmBeginReply {
    /// There is no such version.
    Gone,
    /// It is confirmed, or was never unconfirmed.
    Settled {
        /// What is stored.
        ciphertext: Arc<[u8]>,
    },
    /// It waits for confirmation.
    Waiting {
        /// What is needed for it.
        work: ConfirmWork,
    },
}

/// What it takes to confirm a value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfirmWork {
    /// What is stored.
    pub ciphertext: Arc<[u8]>,
    /// The manifest of the key that wraps it.
    pub manifest: Arc<[u8]>,
    /// A permit for the derivation.
    pub permit: SignedPermit,
    /// Its place in the permit.
    pub permit_slot: PermitSlot,
}

/// Records that all managers agreed about a value, at once with its new wrap where the first one
/// turned out wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmDone {
    /// The account.
    pub account: Uid,
    /// The item.
    pub uid: Uid,
    /// The version.
    pub version: u32,
    /// What is stored now; refused with a conflict when it is something else.
    pub stored_sha256: [u8; 32],
    /// The same value with another wrap; `None`: the stored one is right.
    pub rewrapped: Option<Arc<[u8]>>,
}
