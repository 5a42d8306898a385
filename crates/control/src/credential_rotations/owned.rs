//! What people who use the credentials say: that they want them alone, and that they are done.

use keysherd_audit::action;
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::credential_rotation::Reason;
use keysherd_domain::item::{Item, ItemLock};
use keysherd_domain::role::Capability;
use keysherd_plane::credential_rotations::{RotatedCheckOut, RotatedCheckedOut, RotatedDisconnect};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Tx, credential_rotations as stored, items};

use super::{facts_of, locked, standing};
use crate::control::Control;
use crate::items::usable::{Use, check_enabled, check_unlocked, lock_in_force};
use crate::items::{Changing, ItemChange, actor};
use crate::session::Principal;

/// Demands that who reads credentials that are checked out has done so.
///
/// # Errors
/// [`Fault::conflict`] with the code `CheckOutFirst`.
pub(crate) fn check_checked_out(item: &Item, who: &Principal, now: Timestamp) -> Result<(), Fault> {
    let by_who = |lock: &&ItemLock| lock.read && lock.update && lock.by == actor(who);
    let free = item.rotation.as_ref().is_none_or(|facts| facts.check_out.is_none());
    if free || lock_in_force(item, now).filter(by_who).is_some() {
        return Ok(());
    }
    Err(Fault::conflict(format!("{} is read by one at a time; check it out first", item.called()))
        .with_code("CheckOutFirst"))
}

/// Locks a rotated secret for its caller, where it is set up so. Who has it keeps it until the time
/// that was said first.
///
/// # Errors
/// [`Fault::unauthorized`] without `read` on it, [`Fault::not_found`]; [`Fault::forbidden`] by
/// state or while somebody else has it; [`Fault::bad_request`] for an item that is none.
pub(crate) async fn check_out(
    control: &Control,
    caller: &Caller,
    message: RotatedCheckOut,
) -> Result<RotatedCheckedOut, Fault> {
    let who = control.principal(caller).await?;
    let changing = Changing {
        path: message.item,
        capability: Capability::Read,
        action: action::CHECK_OUT_ITEM,
        params: Vec::new(),
    };
    let edit = |tx: &Tx, change: &ItemChange, mut item: Item| {
        let Some(out) = facts_of(&item)?.check_out else {
            return Ok(RotatedCheckedOut { until: None });
        };
        let (who, now) = (&change.who, change.now);
        check_enabled(&item)?;
        for wanted in [Use::Read, Use::Update] {
            check_unlocked(&item, who, wanted, now)?;
        }
        let until = now.plus_seconds(i64::from(out.lock_minutes) * 60);
        let held = lock_in_force(&item, now).map(|lock| lock.expires);
        let expires = held.unwrap_or(until);
        item.lock = Some(ItemLock { by: actor(who), read: true, update: true, expires });
        items::update(tx, &item)?;
        locked(tx, &item)?;
        Ok(RotatedCheckedOut { until: Some(expires) })
    };
    control.change_item(caller, who, changing, edit).await
}

/// Has credentials changed that a session has used, where that is set up.
///
/// # Errors
/// [`Fault::unauthorized`] without `read` on it, [`Fault::not_found`]; [`Fault::bad_request`] for
/// an item that is none.
pub(crate) async fn disconnect(
    control: &Control,
    caller: &Caller,
    message: RotatedDisconnect,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let changing = Changing {
        path: message.item,
        capability: Capability::Read,
        action: action::END_SESSION,
        params: Vec::new(),
    };
    let edit = |tx: &Tx, change: &ItemChange, item: Item| {
        if facts_of(&item)?.after_disconnect {
            let mut rotation = standing(tx, &item)?.rotation;
            rotation.ask(Reason::Disconnect, change.now);
            stored::update(tx, item.id, &rotation)?;
        }
        Ok(Done)
    };
    control.change_item(caller, who, changing, edit).await
}
