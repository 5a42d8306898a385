//! What a gateway found out about fragment managers, for the audit log.

use serde::{Deserialize, Serialize};

/// What managers did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AlertKind {
    /// They gave wrong values to a read; the ciphertext's commitment proves it.
    LieOnRead,
    /// They gave values with a wrong proof to a write.
    LieOnWrite,
    /// They contradicted each other on a write; one of them lies, and nothing tells which.
    Contradiction,
    /// They answered otherwise than when the value was written.
    LieFoundLater,
}

impl AlertKind {
    /// The word for audit records and file names.
    pub const fn text(self) -> &'static str {
        match self {
            Self::LieOnRead => "lie-on-read",
            Self::LieOnWrite => "lie-on-write",
            Self::Contradiction => "contradiction",
            Self::LieFoundLater => "lie-found-later",
        }
    }
}

/// Reports managers; recorded in the account of the caller whose request found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerAlert {
    /// What they did.
    pub kind: AlertKind,
    /// Their indexes.
    pub managers: Vec<u8>,
}
