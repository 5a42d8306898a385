//! Values that are sealed again with a fresh data key: which ones, and taking them back.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, ItemId, ItemPath, Timestamp};
use keysherd_crypto::hash::sha256;
use keysherd_crypto::permit::Class;
use keysherd_domain::item::Item;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::rotation::{KeyValues, KeyValuesReply, RESEAL_MAX, ValueReseal};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Query, Reader, Tx, item_versions, items as stored, key_wraps};

use super::{key_ref, newest, written};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::items::sealed::{self, Sealing};
use crate::items::state::no_such_version;
use crate::items::usable::{Use, check_enabled, check_unlocked};
use crate::items::value::check_has_values;
use crate::items::{Changing, ItemChange, item_param, permitted};
use crate::session::Principal;

/// Lists a page of the values that a key wraps and the bearer may read and change.
///
/// # Errors
/// [`Fault::unauthorized`] without `list` on the key's path; [`Fault::not_found`];
/// [`Fault::bad_request`] for an item that is no key, or too large a page.
pub(crate) async fn values(
    control: &Control,
    caller: &Caller,
    message: KeyValues,
) -> Result<KeyValuesReply, Fault> {
    let who = control.principal(caller).await?;
    let (now, asker, path) = (control.now(), who.clone(), message.key.clone());
    let list = move |reader: &Reader| page(reader, &asker, &message, now);
    let outcome = control.store.read_blocking(list).await;
    let draft = audit_draft(caller, &who, action::LIST_ITEMS, "", vec![item_param(&path)]);
    control.recorded(draft, outcome).await
}

fn page(
    q: &dyn Query,
    who: &Principal,
    message: &KeyValues,
    now: Timestamp,
) -> Result<KeyValuesReply, Fault> {
    let KeyValues { key, after, limit } = message;
    if *limit == 0 || *limit > RESEAL_MAX {
        return Err(Fault::bad_request(format!(
            "invalid page of {limit} values: 1 to {RESEAL_MAX} are possible"
        )));
    }
    let item = permitted(who, key, Capability::List, now, || stored::by_path(q, who.account, key))?;
    let Some(info) = &item.key else {
        return Err(Fault::bad_request(format!("item {key} is not a key; name a key")));
    };
    let after = after.unwrap_or((ItemId(0), 0));
    let found = key_wraps::of_key(q, info.key_id, after, *limit)?;
    let next = found.last().filter(|_| found.len() == *limit);
    let next = next.map(|(item, version)| (*item, version.version));
    let (mut values, mut hidden) = (Vec::with_capacity(found.len()), 0);
    for (id, version) in found {
        let Some(secret) = stored::by_id(q, who.account, id)? else { continue };
        // A key's own material has no value that is written anew.
        if secret.key.is_some() {
            continue;
        }
        let may = |capability| who.may(RuleKind::Item, secret.path.as_str(), capability, now);
        if may(Capability::Read) && may(Capability::Update) {
            values.push((secret.path, version.version));
        } else {
            hidden += 1;
        }
    }
    Ok(KeyValuesReply { values, hidden, next })
}

/// Stores a value that was sealed again, if the stored one is still what was read.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path; [`Fault::conflict`] when the value or its
/// key changed meanwhile; [`Fault::forbidden`] by state or lock; [`Fault::bad_request`] for a value
/// that is not as it should be.
pub(crate) async fn reseal(
    control: &Control,
    caller: &Caller,
    message: ValueReseal,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let changing = Changing {
        path: message.path.clone(),
        capability: Capability::Update,
        action: action::UPDATE_ITEM,
        params: vec![
            Param::public("version", message.version.to_string()),
            Param::public("operation", "reencrypt"),
        ],
    };
    let edit = |tx: &Tx, change: &ItemChange, item| record(tx, change, item, message);
    control.change_item(caller, who, changing, edit).await
}

fn record(
    tx: &Tx,
    change: &ItemChange,
    mut item: Item,
    message: ValueReseal,
) -> Result<Done, Fault> {
    check_has_values(&item)?;
    check_enabled(&item)?;
    check_unlocked(&item, &change.who, Use::Update, change.now)?;
    let ValueReseal { uid, version: number, read_sha256, value, path } = message;
    let mut version =
        item_versions::get(tx, item.id, number)?.ok_or_else(|| no_such_version(&item, number))?;
    let key = value.key;
    let newest = newest(tx, version.key_id)?;
    let same = item.uid == uid && sha256(&[&version.ciphertext]) == read_sha256;
    if !same || key != key_ref(&newest) {
        return Err(changed(&path));
    }
    let sealing = Sealing {
        account: change.who.account,
        uid,
        version: number,
        class: Class::SecretItem,
        key,
    };
    sealed::check(&value.ciphertext, &sealing)?;
    if number == item.last_version {
        item.size_bytes = value.ciphertext.len() as u64;
        stored::update(tx, &item)?;
    }
    version.key_version = key.version;
    version.customer_fragment = key.customer_fragment;
    version.ciphertext = value.ciphertext;
    version.unconfirmed = value.unconfirmed;
    version.name_tag = value.name_tag;
    item_versions::put(tx, item.id, &version)?;
    written(tx, &key)?;
    Ok(Done)
}

fn changed(path: &ItemPath) -> Fault {
    Fault::conflict(format!(
        "item {path} or its key changed at the same time; nothing was stored, try again"
    ))
    .with_code("Conflict")
}
