//! Which items use which targets.

use keysherd_base::{Fault, ItemId};

use crate::query::{Query, Tx, all, first, run};

const PUT: &str = "INSERT INTO item_targets (item, target) VALUES (?1, ?2) \
                   ON CONFLICT (item, target) DO NOTHING";
const CLEAR: &str = "DELETE FROM item_targets WHERE item = ?1";
const OF_ITEM: &str = "SELECT target FROM item_targets WHERE item = ?1 ORDER BY target LIMIT 1";
const OF_TARGET: &str = "SELECT item FROM item_targets WHERE target = ?1 ORDER BY item LIMIT ?2";

/// Has an item use this target and no other; `None`: none at all.
///
/// # Errors
/// [`keysherd_base::FaultKind::Internal`] when there is no such item or target.
pub fn set(tx: &Tx, item: ItemId, target: Option<ItemId>) -> Result<(), Fault> {
    run(tx, CLEAR, &[item.0.into()])?;
    if let Some(target) = target {
        run(tx, PUT, &[item.0.into(), target.0.into()])?;
    }
    Ok(())
}

/// The target of an item.
///
/// # Errors
/// Only when the store is broken.
pub fn of_item(q: &dyn Query, item: ItemId) -> Result<Option<ItemId>, Fault> {
    first(q, OF_ITEM, &[item.0.into()], |row| row.int(0).map(ItemId))
}

/// At most `limit` items that use a target.
///
/// # Errors
/// Only when the store is broken.
pub fn of_target(q: &dyn Query, target: ItemId, limit: usize) -> Result<Vec<ItemId>, Fault> {
    all(q, OF_TARGET, &[target.0.into(), limit.into()], |row| row.int(0).map(ItemId))
}
