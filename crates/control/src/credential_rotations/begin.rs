//! Rotations that somebody asks for and waits for.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::credential_rotation::{Busy, Reason};
use keysherd_domain::item::Item;
use keysherd_domain::role::Capability;
use keysherd_plane::Caller;
use keysherd_plane::credential_rotations::{RotationBegin, RotationBeginReply};
use keysherd_store::{Tx, credential_rotations as stored, item_versions};

use super::facts::owns_target;
use super::prepare::{Prepared, hand_out, prepare};
use super::{facts_of, standing, subject};
use crate::clusters::serves;
use crate::control::Control;
use crate::gateways::GatewayIdentity;
use crate::items::state::no_such_version;
use crate::items::usable::{Use, check_enabled, check_unlocked};
use crate::items::{Changing, ItemChange};

/// Begins a rotation at `gateway`.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the rotated secret, or what its target takes;
/// [`Fault::not_found`], also of a version to go back to; [`Fault::conflict`] while somebody else
/// is at work; [`Fault::forbidden`] by state, lock, or for a gateway of another cluster;
/// [`Fault::bad_request`] for an item that is no rotated secret.
pub(crate) async fn begin(
    control: &Control,
    gateway: &GatewayIdentity,
    caller: &Caller,
    message: RotationBegin,
) -> Result<RotationBeginReply, Fault> {
    let who = control.principal(caller).await?;
    let mut params = vec![Param::public("reason", message.reason.name())];
    if let Reason::Rollback(version) = message.reason {
        params.push(Param::public("old_version", version.to_string()));
    }
    let changing = Changing {
        path: message.item.clone(),
        capability: Capability::Update,
        action: action::ROTATE_ITEM,
        params,
    };
    let (at, now) = (*gateway, control.now());
    let edit = move |tx: &Tx, change: &ItemChange, item| begun(tx, change, item, &at, &message);
    let prepared = control.change_item(caller, who, changing, edit).await?;
    let (work, permits) = hand_out(control, gateway, vec![prepared], now).await?;
    let nothing = || Fault::internal("a rotation was begun and not handed out");
    let work = work.into_iter().next().ok_or_else(nothing)?;
    Ok(RotationBeginReply { work, permits })
}

fn begun(
    tx: &Tx,
    change: &ItemChange,
    item: Item,
    gateway: &GatewayIdentity,
    message: &RotationBegin,
) -> Result<Prepared, Fault> {
    let (who, now) = (&change.who, change.now);
    let facts = facts_of(&item)?;
    if !matches!(message.reason, Reason::Manual | Reason::Rollback(_)) {
        return Err(Fault::bad_request("nobody asks for a rotation for that reason"));
    }
    check_enabled(&item)?;
    check_unlocked(&item, who, Use::Update, now)?;
    serves(tx, gateway, &item)?;
    let subject = subject(tx, &item, facts)?;
    if facts.of_target {
        owns_target(tx, who, (&item, subject.id), now)?;
        check_unlocked(&subject, who, Use::Update, now)?;
    }
    if let Reason::Rollback(version) = message.reason
        && item_versions::get(tx, subject.id, version)?.is_none()
    {
        return Err(no_such_version(&subject, version));
    }
    let mut rotation = standing(tx, &item)?.rotation;
    let attempt = rotation
        .begin(facts, message.reason, &gateway.spki_sha256, now)
        .map_err(|why| busy(&item, why))?;
    let prepared = prepare(tx, &item, &rotation, attempt, message.salt)?;
    stored::update(tx, item.id, &rotation)?;
    Ok(prepared)
}

fn busy(item: &Item, why: Busy) -> Fault {
    let called = item.called();
    let text = match why {
        Busy::Working(until) => format!(
            "{called} is being rotated; wait for the end of that, which is at {} at the latest",
            shown(until)
        ),
        Busy::Unfinished => format!(
            "{called} has a rotation that has not come to an end; have it rotated first, which \
             brings that to its end"
        ),
        Busy::Quiet(until) => format!(
            "{called} was rotated by a gateway that followed one which was not heard of again; as \
             that one may still be at it, ask again at {}",
            shown(until)
        ),
    };
    Fault::conflict(text).with_code("RotationUnderWay")
}

fn shown(time: Timestamp) -> String {
    time.to_string()
}
