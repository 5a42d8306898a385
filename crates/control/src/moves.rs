//! Moving all auth methods or roles below one folder to another, all or none.

use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, FolderPath, ItemPath, Timestamp};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::items::ObjectsMoveReply;
use keysherd_store::{Tx, auth_methods, roles};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::rails::Rails;
use crate::relocation::check_relocation;
use crate::session::Principal;

/// What is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identities {
    /// Auth methods.
    AuthMethods,
    /// Roles.
    Roles,
}

impl Identities {
    const fn kind(self) -> RuleKind {
        match self {
            Self::AuthMethods => RuleKind::AuthMethod,
            Self::Roles => RuleKind::Role,
        }
    }
}

/// Moves every auth method or role below `source` to the same place below `target`.
///
/// # Errors
/// [`Fault::unauthorized`] unless the caller may `update` each of them and `create` its new path,
/// [`Fault::not_found`] when there is none, [`Fault::forbidden`] for the owner's method and the
/// admin role, [`Fault::conflict`] when a new path is taken.
pub(crate) async fn relocate(
    control: &Control,
    caller: &Caller,
    which: Identities,
    source: FolderPath,
    target: FolderPath,
) -> Result<ObjectsMoveReply, Fault> {
    let principal = control.principal(caller).await?;
    let params = vec![
        Param::public("objects-type", which.kind().name()),
        Param::public("source", source.to_string()),
        Param::public("target", target.to_string()),
    ];
    let draft = audit_draft(caller, &principal, action::MOVE_OBJECTS, "", params);
    let plan = plan(control, &principal, which, source, target);
    control.change(draft, plan).await
}

fn plan(
    control: &Control,
    principal: &Principal,
    which: Identities,
    source: FolderPath,
    target: FolderPath,
) -> Result<impl FnOnce(&Tx) -> Result<ObjectsMoveReply, Fault> + use<>, Fault> {
    let now = control.now();
    let directory = control.directory_of(principal);
    let moved = moved(&directory, principal, which, &source)?;
    if moved.is_empty() {
        return nothing_there(principal, which, &source, now);
    }
    let mut methods = Vec::new();
    for path in &moved {
        principal.require(which.kind(), path.as_str(), Capability::Update, now)?;
        let rest = path.as_str().strip_prefix(source.as_str()).unwrap_or_default();
        let new = ItemPath::parse(&format!("{target}{rest}"))?;
        check_relocation(principal, which.kind(), path, &new, now)?;
        let method = directory.method(path).filter(|_| which == Identities::AuthMethods);
        methods.extend(method.map(|method| (new, Arc::clone(method))));
    }
    let account = principal.account;
    let permitted = moved.len();
    Ok(move |tx: &Tx| {
        if source == target {
            return Ok(ObjectsMoveReply { moved: 0, warnings: Vec::new() });
        }
        let mut guard = Rails::of(tx, account)?;
        methods.iter().try_for_each(|(new, method)| guard.method(new, &method.detail))?;
        let moved = match which {
            Identities::AuthMethods => {
                auth_methods::move_folder(tx, account, &source, &target, now)?
            }
            Identities::Roles => roles::move_folder(tx, account, &source, &target, now)?,
        };
        if moved != permitted {
            return Err(Fault::conflict(format!("{source} changed meanwhile; try again")));
        }
        Ok(ObjectsMoveReply { moved, warnings: guard.warned().warnings })
    })
}

fn moved(
    directory: &AccountDirectory,
    principal: &Principal,
    which: Identities,
    source: &FolderPath,
) -> Result<Vec<ItemPath>, Fault> {
    let fixed = |path: &ItemPath, what: &str| {
        Err(Fault::forbidden(format!("{what} {path} cannot be moved; move the others one by one")))
    };
    let mut moved = Vec::new();
    match which {
        Identities::AuthMethods => {
            for method in directory.methods_after(None).filter(|m| source.contains(&m.path)) {
                if directory.is_owner(method) && !principal.owner {
                    return fixed(&method.path, "the owner's auth method");
                }
                moved.push(method.path.clone());
            }
        }
        Identities::Roles => {
            for role in directory.roles_after(None).filter(|role| source.contains(&role.path)) {
                if role.admin {
                    return fixed(&role.path, "the built-in admin role");
                }
                moved.push(role.path.clone());
            }
        }
    }
    Ok(moved)
}

fn nothing_there<T>(
    principal: &Principal,
    which: Identities,
    source: &FolderPath,
    now: Timestamp,
) -> Result<T, Fault> {
    let (kind, path) = (which.kind(), source.as_str());
    principal.require_found(kind, path, Capability::Update, now, None)
}
