//! Roles, their rules and associations, and questions about permissions.

use keysherd_base::{AssocId, FolderPath, ItemPath, Timestamp};
use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::role::{Assoc, Capabilities, Role, Rule, RuleKind};
use serde::{Deserialize, Serialize};

/// Creates a role with the rules its administrative fields stand for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleCreate {
    /// Its path.
    pub path: ItemPath,
    /// Free text.
    pub comment: String,
    /// Whether it refuses deletion; `None`: the account's default.
    pub delete_protection: Option<bool>,
    /// Rules of the administrative fields.
    pub rules: Vec<Rule>,
}

/// Changes a role; `None` leaves a part as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleUpdate {
    /// Its path.
    pub path: ItemPath,
    /// A new path.
    pub new_path: Option<ItemPath>,
    /// New free text.
    pub comment: Option<String>,
    /// New delete protection.
    pub delete_protection: Option<bool>,
    /// Administrative rules to set, one per kind; empty capabilities remove all rules of the kind.
    pub rules: Vec<Rule>,
}

/// Reads a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleGet {
    /// Its path.
    pub path: ItemPath,
}

/// A role with its auth methods.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleView {
    /// The role.
    pub role: Role,
    /// Its associations with the methods.
    pub methods: Vec<(Assoc, AuthMethod)>,
    /// What the caller may do with it.
    pub permissions: Capabilities,
    /// When one of `methods` was last used, as far as that is known.
    pub last_used: Option<Timestamp>,
}

/// Lists roles the caller may see, by path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleList {
    /// Substring of the path.
    pub filter: Option<String>,
    /// Only paths after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// A page of roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleListReply {
    /// The roles.
    pub roles: Vec<RoleView>,
    /// Whether there are more.
    pub more: bool,
}

/// Deletes a role and its associations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleDelete {
    /// Its path.
    pub path: ItemPath,
}

/// Deletes every role below a folder with its associations, all or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RolesDelete {
    /// The folder.
    pub folder: FolderPath,
}

/// Sets one rule; the same kind and path is replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleSet {
    /// The role's path.
    pub role: ItemPath,
    /// The rule.
    pub rule: Rule,
}

/// Deletes one rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleDelete {
    /// The role's path.
    pub role: ItemPath,
    /// The rule's kind.
    pub kind: RuleKind,
    /// The rule's pattern with its leading slash.
    pub path: String,
}

/// Associates a role with an auth method.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssocCreate {
    /// The role's path.
    pub role: ItemPath,
    /// The method's path.
    pub method: ItemPath,
    /// What claims must satisfy.
    pub sub_claims: SubClaims,
    /// Whether letter case counts.
    pub case_sensitive: bool,
}

/// The made association.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssocCreateReply {
    /// Its id.
    pub id: AssocId,
    /// What deserves attention.
    pub warnings: Vec<String>,
}

/// Replaces the condition of an association; `None` leaves a part as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssocUpdate {
    /// Its id.
    pub id: AssocId,
    /// New sub-claims.
    pub sub_claims: Option<SubClaims>,
    /// Whether letter case counts.
    pub case_sensitive: Option<bool>,
}

/// Deletes an association.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssocDelete {
    /// Its id.
    pub id: AssocId,
}

/// Reads an association.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssocGet {
    /// Its id.
    pub id: AssocId,
}

/// An association with what it joins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssocView {
    /// The association.
    pub assoc: Assoc,
    /// The role.
    pub role: Role,
    /// The method.
    pub method: AuthMethod,
}

/// Asks what the caller may do on a path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PermissionsDescribe {
    /// Which kind of object.
    pub kind: RuleKind,
    /// The path; a pattern is answered for that very text.
    pub path: String,
}

/// What the caller may do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PermissionsDescribeReply {
    /// The effective capabilities.
    pub permissions: Capabilities,
}

/// Asks who may do what on a path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReverseRbac {
    /// Which kind of object.
    pub kind: RuleKind,
    /// The path.
    pub path: String,
}

/// One way to reach a path: an association, its role, and what the role grants there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reach {
    /// The method.
    pub method: AuthMethod,
    /// The association.
    pub assoc: Assoc,
    /// The role, with only the rules that apply to the path.
    pub role: Role,
    /// What the role grants on the path.
    pub permissions: Capabilities,
}

/// Everyone who may do something on a path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReverseRbacReply {
    /// By method, then association.
    pub reaches: Vec<Reach>,
}
