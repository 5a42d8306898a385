//! Locking items: for a time, one bearer keeps others from reading or changing an item.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_base::limits::LOCK_MINUTES_MAX;
use keysherd_domain::item::{Item, ItemLock};
use keysherd_domain::role::Capability;
use keysherd_plane::items::{ItemLockSet, ItemUnlock};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Tx, items as stored};

use super::usable::lock_in_force;
use super::{Changing, ItemChange, account_now, actor};
use crate::control::Control;
use crate::credential_rotations;

/// Locks an item for everyone but the caller; a lock of the caller's own is replaced.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path, [`Fault::forbidden`] when somebody else
/// holds a lock or the account does not allow locking, [`Fault::bad_request`] for a lock that locks
/// nothing or for too long.
pub(crate) async fn lock(
    control: &Control,
    caller: &Caller,
    message: ItemLockSet,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let actions = match (message.read, message.update) {
        (true, true) => "read,update",
        (true, false) => "read",
        _ => "update",
    };
    let changing = Changing {
        path: message.path.clone(),
        capability: Capability::Update,
        action: action::LOCK_ITEM,
        params: vec![
            Param::public("actions", actions),
            Param::public("lock_ttl", message.ttl_minutes.to_string()),
        ],
    };
    let edit = move |tx: &Tx, change: &ItemChange, item| set(tx, change, item, &message);
    control.change_item(caller, who, changing, edit).await
}

fn set(tx: &Tx, change: &ItemChange, mut item: Item, message: &ItemLockSet) -> Result<Done, Fault> {
    if account_now(tx, item.account)?.settings.item_locking_disabled {
        return Err(Fault::forbidden(
            "locking items is switched off for the account; ask an administrator",
        ));
    }
    if !message.read && !message.update {
        return Err(Fault::bad_request("invalid actions: name 'read', 'update' or both"));
    }
    if !(1..=LOCK_MINUTES_MAX).contains(&message.ttl_minutes) {
        return Err(Fault::bad_request(format!(
            "invalid lock-ttl {}: it must be 1 to {LOCK_MINUTES_MAX} minutes",
            message.ttl_minutes
        )));
    }
    check_holder(&item, change, false)?;
    item.lock = Some(ItemLock {
        by: actor(&change.who),
        read: message.read,
        update: message.update,
        expires: change.now.plus_seconds(i64::from(message.ttl_minutes) * 60),
    });
    stored::update(tx, &item)?;
    credential_rotations::locked(tx, &item)?;
    Ok(Done)
}

/// Unlocks an item; one that is not locked stays so.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path, [`Fault::forbidden`] unless the caller
/// holds the lock or is an administrator.
pub(crate) async fn unlock(
    control: &Control,
    caller: &Caller,
    message: ItemUnlock,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let changing = Changing {
        path: message.path,
        capability: Capability::Update,
        action: action::UNLOCK_ITEM,
        params: Vec::new(),
    };
    let edit = |tx: &Tx, change: &ItemChange, mut item: Item| {
        check_holder(&item, change, true)?;
        let was_locked = lock_in_force(&item, change.now).is_some();
        item.lock = None;
        stored::update(tx, &item)?;
        if was_locked {
            credential_rotations::unlocked(tx, &item, change.now)?;
        }
        Ok(Done)
    };
    control.change_item(caller, who, changing, edit).await
}

/// Refuses to touch a lock that somebody else holds.
fn check_holder(item: &Item, change: &ItemChange, admins_too: bool) -> Result<(), Fault> {
    let Some(lock) = lock_in_force(item, change.now) else { return Ok(()) };
    if lock.by == actor(&change.who) || (admins_too && change.who.is_admin()) {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "item {} is locked by access id {} until {}; only they or an administrator can unlock it",
        item.path, lock.by.access_id, lock.expires
    ))
    .with_code("ItemLocked"))
}
