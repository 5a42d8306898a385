//! Who may change what a gateway keeps for itself. What that is, control never learns.

use std::borrow::Cow;

use keysherd_audit::{Param, action};
use keysherd_base::{AccessId, Fault};
use keysherd_plane::Caller;
use keysherd_plane::configs::{GatewayConfigure, GatewayConfigureReply};
use keysherd_store::auth_methods;

use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// Whether the caller may configure gateways; records only a refusal.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators, [`Fault::bad_request`] when the auth method
/// is not one of the account, or of another kind.
pub(crate) async fn configure(
    control: &Control,
    caller: &Caller,
    message: GatewayConfigure,
) -> Result<GatewayConfigureReply, Fault> {
    let principal = control.principal(caller).await?;
    let checked = principal.require_admin().and_then(|()| {
        let wanted = message.signs_for.as_ref();
        wanted.map_or(Ok(()), |(id, kind)| check_method(control, &principal, id, kind))
    });
    match checked {
        Ok(()) => Ok(GatewayConfigureReply { account: principal.account }),
        Err(refused) => {
            let id = message.signs_for.map(|(id, _)| id.as_str().to_owned());
            let params = id.into_iter().map(|id| Param::public("access-id", id)).collect();
            let mut draft = audit_draft(caller, &principal, action::REFUSED_REQUEST, "", params);
            draft.action = Cow::Owned(caller.command.replace('-', "_"));
            control.recorded(draft, Err(refused)).await
        }
    }
}

/// Another account's method and one that does not exist look the same.
fn check_method(
    control: &Control,
    principal: &Principal,
    id: &AccessId,
    kind: &str,
) -> Result<(), Fault> {
    let method = control.store.read(|reader| auth_methods::by_access_id(reader, id))?;
    let fits = method.is_some_and(|method| {
        method.account == principal.account && method.detail.kind_name() == kind
    });
    if fits {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid value of 'access-id': the account has no auth method {} of type {kind}; make it \
         first",
        id.as_str()
    )))
}
