//! Changing an item's metadata. Never makes a version.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_domain::item::{Item, NameTag};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::items::{ItemUpdate, ItemUpdateParts};
use keysherd_plane::{Caller, Warned};
use keysherd_store::{Tx, item_versions, items as stored};

use super::usable::{Use, check_unlocked};
use super::{Changing, ItemChange, account_now, check};
use crate::control::Control;
use crate::relocation::check_relocation;

/// Changes an item's metadata.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the path (and `create` on a new one),
/// [`Fault::conflict`] when the new path is taken, [`Fault::forbidden`] by lock or policy,
/// [`Fault::bad_request`] for parameters over their limits.
pub(crate) async fn update(
    control: &Control,
    caller: &Caller,
    message: ItemUpdate,
) -> Result<Warned, Fault> {
    let who = control.principal(caller).await?;
    let ItemUpdate { path, mut parts } = message;
    // Some clients always send the name, changed or not.
    parts.new_path = parts.new_path.filter(|new| *new != path);
    let changing = Changing {
        capability: Capability::Update,
        action: action::UPDATE_ITEM,
        params: params(&parts),
        path,
    };
    let edit = |tx: &Tx, change: &ItemChange, item| edit(tx, change, item, parts);
    control.change_item(caller, who, changing, edit).await
}

fn params(parts: &ItemUpdateParts) -> Vec<Param> {
    let mut params = Vec::new();
    let new_path = parts.new_path.as_ref();
    params.extend(new_path.map(|path| Param::public("new_name", path.to_string())));
    params.extend(parts.add_tags.iter().map(|tag| Param::public("add_tag", tag.clone())));
    params.extend(parts.remove_tags.iter().map(|tag| Param::public("rm_tag", tag.clone())));
    let protection = parts.delete_protection;
    params.extend(protection.map(|on| Param::public("delete_protection", on.to_string())));
    params
}

fn edit(
    tx: &Tx,
    change: &ItemChange,
    mut item: Item,
    parts: ItemUpdateParts,
) -> Result<Warned, Fault> {
    check_unlocked(&item, &change.who, Use::Update, change.now)?;
    let mut warnings = Vec::new();
    if let Some(new) = parts.new_path {
        check_relocation(&change.who, RuleKind::Item, &item.path, &new, change.now)?;
        warnings = check::root_path(&new, &account_now(tx, item.account)?)?;
        item.path = new;
        attest(tx, &item, parts.name_tag)?;
    }
    if let Some(description) = parts.description {
        check::description(&description)?;
        item.description = description;
    }
    check::tags(&mut item.tags, &parts.add_tags, &parts.remove_tags)?;
    check::custom_fields(&mut item.custom_fields, parts.custom_fields)?;
    check::max_versions(parts.max_versions)?;
    item.max_versions = parts.max_versions.or(item.max_versions);
    item.delete_protection = parts.delete_protection.unwrap_or(item.delete_protection);
    item.change_event = parts.change_event.unwrap_or(item.change_event);
    item.modified = change.now;
    stored::update(tx, &item)?;
    Ok(Warned { warnings })
}

/// Stores what attests the new path, if that version is still the newest. What attested the old
/// path stays on other versions; it attests nothing any more.
fn attest(tx: &Tx, item: &Item, tag: Option<(u32, NameTag)>) -> Result<(), Fault> {
    let Some((number, tag)) = tag.filter(|(number, _)| *number == item.last_version) else {
        return Ok(());
    };
    if let Some(mut version) = item_versions::get(tx, item.id, number)? {
        version.name_tag = Some(tag);
        item_versions::put(tx, item.id, &version)?;
    }
    Ok(())
}
