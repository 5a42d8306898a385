//! Making one role of several that the same bearers have, with a proof of equal effect.

use std::collections::BTreeMap;

use keysherd_audit::{Param, action};
use keysherd_base::limits::{LIST_LEN_MAX, RULES_PER_ROLE_MAX};
use keysherd_base::{AssocId, Fault, ItemPath, Timestamp};
use keysherd_domain::claims::SubClaims;
use keysherd_domain::guard_rails::is_single_path;
use keysherd_domain::policy::merge::{CannotMerge, compare, merged_rules};
use keysherd_domain::role::{Assoc, Role, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::merge::{MergePlan, RolesMerge, RolesMergeReply};
use keysherd_store::{Tx, assocs, roles as stored};

use crate::audit::audit_draft;
use crate::authorize::absent;
use crate::control::Control;
use crate::session::Principal;

/// What an association asks for: two with the same of these have the same bearers.
type Condition = (i64, bool, BTreeMap<String, Vec<String>>);

/// Plans or makes one role of several.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators, [`Fault::not_found`] for an absent role,
/// [`Fault::bad_request`] when they are not for the same bearers or cannot be one,
/// [`Fault::conflict`] when the new path is taken, [`Fault::forbidden`] by delete protection.
pub(crate) async fn merge(
    control: &Control,
    caller: &Caller,
    message: RolesMerge,
) -> Result<RolesMergeReply, Fault> {
    let who = control.principal(caller).await?;
    let mut params = vec![Param::public("apply", message.apply.to_string())];
    let names = message.roles.iter().take(LIST_LEN_MAX);
    params.extend(names.map(|path| Param::public("role-name", path.to_string())));
    let draft = audit_draft(caller, &who, action::UPDATE_ROLE, "", params);
    let now = control.now();
    if message.roles.is_empty() {
        let found = who.require_admin().and_then(|()| found(control, &who, now));
        return control.recorded(draft, found).await;
    }
    let plan = who.require_admin().and_then(|()| check(&message)).map(|()| {
        let rng = control.rng.clone();
        move |tx: &Tx| {
            let fresh = || AssocId::random(&*rng).map_err(Fault::from);
            make(tx, &who, &message, now, fresh)
        }
    });
    control.change(draft, plan).await
}

fn check(message: &RolesMerge) -> Result<(), Fault> {
    let mut paths: Vec<_> = message.roles.iter().collect();
    paths.sort_unstable();
    paths.dedup();
    match paths.len() {
        2..=LIST_LEN_MAX if paths.len() == message.roles.len() => Ok(()),
        _ => Err(Fault::bad_request(format!(
            "name 2 to {LIST_LEN_MAX} different roles to merge, or none to see which could be"
        ))),
    }
}

/// Roles of one rule with the same bearers.
fn found(control: &Control, who: &Principal, now: Timestamp) -> Result<RolesMergeReply, Fault> {
    let directory = control.directory_of(who);
    let mut alike: BTreeMap<Vec<Condition>, Vec<Role>> = BTreeMap::new();
    for role in directory.roles_after(None).filter(|role| is_single_path(role)) {
        let conditions = conditions(directory.assocs_of_role(role.id).iter().map(|a| &**a));
        if !conditions.is_empty() {
            alike.entry(conditions).or_default().push((**role).clone());
        }
    }
    let several = alike.into_iter().filter(|(_, roles)| roles.len() > 1);
    let plans = several.filter_map(|(conditions, roles)| {
        plan(&roles, &conditions, None, now).ok().map(|(plan, _)| plan)
    });
    Ok(RolesMergeReply { plans: plans.take(LIST_LEN_MAX).collect() })
}

fn conditions<'a>(assocs: impl Iterator<Item = &'a Assoc>) -> Vec<Condition> {
    let condition =
        |assoc: &Assoc| (assoc.method, assoc.case_sensitive, assoc.sub_claims.0.clone());
    let mut conditions: Vec<_> = assocs.map(condition).collect();
    conditions.sort_unstable();
    conditions
}

/// The plan and the role that stays, once every decision was found to be the same.
fn plan(
    roles: &[Role],
    conditions: &[Condition],
    into: Option<&ItemPath>,
    now: Timestamp,
) -> Result<(MergePlan, Role), Fault> {
    let rules = merged_rules(roles).map_err(|cannot| {
        Fault::bad_request(match cannot {
            CannotMerge::Admin => {
                "an admin role grants by itself and cannot be merged with others".to_owned()
            }
            CannotMerge::Ends(kind, path) => format!(
                "two rules for {} {path} end at different times, and a role has one of each",
                kind.name()
            ),
        })
    })?;
    if rules.len() > RULES_PER_ROLE_MAX {
        return Err(Fault::bad_request(format!(
            "{} rules together; a role has at most {RULES_PER_ROLE_MAX}",
            rules.len()
        )));
    }
    let Some(first) = roles.first() else {
        return Err(Fault::bad_request("name the roles to merge"));
    };
    let path = into.unwrap_or(&first.path);
    let kept = roles.iter().find(|role| role.path == *path);
    let template = kept.unwrap_or(first);
    let after = Role { path: path.clone(), rules, modified: now, ..template.clone() };
    let mut decisions = 0;
    for (_, case_sensitive, claims) in conditions {
        let claims = SubClaims(claims.clone());
        let one = compare(roles, std::slice::from_ref(&after), *case_sensitive, &claims, now);
        if let Some((kind, path)) = one.differing.first() {
            return Err(Fault::bad_request(format!(
                "the roles cannot be merged: what they grant on {} {path} would change",
                kind.name()
            )));
        }
        decisions += one.decisions;
    }
    let plan = MergePlan {
        roles: roles.iter().map(|role| role.path.clone()).collect(),
        into: path.clone(),
        rules: after.rules.clone(),
        decisions_compared: u64::try_from(decisions).unwrap_or(u64::MAX),
        applied: false,
    };
    Ok((plan, after))
}

/// Plans with what is stored now, and does it if asked to: nothing can change in between.
fn make(
    tx: &Tx,
    who: &Principal,
    message: &RolesMerge,
    now: Timestamp,
    fresh: impl Fn() -> Result<AssocId, Fault>,
) -> Result<RolesMergeReply, Fault> {
    let mut roles = Vec::new();
    for path in &message.roles {
        let role = stored::by_path(tx, who.account, path)?;
        roles.push(role.ok_or_else(|| absent(RuleKind::Role, path.as_str()))?);
    }
    let mut common: Option<Vec<Condition>> = None;
    for role in &roles {
        let own = conditions(assocs::of_role(tx, role.id)?.iter());
        match &common {
            Some(common) if *common != own => {
                return Err(Fault::bad_request(format!(
                    "role {} is not for the same bearers as {}; associate both with the same auth \
                     methods under the same sub-claims first",
                    role.path, roles[0].path
                )));
            }
            _ => common = Some(own),
        }
    }
    let conditions = common.unwrap_or_default();
    let (mut plan, after) = plan(&roles, &conditions, message.into.as_ref(), now)?;
    if message.apply {
        apply(tx, who, &roles, after, &fresh, now)?;
        plan.applied = true;
    }
    Ok(RolesMergeReply { plans: vec![plan] })
}

fn apply(
    tx: &Tx,
    who: &Principal,
    roles: &[Role],
    after: Role,
    fresh: &impl Fn() -> Result<AssocId, Fault>,
    now: Timestamp,
) -> Result<(), Fault> {
    let kept = roles.iter().find(|role| role.path == after.path);
    match kept {
        Some(kept) => {
            stored::update(tx, &Role { id: kept.id, ..after })?;
        }
        None => {
            let id = stored::insert(tx, &Role { created: now, ..after })?;
            for assoc in assocs::of_role(tx, roles[0].id)? {
                let assoc = Assoc { id: fresh()?, role: id, created: now, ..assoc };
                assocs::insert(tx, who.account, &assoc)?;
            }
        }
    }
    for role in roles.iter().filter(|role| kept.is_none_or(|kept| kept.id != role.id)) {
        if role.delete_protection {
            return Err(Fault::forbidden(format!(
                "role {} has delete protection; switch it off first",
                role.path
            ))
            .with_code("DeleteProtection"));
        }
        stored::delete(tx, role.id)?;
    }
    Ok(())
}
