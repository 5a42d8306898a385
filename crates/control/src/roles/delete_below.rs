//! Deleting every role below a folder, all or none.

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::role::Role;
use keysherd_plane::roles::RolesDelete;
use keysherd_plane::{Caller, Done};
use keysherd_store::Tx;

use super::{KIND, delete_one, keep_admin_role};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// Deletes the roles below a folder with their associations. Those that the caller may not see are
/// left alone and not spoken of.
///
/// # Errors
/// [`Fault::unauthorized`] unless the caller may delete each of them, [`Fault::not_found`] when
/// there is none; otherwise as [`super::delete`].
pub(crate) async fn delete_below(
    control: &Control,
    caller: &Caller,
    message: RolesDelete,
) -> Result<Done, Fault> {
    let principal = control.principal(caller).await?;
    let now = control.now();
    let found = find(control, &principal, &message, now);
    let count = found.as_ref().map_or(0, Vec::len).to_string();
    let params =
        vec![Param::public("path", message.folder.to_string()), Param::public("roles", count)];
    let draft = audit_draft(caller, &principal, action::DELETE_ROLES, "", params);
    let plan = found.map(|roles| {
        move |tx: &Tx| {
            roles.iter().try_for_each(|role| delete_one(tx, &principal, role, now))?;
            Ok(Done)
        }
    });
    control.change(draft, plan).await
}

fn find(
    control: &Control,
    principal: &Principal,
    message: &RolesDelete,
    now: Timestamp,
) -> Result<Vec<Arc<Role>>, Fault> {
    let directory = control.directory_of(principal);
    let all = directory.roles_after(None);
    let roles = principal.deletable_below(KIND, &message.folder, all, |role| &role.path, now)?;
    roles.iter().try_for_each(|role| keep_admin_role(role))?;
    Ok(roles)
}
