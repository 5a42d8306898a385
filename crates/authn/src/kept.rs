//! Secrets among the settings of a method: control seals them before it stores the settings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest secret among settings, in bytes.
pub const KEPT_BYTES_MAX: usize = 4 * 1024;

/// A secret that control itself has to use, such as the client secret at an identity provider.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// As it was given, and as it is used. Never stored.
    Plain(String),
    /// As it is stored: base64 of what control's vault made.
    Sealed(String),
}

impl fmt::Debug for Kept {
    // By hand, because the secret must not be printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept([secret])")
    }
}
