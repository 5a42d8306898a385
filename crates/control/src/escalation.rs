//! Nobody gives others what they do not hold, nor takes it from them.
//!
//! Taking counts because it can be given back: whoever strips an auth method of its roles, resets
//! its access key (nothing greater than the caller then) and waits until someone repairs the roles
//! holds what they never held.
//!
//! Taking a deny rule away gives everyone whom it bound what other rules grant there. So it is
//! treated as granting everything on its path: only who holds all of that may do it. In particular
//! nobody removes a deny that binds themselves.

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::policy::escalation::Excess;
use keysherd_domain::policy::kinds::settable;
use keysherd_domain::role::{Capabilities, Capability, Role, Rule};

use crate::session::Principal;

/// The code of these refusals.
const CODE: &str = "PrivilegeEscalation";

impl Principal {
    /// Demands that the bearer may give `rule` to others.
    ///
    /// # Errors
    /// [`Fault::forbidden`] that names the rule.
    pub(crate) fn may_give(&self, rule: &Rule, now: Timestamp) -> Result<(), Fault> {
        if self.rules.covers(rule, now) {
            return Ok(());
        }
        Err(Fault::forbidden(format!(
            "access id {} does not hold {:?} on {} {} and can neither grant it nor take it away; \
             ask an administrator",
            self.access_id(),
            rule.capabilities,
            rule.kind.name(),
            rule.path
        ))
        .with_code(CODE))
    }

    /// Demands that the bearer may give everything in `role` to others.
    ///
    /// # Errors
    /// [`Fault::forbidden`] that names the first thing they may not.
    pub(crate) fn may_give_role(&self, role: &Role, now: Timestamp) -> Result<(), Fault> {
        match self.rules.excess(role, now) {
            None => Ok(()),
            Some(Excess::Rule(rule)) => self.may_give(rule, now),
            Some(Excess::Admin) => Err(Fault::forbidden(format!(
                "role {} is an admin role, which access id {} does not have and can neither give \
                 nor take away; ask an administrator",
                role.path,
                self.access_id()
            ))
            .with_code(CODE)),
        }
    }

    /// Demands that the bearer may take `rule` away from others. An expired one grants nothing.
    ///
    /// # Errors
    /// [`Fault::forbidden`] that names the rule.
    pub(crate) fn may_take(&self, rule: &Rule, now: Timestamp) -> Result<(), Fault> {
        if rule.expires.is_some_and(|end| end <= now) {
            return Ok(());
        }
        if !rule.capabilities.has(Capability::Deny) {
            return self.may_give(rule, now);
        }
        let deny = Capabilities::NONE.with(Capability::Deny);
        let freed =
            Rule { capabilities: Capabilities(settable(rule.kind).0 & !deny.0), ..rule.clone() };
        if self.rules.covers(&freed, now) {
            return Ok(());
        }
        Err(Fault::forbidden(format!(
            "the deny rule on {} {} limits what access id {} may give; only an administrator can \
             remove it",
            rule.kind.name(),
            rule.path,
            self.access_id()
        ))
        .with_code(CODE))
    }

    /// Demands that the bearer may take `role` away from others: all it grants and denies.
    ///
    /// # Errors
    /// [`Fault::forbidden`] that names the first they may not.
    pub(crate) fn may_take_role(&self, role: &Role, now: Timestamp) -> Result<(), Fault> {
        self.may_give_role(role, now)?;
        role.rules.iter().try_for_each(|rule| self.may_take(rule, now))
    }
}
