//! Who may change what a gateway keeps for itself. What that is, control never learns.

use std::borrow::Cow;

use keysherd_audit::{Param, action};
use keysherd_base::{AccessId, Fault};
use keysherd_domain::gateway_access::GatewayPermission;
use keysherd_plane::Caller;
use keysherd_plane::configs::{
    GatewayConfigure, GatewayConfigureReply, KEPT_FOR_MAX, KeepBegin, KeepBeginReply, KeptFor,
    KeptForReply,
};
use keysherd_store::auth_methods;

use crate::audit::audit_draft;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::session::Principal;

/// Whether the caller may configure gateways; records only a refusal.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators and those whom an allowed access names,
/// [`Fault::bad_request`] when the auth method is not one of the account, or of another kind.
pub(crate) async fn configure(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: GatewayConfigure,
) -> Result<GatewayConfigureReply, Fault> {
    let principal = control.principal(caller).await?;
    let permission = GatewayPermission::for_command(&caller.command);
    let allowed = control.may_configure(gateway, &principal, permission);
    let checked = allowed.and_then(|()| {
        let wanted = message.signs_for.as_ref();
        let check = |(id, kind): &(_, Option<String>)| {
            check_method(control, &principal, id, kind.as_deref())
        };
        wanted.map_or(Ok(()), check)
    });
    match checked {
        Ok(()) => Ok(GatewayConfigureReply { account: principal.account }),
        Err(fault) => {
            let id = message.signs_for.map(|(id, _)| id.as_str().to_owned());
            let param = id.map(|id| Param::public("access-id", id));
            refused(control, caller, &principal, param, Err(fault)).await
        }
    }
}

/// Whether the caller may have a gateway keep something for an auth method; records only a
/// refusal.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators and those whom an allowed access names.
pub(crate) async fn keep(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: KeepBegin,
) -> Result<KeepBeginReply, Fault> {
    let principal = control.principal(caller).await?;
    let permission = GatewayPermission::for_command(&caller.command);
    if let Err(fault) = control.may_configure(gateway, &principal, permission) {
        let param = message.path.map(|path| Param::public("name", path.to_string()));
        return refused(control, caller, &principal, param, Err(fault)).await;
    }
    let directory = control.directory_of(&principal);
    let method = message.path.and_then(|path| directory.method(&path).cloned());
    let access_id = method.map(|method| method.access_id.clone());
    Ok(KeepBeginReply { account: principal.account, access_id })
}

/// Which auth methods are gone.
///
/// # Errors
/// [`Fault::bad_request`] when too many are asked about.
pub(crate) fn kept_for(control: &Control, message: &KeptFor) -> Result<KeptForReply, Fault> {
    if message.methods.len() > KEPT_FOR_MAX {
        return Err(Fault::bad_request(format!("more than {KEPT_FOR_MAX} auth methods at once")));
    }
    control.store.read(|reader| {
        let mut gone = Vec::new();
        for id in &message.methods {
            if auth_methods::by_access_id(reader, id)?.is_none() {
                gone.push(id.clone());
            }
        }
        Ok(KeptForReply { gone })
    })
}

/// What came of a question before a command, with a record of it when it is a refusal.
pub(crate) async fn refused<T>(
    control: &Control,
    caller: &Caller,
    principal: &Principal,
    param: Option<Param>,
    outcome: Result<T, Fault>,
) -> Result<T, Fault> {
    if outcome.is_ok() {
        return outcome;
    }
    let params = param.into_iter().collect();
    let mut draft = audit_draft(caller, principal, action::REFUSED_REQUEST, "", params);
    draft.action = Cow::Owned(caller.command.replace('-', "_"));
    control.recorded(draft, outcome).await
}

/// Another account's method and one that does not exist look the same.
fn check_method(
    control: &Control,
    principal: &Principal,
    id: &AccessId,
    kind: Option<&str>,
) -> Result<(), Fault> {
    let method = control.store.read(|reader| auth_methods::by_access_id(reader, id))?;
    let fits = method.is_some_and(|method| {
        let kind_fits = kind.is_none_or(|kind| method.detail.kind_name() == kind);
        method.account == principal.account && kind_fits
    });
    if fits {
        return Ok(());
    }
    let of_type = kind.map(|kind| format!(" of type {kind}")).unwrap_or_default();
    Err(Fault::bad_request(format!(
        "invalid value of 'access-id': the account has no auth method {}{of_type}; make it first",
        id.as_str()
    )))
}
