//! The answer to a change that was made although something about it deserves attention.

use serde::{Deserialize, Serialize};

/// Sentences for people; none for most changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    /// What deserves attention, and how to mend it.
    pub warnings: Vec<String>,
}
