//! What is known of dynamic and rotated secrets and targets without opening them; and that what an
//! item is and where it lies agree.

use keysherd_base::{Fault, ItemId, ItemPath, Timestamp};
use keysherd_domain::engine::{self, EngineFacts, TTL_SECONDS_MAX};
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_domain::target::{self, TargetFacts};
use keysherd_plane::items::{Made, TargetChoice};
use keysherd_store::{Query, credential_leases, item_targets, items as stored, target_assocs};

use super::permitted;
use super::usable::check_enabled;
use crate::clusters::access::cluster_of;
use crate::credential_rotations::facts as rotated;
use crate::gateways::GatewayIdentity;
use crate::session::Principal;

/// What an item is.
pub(crate) const fn kind_of(made: &Made) -> ItemKind {
    match made {
        Made::Static => ItemKind::StaticSecret,
        Made::Dynamic { .. } => ItemKind::DynamicSecret,
        Made::Target { .. } => ItemKind::Target,
        Made::Rotated(_) => ItemKind::RotatedSecret,
    }
}

/// Refuses a path that is not one for this kind of item.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_place(kind: ItemKind, path: &ItemPath) -> Result<(), Fault> {
    let place = target::PLACE;
    match (kind, target::shown(path.as_str()).is_some()) {
        (ItemKind::Target, true) => Ok(()),
        (ItemKind::Target, false) => {
            Err(Fault::bad_request(format!("invalid name {path}: targets lie below {place}")))
        }
        _ if target::is_stored_path(path.as_str()) => Err(Fault::bad_request(format!(
            "invalid name {path}: what is below {place} are targets; choose another name"
        ))),
        _ => Ok(()),
    }
}

/// Sets what is known of a new item; gives the target that it uses.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`] for a target that the caller may not list,
/// [`Fault::forbidden`] for one that is disabled, [`Fault::bad_request`] for what cannot be.
pub(crate) fn made(
    q: &dyn Query,
    (who, gateway): (&Principal, &GatewayIdentity),
    item: &mut Item,
    made: &Made,
    now: Timestamp,
) -> Result<Option<ItemId>, Fault> {
    match made {
        Made::Static => Ok(None),
        Made::Dynamic { engine, user_ttl_seconds, target } => {
            let cluster = cluster_of(q, gateway, who)?.map_or(0, |cluster| cluster.id);
            let target = match target {
                TargetChoice::Without => None,
                TargetChoice::Named(path) => Some(chosen(q, who, path, now)?),
                TargetChoice::Same => {
                    return Err(Fault::bad_request("a new dynamic secret has no target yet"));
                }
            };
            item.engine = Some(facts(engine, *user_ttl_seconds, cluster, target.is_some())?);
            Ok(target)
        }
        Made::Target { kind, type_name, parent } => {
            item.target = Some(target_facts(kind, type_name)?);
            match parent {
                TargetChoice::Without | TargetChoice::Same => Ok(None),
                TargetChoice::Named(path) => parent_of(q, who, (item, path), now).map(Some),
            }
        }
        Made::Rotated(made) => rotated::made(q, (who, gateway), item, made, now),
    }
}

/// Sets what is known of an item whose value changes; gives the target that it uses from now on,
/// where that may be another one than before.
///
/// # Errors
/// As [`made`]; [`Fault::bad_request`] when it would become something else.
pub(crate) fn remade(
    q: &dyn Query,
    who: &Principal,
    item: &mut Item,
    made: Option<&Made>,
    now: Timestamp,
) -> Result<Option<Option<ItemId>>, Fault> {
    match (made, &item.engine, &item.target) {
        (Some(Made::Rotated(made)), ..) => rotated::remade(q, who, item, made, now),
        (None | Some(Made::Static), None, None) if item.rotation.is_none() => Ok(None),
        (Some(Made::Dynamic { engine, user_ttl_seconds, target }), Some(old), _)
            if *engine == old.engine =>
        {
            let (cluster, needed) = (old.cluster, old.needs_target);
            let used = match target {
                TargetChoice::Without => Some(None),
                TargetChoice::Same => {
                    check_used(q, who, item, now)?;
                    None
                }
                TargetChoice::Named(path) => Some(Some(chosen(q, who, path, now)?)),
            };
            let needs_target = used.map_or(needed, |target| target.is_some());
            item.engine = Some(facts(engine, *user_ttl_seconds, cluster, needs_target)?);
            Ok(used)
        }
        (Some(Made::Target { kind, type_name, parent }), _, Some(old)) if *kind == old.kind => {
            item.target = Some(target_facts(kind, type_name)?);
            match parent {
                TargetChoice::Same => Ok(None),
                TargetChoice::Without => Ok(Some(None)),
                TargetChoice::Named(path) => {
                    parent_of(q, who, (item, path), now).map(|parent| Some(Some(parent)))
                }
            }
        }
        _ => Err(Fault::bad_request(format!(
            "{} is a {}, whose value is changed by the commands for that",
            item.called(),
            item.kind.type_name()
        ))),
    }
}

fn facts(
    engine: &str,
    user_ttl_seconds: i64,
    cluster: i64,
    needs_target: bool,
) -> Result<EngineFacts, Fault> {
    check_name("engine", engine)?;
    if !engine::is_ttl(user_ttl_seconds) {
        return Err(Fault::bad_request(format!(
            "invalid user-ttl: {user_ttl_seconds} seconds; 1 to {TTL_SECONDS_MAX} are possible"
        )));
    }
    Ok(EngineFacts { engine: engine.to_owned(), user_ttl_seconds, cluster, needs_target })
}

fn target_facts(kind: &str, type_name: &str) -> Result<TargetFacts, Fault> {
    check_name("kind of target", kind)?;
    check_name("type of target", type_name)?;
    Ok(TargetFacts { kind: kind.to_owned(), type_name: type_name.to_owned() })
}

/// Refuses what cannot be the name of a member.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Fault> {
    if engine::is_name(name) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid {what}: it has 1 to {} lower-case letters, digits, '-' and '_'",
        engine::NAME_BYTES_MAX
    )))
}

/// A target that somebody may use: `list` is all it takes.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`]; [`Fault::forbidden`] for one that is disabled.
pub(crate) fn chosen(
    q: &dyn Query,
    who: &Principal,
    path: &ItemPath,
    now: Timestamp,
) -> Result<ItemId, Fault> {
    check_place(ItemKind::Target, path)?;
    let found =
        permitted(who, path, Capability::List, now, || stored::by_path(q, who.account, path))?;
    check_enabled(&found)?;
    Ok(found.id)
}

/// Demands what it takes to say anew what an item does on the target that it has: the same as to
/// choose that target, as its user does it.
///
/// # Errors
/// [`Fault::unauthorized`] without `list` on the target.
pub(crate) fn check_used(
    q: &dyn Query,
    who: &Principal,
    item: &Item,
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(target) = item_targets::of_item(q, item.id)? else { return Ok(()) };
    let Some(target) = stored::by_id(q, who.account, target)? else { return Ok(()) };
    let listed = who.require(RuleKind::Item, target.path.as_str(), Capability::List, now);
    // Who may not list it is not told its name.
    listed.map_err(|_| {
        Fault::unauthorized(format!(
            "what {} does on its target takes list on that target to be changed; ask for a rule \
             for it, or have somebody change it who has one",
            item.called()
        ))
    })
}

/// The target that is to be another one's parent. Who says where the parent's credentials go could
/// have them sent to themselves, so it takes the right to read them.
fn parent_of(
    q: &dyn Query,
    who: &Principal,
    (item, path): (&Item, &ItemPath),
    now: Timestamp,
) -> Result<ItemId, Fault> {
    let parent = chosen(q, who, path, now)?;
    if parent == item.id || item_targets::of_item(q, parent)?.is_some() {
        return Err(Fault::bad_request(format!(
            "invalid parent: {} has a parent itself, or is the target itself",
            target::shown(path.as_str()).unwrap_or(path.as_str())
        )));
    }
    who.require(RuleKind::Item, path.as_str(), Capability::Read, now)?;
    Ok(parent)
}

/// Demands what it takes to say where the credentials of a target's parent go.
///
/// # Errors
/// [`Fault::unauthorized`] without `read` on the parent.
pub(crate) fn check_hosts(
    q: &dyn Query,
    (who, item): (&Principal, &Item),
    moved: bool,
    now: Timestamp,
) -> Result<(), Fault> {
    if !moved || item.kind != ItemKind::Target {
        return Ok(());
    }
    let Some(parent) = item_targets::of_item(q, item.id)? else { return Ok(()) };
    let Some(parent) = stored::by_id(q, who.account, parent)? else { return Ok(()) };
    who.require(RuleKind::Item, parent.path.as_str(), Capability::Read, now)
}

/// Targets' items that are looked at, at most: more than an account can have.
const ITEMS_MAX: usize = 10_000_000;
/// Temporary credentials that are counted for somebody, at most.
const LEASES_COUNTED_MAX: usize = 1_000;

/// Refuses to say another place, where `moved` or `used` do so, while temporary credentials are at
/// the one so far: they would be looked for at the new one, and stay for good.
///
/// # Errors
/// [`Fault::conflict`] with what to do.
pub(crate) fn check_move(
    q: &dyn Query,
    item: &Item,
    used: Option<Option<ItemId>>,
    moved: bool,
) -> Result<(), Fault> {
    let holders = match item.kind {
        ItemKind::DynamicSecret => {
            let another = match used {
                Some(target) => target != item_targets::of_item(q, item.id)?,
                None => false,
            };
            if moved || another { vec![item.id] } else { Vec::new() }
        }
        ItemKind::Target if moved => item_targets::of_target(q, item.id, ITEMS_MAX)?,
        _ => Vec::new(),
    };
    for holder in holders {
        if credential_leases::count(q, holder, 1)? > 0 {
            return Err(Fault::conflict(format!(
                "temporary credentials are left where {} was so far, and could not be removed \
                 afterwards; revoke them first with dynamic-secret-tmp-creds-delete --revoke-all, \
                 or have them forgotten with --soft-delete",
                item.called()
            ))
            .with_code("LeasesLeft"));
        }
    }
    Ok(())
}

/// Refuses to delete a target that temporary credentials are on, however much somebody wants it:
/// nobody could remove them there any more.
fn check_no_leases(q: &dyn Query, item: &Item) -> Result<(), Fault> {
    let mut left = 0;
    for holder in item_targets::of_target(q, item.id, ITEMS_MAX)? {
        left += credential_leases::count(q, holder, LEASES_COUNTED_MAX - left)?;
        if left >= LEASES_COUNTED_MAX {
            break;
        }
    }
    if left == 0 {
        return Ok(());
    }
    let many = if left < LEASES_COUNTED_MAX { "" } else { "at least " };
    Err(Fault::conflict(format!(
        "{} has {many}{left} temporary credentials of dynamic secrets, which could not be removed \
         there without it, force-deletion or not; revoke them first with \
         dynamic-secret-tmp-creds-delete --revoke-all and wait until they are gone, or have them \
         forgotten with --soft-delete",
        item.called()
    ))
    .with_code("LeasesLeft"))
}

/// Refuses to delete what something else still needs: a dynamic secret whose credentials are not
/// removed, a target that items use, a rotated secret that nobody knows the credentials of. Keys
/// have rules of their own.
///
/// # Errors
/// [`Fault::conflict`] with what to do.
pub(crate) fn check_unneeded(
    q: &dyn Query,
    item: &Item,
    force: bool,
    now: Timestamp,
) -> Result<(), Fault> {
    match item.kind {
        ItemKind::DynamicSecret if credential_leases::count(q, item.id, 1)? > 0 => {
            Err(Fault::conflict(format!(
                "{} has temporary credentials, which could not be removed without it; revoke them \
                 first with dynamic-secret-tmp-creds-delete --revoke-all and wait until they are \
                 gone, or have them forgotten with --soft-delete",
                item.called()
            ))
            .with_code("LeasesLeft"))
        }
        ItemKind::Target if !force && !target_assocs::of_target(q, item.id, 1)?.is_empty() => {
            Err(Fault::conflict(format!(
                "{} is associated with items for remote access; delete the associations with \
                 delete-assoc-target-item, or set force-deletion",
                item.called()
            ))
            .with_code("TargetInUse"))
        }
        ItemKind::Target if !force && !item_targets::of_target(q, item.id, 1)?.is_empty() => {
            Err(Fault::conflict(format!(
                "{} is used by items or by linked targets, which would stop working; give them \
                 another target, or set force-deletion",
                item.called()
            ))
            .with_code("TargetInUse"))
        }
        ItemKind::Target => check_no_leases(q, item),
        ItemKind::RotatedSecret if !force => rotated::check_still(q, item, now),
        _ => Ok(()),
    }
}
