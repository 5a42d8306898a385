//! Why somebody may do something or not.

use keysherd_base::{AccessId, AssocId, ItemPath};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::trace::Standing;
use keysherd_domain::role::{Capabilities, Capability, Rule, RuleKind};
use serde::{Deserialize, Serialize};

/// Asks why a bearer may do something or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessExplain {
    /// What the path names.
    pub kind: RuleKind,
    /// The path; of an administrative kind that of a scope.
    pub path: String,
    /// What one would do there.
    pub capability: Capability,
    /// Somebody else; `None`: the caller.
    pub bearer: Option<SupposedBearer>,
    /// Whether rules that have no say are told as well.
    pub all_rules: bool,
}

/// Somebody who need not be signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SupposedBearer {
    /// The auth method.
    pub access_id: AccessId,
    /// What claims the bearer would have.
    pub claims: SubClaims,
}

/// Why, role by role. Roles that the caller may not see are left out and counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessExplainReply {
    /// Whom it is about.
    pub access_id: AccessId,
    /// The path of the method, if the caller may see it.
    pub method: Option<ItemPath>,
    /// The claims that were compared.
    pub claims: SubClaims,
    /// What decided.
    pub verdict: Verdict,
    /// Everything the bearer may do on the path.
    pub held: Capabilities,
    /// Each association of the method.
    pub assocs: Vec<AssocExplained>,
    /// How many more associations there are, of roles that the caller may not see.
    pub hidden: usize,
    /// How many more rules there are than could be told.
    pub untold: usize,
}

/// What decided. A role and its rule are `None` when the caller may not see the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The bearer owns the account.
    Owner,
    /// An admin role.
    Admin(Option<ItemPath>),
    /// A rule grants it.
    Granted(Option<(ItemPath, String)>),
    /// A rule denies it.
    Denied(Option<(ItemPath, String)>),
    /// Nothing grants it.
    NoRule,
}

impl Verdict {
    /// Whether the answer is yes.
    pub const fn is_granted(&self) -> bool {
        matches!(self, Self::Owner | Self::Admin(_) | Self::Granted(_))
    }
}

/// One association and the rules that come with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssocExplained {
    /// Its id.
    pub id: AssocId,
    /// Its role.
    pub role: ItemPath,
    /// Whether that is an admin role.
    pub admin: bool,
    /// Whether letter case of claim values counts.
    pub case_sensitive: bool,
    /// The required claims that the bearer does not meet; none: the bearer has the role.
    pub unmet: Vec<ClaimExplained>,
    /// The role's rules of the kind in question, those that have a say first.
    pub rules: Vec<(Rule, Standing)>,
}

/// A claim that an association requires and the bearer does not meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimExplained {
    /// Its name.
    pub name: String,
    /// The values of which one is required.
    pub required: Vec<String>,
    /// The bearer's values.
    pub held: Vec<String>,
}
