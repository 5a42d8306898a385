//! The rules of roles: whether one is well formed, setting and deleting it.

use keysherd_audit::{Param, action};
use keysherd_base::limits::{RULES_PER_ACCOUNT_MAX, RULES_PER_ROLE_MAX};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::policy::kinds::{Scope, is_administrative, settable};
use keysherd_domain::policy::pattern::RulePattern;
use keysherd_domain::role::{Capabilities, Capability, Role, Rule};
use keysherd_plane::roles::{RuleDelete, RuleSet};
use keysherd_plane::{Caller, Done, Warned};
use keysherd_store::Tx;

use crate::audit::audit_draft;
use crate::control::Control;
use crate::roles::{edit, find_to_change};
use crate::session::Principal;

/// Sets one rule; the same kind and path is replaced.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the role, [`Fault::bad_request`] for a malformed
/// rule, [`Fault::forbidden`] when it grants what the caller does not hold, or on an admin role.
pub(crate) async fn set(
    control: &Control,
    caller: &Caller,
    message: RuleSet,
) -> Result<Warned, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![
        Param::public("role-name", message.role.to_string()),
        Param::public("rule-type", message.rule.kind.name()),
        Param::public("path", message.rule.path.clone()),
        Param::public("capability", names(message.rule.capabilities)),
    ];
    let draft = audit_draft(caller, &principal, action::UPDATE_ROLE, "", params);
    let plan = plan_set(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_set(
    control: &Control,
    principal: &Principal,
    message: RuleSet,
) -> Result<impl FnOnce(&Tx) -> Result<Warned, Fault> + use<>, Fault> {
    let now = control.now();
    let found = find_to_change(control, principal, &message.role, now)?;
    let rule = checked_rule(message.rule, now)?;
    principal.may_give(&rule, now)?;
    if control.directory_of(principal).rules_len() >= RULES_PER_ACCOUNT_MAX {
        return Err(Fault::forbidden(format!(
            "the account has {RULES_PER_ACCOUNT_MAX} rules, which is the most; delete some"
        )));
    }
    let principal = principal.clone();
    Ok(move |tx: &Tx| edit(tx, &found, now, |role| put(&principal, role, rule, now)))
}

/// Puts the rule in place of the one with its kind and path, or adds it.
fn put(principal: &Principal, role: &mut Role, rule: Rule, now: Timestamp) -> Result<(), Fault> {
    let place = |known: &&mut Rule| known.kind == rule.kind && known.path == rule.path;
    if let Some(known) = role.rules.iter_mut().find(place) {
        if !still_denies(&rule, known) {
            principal.may_take(known, now)?;
        }
        *known = rule;
        return Ok(());
    }
    if role.rules.len() >= RULES_PER_ROLE_MAX {
        return Err(Fault::bad_request(format!(
            "role {} has {RULES_PER_ROLE_MAX} rules, which is the most; use patterns or another \
             role",
            role.path
        )));
    }
    role.rules.push(rule);
    Ok(())
}

/// Whether `old` is a deny and `new` denies for at least as long.
fn still_denies(new: &Rule, old: &Rule) -> bool {
    let lasts = match (new.expires, old.expires) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(new), Some(old)) => new >= old,
    };
    let deny = |rule: &Rule| rule.capabilities.has(Capability::Deny);
    deny(new) && deny(old) && lasts
}

/// Deletes one rule.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the role, [`Fault::not_found`] when there is no such
/// rule, [`Fault::forbidden`] for a deny that limits the caller, or on an admin role.
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: RuleDelete,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![
        Param::public("role-name", message.role.to_string()),
        Param::public("rule-type", message.kind.name()),
        Param::public("path", message.path.clone()),
    ];
    let draft = audit_draft(caller, &principal, action::UPDATE_ROLE, "", params);
    let plan = plan_delete(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_delete(
    control: &Control,
    principal: &Principal,
    message: RuleDelete,
) -> Result<impl FnOnce(&Tx) -> Result<Done, Fault> + use<>, Fault> {
    let now = control.now();
    let found = find_to_change(control, principal, &message.role, now)?;
    let principal = principal.clone();
    let RuleDelete { kind, path, .. } = message;
    let path = format!("/{}", path.strip_prefix('/').unwrap_or(&path));
    Ok(move |tx: &Tx| {
        edit(tx, &found, now, |role| {
            let place = role.rules.iter().position(|rule| rule.kind == kind && rule.path == path);
            let Some(place) = place else {
                return Err(Fault::not_found(format!(
                    "role {} has no {} for {path}; see its rules with get-role",
                    role.path,
                    kind.name()
                )));
            };
            principal.may_take(&role.rules[place], now)?;
            role.rules.remove(place);
            Ok(())
        })
        .map(|_| Done)
    })
}

/// The rule in its stored form, if it is well formed.
///
/// # Errors
/// [`Fault::bad_request`] says what is wrong with it.
pub(crate) fn checked_rule(rule: Rule, now: Timestamp) -> Result<Rule, Fault> {
    let pattern = RulePattern::parse(&rule.path)?;
    let (kind, path) = (rule.kind, pattern.as_str());
    if is_administrative(kind) && Scope::from_path(path) == Scope::None {
        return Err(Fault::bad_request(format!(
            "invalid path of a {}: {path}; write /* for all, /scoped or /self",
            kind.name()
        )));
    }
    if rule.capabilities.is_empty() {
        return Err(Fault::bad_request(
            "a rule needs at least one capability; delete the rule to take all away",
        ));
    }
    let known = settable(kind);
    if let Some(other) = rule.capabilities.iter().find(|capability| !known.has(*capability)) {
        return Err(Fault::bad_request(format!(
            "a {} has no capability '{}'; use {}",
            kind.name(),
            other.name(),
            names(known)
        )));
    }
    if rule.expires.is_some_and(|end| end <= now) {
        return Err(Fault::bad_request("the rule's ttl is over at once; give a positive one"));
    }
    Ok(Rule { path: path.to_owned(), ..rule })
}

/// Rules as audit records show them.
pub(crate) fn rule_params(rules: &[Rule]) -> impl Iterator<Item = Param> {
    rules.iter().map(|rule| {
        let (kind, capabilities) = (rule.kind.name(), names(rule.capabilities));
        Param::public("rule", format!("{kind} {} {capabilities}", rule.path))
    })
}

fn names(capabilities: Capabilities) -> String {
    capabilities.iter().map(Capability::name).collect::<Vec<_>>().join(",")
}
