//! Guard rails where identities change: each is ignored, warned of or refused as the account says.
//!
//! Called inside the change's transaction with what will be stored, so that neither another change
//! nor another policy can come between.

use keysherd_base::{AccountId, Fault, ItemPath};
use keysherd_domain::account::AccountSettings;
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_domain::guard_rails::{
    Policy, Rail, account_wide_rule, identity_rule, is_single_path,
};
use keysherd_domain::role::{Assoc, Role};
use keysherd_plane::Warned;
use keysherd_store::{Tx, assocs, roles};

use crate::items::account_now;

/// Warnings kept; no answer has room for more.
const WARNINGS_MAX: usize = 5;

/// The code of a refusal.
const fn code(rail: Rail) -> &'static str {
    match rail {
        Rail::ItemsAtRoot => "RootPathRefused",
        _ => "GuardRail",
    }
}

/// What an account says about guard rails, and what was warned of so far.
pub(crate) struct Rails {
    account: AccountId,
    settings: AccountSettings,
    warnings: Vec<String>,
}

impl Rails {
    /// The guard of an account as its settings are now.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn of(tx: &Tx, account: AccountId) -> Result<Self, Fault> {
        Ok(Self::new(account, account_now(tx, account)?.settings))
    }

    /// The guard of an account with these settings.
    pub(crate) const fn new(account: AccountId, settings: AccountSettings) -> Self {
        Self { account, settings, warnings: Vec::new() }
    }

    /// Checks where an item will be.
    ///
    /// # Errors
    /// [`Fault::forbidden`] by policy.
    pub(crate) fn item(&mut self, path: &ItemPath) -> Result<(), Fault> {
        if !path.is_at_root() {
            return Ok(());
        }
        self.meet(Rail::ItemsAtRoot, || {
            format!("item {path} lies directly at /; name a folder, such as /my-team{path}")
        })
    }

    /// Checks a role as it will be, for somebody who made it so.
    ///
    /// # Errors
    /// [`Fault::forbidden`] by policy.
    pub(crate) fn role(&mut self, role: &Role) -> Result<(), Fault> {
        if let Some(rule) = identity_rule(role) {
            self.meet(Rail::RolesOverIdentities, || {
                format!(
                    "role {} gives rights on identities ({} {}); leave those to the admin role",
                    role.path,
                    rule.kind.name(),
                    rule.path
                )
            })?;
        }
        if let Some(rule) = account_wide_rule(role) {
            self.meet(Rail::AccountWideAudit, || {
                format!(
                    "role {} opens all of the account ({}) beside its other rights; own would do, \
                     or a role for that alone",
                    role.path,
                    rule.kind.name()
                )
            })?;
        }
        Ok(())
    }

    /// Checks where an auth method will be.
    ///
    /// # Errors
    /// [`Fault::forbidden`] by policy.
    pub(crate) fn method(&mut self, path: &ItemPath, detail: &MethodDetail) -> Result<(), Fault> {
        if !matches!(detail, MethodDetail::ApiKey { .. }) {
            return Ok(());
        }
        let production = self.settings.guard_rails.production_of(path.as_str());
        let Some(production) = production.map(str::to_owned) else { return Ok(()) };
        self.meet(Rail::ProductionApiKeys, || {
            format!(
                "auth method {path} is an API key in production ({production}); let programs there \
                 sign in by their platform's identity"
            )
        })
    }

    /// Checks an association as it will be.
    ///
    /// # Errors
    /// [`Fault::forbidden`] by policy; those of the store.
    pub(crate) fn assoc(
        &mut self,
        tx: &Tx,
        assoc: &Assoc,
        role: &Role,
        method: &AuthMethod,
    ) -> Result<(), Fault> {
        if is_shared(&method.detail) && assoc.sub_claims.is_empty() {
            self.meet(Rail::SharedWithoutSubClaims, || {
                format!(
                    "everybody who signs in by {} gets role {}; say by sub-claims who should",
                    method.path, role.path
                )
            })?;
        }
        if matches!(method.detail, MethodDetail::ApiKey { .. }) {
            let rule = self.settings.guard_rails.production_rule(role);
            if let Some(path) = rule.map(|rule| rule.path.clone()) {
                self.meet(Rail::ProductionApiKeys, || {
                    format!(
                        "the API key {} gets rights in production ({path} of role {}); let \
                         programs there sign in by their platform's identity",
                        method.path, role.path
                    )
                })?;
            }
        }
        self.single_paths(tx, assoc, role, method)
    }

    fn single_paths(
        &mut self,
        tx: &Tx,
        assoc: &Assoc,
        role: &Role,
        method: &AuthMethod,
    ) -> Result<(), Fault> {
        let ignored = self.settings.policy(Rail::SinglePathRoles) == Policy::Off;
        if ignored || !is_single_path(role) {
            return Ok(());
        }
        let alike = |other: &&Assoc| {
            other.role != assoc.role
                && other.sub_claims == assoc.sub_claims
                && other.case_sensitive == assoc.case_sensitive
        };
        for other in assocs::of_method(tx, method.id)?.iter().filter(alike) {
            let other = roles::by_id(tx, self.account, other.role)?;
            if let Some(other) = other.filter(is_single_path) {
                return self.meet(Rail::SinglePathRoles, || {
                    format!(
                        "{} has several roles of one rule each, such as {} and {}; one role with \
                         their rules is easier to review, see roles-merge",
                        method.path, other.path, role.path
                    )
                });
            }
        }
        Ok(())
    }

    /// Does about `rail` what the account says.
    fn meet(&mut self, rail: Rail, what: impl FnOnce() -> String) -> Result<(), Fault> {
        match self.settings.policy(rail) {
            Policy::Off => {}
            Policy::Warn if self.warnings.len() < WARNINGS_MAX => self.warnings.push(what()),
            Policy::Warn => {}
            Policy::Refuse => {
                let text = format!(
                    "refused by the guard rail {}: {}; an administrator can change it with \
                     update-guard-rails",
                    rail.name(),
                    what()
                );
                return Err(Fault::forbidden(text).with_code(code(rail)));
            }
        }
        Ok(())
    }

    /// What was warned of.
    pub(crate) fn warned(self) -> Warned {
        Warned { warnings: self.warnings }
    }
}

/// Whether several bearers sign in by a method, told apart by their claims only. Of a kind that is
/// not known any more that is assumed.
fn is_shared(detail: &MethodDetail) -> bool {
    match detail {
        MethodDetail::ApiKey { .. } | MethodDetail::Email { .. } => false,
        MethodDetail::Member { kind, .. } => {
            keysherd_authn::by_kind(kind).is_none_or(|member| member.kind().shared)
        }
    }
}
