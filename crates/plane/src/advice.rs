//! The advisor.

use keysherd_domain::advice::Advice;
use serde::{Deserialize, Serialize};

/// Judges the account by every check. For administrators.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Advise;

/// What the checks say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdviseReply {
    /// In the order of the checks.
    pub advice: Vec<Advice>,
}
