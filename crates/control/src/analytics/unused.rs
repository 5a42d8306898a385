//! What nobody used for a while.

use keysherd_audit::{Param, action};
use keysherd_base::limits::PAGE_LEN;
use keysherd_base::{Fault, Timestamp};
use keysherd_plane::Caller;
use keysherd_plane::audit_log::{UnusedItems, UnusedItemsReply};
use keysherd_plane::items::{ItemList, ItemView};
use keysherd_store::Query;

use super::CATCH_UP_MAX;
use crate::audit::audit_draft;
use crate::control::Control;
use crate::items::list::walk;
use crate::session::Principal;

/// Items looked at in one call at most.
const ITEMS_MAX: usize = 20_000;

/// The items the caller may list whose value nobody used, and that were made before.
///
/// # Errors
/// Only for a token that is not good, or when the store is broken.
pub(crate) async fn items(
    control: &Control,
    caller: &Caller,
    message: UnusedItems,
) -> Result<UnusedItemsReply, Fault> {
    let who = control.principal(caller).await?;
    let params = vec![Param::public("since", message.since.rfc3339())];
    let draft = audit_draft(caller, &who, action::LIST_UNUSED, "", params);
    control.store.index_audit(CATCH_UP_MAX).await;
    let (reading, now) = (control.clone(), control.now());
    let outcome = control.store.read_blocking(move |q| unused(q, &reading, &who, message, now));
    let outcome = outcome.await;
    control.recorded(draft, outcome).await
}

fn unused(
    q: &dyn Query,
    control: &Control,
    who: &Principal,
    message: UnusedItems,
    now: Timestamp,
) -> Result<UnusedItemsReply, Fault> {
    let UnusedItems { since, mut after, limit } = message;
    let limit = limit.clamp(1, PAGE_LEN);
    let mut found: Vec<ItemView> = Vec::new();
    let mut looked = 0;
    loop {
        let list = ItemList {
            folder: None,
            filter: None,
            kinds: Vec::new(),
            secret_kinds: Vec::new(),
            tag: None,
            modified_after: None,
            after: after.take(),
            limit: Some(PAGE_LEN),
        };
        let mut listed = walk(q, who, &list, now)?;
        control.fill_item_uses(&mut listed.items);
        looked += listed.items.len();
        for view in listed.items {
            let path = view.item.path.to_string();
            let used = view.last_used.is_some_and(|last| last >= since);
            if !used && view.item.created < since {
                found.push(view);
            }
            after = Some(path);
            if found.len() >= limit {
                return Ok(UnusedItemsReply { items: found, next: after });
            }
        }
        if !listed.more {
            return Ok(UnusedItemsReply { items: found, next: None });
        }
        if looked >= ITEMS_MAX {
            return Ok(UnusedItemsReply { items: found, next: after });
        }
    }
}
