//! Guard rails: things that work and are better left undone, and what an account does about each.

use serde::{Deserialize, Serialize};

use crate::account::AccountSettings;
use crate::policy::kinds::{Scope, is_administrative};
use crate::policy::path_set::PathSet;
use crate::role::{Capability, Role, Rule, RuleKind};

/// What an account does about a guard rail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Nothing.
    Off,
    /// It is done, and the answer carries a warning.
    #[default]
    Warn,
    /// It is refused.
    Refuse,
}

impl Policy {
    /// Every policy with its public name.
    pub const NAMES: [(Self, &'static str); 3] =
        [(Self::Off, "off"), (Self::Warn, "warn"), (Self::Refuse, "refuse")];

    /// The public name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(policy, _)| *policy == self).map_or("", |(_, name)| name)
    }

    /// Reads back [`Policy::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(policy, _)| *policy)
    }
}

/// Something that is better left undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rail {
    /// Items directly at `/`.
    ItemsAtRoot,
    /// API-key methods below a production path, or with rights on items there.
    ProductionApiKeys,
    /// A method that many people share, associated with a role without sub-claims.
    SharedWithoutSubClaims,
    /// Rules on roles or auth methods outside the admin role.
    RolesOverIdentities,
    /// Several roles of one rule each for the same bearers.
    SinglePathRoles,
    /// The whole account's audit log or analytics in a role that is for something else as well.
    AccountWideAudit,
}

impl Rail {
    /// Every guard rail with its public name.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::ItemsAtRoot, "items-at-root"),
        (Self::ProductionApiKeys, "production-api-keys"),
        (Self::SharedWithoutSubClaims, "shared-without-sub-claims"),
        (Self::RolesOverIdentities, "roles-over-identities"),
        (Self::SinglePathRoles, "single-path-roles"),
        (Self::AccountWideAudit, "account-wide-audit"),
    ];

    /// The public name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(rail, _)| *rail == self).map_or("", |(_, name)| name)
    }

    /// Reads back [`Rail::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(rail, _)| *rail)
    }
}

/// The policies of the guard rails but [`Rail::ItemsAtRoot`], whose setting is older.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRails {
    /// Of [`Rail::ProductionApiKeys`].
    pub production_api_keys: Policy,
    /// Of [`Rail::SharedWithoutSubClaims`].
    pub shared_without_sub_claims: Policy,
    /// Of [`Rail::RolesOverIdentities`].
    pub roles_over_identities: Policy,
    /// Of [`Rail::SinglePathRoles`].
    pub single_path_roles: Policy,
    /// Of [`Rail::AccountWideAudit`].
    pub account_wide_audit: Policy,
    /// The rule paths that count as production, for items and for auth methods.
    pub production_paths: Vec<String>,
}

impl AccountSettings {
    /// What the account does about `rail`.
    pub const fn policy(&self, rail: Rail) -> Policy {
        match rail {
            Rail::ItemsAtRoot => self.root_path,
            Rail::ProductionApiKeys => self.guard_rails.production_api_keys,
            Rail::SharedWithoutSubClaims => self.guard_rails.shared_without_sub_claims,
            Rail::RolesOverIdentities => self.guard_rails.roles_over_identities,
            Rail::SinglePathRoles => self.guard_rails.single_path_roles,
            Rail::AccountWideAudit => self.guard_rails.account_wide_audit,
        }
    }

    /// Sets what the account does about `rail`.
    pub const fn set_policy(&mut self, rail: Rail, policy: Policy) {
        *match rail {
            Rail::ItemsAtRoot => &mut self.root_path,
            Rail::ProductionApiKeys => &mut self.guard_rails.production_api_keys,
            Rail::SharedWithoutSubClaims => &mut self.guard_rails.shared_without_sub_claims,
            Rail::RolesOverIdentities => &mut self.guard_rails.roles_over_identities,
            Rail::SinglePathRoles => &mut self.guard_rails.single_path_roles,
            Rail::AccountWideAudit => &mut self.guard_rails.account_wide_audit,
        } = policy;
    }
}

impl GuardRails {
    /// The production path that an object at `path` lies below.
    pub fn production_of(&self, path: &str) -> Option<&str> {
        self.production().covering(path)
    }

    /// A rule of `role` that grants something on items in production.
    pub fn production_rule<'r>(&self, role: &'r Role) -> Option<&'r Rule> {
        let production = self.production();
        let items = role.rules.iter().filter(|rule| rule.kind == RuleKind::Item && is_grant(rule));
        items.into_iter().find(|rule| production.overlapping(&rule.path).is_some())
    }

    fn production(&self) -> PathSet<'_> {
        PathSet::new(self.production_paths.iter().map(String::as_str))
    }
}

/// A rule of `role` that gives rights on roles or auth methods.
pub fn identity_rule(role: &Role) -> Option<&Rule> {
    let over = |rule: &&Rule| matches!(rule.kind, RuleKind::Role | RuleKind::AuthMethod);
    role.rules.iter().filter(over).find(|rule| is_grant(rule))
}

/// A rule of `role` that opens the whole account's audit log or analytics, when the role is not for
/// that alone.
pub fn account_wide_rule(role: &Role) -> Option<&Rule> {
    let reports = |rule: &&Rule| matches!(rule.kind, RuleKind::Search | RuleKind::Reports);
    let wide = |rule: &&Rule| Scope::from_path(&rule.path) == Scope::All && is_grant(rule);
    let found = role.rules.iter().filter(reports).find(wide)?;
    role.rules.iter().any(|rule| !is_administrative(rule.kind) && is_grant(rule)).then_some(found)
}

/// Whether `role` is one that others of its sort could be merged with: a single rule.
pub fn is_single_path(role: &Role) -> bool {
    !role.admin && role.rules.len() == 1
}

fn is_grant(rule: &Rule) -> bool {
    !rule.capabilities.is_empty() && !rule.capabilities.has(Capability::Deny)
}

#[cfg(test)]
mod tests;
