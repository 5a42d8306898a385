//! Deleting every auth method below a folder, all or none.

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::auth_method::AuthMethod;
use keysherd_plane::auth_methods::MethodsDelete;
use keysherd_plane::{Caller, Done};
use keysherd_store::Tx;

use super::{KIND, delete_one, keep_owner};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// Deletes the auth methods below a folder with their associations; their tokens die. Those that
/// the caller may not see are left alone and not spoken of.
///
/// # Errors
/// [`Fault::unauthorized`] unless the caller may delete each of them, [`Fault::not_found`] when
/// there is none; otherwise as [`super::delete`].
pub(crate) async fn delete_below(
    control: &Control,
    caller: &Caller,
    message: MethodsDelete,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let found = find(control, &principal, &message, now);
    let count = found.as_ref().map_or(0, Vec::len).to_string();
    let params =
        vec![Param::public("path", message.folder.to_string()), Param::public("methods", count)];
    let draft = audit_draft(caller, &principal, action::DELETE_AUTH_METHODS, "", params);
    let plan = found.map(|methods| {
        move |tx: &Tx| {
            methods.iter().try_for_each(|method| delete_one(tx, &principal, method, now))?;
            Ok(Done)
        }
    });
    control.change(draft, plan).await
}

fn find(
    control: &Control,
    principal: &Principal,
    message: &MethodsDelete,
    now: Timestamp,
) -> Result<Vec<Arc<AuthMethod>>, Fault> {
    let directory = control.directory_of(principal);
    let all = directory.methods_after(None);
    let methods = principal.deletable_below(KIND, &message.folder, all, |it| &it.path, now)?;
    methods.iter().try_for_each(|method| keep_owner(principal, method))?;
    Ok(methods)
}
