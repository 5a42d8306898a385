//! Associations of items with targets, for remote access.

use keysherd_base::{AssocId, ItemPath};
use serde::{Deserialize, Serialize};

/// Associates an item with a target that remote access may reach with it. Needs `update` on the
/// item and `list` on the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetAssocCreate {
    /// The item.
    pub item: ItemPath,
    /// The path that the target is stored at.
    pub target: ItemPath,
}

/// The association.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetAssocCreateReply {
    /// Its id.
    pub id: AssocId,
}

/// Ends one. Needs what making it does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetAssocDelete {
    /// The item.
    pub item: ItemPath,
    /// Which one of the item's.
    pub which: TargetAssocChoice,
}

/// Which association of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetAssocChoice {
    /// The one with this id.
    Id(AssocId),
    /// The one with the target that is stored at this path.
    Target(ItemPath),
}
