//! Folders that were created as such; others are implied by the names of items.

use keysherd_base::{AccountId, FolderPath, Timestamp};
use serde::{Deserialize, Serialize};

/// An explicitly created folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The integer id of the V2 API.
    pub id: i64,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path, never `/`.
    pub path: FolderPath,
    /// Free text.
    pub description: String,
    /// Tags, in the order they were added.
    pub tags: Vec<String>,
    /// Refuses deletion while set.
    pub delete_protection: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When its metadata last changed.
    pub modified: Timestamp,
}
