//! Groups of bearers: creating, changing, reading, deleting. For administrators only: the V2 API
//! has no kind of rule for them.

use keysherd_audit::{Param, action};
use keysherd_base::limits::{
    DESCRIPTION_BYTES_MAX, GROUPS_PER_ACCOUNT_MAX, LIST_LEN_MAX, PAGE_LEN, TAG_BYTES_MAX,
};
use keysherd_base::{Fault, ItemPath, Uid};
use keysherd_domain::group::{Group, GroupMember};
use keysherd_plane::groups::{
    GroupCreate, GroupDelete, GroupGet, GroupList, GroupListReply, GroupUpdate,
};
use keysherd_plane::{Caller, Done};
use keysherd_store::{Reader, Tx, groups as stored};

use crate::assocs::checked_claims;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::directory::AccountDirectory;
use crate::page::page;
use crate::session::Principal;

/// Creates a group.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators, [`Fault::bad_request`] for members that do
/// not exist or malformed texts, [`Fault::conflict`] when the path or alias is taken.
pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    message: GroupCreate,
) -> Result<Group, Fault> {
    let who = control.principal(caller).await?;
    let params = vec![
        Param::public("name", message.path.to_string()),
        Param::public("members", members_param(&message.members)),
    ];
    let draft = audit_draft(caller, &who, action::CREATE_GROUP, "", params);
    let plan = plan_create(control, &who, message);
    control.change(draft, plan).await
}

fn plan_create(
    control: &Control,
    who: &Principal,
    message: GroupCreate,
) -> Result<impl FnOnce(&Tx) -> Result<Group, Fault> + use<>, Fault> {
    who.require_admin()?;
    let GroupCreate { path, alias, description, members } = message;
    let directory = control.directory_of(who);
    let now = control.now();
    let id = Uid::random(&*control.rng)?.to_string();
    let group = checked(
        &directory,
        Group {
            id: format!("grp-{}", id.get(..20).unwrap_or(&id)),
            account: who.account,
            path,
            alias,
            description,
            members,
            created: now,
            modified: now,
        },
    )?;
    Ok(move |tx: &Tx| {
        if stored::count(tx, group.account)? >= GROUPS_PER_ACCOUNT_MAX {
            return Err(Fault::forbidden(format!(
                "the account has {GROUPS_PER_ACCOUNT_MAX} groups, which is the most; delete one"
            )));
        }
        stored::insert(tx, &group)?;
        Ok(group)
    })
}

/// Changes a group.
///
/// # Errors
/// As [`create`]; [`Fault::not_found`].
pub(crate) async fn update(
    control: &Control,
    caller: &Caller,
    message: GroupUpdate,
) -> Result<Group, Fault> {
    let who = control.principal(caller).await?;
    let mut params = vec![Param::public("name", message.path.to_string())];
    params.extend(message.new_path.iter().map(|new| Param::public("new-name", new.to_string())));
    let members = message.members.as_ref();
    params.extend(members.map(|members| Param::public("members", members_param(members))));
    let draft = audit_draft(caller, &who, action::UPDATE_GROUP, "", params);
    let now = control.now();
    let plan = who.require_admin().map(|()| control.directory_of(&who)).map(|directory| {
        let account = who.account;
        move |tx: &Tx| {
            let GroupUpdate { path, new_path, alias, description, members } = message;
            let mut group = stored::by_path(tx, account, &path)?.ok_or_else(|| absent(&path))?;
            group.path = new_path.unwrap_or(group.path);
            group.alias = alias.unwrap_or(group.alias);
            group.description = description.unwrap_or(group.description);
            group.members = members.unwrap_or(group.members);
            group.modified = now;
            let group = checked(&directory, group)?;
            stored::update(tx, &group)?;
            Ok(group)
        }
    });
    control.change(draft, plan).await
}

/// Reads a group.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`].
pub(crate) async fn get(
    control: &Control,
    caller: &Caller,
    message: GroupGet,
) -> Result<Group, Fault> {
    let who = control.principal(caller).await?;
    let params = vec![Param::public("name", message.path.to_string())];
    let draft = audit_draft(caller, &who, action::GET_GROUP, "", params);
    let found = who.require_admin().and_then(|()| {
        let found =
            control.store.read(|reader| stored::by_path(reader, who.account, &message.path))?;
        found.ok_or_else(|| absent(&message.path))
    });
    control.recorded(draft, found).await
}

/// Lists groups.
///
/// # Errors
/// [`Fault::unauthorized`] for all but administrators.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    message: GroupList,
) -> Result<GroupListReply, Fault> {
    let who = control.principal(caller).await?;
    let filter = message.filter.as_ref();
    let params = filter.map(|filter| Param::public("filter", filter.clone()));
    let draft = audit_draft(caller, &who, action::LIST_GROUPS, "", params.into_iter().collect());
    let listed = who.require_admin().and_then(|()| {
        let after = message.after.as_deref().map(ItemPath::parse).transpose()?;
        let most = GROUPS_PER_ACCOUNT_MAX;
        let read = |reader: &Reader| stored::after(reader, who.account, after.as_ref(), most);
        let groups = control.store.read(read)?.into_iter();
        let filter = message.filter.as_deref();
        let wanted =
            groups.filter(|group| filter.is_none_or(|filter| group.path.as_str().contains(filter)));
        let page = page(wanted, message.limit.min(PAGE_LEN));
        Ok(GroupListReply { groups: page.members, more: page.more })
    });
    control.recorded(draft, listed).await
}

/// Deletes a group.
///
/// # Errors
/// [`Fault::unauthorized`] or [`Fault::not_found`].
pub(crate) async fn delete(
    control: &Control,
    caller: &Caller,
    message: GroupDelete,
) -> Result<Done, Fault> {
    let who = control.principal(caller).await?;
    let params = vec![Param::public("name", message.path.to_string())];
    let draft = audit_draft(caller, &who, action::DELETE_GROUP, "", params);
    let plan = who.require_admin().map(|()| {
        let account = who.account;
        move |tx: &Tx| match stored::delete(tx, account, &message.path)? {
            true => Ok(Done),
            false => Err(absent(&message.path)),
        }
    });
    control.change(draft, plan).await
}

/// The group in its stored form, if it is well formed and its members exist.
fn checked(directory: &AccountDirectory, mut group: Group) -> Result<Group, Fault> {
    let alias = &group.alias;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if alias.is_empty() || alias.len() > TAG_BYTES_MAX || !alias.chars().all(plain) {
        return Err(Fault::bad_request(format!(
            "invalid group-alias: it must be 1 to {TAG_BYTES_MAX} bytes of letters, digits, '-', \
             '_' and '.'"
        )));
    }
    if group.description.len() > DESCRIPTION_BYTES_MAX {
        return Err(Fault::bad_request(format!(
            "the description is {} bytes long; at most {DESCRIPTION_BYTES_MAX} are allowed",
            group.description.len()
        )));
    }
    if group.members.len() > LIST_LEN_MAX {
        return Err(Fault::bad_request(format!(
            "{} user assignments; at most {LIST_LEN_MAX} are allowed",
            group.members.len()
        )));
    }
    for member in &mut group.members {
        member.sub_claims = checked_claims(&member.sub_claims)?;
        let known =
            directory.methods_after(None).any(|method| method.access_id == member.access_id);
        if !known {
            return Err(Fault::bad_request(format!(
                "no auth method has access id {}; see them with auth-method-list",
                member.access_id
            )));
        }
    }
    Ok(group)
}

fn members_param(members: &[GroupMember]) -> String {
    let ids: Vec<_> = members.iter().take(PARAM_IDS_MAX).map(|m| m.access_id.as_str()).collect();
    ids.join(",")
}

/// Access ids that one audit record shows.
const PARAM_IDS_MAX: usize = 50;

fn absent(path: &ItemPath) -> Fault {
    Fault::not_found(format!("group {path} does not exist; see them with list-group"))
}
