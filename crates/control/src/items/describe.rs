//! Reading an item's metadata.

use keysherd_audit::{Param, action};
use keysherd_base::Fault;
use keysherd_domain::item::Item;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::grants::ItemRef;
use keysherd_plane::items::{ItemDescribe, ItemView};
use keysherd_store::{Query, item_versions, items as stored};

use super::permitted;
use super::view::Viewer;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::rotation::status::as_item_versions;
use crate::session::Principal;

/// Reads an item's metadata.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`].
pub(crate) async fn describe(
    control: &Control,
    caller: &Caller,
    message: ItemDescribe,
) -> Result<ItemView, Fault> {
    let who = control.principal(caller).await?;
    let mut outcome = control.store.read(|reader| read(reader, control, &who, &message));
    if let Ok(view) = &mut outcome {
        control.fill_item_uses(std::slice::from_mut(view));
    }
    let item_type = outcome.as_ref().map_or("", |view| view.item.kind.type_name());
    let mut params = vec![ref_param(&message.item)];
    if let (Ok(view), ItemRef::Id(_) | ItemRef::Display(_)) = (&outcome, &message.item) {
        params.push(super::item_param(&view.item.path));
    }
    let draft = audit_draft(caller, &who, action::GET_ITEM, item_type, params);
    control.recorded(draft, outcome).await
}

fn read(
    q: &dyn Query,
    control: &Control,
    who: &Principal,
    message: &ItemDescribe,
) -> Result<ItemView, Fault> {
    let now = control.now();
    let item = match &message.item {
        ItemRef::Path(path) => {
            permitted(who, path, Capability::List, now, || stored::by_path(q, who.account, path))?
        }
        by_id => {
            let item = by_reference(q, who, by_id)?.ok_or_else(|| unknown_ref(by_id))?;
            let sees = who.may(RuleKind::Item, item.path.as_str(), Capability::List, now);
            if !sees {
                return Err(unknown_ref(by_id));
            }
            item
        }
    };
    let mut viewer = Viewer::new(q, who, now)?;
    let held = viewer.permissions(&item);
    let mut view = viewer.view(item, held)?;
    if message.with_versions {
        view.versions = match &view.item.key {
            Some(info) => as_item_versions(q, info.key_id)?,
            None => item_versions::list(q, view.item.id)?,
        };
    }
    Ok(view)
}

/// The item somebody names, whoever that is.
///
/// # Errors
/// Those of the store.
pub(crate) fn by_reference(
    q: &dyn Query,
    who: &Principal,
    reference: &ItemRef,
) -> Result<Option<Item>, Fault> {
    match reference {
        ItemRef::Path(path) => stored::by_path(q, who.account, path),
        ItemRef::Id(id) => stored::by_id(q, who.account, *id),
        ItemRef::Display(id) => stored::by_display(q, who.account, id),
        ItemRef::GatewayCluster(_) => Ok(None),
    }
}

/// The fault of an id that names nothing, or nothing the caller may see: it is the same one.
pub(crate) fn unknown_ref(reference: &ItemRef) -> Fault {
    let named = match reference {
        ItemRef::Path(path) => format!("item {path}"),
        ItemRef::Id(id) => format!("item with item-id {id}"),
        ItemRef::Display(id) => format!("item with display-id {}", id.escape_default()),
        ItemRef::GatewayCluster(id) => format!("configuration of gateway cluster {id}"),
    };
    Fault::not_found(format!("{named} does not exist, or is not visible to you; check it"))
}

/// The parameter of an audit record that names an item as its caller did.
pub(crate) fn ref_param(reference: &ItemRef) -> Param {
    match reference {
        ItemRef::Path(path) => super::item_param(path),
        ItemRef::Id(id) => Param::public("item_id", id.to_string()),
        ItemRef::Display(id) => Param::public("display_id", id.clone()),
        ItemRef::GatewayCluster(id) => Param::public("gateway_cluster", id.to_string()),
    }
}
