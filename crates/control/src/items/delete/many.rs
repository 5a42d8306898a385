//! Deleting many items at once.
//!
//! Below a folder, what the caller may not see is left alone and not spoken of. Keys are never
//! deleted this way. An item that cannot be deleted does not keep the others from it.

use std::collections::BTreeMap;

use keysherd_audit::{Param, action};
use keysherd_base::limits::{ITEMS_PER_CHANGE_MAX, LIST_LEN_MAX, PAGE_LEN};
use keysherd_base::{Fault, FolderPath, ItemPath, Timestamp};
use keysherd_domain::item::Item;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_domain::target::{is_stored_path, shown};
use keysherd_plane::Caller;
use keysherd_plane::items::{ItemsDelete, ItemsDeleteReply};
use keysherd_store::items::{self as stored, Page, Scope};
use keysherd_store::{Query, Tx};

use super::super::list::{ROWS_SELECTIVE, end_of_hidden, end_of_targets};
use super::super::made::check_unneeded;
use super::super::usable::{Use, check_deletable, check_unlocked};
use super::super::{ItemChange, item_param};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::session::Principal;

/// The code of the refusal to delete keys this way.
const KEYS_CODE: &str = "ForbiddenTypesDeletion";

/// Deletes many items.
///
/// # Errors
/// [`Fault::forbidden`] with code `ForbiddenTypesDeletion` when the folder holds a key the caller
/// sees, [`Fault::unauthorized`] or [`Fault::not_found`] when nothing in it is visible,
/// [`Fault::bad_request`] for too many items.
pub(crate) async fn delete_many(
    control: &Control,
    caller: &Caller,
    message: ItemsDelete,
) -> Result<ItemsDeleteReply, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let mut params = match &message {
        ItemsDelete::Below(folder) | ItemsDelete::Targets { below: folder, .. } => {
            let shown = shown(folder.as_str()).unwrap_or(folder.as_str());
            vec![Param::public("path", shown.to_owned())]
        }
        ItemsDelete::Items(paths) => paths.iter().take(LIST_LEN_MAX).map(item_param).collect(),
    };
    let chosen = choose(control, &who, message, now).await;
    let count = chosen.as_ref().map_or(0, |chosen| chosen.paths.len());
    params.push(Param::public("items", count.to_string()));
    let draft = audit_draft(caller, &who, action::DELETE_ITEMS, "", params);
    let plan = chosen.map(|chosen| move |tx: &Tx| delete_chosen(tx, &who, chosen, now));
    control.change(draft, plan).await
}

/// What is to be deleted.
struct Chosen {
    paths: Vec<ItemPath>,
    /// The folder they were found in, when they were not named one by one.
    folder: Option<FolderPath>,
    /// Whether targets go that items use.
    force: bool,
}

/// What the caller names, or sees in the folder they name.
async fn choose(
    control: &Control,
    who: &Principal,
    message: ItemsDelete,
    now: Timestamp,
) -> Result<Chosen, Fault> {
    let (folder, force) = match message {
        ItemsDelete::Items(paths) if paths.len() <= LIST_LEN_MAX => {
            return Ok(Chosen { paths, folder: None, force: false });
        }
        ItemsDelete::Items(paths) => {
            return Err(Fault::bad_request(format!(
                "too many items: {}; at most {LIST_LEN_MAX} in one call",
                paths.len()
            )));
        }
        ItemsDelete::Below(folder) => (folder, false),
        ItemsDelete::Targets { below, .. } if !is_stored_path(below.as_str()) => {
            return Err(Fault::bad_request(format!("{below} is no folder of targets")));
        }
        ItemsDelete::Targets { below, force } => (below, force),
    };
    let nothing: Option<()> = None;
    if !who.may_see_below(RuleKind::Item, folder.as_str(), now) {
        // Not even looked up: how long it takes must not tell how much there is.
        who.require_found(RuleKind::Item, folder.as_str(), Capability::Delete, now, nothing)?;
        return Ok(Chosen { paths: Vec::new(), folder: Some(folder), force });
    }
    let (bearer, below) = (who.clone(), folder.clone());
    let visible =
        control.store.read_blocking(move |reader| visible_below(reader, &bearer, &below, now));
    let paths = visible.await?;
    if paths.is_empty() {
        who.require_found(RuleKind::Item, folder.as_str(), Capability::Delete, now, nothing)?;
    }
    Ok(Chosen { paths, folder: Some(folder), force })
}

fn delete_chosen(
    tx: &Tx,
    who: &Principal,
    chosen: Chosen,
    now: Timestamp,
) -> Result<ItemsDeleteReply, Fault> {
    match chosen.folder {
        None => Ok(named(tx, who, chosen.paths, now)),
        Some(folder) => below(tx, who, (&folder, chosen.force), chosen.paths, now),
    }
}

fn below(
    tx: &Tx,
    who: &Principal,
    (folder, force): (&FolderPath, bool),
    paths: Vec<ItemPath>,
    now: Timestamp,
) -> Result<ItemsDeleteReply, Fault> {
    let mut items = Vec::with_capacity(paths.len());
    for path in &paths {
        // Those that are gone by now are deleted already.
        items.extend(stored::by_path(tx, who.account, path)?);
    }
    if let Some(key) = items.iter().find(|item| item.kind.is_key()) {
        return Err(Fault::forbidden(format!(
            "nothing in {folder} was deleted: {} is a key, and keys are only deleted one by one, \
             with delete-item",
            key.path
        ))
        .with_code(KEYS_CODE));
    }
    // Who deletes targets is not told what became of each, so rights to some are not enough.
    if is_stored_path(folder.as_str()) {
        for item in &items {
            who.require(RuleKind::Item, item.path.as_str(), Capability::Delete, now)?;
        }
    }
    let mut reply = ItemsDeleteReply { deleted: Vec::new(), failed: BTreeMap::new() };
    for item in items {
        let permitted = who.require(RuleKind::Item, item.path.as_str(), Capability::Delete, now);
        let outcome = permitted.and_then(|()| delete_one(tx, who, (&item, force), now));
        note(&mut reply, item.path, outcome);
    }
    Ok(reply)
}

fn named(tx: &Tx, who: &Principal, paths: Vec<ItemPath>, now: Timestamp) -> ItemsDeleteReply {
    let mut reply = ItemsDeleteReply { deleted: Vec::new(), failed: BTreeMap::new() };
    for path in paths {
        let change = ItemChange { who: who.clone(), path, capability: Capability::Delete, now };
        let outcome = change.find(tx).and_then(|item| {
            if item.kind.is_key() {
                return Err(Fault::forbidden(format!(
                    "item {} is a key; keys are only deleted one by one, with delete-item",
                    item.path
                ))
                .with_code(KEYS_CODE));
            }
            delete_one(tx, who, (&item, false), now)
        });
        note(&mut reply, change.path, outcome);
    }
    reply
}

fn delete_one(
    tx: &Tx,
    who: &Principal,
    (item, force): (&Item, bool),
    now: Timestamp,
) -> Result<(), Fault> {
    check_unlocked(item, who, Use::Update, now)?;
    check_deletable(item)?;
    check_unneeded(tx, item, force, now)?;
    stored::delete(tx, item.id)?;
    Ok(())
}

/// Calls `each` with every item below a folder, visible or not.
///
/// # Errors
/// Those of `each`; [`Fault::bad_request`] when there are more than one command may change.
pub(crate) fn each_below(
    q: &dyn Query,
    who: &Principal,
    folder: &FolderPath,
    mut each: impl FnMut(Item) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut after: Option<String> = None;
    let mut count = 0;
    loop {
        let page = Page {
            scope: Scope::Below(folder),
            after: after.as_deref(),
            modified_after: None,
            limit: PAGE_LEN,
        };
        let rows = stored::page(q, who.account, &page)?;
        let is_last = rows.len() < PAGE_LEN;
        for item in rows {
            count += 1;
            check_count(count, folder)?;
            after = Some(item.path.to_string());
            each(item)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn check_count(count: usize, folder: &FolderPath) -> Result<(), Fault> {
    if count <= ITEMS_PER_CHANGE_MAX {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "there are more than {ITEMS_PER_CHANGE_MAX} items below {folder}, which is the most for \
         one command; go by its sub-folders"
    )))
}

/// The items below a folder that the bearer may see, but no targets, unless it is one of theirs.
/// What they may not see is jumped over, so that neither the time nor the limit tells how much of
/// it there is.
fn visible_below(
    q: &dyn Query,
    who: &Principal,
    folder: &FolderPath,
    now: Timestamp,
) -> Result<Vec<ItemPath>, Fault> {
    let mut visible = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = Page {
            scope: Scope::Below(folder),
            after: after.as_deref(),
            modified_after: None,
            limit: ROWS_SELECTIVE,
        };
        let rows = stored::page(q, who.account, &page)?;
        let is_last = rows.len() < ROWS_SELECTIVE;
        for item in rows {
            let path = item.path.as_str();
            if after.as_deref().is_some_and(|after| path <= after) {
                continue;
            }
            if let Some(end) = end_of_targets(path, folder.as_str()) {
                after = Some(end);
                continue;
            }
            if who.may(RuleKind::Item, path, Capability::List, now) {
                check_count(visible.len() + 1, folder)?;
                after = Some(path.to_owned());
                visible.push(item.path);
            } else {
                let hidden = end_of_hidden(who, &item.path, now);
                after = hidden.or_else(|| Some(path.to_owned()));
            }
        }
        if is_last {
            return Ok(visible);
        }
    }
}

/// Writes down what became of an item.
fn note(reply: &mut ItemsDeleteReply, path: ItemPath, outcome: Result<(), Fault>) {
    match outcome {
        Ok(()) => reply.deleted.push(path),
        Err(fault) => {
            reply.failed.insert(path.to_string(), fault.public().to_owned());
        }
    }
}
