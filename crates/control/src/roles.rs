//! Roles: creating, changing, reading, deleting.

mod delete_below;

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::limits::{ROLES_PER_ACCOUNT_MAX, RULES_PER_ROLE_MAX};
use keysherd_base::{Fault, ItemPath, Timestamp};
use keysherd_domain::policy::kinds::is_administrative;
use keysherd_domain::role::{Capability, Role, Rule, RuleKind};
use keysherd_plane::roles::{
    RoleCreate, RoleDelete, RoleGet, RoleList, RoleListReply, RoleUpdate, RoleView,
};
use keysherd_plane::{Caller, Done, Warned};
use keysherd_store::Tx;
use keysherd_store::roles as stored;

use crate::audit::audit_draft;
use crate::authorize::absent;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::method_shared::check_description;
use crate::page::{Page, page};
use crate::rails::Rails;
use crate::relocation::check_relocation;
use crate::rules::{checked_rule, rule_params};
use crate::session::Principal;

pub(crate) use delete_below::delete_below;

const KIND: RuleKind = RuleKind::Role;

/// Creates a role. One made by a caller who is no administrator gets the deny rules that bind the
/// caller.
///
/// # Errors
/// [`Fault::unauthorized`] without `create` on the path, [`Fault::bad_request`] for a malformed
/// rule, [`Fault::forbidden`] for a rule that grants what the caller does not hold,
/// [`Fault::conflict`] when the path is taken.
pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    message: RoleCreate,
) -> Result<Warned, Fault> {
    let principal = control.principal(caller).await?;
    let mut params = vec![Param::public("name", message.path.to_string())];
    params.extend(rule_params(&message.rules));
    let draft = audit_draft(caller, &principal, action::CREATE_ROLE, "", params);
    let plan = plan_create(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_create(
    control: &Control,
    principal: &Principal,
    message: RoleCreate,
) -> Result<impl FnOnce(&Tx) -> Result<Warned, Fault> + use<>, Fault> {
    let now = control.now();
    let RoleCreate { path, comment, delete_protection, rules: wanted } = message;
    principal.require(KIND, path.as_str(), Capability::Create, now)?;
    check_description(&comment)?;
    if control.directory_of(principal).roles_len() >= ROLES_PER_ACCOUNT_MAX {
        return Err(Fault::forbidden(format!(
            "the account has {ROLES_PER_ACCOUNT_MAX} roles, which is the most; delete one"
        )));
    }
    let mut rules = principal.rules.inherited_denies(now);
    for rule in wanted {
        let rule = checked_rule(rule, now)?;
        principal.may_give(&rule, now)?;
        if !rules.iter().any(|known| known.kind == rule.kind && known.path == rule.path) {
            rules.push(rule);
        }
    }
    if rules.len() > RULES_PER_ROLE_MAX {
        return Err(Fault::bad_request(format!(
            "{} rules; a role has at most {RULES_PER_ROLE_MAX}",
            rules.len()
        )));
    }
    let by_default = principal.settings.settings.protect_items_by_default;
    let role = Role {
        id: 0,
        account: principal.account,
        path,
        comment,
        admin: false,
        rules,
        delete_protection: delete_protection.unwrap_or(by_default),
        created: now,
        modified: now,
    };
    Ok(move |tx: &Tx| {
        let mut guard = Rails::of(tx, role.account)?;
        guard.role(&role)?;
        stored::insert(tx, &role)?;
        Ok(guard.warned())
    })
}

/// Changes a role.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path (and `create` on a new one),
/// [`Fault::bad_request`] for a malformed rule, [`Fault::forbidden`] for a rule that grants what
/// the caller does not hold, or a change of an admin role's name or rules, [`Fault::conflict`] when
/// the new path is taken.
pub(crate) async fn update(
    control: &Control,
    caller: &Caller,
    message: RoleUpdate,
) -> Result<Warned, Fault> {
    let principal = control.principal(caller).await?;
    let mut params = vec![Param::public("name", message.path.to_string())];
    params.extend(message.new_path.iter().map(|new| Param::public("new-name", new.to_string())));
    params.extend(rule_params(&message.rules));
    let draft = audit_draft(caller, &principal, action::UPDATE_ROLE, "", params);
    let plan = plan_update(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_update(
    control: &Control,
    principal: &Principal,
    message: RoleUpdate,
) -> Result<impl FnOnce(&Tx) -> Result<Warned, Fault> + use<>, Fault> {
    let now = control.now();
    let RoleUpdate { path, new_path, comment, delete_protection, rules } = message;
    let found = find(control, principal, &path, Capability::Update, now)?;
    comment.iter().try_for_each(|comment| check_description(comment))?;
    let new_path = new_path.filter(|new| *new != found.path);
    if let Some(new) = &new_path {
        check_relocation(principal, KIND, &found.path, new, now)?;
    }
    if new_path.is_some() || !rules.is_empty() {
        keep_admin_role(&found)?;
    }
    let rules = administrative(principal, rules, now)?;
    let principal = principal.clone();
    Ok(move |tx: &Tx| {
        edit(tx, &found, now, |role| {
            role.path = new_path.unwrap_or_else(|| role.path.clone());
            role.comment = comment.unwrap_or_else(|| std::mem::take(&mut role.comment));
            role.delete_protection = delete_protection.unwrap_or(role.delete_protection);
            for rule in rules {
                let replaced = role.rules.iter().filter(|known| known.kind == rule.kind);
                replaced.into_iter().try_for_each(|known| principal.may_take(known, now))?;
                role.rules.retain(|known| known.kind != rule.kind);
                if !rule.capabilities.is_empty() {
                    role.rules.push(rule);
                }
            }
            Ok(())
        })
    })
}

/// The rules of administrative fields in their stored form; empty capabilities stay empty.
fn administrative(
    principal: &Principal,
    rules: Vec<Rule>,
    now: Timestamp,
) -> Result<Vec<Rule>, Fault> {
    let checked = rules.into_iter().map(|rule| {
        if !is_administrative(rule.kind) {
            return Err(Fault::bad_request(format!(
                "a {} is set with set-role-rule",
                rule.kind.name()
            )));
        }
        if rule.capabilities.is_empty() {
            return Ok(rule);
        }
        let rule = checked_rule(rule, now)?;
        principal.may_give(&rule, now)?;
        Ok(rule)
    });
    checked.collect()
}

/// Reads a role. Of its auth methods, those the caller may see.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`].
pub(crate) async fn get(
    control: &Control,
    caller: &Caller,
    message: RoleGet,
) -> Result<RoleView, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let params = vec![Param::public("name", message.path.to_string())];
    let draft = audit_draft(caller, &principal, action::GET_ROLE, "", params);
    let outcome = Ok(control.directory_of(&principal)).and_then(|directory| {
        let found = directory.role(&message.path);
        let path = message.path.as_str();
        let role = principal.require_found(KIND, path, Capability::List, now, found)?;
        let mut view = view(&directory, &principal, role, now);
        control.fill_role_uses(std::slice::from_mut(&mut view));
        Ok(view)
    });
    control.recorded(draft, outcome).await
}

/// Lists the roles the caller may see.
///
/// # Errors
/// Only for a token that is not good, or when the store is broken.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    message: RoleList,
) -> Result<RoleListReply, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let filter = message.filter.as_deref();
    let params = filter.map(|filter| Param::public("filter", filter.to_owned()));
    let params = params.into_iter().collect();
    let draft = audit_draft(caller, &principal, action::LIST_ROLES, "", params);
    let listing = || {
        let directory = control.directory_of(&principal);
        let after = message.after.as_deref().map(ItemPath::parse).transpose()?;
        let wanted = |role: &&Arc<Role>| {
            filter.is_none_or(|filter| role.path.as_str().contains(filter))
                && principal.may(KIND, role.path.as_str(), Capability::List, now)
        };
        let found = directory.roles_after(after.as_ref()).filter(wanted);
        let Page { members, more } = page(found, message.limit);
        let views = members.into_iter().map(|role| view(&directory, &principal, role, now));
        let mut roles: Vec<_> = views.collect();
        control.fill_role_uses(&mut roles);
        Ok(RoleListReply { roles, more })
    };
    control.recorded(draft, listing()).await
}

/// Deletes a role and its associations.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`]; [`Fault::forbidden`] for an admin role, one
/// with delete protection, and one with a deny that limits the caller.
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: RoleDelete,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![Param::public("name", message.path.to_string())];
    let draft = audit_draft(caller, &principal, action::DELETE_ROLE, "", params);
    let plan = plan_delete(control, &principal, &message.path);
    control.change(draft, plan).await
}

fn plan_delete(
    control: &Control,
    principal: &Principal,
    path: &ItemPath,
) -> Result<impl FnOnce(&Tx) -> Result<Done, Fault> + use<>, Fault> {
    let now = control.now();
    let found = find(control, principal, path, Capability::Delete, now)?;
    keep_admin_role(&found)?;
    let principal = principal.clone();
    Ok(move |tx: &Tx| delete_one(tx, &principal, &found, now).map(|()| Done))
}

/// Deletes the role as it is now, if nothing protects it.
fn delete_one(tx: &Tx, principal: &Principal, found: &Role, now: Timestamp) -> Result<(), Fault> {
    let role = fresh(tx, found)?;
    if role.delete_protection {
        return Err(Fault::forbidden(format!(
            "role {} has delete protection; switch it off first",
            role.path
        ))
        .with_code("DeleteProtection"));
    }
    principal.may_take_role(&role, now)?;
    stored::delete(tx, role.id).map(drop)
}

/// The role at `path`, when the bearer may change it and it is not built in.
///
/// # Errors
/// [`Fault::unauthorized`], [`Fault::not_found`] or [`Fault::forbidden`].
pub(crate) fn find_to_change(
    control: &Control,
    principal: &Principal,
    path: &ItemPath,
    now: Timestamp,
) -> Result<Role, Fault> {
    let found = find(control, principal, path, Capability::Update, now)?;
    keep_admin_role(&found)?;
    Ok(found)
}

/// Changes the role as it is now. The guard rails are asked about new rules only: what is there
/// already does not keep anybody from changing something else.
///
/// # Errors
/// That of the change; [`Fault::not_found`] when it was deleted meanwhile; [`Fault::conflict`] when
/// its new path is taken; [`Fault::forbidden`] by a guard rail.
pub(crate) fn edit(
    tx: &Tx,
    found: &Role,
    now: Timestamp,
    change: impl FnOnce(&mut Role) -> Result<(), Fault>,
) -> Result<Warned, Fault> {
    let mut role = fresh(tx, found)?;
    let before = role.rules.clone();
    change(&mut role)?;
    role.modified = now;
    let mut guard = Rails::of(tx, role.account)?;
    if role.rules.iter().any(|rule| !before.contains(rule)) {
        guard.role(&role)?;
    }
    stored::update(tx, &role)?;
    Ok(guard.warned())
}

fn find(
    control: &Control,
    principal: &Principal,
    path: &ItemPath,
    capability: Capability,
    now: Timestamp,
) -> Result<Role, Fault> {
    let directory = control.directory_of(principal);
    let found = directory.role(path);
    let role = principal.require_found(KIND, path.as_str(), capability, now, found)?;
    Ok((**role).clone())
}

/// An admin role grants everything by itself; rules would only mislead, and without it the account
/// would be left to its owner alone.
fn keep_admin_role(role: &Role) -> Result<(), Fault> {
    if !role.admin {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "role {} is the built-in admin role; only its comment and delete protection can change",
        role.path
    )))
}

/// The role as it is now.
fn fresh(tx: &Tx, found: &Role) -> Result<Role, Fault> {
    stored::by_id(tx, found.account, found.id)?.ok_or_else(|| absent(KIND, found.path.as_str()))
}

fn view(
    directory: &AccountDirectory,
    principal: &Principal,
    role: &Role,
    now: Timestamp,
) -> RoleView {
    let sees =
        |path: &ItemPath| principal.may(RuleKind::AuthMethod, path.as_str(), Capability::List, now);
    let assocs = directory.assocs_of_role(role.id).iter();
    let methods = assocs.filter_map(|assoc| {
        let method = directory.method_by_id(assoc.method).filter(|method| sees(&method.path))?;
        Some(((**assoc).clone(), (**method).clone()))
    });
    RoleView {
        methods: methods.collect(),
        permissions: principal.permissions(KIND, role.path.as_str(), now),
        role: role.clone(),
        last_used: None,
    }
}
