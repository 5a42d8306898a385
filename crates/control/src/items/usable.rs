//! Whether an item may be used or changed at all, whoever asks: state, lock, delete protection.

use keysherd_base::{Fault, Timestamp};
use keysherd_domain::item::{Item, ItemLock, ItemState, ItemVersion};

use super::actor;
use crate::session::Principal;

/// What a lock keeps others from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reading its value, or using it when it is a key.
    Read,
    /// Changing or deleting it.
    Update,
}

/// Refuses an item that is disabled or about to be deleted.
///
/// # Errors
/// [`Fault::forbidden`].
pub(crate) fn check_enabled(item: &Item) -> Result<(), Fault> {
    match item.state {
        ItemState::Enabled => Ok(()),
        ItemState::Disabled => Err(Fault::forbidden(format!(
            "{} is disabled; enable it with set-item-state",
            item.called()
        ))
        .with_code("ItemDisabled")),
        ItemState::PendingDeletion => {
            let when = item.deletion_at.map(|time| format!(" at {time}")).unwrap_or_default();
            Err(Fault::forbidden(format!(
                "{} is pending deletion and will be gone{when}; cancel that by enabling it with \
                 set-item-state",
                item.called()
            ))
            .with_code("ItemPendingDeletion"))
        }
    }
}

/// Refuses a version that is not enabled.
///
/// # Errors
/// [`Fault::forbidden`].
pub(crate) fn check_version_enabled(item: &Item, version: &ItemVersion) -> Result<(), Fault> {
    if version.state == ItemState::Enabled {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "version {} of {} is disabled; enable it with set-item-state or use another version",
        version.version,
        item.called()
    ))
    .with_code("ItemDisabled"))
}

/// The lock that is in force, whoever holds it.
pub(crate) fn lock_in_force(item: &Item, now: Timestamp) -> Option<&ItemLock> {
    item.lock.as_ref().filter(|lock| now < lock.expires)
}

/// Refuses what somebody else's lock keeps the bearer from.
///
/// # Errors
/// [`Fault::forbidden`] with who holds the lock and until when.
pub(crate) fn check_unlocked(
    item: &Item,
    who: &Principal,
    wanted: Use,
    now: Timestamp,
) -> Result<(), Fault> {
    let Some(lock) = lock_in_force(item, now) else { return Ok(()) };
    let (covered, doing) = match wanted {
        Use::Read => (lock.read, "reading"),
        Use::Update => (lock.update, "updates"),
    };
    if !covered || lock.by == actor(who) {
        return Ok(());
    }
    let bearer = match lock.by.unique_id.as_str() {
        "" => String::new(),
        unique_id => format!(" ({unique_id})"),
    };
    Err(Fault::forbidden(format!(
        "{} is locked for {doing} by access id {}{bearer} until {}; wait, or ask them or an \
         administrator to unlock it",
        item.called(),
        lock.by.access_id,
        lock.expires
    ))
    .with_code("ItemLocked"))
}

/// Refuses to delete what is protected against it.
///
/// # Errors
/// [`Fault::forbidden`].
pub(crate) fn check_deletable(item: &Item) -> Result<(), Fault> {
    if !item.delete_protection {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "{} has delete protection; switch it off first with update-item",
        item.called()
    ))
    .with_code("DeleteProtection"))
}
