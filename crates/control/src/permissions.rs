//! Questions about permissions: what the caller may do on a path, and who may do what there.

use std::collections::BTreeSet;
use std::sync::Arc;

use keysherd_audit::{Param, action};
use keysherd_base::limits::PATH_BYTES_MAX;
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::policy::explain::Effect;
use keysherd_domain::policy::kinds::Scope;
use keysherd_domain::policy::rule_set::RuleSet;
use keysherd_domain::role::{Assoc, Capabilities, Capability, Role, Rule, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::roles::{
    PermissionsDescribe, PermissionsDescribeReply, Reach, ReverseRbac, ReverseRbacReply,
};

use crate::audit::audit_draft;
use crate::authorize::governing;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::session::Principal;

/// What the caller may do on a path.
///
/// # Errors
/// [`Fault::bad_request`] for a path that is too long.
pub(crate) async fn describe(
    control: &Control,
    caller: &Caller,
    message: PermissionsDescribe,
) -> Result<PermissionsDescribeReply, Fault> {
    let principal = control.principal(caller).await?;
    let PermissionsDescribe { kind, path } = message;
    let params = vec![Param::public("type", kind.name()), Param::public("path", path.clone())];
    let draft = audit_draft(caller, &principal, action::DESCRIBE_PERMISSIONS, "", params);
    let outcome = check_path(&path).map(|()| PermissionsDescribeReply {
        permissions: principal.permissions(kind, &path, control.now()),
    });
    control.recorded(draft, outcome).await
}

/// Who may do what on a path: every association whose role grants something there. A template in
/// a rule stands for what the association's sub-claims require.
///
/// Each entry says what its role grants; a deny from another role of the same bearer is not taken
/// off.
///
/// # Errors
/// [`Fault::unauthorized`] without a reverse-rbac rule; with a scoped one, only what joins roles
/// and methods the caller may see is told. [`Fault::bad_request`] for a path that is too long.
pub(crate) async fn reverse_rbac(
    control: &Control,
    caller: &Caller,
    mut message: ReverseRbac,
) -> Result<ReverseRbacReply, Fault> {
    let principal = control.principal(caller).await?;
    let (kind, path) = governing(message.kind, &message.path);
    (message.kind, message.path) = (kind, path.to_owned());
    let params = vec![
        Param::public("type", message.kind.name()),
        Param::public("path", message.path.clone()),
    ];
    let draft = audit_draft(caller, &principal, action::REVERSE_RBAC, "", params);
    let now = control.now();
    let prepared = prepare(control, &principal, &message, now);
    let outcome = match prepared {
        Ok((directory, scope)) => {
            // Compiles every role of the account: too long for the threads that serve requests.
            let search = move || reaches(&directory, &principal, scope, &message, now);
            tokio::task::spawn_blocking(search).await.map_err(Fault::internal)
        }
        Err(fault) => Err(fault),
    };
    control.recorded(draft, outcome).await
}

fn prepare(
    control: &Control,
    principal: &Principal,
    message: &ReverseRbac,
    now: Timestamp,
) -> Result<(Arc<AccountDirectory>, Scope), Fault> {
    check_path(&message.path)?;
    let scope = review_scope(principal, now)?;
    Ok((control.directory_of(principal), scope))
}

/// How far the caller may review the access of others.
///
/// # Errors
/// [`Fault::unauthorized`] for one who may not at all.
pub(crate) fn review_scope(principal: &Principal, now: Timestamp) -> Result<Scope, Fault> {
    match principal.rules.scope(RuleKind::ReverseRbac, Capability::Read, now) {
        Scope::None => Err(Fault::unauthorized(format!(
            "unauthorized access for access id {}: access reviews are not granted; ask an \
             administrator for a role with reverse-rbac-access",
            principal.access_id()
        ))),
        scope => Ok(scope),
    }
}

fn reaches(
    directory: &AccountDirectory,
    principal: &Principal,
    scope: Scope,
    message: &ReverseRbac,
    now: Timestamp,
) -> ReverseRbacReply {
    let sees = |kind: RuleKind, path: &str| {
        scope == Scope::All || principal.may(kind, path, Capability::List, now)
    };
    let methods = directory.methods_after(None);
    let methods = methods.filter(|m| sees(RuleKind::AuthMethod, m.path.as_str()));
    let reaches = methods.flat_map(|method| {
        directory.assocs_of_method(method.id).iter().filter_map(|assoc| {
            let role = directory.role_by_id(assoc.role)?;
            if !sees(RuleKind::Role, role.path.as_str()) {
                return None;
            }
            reach(role, assoc, message, now).map(|(role, permissions)| Reach {
                method: (**method).clone(),
                assoc: (**assoc).clone(),
                role,
                permissions,
            })
        })
    });
    ReverseRbacReply { reaches: reaches.collect() }
}

/// What a role grants on the path to those its association requires, with the rules that say so.
fn reach(
    role: &Role,
    assoc: &Assoc,
    message: &ReverseRbac,
    now: Timestamp,
) -> Option<(Role, Capabilities)> {
    let ReverseRbac { kind, path } = message;
    let rules = RuleSet::compile([(role, assoc.case_sensitive)], &assoc.sub_claims);
    let permissions = rules.effective(*kind, path, now);
    if permissions.is_empty() {
        return None;
    }
    let explained = rules.explain(*kind, path, Capability::List, now);
    let applying: BTreeSet<_> = explained
        .into_iter()
        .filter(|explained| !matches!(explained.effect, Effect::Admin | Effect::Expired))
        .map(|explained| explained.pattern)
        .collect();
    let applies = |rule: &&Rule| rule.kind == *kind && applying.contains(&rule.path);
    let rules = role.rules.iter().filter(applies).cloned().collect();
    let shown = Role { rules, path: role.path.clone(), comment: role.comment.clone(), ..*role };
    Some((shown, permissions))
}

/// Refuses what cannot be a path by its length.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_path(path: &str) -> Result<(), Fault> {
    if path.len() <= PATH_BYTES_MAX {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "the path is {} bytes long; at most {PATH_BYTES_MAX} are allowed",
        path.len()
    )))
}
