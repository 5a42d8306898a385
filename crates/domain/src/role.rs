//! Roles: named sets of path rules, and their associations with auth methods.

use std::fmt;

use keysherd_base::{AccountId, AssocId, ItemPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::claims::SubClaims;

/// What a rule governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RuleKind {
    /// Items and folders by path.
    Item,
    /// Targets by path.
    Target,
    /// Roles by path.
    Role,
    /// Auth methods by path.
    AuthMethod,
    /// Secure remote access to items by path.
    Sra,
    /// Agentic runtime access.
    Ara,
    /// The audit log.
    Search,
    /// Analytics.
    Reports,
    /// Gateways.
    GatewayReports,
    /// Remote-access reports.
    SraReports,
    /// Agentic reports.
    AraReports,
    /// Usage reports.
    UsageReports,
    /// The event center.
    Event,
    /// Event forwarders.
    EventForwarder,
    /// Access reviews.
    ReverseRbac,
    /// Information sharing.
    Isi,
}

impl RuleKind {
    /// Every kind with its `rule-type` of the V2 API.
    pub const NAMES: [(Self, &'static str); 16] = [
        (Self::Item, "item-rule"),
        (Self::Target, "target-rule"),
        (Self::Role, "role-rule"),
        (Self::AuthMethod, "auth-method-rule"),
        (Self::Sra, "sra-rule"),
        (Self::Ara, "ara-rule"),
        (Self::Search, "search-rule"),
        (Self::Reports, "reports-rule"),
        (Self::GatewayReports, "gw-reports-rule"),
        (Self::SraReports, "sra-reports-rule"),
        (Self::AraReports, "ara-reports-rule"),
        (Self::UsageReports, "usage-reports-rule"),
        (Self::Event, "event-rule"),
        (Self::EventForwarder, "event-forwarder-rule"),
        (Self::ReverseRbac, "reverse-rbac-rule"),
        (Self::Isi, "isi-rule"),
    ];

    /// The `rule-type` of the V2 API.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Reads back [`RuleKind::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind)
    }
}

/// One thing a rule can grant; a bit of [`Capabilities`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u16)]
pub enum Capability {
    /// Read a value.
    Read = 1,
    /// Create below the path.
    Create = 1 << 1,
    /// Change value or metadata.
    Update = 1 << 2,
    /// Delete.
    Delete = 1 << 3,
    /// See that it exists, and its metadata.
    List = 1 << 4,
    /// Refuse everything, whatever another rule grants.
    Deny = 1 << 5,
    /// Connect by remote access.
    AllowAccess = 1 << 6,
    /// Ask for access.
    RequestAccess = 1 << 7,
    /// Access after giving a reason.
    JustifyAccessOnly = 1 << 8,
    /// Decide on requests of others.
    ApprovalAuthority = 1 << 9,
    /// Upload files in a session.
    UploadFiles = 1 << 10,
    /// Download files in a session.
    DownloadFiles = 1 << 11,
}

impl Capability {
    /// Every capability with its name in the V2 API.
    pub const NAMES: [(Self, &'static str); 12] = [
        (Self::Read, "read"),
        (Self::Create, "create"),
        (Self::Update, "update"),
        (Self::Delete, "delete"),
        (Self::List, "list"),
        (Self::Deny, "deny"),
        (Self::AllowAccess, "allow_access"),
        (Self::RequestAccess, "request_access"),
        (Self::JustifyAccessOnly, "justify_access_only"),
        (Self::ApprovalAuthority, "approval_authority"),
        (Self::UploadFiles, "upload_files"),
        (Self::DownloadFiles, "download_files"),
    ];

    /// The name in the V2 API.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(cap, _)| *cap == self).map_or("", |(_, name)| name)
    }

    /// Reads back [`Capability::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(cap, _)| *cap)
    }
}

/// A set of [`Capability`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub u16);

impl Capabilities {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// This set with `capability` in it.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability as u16)
    }

    /// Whether `capability` is in the set.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability as u16 != 0
    }

    /// All of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in the order of [`Capability::NAMES`].
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::NAMES.into_iter().map(|(cap, _)| cap).filter(move |cap| self.has(*cap))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Capability::name)).finish()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        iter.into_iter().fold(Self::NONE, Self::with)
    }
}

/// One rule of a role. A role has at most one rule per kind and path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it governs.
    pub kind: RuleKind,
    /// The path pattern with its leading slash; `*`, `+` and `{{claim}}` are special.
    pub path: String,
    /// What it grants, or `deny`.
    pub capabilities: Capabilities,
    /// When a temporary rule ends; `None` for a lasting one.
    pub expires: Option<Timestamp>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The integer id of the V2 API.
    pub id: i64,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its path; shown without the leading slash.
    pub path: ItemPath,
    /// Free text.
    pub comment: String,
    /// Grants everything in the account.
    pub admin: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Refuses deletion while set.
    pub delete_protection: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// A role given to the bearers of an auth method whose claims match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assoc {
    /// Its id.
    pub id: AssocId,
    /// The role.
    pub role: i64,
    /// The auth method.
    pub method: i64,
    /// What the bearer's claims must satisfy; empty: everyone.
    pub sub_claims: SubClaims,
    /// Whether claim values are compared with their letter case.
    pub case_sensitive: bool,
    /// When it was made.
    pub created: Timestamp,
}
