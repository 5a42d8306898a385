//! Moving a folder with everything below it, all or nothing.

use keysherd_audit::{Param, action};
use keysherd_base::{Fault, FolderPath, ItemPath, Timestamp};
use keysherd_domain::item::Item;
use keysherd_domain::role::{Capability, RuleKind};
use keysherd_plane::Caller;
use keysherd_plane::items::{MovedObjects, ObjectsMove, ObjectsMoveReply};
use keysherd_store::{Tx, folders, items as stored};

use super::delete::each_below;
use super::usable::{Use, check_unlocked};
use crate::audit::audit_draft;
use crate::control::Control;
use crate::folders::reserved;
use crate::moves::{Identities, relocate as relocate_identities};
use crate::rails::Rails;
use crate::relocation::check_relocation;
use crate::session::Principal;

/// Moves a folder with everything below it.
///
/// Items the caller may not see would move as well, so it is refused unless the caller may update
/// the folder and everything in it. Moving is renaming: each item is checked as in `update-item`.
///
/// # Errors
/// [`Fault::unauthorized`] without `update` on everything below the source or `create` below the
/// target, [`Fault::not_found`] when there is nothing, [`Fault::conflict`] when a new path is
/// taken, [`Fault::forbidden`] by lock or policy, [`Fault::bad_request`] for too many items.
pub(crate) async fn relocate(
    control: &Control,
    caller: &Caller,
    message: ObjectsMove,
) -> Result<ObjectsMoveReply, Fault> {
    let ObjectsMove { objects, source, target } = message;
    let which = match objects {
        MovedObjects::Items => return relocate_items(control, caller, source, target).await,
        MovedObjects::AuthMethods => Identities::AuthMethods,
        MovedObjects::Roles => Identities::Roles,
    };
    relocate_identities(control, caller, which, source, target).await
}

async fn relocate_items(
    control: &Control,
    caller: &Caller,
    source: FolderPath,
    target: FolderPath,
) -> Result<ObjectsMoveReply, Fault> {
    let who = control.principal(caller).await?;
    let now = control.now();
    let params = vec![
        Param::public("objects-type", "item"),
        Param::public("source", source.to_string()),
        Param::public("target", target.to_string()),
    ];
    let draft = audit_draft(caller, &who, action::MOVE_OBJECTS, "", params);
    let plan = Ok(move |tx: &Tx| Move { who, source, target, now }.run(tx));
    control.change(draft, plan).await
}

struct Move {
    who: Principal,
    source: FolderPath,
    target: FolderPath,
    now: Timestamp,
}

impl Move {
    fn run(&self, tx: &Tx) -> Result<ObjectsMoveReply, Fault> {
        let Self { who, source, target, now } = self;
        let mut guard = Rails::of(tx, who.account)?;
        let mut made = folders::all_below(tx, who.account, source)?;
        made.extend(folders::by_path(tx, who.account, source)?);
        let exists = !made.is_empty() || stored::any_below(tx, who.account, source)?;
        let (path, exists) = (source.as_str(), exists.then_some(()));
        who.require_found(RuleKind::Item, path, Capability::Update, *now, exists)?;
        each_below(tx, who, source, |item| guard.item(&self.check_item(&item)?))?;
        for folder in &made {
            self.check_folder(folder.path.as_str())?;
        }
        let moved = stored::move_folder(tx, who.account, source, target, *now)?
            + folders::move_folder(tx, who.account, source, target, *now)?;
        Ok(ObjectsMoveReply { moved, warnings: guard.warned().warnings })
    }

    /// Whether this item may move; gives its new path.
    fn check_item(&self, item: &Item) -> Result<ItemPath, Fault> {
        self.check_update(item.path.as_str())?;
        check_unlocked(item, &self.who, Use::Update, self.now)?;
        let rest = item.path.as_str().strip_prefix(self.source.as_str()).unwrap_or_default();
        let new = ItemPath::parse(&format!("{}{rest}", self.target))?;
        check_relocation(&self.who, RuleKind::Item, &item.path, &new, self.now)?;
        Ok(new)
    }

    fn check_folder(&self, path: &str) -> Result<(), Fault> {
        self.check_update(path)?;
        let rest = path.strip_prefix(self.source.as_str()).unwrap_or_default();
        let new = format!("{}{rest}", self.target);
        reserved(&new)?;
        self.who.require(RuleKind::Item, &new, Capability::Create, self.now)
    }

    /// The refusal names what stands in the way only to those who may see it.
    fn check_update(&self, path: &str) -> Result<(), Fault> {
        let (kind, now) = (RuleKind::Item, self.now);
        let Err(refused) = self.who.require(kind, path, Capability::Update, now) else {
            return Ok(());
        };
        if self.who.may(kind, path, Capability::List, now) {
            return Err(refused);
        }
        Err(Fault::unauthorized(format!(
            "unauthorized access for access id {}: 'update' is not granted on everything below {}; \
             ask an administrator",
            self.who.access_id(),
            self.source
        )))
    }
}
