//! What a rotated secret is set up as, and what it takes to set it up so.

use keysherd_base::limits::LOCK_MINUTES_MAX;
use keysherd_base::{Fault, ItemId, Timestamp};
use keysherd_domain::credential_rotation::CredentialRotation;
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_domain::rotated_secret::{
    DAYS_MAX, Grace, Interval, MINUTES_MAX, NOTICES_MAX, RotationFacts,
};
use keysherd_plane::items::{MadeRotated, TargetChoice};
use keysherd_store::{Query, credential_rotations as stored, item_targets, items};

use crate::clusters::access::cluster_of;
use crate::gateways::GatewayIdentity;
use crate::items::account_now;
use crate::items::made::{check_name, check_used, chosen};
use crate::session::Principal;

/// Items of one target that are looked at.
const USERS_MAX: usize = 10_000;

/// Sets what is known of a new rotated secret; gives its target.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`] for a target that the caller may not list, or
/// not read and update where its own credentials are to change; [`Fault::forbidden`] for one that
/// is disabled, and by the account's policies; [`Fault::conflict`] when something else changes the
/// target's own credentials; [`Fault::bad_request`] for what cannot be.
pub(crate) fn made(
    q: &dyn Query,
    (who, gateway): (&Principal, &GatewayIdentity),
    item: &mut Item,
    made: &MadeRotated,
    now: Timestamp,
) -> Result<Option<ItemId>, Fault> {
    let TargetChoice::Named(path) = &made.target else {
        return Err(Fault::bad_request("a rotated secret needs a target; name one"));
    };
    let target = chosen(q, who, path, now)?;
    if made.of_target {
        owns_target(q, who, (item, target), now)?;
    }
    let cluster = cluster_of(q, gateway, who)?.map_or(0, |cluster| cluster.id);
    item.rotation = Some(facts(q, item, made, cluster)?);
    Ok(Some(target))
}

/// Sets what is known of a rotated secret whose settings change; gives its target, where that may
/// be another one than before.
///
/// # Errors
/// As [`made`], where the target's user does it from now on; [`Fault::bad_request`] when it would
/// become something else.
pub(crate) fn remade(
    q: &dyn Query,
    who: &Principal,
    item: &mut Item,
    made: &MadeRotated,
    now: Timestamp,
) -> Result<Option<Option<ItemId>>, Fault> {
    let same = |old: &&RotationFacts| {
        (&old.rotator, &old.rotator_type, old.of_target)
            == (&made.rotator, &made.rotator_type, made.of_target)
    };
    let old = item.rotation.as_ref().filter(same).ok_or_else(|| {
        Fault::bad_request(format!(
            "{} does not change credentials of this kind; make another rotated secret for them",
            item.called()
        ))
    })?;
    let cluster = old.cluster;
    let target = match &made.target {
        TargetChoice::Same => {
            if made.by_target || old.by_target {
                check_used(q, who, item, now)?;
            }
            None
        }
        TargetChoice::Named(path) if !made.of_target => Some(chosen(q, who, path, now)?),
        TargetChoice::Named(path) => {
            let same = item_targets::of_item(q, item.id)? == Some(chosen(q, who, path, now)?);
            if !same {
                return Err(Fault::bad_request(format!(
                    "{} changes its target's own credentials; make another one for that target",
                    item.called()
                )));
            }
            None
        }
        TargetChoice::Without => {
            return Err(Fault::bad_request("a rotated secret needs a target; name one"));
        }
    };
    item.rotation = Some(facts(q, item, made, cluster)?);
    Ok(target.map(Some))
}

/// Demands what it takes to change a target's own credentials, now and later: everybody who uses
/// the target gets them.
///
/// # Errors
/// [`Fault::unauthorized`]; [`Fault::conflict`] when another item does so.
pub(super) fn owns_target(
    q: &dyn Query,
    who: &Principal,
    (item, target): (&Item, ItemId),
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(target) = items::by_id(q, item.account, target)? else { return Ok(()) };
    for capability in [Capability::Read, Capability::Update] {
        who.require(RuleKind::Item, target.path.as_str(), capability, now)?;
    }
    match rotators_of(q, &target)?.into_iter().find(|other| other.id != item.id) {
        None => Ok(()),
        Some(_) => Err(Fault::conflict(format!(
            "the credentials of {} are changed by another rotated secret already; use that one",
            target.called()
        ))),
    }
}

/// The rotated secrets that change a target's own credentials.
fn rotators_of(q: &dyn Query, target: &Item) -> Result<Vec<Item>, Fault> {
    let mut found = Vec::new();
    for id in item_targets::of_target(q, target.id, USERS_MAX)? {
        let item = items::by_id(q, target.account, id)?;
        let rotates = |item: &Item| item.rotation.as_ref().is_some_and(|facts| facts.of_target);
        found.extend(item.filter(rotates));
    }
    Ok(found)
}

/// Refuses to touch the settings of what is being rotated: what is changed meanwhile would be lost,
/// and an old version may be the one that the target takes.
///
/// # Errors
/// [`Fault::conflict`].
pub(crate) fn check_still(q: &dyn Query, item: &Item, now: Timestamp) -> Result<(), Fault> {
    let rotated = match item.kind {
        ItemKind::RotatedSecret => vec![item.id],
        ItemKind::Target => rotators_of(q, item)?.into_iter().map(|item| item.id).collect(),
        ItemKind::StaticSecret | ItemKind::DynamicSecret | ItemKind::Key(_) => Vec::new(),
    };
    for id in rotated {
        let found = stored::get(q, id)?;
        if found.is_some_and(|found| found.rotation.is_under_way(now)) {
            return Err(Fault::conflict(format!(
                "{} is being rotated, or a rotation has not come to an end; try again in a \
                 minute, and see describe-item for what keeps it",
                item.called()
            ))
            .with_code("RotationUnderWay"));
        }
    }
    Ok(())
}

/// The rotations whose credentials are in the versions of an item.
///
/// # Errors
/// Those of the store.
pub(super) fn of_versions(q: &dyn Query, item: &Item) -> Result<Vec<CredentialRotation>, Fault> {
    let secrets = match (item.kind, &item.rotation) {
        (ItemKind::RotatedSecret, Some(facts)) if !facts.of_target => vec![item.id],
        (ItemKind::Target, _) => rotators_of(q, item)?.into_iter().map(|item| item.id).collect(),
        _ => Vec::new(),
    };
    let found = secrets.into_iter().map(|id| stored::get(q, id));
    let found: Vec<_> = found.collect::<Result<_, Fault>>()?;
    Ok(found.into_iter().flatten().map(|found| found.rotation).collect())
}

/// Refuses to delete the version that has what the target takes, or has what is still to be removed
/// there.
///
/// # Errors
/// [`Fault::conflict`].
pub(crate) fn check_version_unneeded(q: &dyn Query, item: &Item, number: u32) -> Result<(), Fault> {
    for rotation in of_versions(q, item)? {
        if number == item.last_version {
            return Err(Fault::conflict(format!(
                "version {number} of {} has the credentials that are in force, and what was before \
                 does not sign in any more; go back with rollback-secret, or rotate it",
                item.called()
            )));
        }
        if let Some(old) = rotation.retiring.filter(|old| old.version == number) {
            return Err(Fault::conflict(format!(
                "version {number} of {} has credentials that are to be removed at {}, for which it \
                 is needed; delete it after that",
                item.called(),
                old.at
            )));
        }
    }
    Ok(())
}

fn facts(
    q: &dyn Query,
    item: &Item,
    made: &MadeRotated,
    cluster: i64,
) -> Result<RotationFacts, Fault> {
    check_name("rotator", &made.rotator)?;
    check_name("rotator-type", &made.rotator_type)?;
    let MadeRotated { schedule, grace, check_out, notices, .. } = made;
    if !schedule.interval.is_possible() {
        return Err(Fault::bad_request(format!(
            "invalid rotation-interval: 1 to {DAYS_MAX} days are possible, or 1 to {MINUTES_MAX} \
             minutes where it is in minutes"
        )));
    }
    if schedule.hour > 23 {
        let hour = schedule.hour;
        return Err(Fault::bad_request(format!(
            "invalid rotation-hour {hour}: it is 0 to 23, UTC"
        )));
    }
    let longest = account_now(q, item.account)?.settings.rotation_days_max();
    if let Some(days) = longest.filter(|days| over(schedule.interval, *days)) {
        return Err(Fault::forbidden(format!(
            "the account wants secrets rotated every {days} days at least; choose a shorter \
             rotation-interval"
        )));
    }
    grace.iter().try_for_each(|grace| check_grace(grace, schedule.interval))?;
    if notices.len() > NOTICES_MAX || !notices.iter().all(|days| (1..=DAYS_MAX).contains(days)) {
        return Err(Fault::bad_request(format!(
            "invalid rotation-event-in: at most {NOTICES_MAX} numbers of days, each 1 to {DAYS_MAX}"
        )));
    }
    if check_out.is_some_and(|out| !(1..=LOCK_MINUTES_MAX).contains(&out.lock_minutes)) {
        return Err(Fault::bad_request(format!(
            "invalid lock-ttl: it must be 1 to {LOCK_MINUTES_MAX} minutes"
        )));
    }
    Ok(RotationFacts {
        rotator: made.rotator.clone(),
        rotator_type: made.rotator_type.clone(),
        cluster,
        of_target: made.of_target,
        schedule: *schedule,
        grace: *grace,
        check_out: *check_out,
        after_disconnect: made.after_disconnect,
        by_target: made.by_target,
        notices: notices.clone(),
    })
}

fn check_grace(grace: &Grace, interval: Interval) -> Result<(), Fault> {
    let shorter = Interval::Days(grace.days).seconds() < interval.seconds();
    if grace.days == 0 || !shorter {
        return Err(Fault::bad_request(
            "invalid grace-rotation-interval: it is 1 day at least, and less than the \
             rotation-interval",
        ));
    }
    match grace.hour {
        Some(24..) => Err(Fault::bad_request("invalid grace-rotation-hour: it is 0 to 23, UTC")),
        _ => Ok(()),
    }
}

fn over(interval: Interval, days: u32) -> bool {
    interval.seconds() > Interval::Days(days).seconds()
}
