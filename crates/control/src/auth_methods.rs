//! Auth methods: creating, changing, reading, deleting.

mod delete_below;

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::limits::METHODS_PER_ACCOUNT_MAX;
use keysherd_base::{AccessId, Fault, ItemPath, Timestamp};
use keysherd_domain::auth_method::{AuthMethod, MethodDetail};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::auth_methods::{
    AccessKeyReset, MethodCreate, MethodCreateReply, MethodDelete, MethodGet, MethodList,
    MethodListReply, MethodUpdate, MethodUpdateReply, MethodView,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Tx, accounts, assocs, auth_methods as stored, roles, second_factors};

use crate::audit::audit_draft;
use crate::authorize::absent;
use crate::control::Control;
use crate::credential::{checked_detail, demand_factor, replaced_credential, replaced_detail};
use crate::directory::AccountDirectory;
use crate::issue::token_ttl_minutes;
use crate::method_shared::check_shared;
use crate::page::{Page, page};
use crate::rails::Rails;
use crate::relocation::check_relocation;
use crate::session::Principal;

pub(crate) use delete_below::delete_below;

const KIND: RuleKind = RuleKind::AuthMethod;

/// Creates an auth method.
///
/// # Errors
/// [`Fault::unauthorized`] without `create` on the path, [`Fault::bad_request`] for bad settings,
/// [`Fault::conflict`] when the path or e-mail address is taken.
pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    message: MethodCreate,
) -> Result<MethodCreateReply, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![
        Param::public("name", message.path.to_string()),
        Param::public("type", message.detail.kind_label()),
    ];
    let draft = audit_draft(caller, &principal, action::CREATE_AUTH_METHOD, "", params);
    let plan = plan_create(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_create(
    control: &Control,
    principal: &Principal,
    message: MethodCreate,
) -> Result<impl FnOnce(&Tx) -> Result<MethodCreateReply, Fault> + use<>, Fault> {
    let now = control.now();
    let MethodCreate { path, mut shared, detail } = message;
    principal.require(KIND, path.as_str(), Capability::Create, now)?;
    check_shared(&shared, None, &principal.settings, now)?;
    let directory = control.directory_of(principal);
    if directory.methods_len() >= METHODS_PER_ACCOUNT_MAX {
        return Err(Fault::forbidden(format!(
            "the account has {METHODS_PER_ACCOUNT_MAX} auth methods, which is the most; delete one"
        )));
    }
    shared.delete_protection |= principal.settings.settings.protect_items_by_default;
    let access_id = AccessId::random(&*control.rng)?;
    let mut detail = control.sealed_detail(&access_id, checked_detail(detail)?)?;
    match &mut detail {
        MethodDetail::ApiKey { key_created, .. } => *key_created = now,
        MethodDetail::Email { password_set, .. } => *password_set = now,
        MethodDetail::Member { .. } => {}
    }
    let method = AuthMethod {
        id: 0,
        account: principal.account,
        access_id,
        path,
        shared,
        detail,
        generation: 1,
        created: now,
        modified: now,
    };
    Ok(move |tx: &Tx| {
        let mut guard = Rails::of(tx, method.account)?;
        guard.method(&method.path, &method.detail)?;
        stored::insert(tx, &method)?;
        let warnings = guard.warned().warnings;
        Ok(MethodCreateReply { access_id: method.access_id, warnings })
    })
}

/// Changes an auth method.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path (and `create` on a new one),
/// [`Fault::bad_request`] for bad settings or another kind, [`Fault::forbidden`] for the owner's
/// method by anyone else or one that may do more than the caller, [`Fault::conflict`] when the new
/// path is taken.
pub(crate) async fn update(
    control: &Control,
    caller: &Caller,
    message: MethodUpdate,
) -> Result<MethodUpdateReply, Fault> {
    let principal = control.principal(caller).await?;
    let mut params = vec![Param::public("name", message.path.to_string())];
    params.extend(message.new_path.iter().map(|new| Param::public("new-name", new.to_string())));
    let draft = audit_draft(caller, &principal, action::UPDATE_AUTH_METHOD, "", params);
    let plan = plan_update(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_update(
    control: &Control,
    principal: &Principal,
    message: MethodUpdate,
) -> Result<impl FnOnce(&Tx) -> Result<MethodUpdateReply, Fault> + use<>, Fault> {
    let now = control.now();
    let found = find(control, principal, &message.path, Capability::Update, now)?;
    keep_owner_safe(principal, &found, "changed")?;
    if found.detail.kind_name() != message.kind {
        return Err(Fault::bad_request(format!(
            "auth method {} is of type {}, not {}; use the update command of its type",
            found.path,
            found.detail.kind_name(),
            message.kind
        )));
    }
    if let Some(shared) = &message.shared {
        check_shared(shared, Some(&found.shared), &principal.settings, now)?;
    }
    let new_path = message.new_path.filter(|new| *new != found.path);
    if let Some(new) = &new_path {
        check_relocation(principal, KIND, &found.path, new, now)?;
    }
    let MethodUpdate { shared, settings, kind, demand_second_factor: demanded, .. } = message;
    if demanded == Some(false) && found.id == principal.method.id {
        return Err(Fault::forbidden(
            "your own second factor is taken away with mfa-remove, which takes the password and a \
             code",
        ));
    }
    let detail = match settings {
        Some(new) => {
            let sealed = control.sealed_settings(&kind, &found.access_id, &new)?;
            Some(replaced_detail(&found.detail, sealed)?)
        }
        None => None,
    };
    let principal = principal.clone();
    Ok(move |tx: &Tx| {
        keep_greater_safe(tx, &principal, &found, now)?;
        if shared.as_ref().is_some_and(|shared| shared.force_sub_claims) {
            check_forced(tx, &found)?;
        }
        let mut guard = Rails::of(tx, found.account)?;
        if let Some(new) = &new_path {
            guard.method(new, &found.detail)?;
        }
        edit(tx, &found, now, |method| {
            method.shared = shared.unwrap_or_else(|| method.shared.clone());
            method.path = new_path.unwrap_or_else(|| method.path.clone());
            if let Some(demanded) = demanded {
                demand_factor(method, demanded);
            }
            if let Some(detail) = detail.filter(|detail| *detail != method.detail) {
                // Who was let in under other settings has to come in again.
                method.detail = detail;
                method.generation = method.generation.saturating_add(1);
            }
        })?;
        if demanded == Some(false) {
            second_factors::remove(tx, found.id)?;
        }
        let warnings = guard.warned().warnings;
        Ok(MethodUpdateReply { access_id: found.access_id, warnings })
    })
}

/// An association without sub-claims would stay in force unnoticed, or lock its bearers out.
fn check_forced(tx: &Tx, method: &AuthMethod) -> Result<(), Fault> {
    let assocs = assocs::of_method(tx, method.id)?;
    match assocs.iter().find(|assoc| assoc.sub_claims.is_empty()) {
        None => Ok(()),
        Some(assoc) => Err(Fault::bad_request(format!(
            "association {} of auth method {} has no sub-claims; add some or delete it before \
             setting force-sub-claims",
            assoc.id, method.path
        ))),
    }
}

/// Replaces the access key of an API-key method, or the password of a person.
///
/// Whoever may do this gets everything the method may do, so it is refused to those who do not
/// hold all of that themselves.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path; [`Fault::forbidden`] for another kind of
/// method, one's own password, or a method that may do more than the caller.
pub(crate) async fn reset_key(
    control: &Control,
    caller: &Caller,
    message: AccessKeyReset,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![Param::public("name", message.path.to_string())];
    let draft = audit_draft(caller, &principal, action::RESET_ACCESS_KEY, "", params);
    let plan = plan_reset(control, &principal, message);
    control.change(draft, plan).await
}

fn plan_reset(
    control: &Control,
    principal: &Principal,
    message: AccessKeyReset,
) -> Result<impl FnOnce(&Tx) -> Result<Done, Fault> + use<>, Fault> {
    let now = control.now();
    let found = find(control, principal, &message.path, Capability::Update, now)?;
    keep_owner_safe(principal, &found, "reset")?;
    if found.id == principal.method.id && found.detail.email().is_some() {
        return Err(Fault::forbidden(
            "your own password is changed with change-admin-account-password, which takes the one \
             in force",
        ));
    }
    let detail = replaced_credential(&found, &message, now)?;
    let principal = principal.clone();
    Ok(move |tx: &Tx| {
        keep_greater_safe(tx, &principal, &found, now)?;
        edit(tx, &found, now, |method| {
            method.detail = detail;
            method.generation = method.generation.saturating_add(1);
        })
    })
}

/// Reads an auth method. Of its roles, those the caller may see.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`].
pub(crate) async fn get(
    control: &Control,
    caller: &Caller,
    message: MethodGet,
) -> Result<MethodView, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let params = vec![Param::public("name", message.path.to_string())];
    let draft = audit_draft(caller, &principal, action::GET_AUTH_METHOD, "", params);
    let outcome = Ok(control.directory_of(&principal)).and_then(|directory| {
        let found = directory.method(&message.path);
        let path = message.path.as_str();
        let method = principal.require_found(KIND, path, Capability::List, now, found)?;
        let mut view = view(&directory, &principal, method, now);
        control.fill_method_uses(std::slice::from_mut(&mut view));
        Ok(view)
    });
    control.recorded(draft, outcome).await
}

/// Lists the auth methods the caller may see.
///
/// # Errors
/// Only for a token that is not good, or when the store is broken.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    message: MethodList,
) -> Result<MethodListReply, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let mut params = Vec::new();
    params.extend(message.filter.iter().map(|filter| Param::public("filter", filter.clone())));
    params.extend(message.kinds.iter().map(|kind| Param::public("type", kind.clone())));
    let draft = audit_draft(caller, &principal, action::LIST_AUTH_METHODS, "", params);
    let listing = || {
        let directory = control.directory_of(&principal);
        let after = message.after.as_deref().map(ItemPath::parse).transpose()?;
        let wanted = |method: &&Arc<AuthMethod>| {
            let kind = method.detail.kind_name();
            let of_kind = message.kinds.is_empty() || message.kinds.iter().any(|k| k == kind);
            let named = message.filter.as_ref().is_none_or(|f| method.path.as_str().contains(f));
            of_kind && named && principal.may(KIND, method.path.as_str(), Capability::List, now)
        };
        let found = directory.methods_after(after.as_ref()).filter(wanted);
        let Page { members, more } = page(found, message.limit);
        let views = members.into_iter().map(|method| view(&directory, &principal, method, now));
        let mut methods: Vec<_> = views.collect();
        control.fill_method_uses(&mut methods);
        Ok(MethodListReply { methods, more })
    };
    control.recorded(draft, listing()).await
}

/// Deletes an auth method and its associations. Its tokens die.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`]; [`Fault::forbidden`] for the owner's method,
/// one that may do more than the caller and one with delete protection.
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: MethodDelete,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![Param::public("name", message.path.to_string())];
    let draft = audit_draft(caller, &principal, action::DELETE_AUTH_METHOD, "", params);
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
    keep_owner(principal, &found)?;
    let principal = principal.clone();
    Ok(move |tx: &Tx| delete_one(tx, &principal, &found, now).map(|()| Done))
}

fn keep_owner(principal: &Principal, method: &AuthMethod) -> Result<(), Fault> {
    if principal.settings.owner_method == method.id { Err(owners(method)) } else { Ok(()) }
}

fn delete_one(
    tx: &Tx,
    principal: &Principal,
    found: &AuthMethod,
    now: Timestamp,
) -> Result<(), Fault> {
    keep_greater_safe(tx, principal, found, now)?;
    let method = fresh(tx, found)?;
    // Once more, because they may have become the owner since.
    if accounts::get(tx, method.account)?.is_some_and(|it| it.owner_method == method.id) {
        return Err(owners(&method));
    }
    if method.shared.delete_protection {
        return Err(Fault::forbidden(format!(
            "auth method {} has delete protection; switch it off first",
            method.path
        ))
        .with_code("DeleteProtection"));
    }
    stored::delete(tx, method.id)?;
    Ok(())
}

fn owners(method: &AuthMethod) -> Fault {
    Fault::forbidden(format!(
        "auth method {} is that of the account's owner and cannot be deleted",
        method.path
    ))
}

/// The method at `path`, when the bearer may use `capability` on it.
pub(crate) fn find(
    control: &Control,
    principal: &Principal,
    path: &ItemPath,
    capability: Capability,
    now: Timestamp,
) -> Result<AuthMethod, Fault> {
    let directory = control.directory_of(principal);
    let found = directory.method(path);
    let method = principal.require_found(KIND, path.as_str(), capability, now, found)?;
    Ok((**method).clone())
}

/// The owner's method is the owner's own business: another administrator could lock them out.
fn keep_owner_safe(
    principal: &Principal,
    method: &AuthMethod,
    what: &'static str,
) -> Result<(), Fault> {
    if principal.settings.owner_method != method.id || principal.owner {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "auth method {} is that of the account's owner and can only be {what} by the owner",
        method.path
    )))
}

/// A method that may do more than the caller is not theirs to change: they could take it over, or
/// lock its bearers out. Everyone's own method is, whatever sub-claims its roles demand.
pub(crate) fn keep_greater_safe(
    tx: &Tx,
    principal: &Principal,
    method: &AuthMethod,
    now: Timestamp,
) -> Result<(), Fault> {
    if method.id == principal.method.id {
        return Ok(());
    }
    for assoc in assocs::of_method(tx, method.id)? {
        if let Some(role) = roles::by_id(tx, method.account, assoc.role)? {
            principal.may_give_role(&role, now)?;
        }
    }
    Ok(())
}

/// The method as it is now.
fn fresh(tx: &Tx, found: &AuthMethod) -> Result<AuthMethod, Fault> {
    stored::by_id(tx, found.account, found.id)?.ok_or_else(|| absent(KIND, found.path.as_str()))
}

fn edit(
    tx: &Tx,
    found: &AuthMethod,
    now: Timestamp,
    change: impl FnOnce(&mut AuthMethod),
) -> Result<Done, Fault> {
    let mut method = fresh(tx, found)?;
    change(&mut method);
    method.modified = now;
    stored::update(tx, &method)?;
    Ok(Done)
}

fn view(
    directory: &AccountDirectory,
    principal: &Principal,
    method: &AuthMethod,
    now: Timestamp,
) -> MethodView {
    let sees =
        |path: &ItemPath| principal.may(RuleKind::Role, path.as_str(), Capability::List, now);
    let assocs = directory.assocs_of_method(method.id).iter();
    let roles = assocs.filter_map(|assoc| {
        let role = directory.role_by_id(assoc.role).filter(|role| sees(&role.path))?;
        Some(((**assoc).clone(), (**role).clone()))
    });
    MethodView {
        roles: roles.collect(),
        permissions: principal.permissions(KIND, method.path.as_str(), now),
        token_ttl_minutes: token_ttl_minutes(&directory.account, method),
        method: method.clone(),
        last_used: None,
    }
}
