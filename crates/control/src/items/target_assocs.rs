//! Associations of items with targets: what remote access may reach with an item.
//!
//! Which target an item uses itself is said with the item, and no association of this kind.

use keysherd_audit::{Param, action};
use keysherd_base::limits::TARGET_ASSOCS_MAX;
use keysherd_base::{AssocId, Fault, ItemId};
use keysherd_domain::item::{Item, ItemKind};
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_domain::target::shown;
use keysherd_plane::target_assocs::{
    TargetAssocChoice, TargetAssocCreate, TargetAssocCreateReply, TargetAssocDelete,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::target_assocs::{self, TargetAssoc};
use keysherd_store::{Query, Tx, items as stored};

use super::made::chosen;
use super::usable::{Use, check_unlocked};
use super::{Changing, ItemChange, permitted};
use crate::control::Control;

/// Associates an item with a target.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`] without `update` on the item or `list` on the
/// target, [`Fault::conflict`] when they are associated already, [`Fault::forbidden`] when there
/// are too many or the item is locked, [`Fault::bad_request`] for what nobody signs in with.
pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    message: TargetAssocCreate,
) -> Result<TargetAssocCreateReply, Fault> {
    let who = control.principal(caller).await?;
    let id = AssocId::random(&*control.rng)?;
    let changing = Changing {
        path: message.item,
        capability: Capability::Update,
        action: action::CREATE_TARGET_ASSOC,
        params: vec![Param::public("target-name", named(message.target.as_str()))],
    };
    let target = message.target;
    let edit = move |tx: &Tx, change: &ItemChange, item: Item| {
        check_usable(&item)?;
        check_unlocked(&item, &change.who, Use::Update, change.now)?;
        let target = chosen(tx, &change.who, &target, change.now)?;
        check_room(tx, &item, target)?;
        let assoc = TargetAssoc { id, item: item.id, target, created: change.now };
        target_assocs::insert(tx, item.account, &assoc)?;
        Ok(TargetAssocCreateReply { id: assoc.id })
    };
    control.change_item(caller, who, changing, edit).await
}

/// Ends an association.
///
/// # Errors
/// As [`create`]; [`Fault::not_found`] for one that is not there.
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: TargetAssocDelete,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let param = match &message.which {
        TargetAssocChoice::Id(id) => Param::public("assoc-id", id.to_string()),
        TargetAssocChoice::Target(path) => Param::public("target-name", named(path.as_str())),
    };
    let changing = Changing {
        path: message.item,
        capability: Capability::Update,
        action: action::DELETE_TARGET_ASSOC,
        params: vec![param],
    };
    let which = message.which;
    let edit = move |tx: &Tx, change: &ItemChange, item: Item| {
        check_unlocked(&item, &change.who, Use::Update, change.now)?;
        let found = find(tx, change, &item, &which)?.ok_or_else(|| absent(&item, &which))?;
        target_assocs::delete(tx, item.account, &found.id)?;
        Ok(Done)
    };
    control.change_item(caller, who, changing, edit).await
}

/// Refuses what nobody signs in with anywhere.
fn check_usable(item: &Item) -> Result<(), Fault> {
    match item.kind {
        ItemKind::StaticSecret | ItemKind::DynamicSecret | ItemKind::RotatedSecret => Ok(()),
        ItemKind::Key(_) | ItemKind::Target => Err(Fault::bad_request(format!(
            "{} is no secret that remote access could sign in with; name a static, dynamic or \
             rotated secret",
            item.called()
        ))),
    }
}

fn check_room(tx: &Tx, item: &Item, target: ItemId) -> Result<(), Fault> {
    let most = TARGET_ASSOCS_MAX;
    let of_item = target_assocs::of_item(tx, item.id, most)?;
    let of_target = target_assocs::of_target(tx, target, most)?;
    if of_item.len() < most && of_target.len() < most {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "the item or the target has {most} associations, which is the most; delete some with \
         delete-assoc-target-item"
    )))
}

/// The association that is meant, if the caller may list its target.
fn find(
    q: &dyn Query,
    change: &ItemChange,
    item: &Item,
    which: &TargetAssocChoice,
) -> Result<Option<TargetAssoc>, Fault> {
    let who = &change.who;
    let known = target_assocs::of_item(q, item.id, TARGET_ASSOCS_MAX)?;
    let wanted = match which {
        TargetAssocChoice::Target(path) => {
            let target = permitted(who, path, Capability::List, change.now, || {
                stored::by_path(q, who.account, path)
            })?;
            return Ok(known.into_iter().find(|assoc| assoc.target == target.id));
        }
        TargetAssocChoice::Id(id) => known.into_iter().find(|assoc| assoc.id == *id),
    };
    let Some(wanted) = wanted else { return Ok(None) };
    let target = stored::by_id(q, who.account, wanted.target)?;
    let listed = target.is_some_and(|target| {
        who.may(RuleKind::Item, target.path.as_str(), Capability::List, change.now)
    });
    Ok(listed.then_some(wanted))
}

fn absent(item: &Item, which: &TargetAssocChoice) -> Fault {
    let what = match which {
        TargetAssocChoice::Id(id) => format!("association {id}"),
        TargetAssocChoice::Target(path) => {
            format!("association with target {}", named(path.as_str()))
        }
    };
    Fault::not_found(format!(
        "{} has no {what} for remote access; describe-item shows those that it has, and what \
         target it uses itself is changed with its update command",
        item.called()
    ))
}

fn named(path: &str) -> String {
    shown(path).unwrap_or(path).to_owned()
}
