//! Associations of roles with auth methods.

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::limits::ASSOCS_MAX;
use keysherd_base::{AssocId, Fault, FaultKind, Timestamp};
use keysherd_domain::auth_method::AuthMethod;
use keysherd_domain::claims::SubClaims;
use keysherd_domain::policy::sub_claims::parse_sub_claims;
use keysherd_domain::role::{Assoc, Capability, Role, RuleKind};
use keysherd_plane::roles::{
    AssocCreate, AssocCreateReply, AssocDelete, AssocGet, AssocUpdate, AssocView,
};
use keysherd_plane::{Caller, Done, Warned};
use keysherd_store::{Tx, assocs, auth_methods, roles};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::rails::Rails;
use crate::session::Principal;

/// Associates a role with an auth method.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on both, [`Fault::bad_request`] for bad sub-claims or
/// none where the method demands some, [`Fault::forbidden`] when the role grants what the caller
/// does not hold, [`Fault::conflict`] when the same association exists.
pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    message: AssocCreate,
) -> Result<AssocCreateReply, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![
        Param::public("role-name", message.role.to_string()),
        Param::public("am-name", message.method.to_string()),
        Param::public("sub-claims", written(&message.sub_claims)),
    ];
    let draft = audit_draft(caller, &principal, action::CREATE_ASSOC, "", params);
    let plan = plan_create(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_create(
    control: &Control,
    principal: &Principal,
    message: AssocCreate,
) -> Result<impl FnOnce(&Tx) -> Result<AssocCreateReply, Fault> + use<>, Fault> {
    let now = control.now();
    let directory = control.directory_of(principal);
    let (role, method) = (directory.role(&message.role), directory.method(&message.method));
    let (path, update) = (message.role.as_str(), Capability::Update);
    let role = principal.require_found(RuleKind::Role, path, update, now, role)?;
    let path = message.method.as_str();
    let method = principal.require_found(RuleKind::AuthMethod, path, update, now, method)?;
    let sub_claims = checked_claims(&message.sub_claims)?;
    let most =
        directory.assocs_of_role(role.id).len().max(directory.assocs_of_method(method.id).len());
    if most >= ASSOCS_MAX {
        return Err(Fault::forbidden(format!(
            "the role or the auth method has {ASSOCS_MAX} associations, which is the most"
        )));
    }
    let assoc = Assoc {
        id: AssocId::random(&*control.rng)?,
        role: role.id,
        method: method.id,
        sub_claims,
        case_sensitive: message.case_sensitive,
        created: now,
    };
    let principal = principal.clone();
    Ok(move |tx: &Tx| {
        let (role, method) = joined(tx, &principal, &assoc)?;
        principal.may_give_role(&role, now)?;
        check_forced(&method, &assoc.sub_claims)?;
        let same = |known: &Assoc| known.method == assoc.method && is_same(known, &assoc);
        if assocs::of_role(tx, role.id)?.iter().any(same) {
            return Err(Fault::conflict(format!(
                "role {} is already associated with auth method {} under the same sub-claims",
                role.path, method.path
            )));
        }
        let mut guard = Rails::of(tx, principal.account)?;
        guard.assoc(tx, &assoc, &role, &method)?;
        assocs::insert(tx, principal.account, &assoc)?;
        Ok(AssocCreateReply { id: assoc.id, warnings: guard.warned().warnings })
    })
}

/// Replaces the condition of an association.
///
/// # Errors
/// As [`create`] and [`delete`], since another condition takes the role from someone;
/// [`Fault::not_found`] for an unknown association.
pub(crate) async fn update(
    control: &Control,
    caller: &Caller,
    message: AssocUpdate,
) -> Result<Warned, Fault> {
    let principal = control.principal(caller).await?;
    let mut params = vec![Param::public("assoc-id", message.id.to_string())];
    let claims = message.sub_claims.as_ref();
    params.extend(claims.map(|claims| Param::public("sub-claims", written(claims))));
    let draft = audit_draft(caller, &principal, action::UPDATE_ASSOC, "", params);
    let plan = plan_update(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_update(
    control: &Control,
    principal: &Principal,
    message: AssocUpdate,
) -> Result<impl FnOnce(&Tx) -> Result<Warned, Fault> + use<>, Fault> {
    let now = control.now();
    let directory = control.directory_of(principal);
    let found = find(&directory, principal, &message.id, Capability::Update, now)?;
    let id = found.assoc.id.clone();
    let sub_claims = message.sub_claims.as_ref().map(checked_claims).transpose()?;
    let principal = principal.clone();
    Ok(move |tx: &Tx| {
        let mut assoc = fresh(tx, &principal, &id)?;
        let (role, method) = joined(tx, &principal, &assoc)?;
        principal.may_take_role(&role, now)?;
        assoc.sub_claims = sub_claims.unwrap_or(assoc.sub_claims);
        assoc.case_sensitive = message.case_sensitive.unwrap_or(assoc.case_sensitive);
        check_forced(&method, &assoc.sub_claims)?;
        let mut guard = Rails::of(tx, principal.account)?;
        guard.assoc(tx, &assoc, &role, &method)?;
        assocs::update(tx, &assoc)?;
        Ok(guard.warned())
    })
}

/// Deletes an association.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the role and the method, [`Fault::forbidden`] when
/// the role grants what the caller does not hold or denies what limits them, [`Fault::not_found`].
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: AssocDelete,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let params = vec![Param::public("assoc-id", message.id.to_string())];
    let draft = audit_draft(caller, &principal, action::DELETE_ASSOC, "", params);
    let plan = Ok(control.directory_of(&principal)).and_then(|directory| {
        let found = find(&directory, &principal, &message.id, Capability::Update, now)?;
        let (id, principal) = (found.assoc.id.clone(), principal.clone());
        Ok(move |tx: &Tx| {
            let assoc = fresh(tx, &principal, &id)?;
            let (role, _) = joined(tx, &principal, &assoc)?;
            principal.may_take_role(&role, now)?;
            assocs::delete(tx, principal.account, &id)?;
            Ok(Done)
        })
    });
    control.change(draft, plan).await
}

/// Reads an association with what it joins.
///
/// # Errors
/// [`Fault::unauthorized`] unless the caller may list both, [`Fault::not_found`].
pub(crate) async fn get(
    control: &Control,
    caller: &Caller,
    message: AssocGet,
) -> Result<AssocView, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let params = vec![Param::public("assoc-id", message.id.to_string())];
    let draft = audit_draft(caller, &principal, action::GET_ASSOC, "", params);
    let outcome = Ok(control.directory_of(&principal)).and_then(|directory| {
        let found = find(&directory, &principal, &message.id, Capability::List, now)?;
        Ok(AssocView {
            assoc: (*found.assoc).clone(),
            role: (*found.role).clone(),
            method: (*found.method).clone(),
        })
    });
    control.recorded(draft, outcome).await
}

/// An association and what it joins.
struct Found {
    assoc: Arc<Assoc>,
    role: Arc<Role>,
    method: Arc<AuthMethod>,
}

/// The association, when the bearer may use `capability` on what it joins. An absent one is told
/// only to those who may see roles at all.
fn find(
    directory: &AccountDirectory,
    principal: &Principal,
    id: &AssocId,
    capability: Capability,
    now: Timestamp,
) -> Result<Found, Fault> {
    let found = directory.assoc(id).and_then(|assoc| {
        let role = directory.role_by_id(assoc.role)?;
        let method = directory.method_by_id(assoc.method)?;
        Some(Found { assoc: assoc.clone(), role: role.clone(), method: method.clone() })
    });
    let refused = || {
        Fault::unauthorized(format!(
            "unauthorized access for access id {}: association {id} cannot be accessed; ask an \
             administrator for '{}' on its role and auth method",
            principal.access_id(),
            capability.name()
        ))
    };
    let Some(found) = found else {
        let sees_roles = principal.may_see_below(RuleKind::Role, "/", now);
        return Err(if sees_roles { absent(id) } else { refused() });
    };
    let (role, method) = (found.role.path.as_str(), found.method.path.as_str());
    let permitted = principal.may(RuleKind::Role, role, capability, now)
        && principal.may(RuleKind::AuthMethod, method, capability, now);
    if permitted { Ok(found) } else { Err(refused()) }
}

fn absent(id: &AssocId) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!("association {id} does not exist; see those of a role with get-role"),
    )
}

/// The association as it is now.
fn fresh(tx: &Tx, principal: &Principal, id: &AssocId) -> Result<Assoc, Fault> {
    assocs::by_id(tx, principal.account, id)?.ok_or_else(|| absent(id))
}

/// The role and the method as they are now.
fn joined(tx: &Tx, principal: &Principal, assoc: &Assoc) -> Result<(Role, AuthMethod), Fault> {
    let role = roles::by_id(tx, principal.account, assoc.role)?;
    let method = auth_methods::by_id(tx, principal.account, assoc.method)?;
    role.zip(method).ok_or_else(|| {
        Fault::not_found("the role or the auth method was deleted meanwhile; list them again")
    })
}

/// Whether two associations of one role with one method apply to the same bearers.
fn is_same(one: &Assoc, other: &Assoc) -> bool {
    let alike = one.case_sensitive == other.case_sensitive || one.sub_claims.is_empty();
    one.sub_claims == other.sub_claims && alike
}

fn check_forced(method: &AuthMethod, sub_claims: &SubClaims) -> Result<(), Fault> {
    if !method.shared.force_sub_claims || !sub_claims.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "auth method {} demands sub-claims on its associations; say which bearers get the role",
        method.path
    )))
}

/// The sub-claims in their stored form, if they are well formed.
///
/// # Errors
/// [`Fault::bad_request`] names the claim that is not.
pub(crate) fn checked_claims(claims: &SubClaims) -> Result<SubClaims, Fault> {
    let lists: Vec<_> =
        claims.0.iter().map(|(name, values)| (name.as_str(), values.join(","))).collect();
    Ok(parse_sub_claims(lists.iter().map(|(name, list)| (*name, list.as_str())))?)
}

/// The sub-claims as audit records show them.
fn written(claims: &SubClaims) -> String {
    let claims = claims.0.iter().map(|(name, values)| format!("{name}={}", values.join(",")));
    claims.collect::<Vec<_>>().join("; ")
}
