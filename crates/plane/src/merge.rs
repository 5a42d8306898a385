//! Making one role of several.

use keysherd_base::ItemPath;
use keysherd_domain::role::Rule;
use serde::{Deserialize, Serialize};

/// Plans to make one role of several that the same bearers have, and does it if asked to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RolesMerge {
    /// The roles; none: those of one rule that could be merged are looked for.
    pub roles: Vec<ItemPath>,
    /// The path of the role that stays: one of them, or a new one. `None`: the first.
    pub into: Option<ItemPath>,
    /// Whether to do it.
    pub apply: bool,
}

/// What could be merged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RolesMergeReply {
    /// The one asked for, or those that were found.
    pub plans: Vec<MergePlan>,
}

/// Several roles made one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergePlan {
    /// The roles.
    pub roles: Vec<ItemPath>,
    /// The role that stays.
    pub into: ItemPath,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// How many decisions were compared before and after, without a difference.
    pub decisions_compared: u64,
    /// Whether it was done.
    pub applied: bool,
}
