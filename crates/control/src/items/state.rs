//! Enabling and disabling items and versions, which also cancels a pending deletion.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_domain::item::{Item, ItemState, KeyInfo};
use keysherd_domain::role::Capability;
use keysherd_plane::items::ItemStateSet;
use keysherd_plane::{Caller, Done};
use keysherd_store::{Query, Tx, clusters, item_versions, items as stored};

use super::usable::{Use, check_unlocked};
use super::{Changing, ItemChange, account_now};
use crate::control::Control;

/// Sets the state of an item or of one of its versions.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path, [`Fault::not_found`] for an item or
/// version that is not there, [`Fault::forbidden`] by lock or for a key in use,
/// [`Fault::bad_request`] for a state that cannot be set.
pub(crate) async fn set(
    control: &Control,
    caller: &Caller,
    message: ItemStateSet,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let mut params = vec![Param::public("desired_state", message.state.name())];
    params.extend(message.version.map(|number| Param::public("version", number.to_string())));
    let changing = Changing {
        path: message.path.clone(),
        capability: Capability::Update,
        action: action::SET_ITEM_STATE,
        params,
    };
    let edit = move |tx: &Tx, change: &ItemChange, item| edit(tx, change, item, &message);
    control.change_item(caller, who, changing, edit).await
}

fn edit(
    tx: &Tx,
    change: &ItemChange,
    mut item: Item,
    message: &ItemStateSet,
) -> Result<Done, Fault> {
    check_unlocked(&item, &change.who, Use::Update, change.now)?;
    if message.state == ItemState::PendingDeletion {
        return Err(Fault::bad_request(
            "invalid desired-state PendingDeletion: use delete-item to delete an item",
        ));
    }
    if let Some(number) = message.version {
        set_version(tx, &item, number, message.state)?;
    } else {
        if let (Some(key), ItemState::Disabled) = (&item.key, message.state) {
            check_unused(tx, &item, key, "disabled")?;
        }
        if let Some(key) = &item.key {
            keysherd_store::keys::set_state(tx, key.key_id, message.state)?;
        }
        item.state = message.state;
        item.deletion_at = None;
    }
    item.modified = change.now;
    stored::update(tx, &item)?;
    Ok(Done)
}

fn set_version(tx: &Tx, item: &Item, number: u32, state: ItemState) -> Result<(), Fault> {
    if item.kind.is_key() {
        return Err(Fault::bad_request(format!(
            "item {} is a key; set the state of the key, not of a version",
            item.path
        )));
    }
    if item_versions::set_state(tx, item.id, number, state)? {
        return Ok(());
    }
    Err(no_such_version(item, number))
}

/// The fault of a version that is not there.
pub(crate) fn no_such_version(item: &Item, number: u32) -> Fault {
    Fault::not_found(format!(
        "item {} has no version {number}; describe-item with show-versions lists them",
        item.path
    ))
}

/// Refuses to take away a key that others need: the account's default, one that protects items, or
/// one that seals the configuration of a gateway cluster.
///
/// # Errors
/// [`Fault::forbidden`].
pub(crate) fn check_unused(
    q: &dyn Query,
    item: &Item,
    key: &KeyInfo,
    what: &'static str,
) -> Result<(), Fault> {
    let settings = account_now(q, item.account)?.settings;
    if settings.default_key == Some(item.id) {
        return Err(Fault::forbidden(format!(
            "key {} is the account's default key and cannot be {what}; choose another default \
             first with update-account-settings",
            item.path
        ))
        .with_code("KeyInUse"));
    }
    let naming = stored::count_with_key(q, item.id)?;
    let wrapped = item_versions::count_items_by_key(q, key.key_id, item.id)?;
    let items = naming.max(wrapped);
    if items > 0 {
        return Err(Fault::forbidden(format!(
            "key {} protects {items} items (old versions count) and cannot be {what}; write new \
             values of them under another key, or delete them, first",
            item.path
        ))
        .with_code("KeyInUse"));
    }
    let sealing = clusters::sealing(q, item.account)?;
    let needs = |cluster: &&clusters::Sealing| {
        cluster.chosen == Some(item.id)
            || cluster.under.is_some_and(|under| under.key_id == key.key_id)
    };
    match sealing.iter().filter(needs).count() {
        0 => Ok(()),
        clusters => Err(Fault::forbidden(format!(
            "key {} is the one of the configuration of {clusters} gateway clusters and cannot be \
             {what}; seal them under another key with gateway-rekey-config at a gateway of each, \
             or delete the clusters, first",
            item.path
        ))
        .with_code("KeyInUse")),
    }
}
