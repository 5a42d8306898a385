//! Groups of bearers.

use keysherd_base::ItemPath;
use keysherd_domain::group::{Group, GroupMember};
use serde::{Deserialize, Serialize};

/// Creates a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupCreate {
    /// Its path.
    pub path: ItemPath,
    /// Its short name.
    pub alias: String,
    /// Free text.
    pub description: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// Changes a group; `None` leaves a part as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupUpdate {
    /// Its path.
    pub path: ItemPath,
    /// A new path.
    pub new_path: Option<ItemPath>,
    /// A new short name.
    pub alias: Option<String>,
    /// New free text.
    pub description: Option<String>,
    /// Who is in it from now on.
    pub members: Option<Vec<GroupMember>>,
}

/// Reads a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupGet {
    /// Its path.
    pub path: ItemPath,
}

/// Lists groups by path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupList {
    /// Substring of the path.
    pub filter: Option<String>,
    /// Only paths after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// A page of groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupListReply {
    /// The groups.
    pub groups: Vec<Group>,
    /// Whether there are more.
    pub more: bool,
}

/// Deletes a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupDelete {
    /// Its path.
    pub path: ItemPath,
}
