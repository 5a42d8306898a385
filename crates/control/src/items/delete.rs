//! Deleting an item or one of its versions.
//!
//! Secrets go at once. Keys go after some days, unless that is asked away twice over: everything
//! under a deleted key is lost.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, Timestamp};
use keysherd_domain::item::{Item, ItemState, KeyInfo};
use keysherd_domain::role::Capability;
use keysherd_plane::Caller;
use keysherd_plane::items::{DeleteVersions, ItemDelete, ItemDeleteReply};
use keysherd_store::{Tx, item_versions, items as stored, keys};

use super::made::check_unneeded;
use super::state::{check_unused, no_such_version};
use super::usable::{Use, check_deletable, check_unlocked};
use super::{Changing, ItemChange};
use crate::control::Control;
use crate::credential_rotations::facts::{check_still, check_version_unneeded};

mod many;

pub(crate) use many::{delete_many, each_below};

/// Days a key may be kept before it is gone.
const DAYS: std::ops::RangeInclusive<i64> = 1..=365;
/// Stands for no days at all, together with the wish to delete at once.
const AT_ONCE: i64 = -1;
const SECONDS_PER_DAY: i64 = 86_400;

/// Deletes an item or one of its versions.
///
/// # Errors
/// [`Fault::unauthorized`] without `delete` on the path, [`Fault::not_found`] for an item or
/// version that is not there, [`Fault::forbidden`] by protection, lock or for a key in use,
/// [`Fault::bad_request`] for what cannot be deleted in this way.
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: ItemDelete,
) -> Result<ItemDeleteReply, Fault> {
    let who = control.principal(caller).await?;
    let version = match message.versions {
        DeleteVersions::All => "all".to_owned(),
        DeleteVersions::Latest => "latest".to_owned(),
        DeleteVersions::Exactly(number) => number.to_string(),
    };
    let changing = Changing {
        path: message.path.clone(),
        capability: Capability::Delete,
        action: action::DELETE_ITEM,
        params: vec![Param::public("version", version)],
    };
    let edit = move |tx: &Tx, change: &ItemChange, item| edit(tx, change, item, &message);
    control.change_item(caller, who, changing, edit).await
}

fn edit(
    tx: &Tx,
    change: &ItemChange,
    item: Item,
    message: &ItemDelete,
) -> Result<ItemDeleteReply, Fault> {
    check_unlocked(&item, &change.who, Use::Update, change.now)?;
    check_deletable(&item)?;
    let mut reply = ItemDeleteReply {
        path: item.path.clone(),
        id: item.id,
        uid: item.uid,
        deletion_at: None,
        version: None,
    };
    match message.versions {
        DeleteVersions::All => reply.deletion_at = delete_all(tx, item, message, change.now)?,
        DeleteVersions::Latest => {
            let newest = item.last_version;
            reply.version = Some(delete_version(tx, item, newest, change.now)?);
        }
        DeleteVersions::Exactly(number) => {
            reply.version = Some(delete_version(tx, item, number, change.now)?);
        }
    }
    Ok(reply)
}

/// Deletes the item, or schedules that; gives when.
fn delete_all(
    tx: &Tx,
    mut item: Item,
    message: &ItemDelete,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    check_unneeded(tx, &item, message.force, now)?;
    let Some(key) = item.key.clone() else {
        stored::delete(tx, item.id)?;
        return Ok(None);
    };
    check_unused(tx, &item, &key, "deleted")?;
    let Some(days) = days(message)? else {
        delete_key(tx, &item, &key)?;
        return Ok(None);
    };
    let at = now.plus_seconds(days * SECONDS_PER_DAY);
    item.state = ItemState::PendingDeletion;
    item.deletion_at = Some(at);
    item.modified = now;
    keys::set_state(tx, key.key_id, item.state)?;
    stored::update(tx, &item)?;
    Ok(Some(at))
}

/// Days until a key is gone; `None`: at once.
fn days(message: &ItemDelete) -> Result<Option<i64>, Fault> {
    match message.in_days {
        AT_ONCE if message.immediately => Ok(None),
        days if DAYS.contains(&days) => Ok(Some(days)),
        days => Err(Fault::bad_request(format!(
            "invalid delete-in-days {days}: a key is deleted after 1 to 365 days, or at once with \
             delete-in-days -1 together with delete-immediately"
        ))),
    }
}

/// Deletes a key that nothing needs any more, with its manifests.
pub(crate) fn delete_key(tx: &Tx, item: &Item, key: &KeyInfo) -> Result<(), Fault> {
    stored::delete(tx, item.id)?;
    keys::delete(tx, key.key_id)?;
    Ok(())
}

/// Deletes one version, which must not be the only one; gives its number.
///
/// A version from the middle leaves a gap. When the newest one goes, the one before it is the
/// newest, and its number is `last_version`.
fn delete_version(tx: &Tx, mut item: Item, number: u32, now: Timestamp) -> Result<u32, Fault> {
    if item.kind.is_key() {
        return Err(Fault::bad_request(format!(
            "item {} is a key, of which no single version can be deleted; delete the key",
            item.path
        )));
    }
    check_still(tx, &item, now)?;
    check_version_unneeded(tx, &item, number)?;
    if !item_versions::delete(tx, item.id, number)? {
        return Err(no_such_version(&item, number));
    }
    let newest = item_versions::latest(tx, item.id)?.ok_or_else(|| {
        Fault::forbidden(format!(
            "version {number} is the only one of item {} and cannot be deleted; delete the item \
             (version -1)",
            item.path
        ))
    })?;
    item.last_version = newest.version;
    item.size_bytes = newest.ciphertext.len() as u64;
    item.protection_key = newest.protection_key;
    item.modified = now;
    stored::update(tx, &item)?;
    Ok(number)
}
