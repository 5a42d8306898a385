//! Folders that are created as such. Others are implied by what lies in them.
//!
//! A folder is asked about by its path with the trailing slash: `/team/*` covers the folder
//! `/team/`, the exact rule `/team` covers only an item of that name. So an item and a folder may
//! have the same name.

use keysherd_audit::{Draft, Param, action};
use keysherd_base::{Fault, FolderPath, Timestamp};
use keysherd_domain::folder::Folder;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_domain::target;
use keysherd_plane::items::{FolderCreate, FolderDelete, FolderGet, FolderUpdate, FolderView};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Query, Tx, folders as stored, items};

use crate::audit::audit_draft;
use crate::control::Control;
use crate::items::{account_now, check};
use crate::session::Principal;

#[cfg(test)]
mod tests;

/// Creates an empty folder.
///
/// # Errors
/// [`Fault::unauthorized`] without `create` on the folder, [`Fault::conflict`] when it was created
/// before, [`Fault::bad_request`] for the root or parameters over their limits.
pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    message: FolderCreate,
) -> Result<FolderView, Fault> {
    let who = control.principal(caller).await?;
    let draft = draft(caller, &who, action::CREATE_FOLDER, &message.path);
    let plan = plan_create(who, message, control.now());
    control.change(draft, plan).await
}

fn plan_create(
    who: Principal,
    message: FolderCreate,
    now: Timestamp,
) -> Result<impl FnOnce(&Tx) -> Result<FolderView, Fault> + use<>, Fault> {
    let FolderCreate { path, description, tags: wanted, delete_protection } = message;
    who.require(RuleKind::Item, path.as_str(), Capability::Create, now)?;
    if path.is_root() {
        return Err(Fault::bad_request("the folder / always exists; name a folder below it"));
    }
    reserved(path.as_str())?;
    check::description(&description)?;
    let mut tags = Vec::new();
    check::tags(&mut tags, &wanted, &[])?;
    let mut folder = Folder {
        id: 0,
        account: who.account,
        path,
        description,
        tags,
        delete_protection: false,
        created: now,
        modified: now,
    };
    Ok(move |tx: &Tx| {
        let settings = account_now(tx, folder.account)?.settings;
        folder.delete_protection = delete_protection.unwrap_or(settings.protect_items_by_default);
        folder.id = stored::insert(tx, &folder)?;
        Ok(FolderView { folder })
    })
}

/// Refuses to make a folder among targets: those come and go with what lies in them.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn reserved(path: &str) -> Result<(), Fault> {
    if !target::is_stored_path(path) {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "invalid folder {path}: what is below {} are targets; choose another name",
        target::PLACE
    )))
}

/// Reads a folder that was created as such.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`].
pub(crate) async fn get(
    control: &Control,
    caller: &Caller,
    message: FolderGet,
) -> Result<FolderView, Fault> {
    let who = control.principal(caller).await?;
    let draft = draft(caller, &who, action::GET_FOLDER, &message.path);
    let now = control.now();
    let found =
        control.store.read(|reader| find(reader, &who, &message.path, Capability::List, now));
    control.recorded(draft, found.map(|folder| FolderView { folder })).await
}

/// Changes a folder's metadata.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on the folder, [`Fault::not_found`],
/// [`Fault::bad_request`] for parameters over their limits.
pub(crate) async fn update(
    control: &Control,
    caller: &Caller,
    message: FolderUpdate,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let draft = draft(caller, &who, action::UPDATE_FOLDER, &message.path);
    let now = control.now();
    let plan = Ok(move |tx: &Tx| {
        let mut folder = find(tx, &who, &message.path, Capability::Update, now)?;
        if let Some(description) = message.description {
            check::description(&description)?;
            folder.description = description;
        }
        check::tags(&mut folder.tags, &message.add_tags, &message.remove_tags)?;
        folder.delete_protection = message.delete_protection.unwrap_or(folder.delete_protection);
        folder.modified = now;
        stored::update(tx, &folder)?;
        Ok(Done)
    });
    control.change(draft, plan).await
}

/// Deletes an empty folder.
///
/// # Errors
/// [`Fault::unauthorized`] without `delete` on the folder, [`Fault::not_found`],
/// [`Fault::forbidden`] for one with delete protection, [`Fault::conflict`] while something lies in
/// it, whether the caller may see that or not.
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: FolderDelete,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let draft = draft(caller, &who, action::DELETE_FOLDER, &message.path);
    let now = control.now();
    let plan = Ok(move |tx: &Tx| {
        let folder = find(tx, &who, &message.path, Capability::Delete, now)?;
        if folder.delete_protection {
            return Err(Fault::forbidden(format!(
                "folder {} has delete protection; switch it off first with folder-update",
                folder.path
            ))
            .with_code("DeleteProtection"));
        }
        if !is_empty(tx, &folder)? {
            return Err(Fault::conflict(format!(
                "folder {} is not empty; delete or move what lies in it first",
                folder.path
            ))
            .with_code("FolderNotEmpty"));
        }
        stored::delete(tx, folder.id)?;
        Ok(Done)
    });
    control.change(draft, plan).await
}

fn is_empty(q: &dyn Query, folder: &Folder) -> Result<bool, Fault> {
    let holds_items = items::any_below(q, folder.account, &folder.path)?;
    Ok(!holds_items && stored::children(q, folder.account, &folder.path)?.is_empty())
}

/// The folder, if the caller may use `capability` on it.
fn find(
    q: &dyn Query,
    who: &Principal,
    path: &FolderPath,
    capability: Capability,
    now: Timestamp,
) -> Result<Folder, Fault> {
    let found = stored::by_path(q, who.account, path)?;
    who.require_found(RuleKind::Item, path.as_str(), capability, now, found)
}

fn draft(caller: &Caller, who: &Principal, action: &'static str, path: &FolderPath) -> Draft {
    let params = vec![Param::public("folder_name", path.to_string())];
    audit_draft(caller, who, action, "", params)
}
