//! Associations of items with targets: what remote access may reach with an item. Which target an
//! item uses itself is in [`crate::item_targets`].

use keysherd_base::{AccountId, AssocId, Fault, ItemId, Timestamp};

use crate::query::{Query, Row, Tx, all, first, run};

const INSERT: &str = "INSERT INTO target_assocs (id, account, item, target, created) \
                      VALUES (?1, ?2, ?3, ?4, ?5)";
const DELETE: &str = "DELETE FROM target_assocs WHERE account = ?1 AND id = ?2";
const ANY: &str = "SELECT 1 FROM target_assocs WHERE account = ?1 LIMIT 1";
const OF_ITEM: &str = "SELECT id, item, target, created FROM target_assocs \
                       WHERE item = ?1 ORDER BY created, id LIMIT ?2";
const OF_TARGET: &str = "SELECT id, item, target, created FROM target_assocs \
                         WHERE target = ?1 ORDER BY created, id LIMIT ?2";

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetAssoc {
    /// Its id.
    pub id: AssocId,
    /// The item.
    pub item: ItemId,
    /// The target.
    pub target: ItemId,
    /// When it was made.
    pub created: Timestamp,
}

/// Adds one.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when the item has one with the target already.
pub fn insert(tx: &Tx, account: AccountId, assoc: &TargetAssoc) -> Result<(), Fault> {
    let args = [
        (&*assoc.id.0).into(),
        (&account).into(),
        assoc.item.0.into(),
        assoc.target.0.into(),
        assoc.created.0.into(),
    ];
    run(tx, INSERT, &args).map_err(|refused| refused.or_taken(taken))?;
    Ok(())
}

/// Deletes one; `false` when there is none with this id.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, account: AccountId, id: &AssocId) -> Result<bool, Fault> {
    Ok(run(tx, DELETE, &[(&account).into(), (&*id.0).into()])? == 1)
}

/// Whether an account has any.
///
/// # Errors
/// Only when the store is broken.
pub fn any(q: &dyn Query, account: AccountId) -> Result<bool, Fault> {
    Ok(first(q, ANY, &[(&account).into()], |_| Ok(()))?.is_some())
}

/// At most `limit` of an item, oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn of_item(q: &dyn Query, item: ItemId, limit: usize) -> Result<Vec<TargetAssoc>, Fault> {
    all(q, OF_ITEM, &[item.0.into(), limit.into()], assoc_of)
}

/// At most `limit` of a target, oldest first.
///
/// # Errors
/// Only when the store is broken.
pub fn of_target(q: &dyn Query, target: ItemId, limit: usize) -> Result<Vec<TargetAssoc>, Fault> {
    all(q, OF_TARGET, &[target.0.into(), limit.into()], assoc_of)
}

fn taken() -> String {
    "the item is already associated with the target".to_owned()
}

fn assoc_of(row: &Row<'_>) -> Result<TargetAssoc, Fault> {
    Ok(TargetAssoc {
        id: AssocId(row.text(0)?.into()),
        item: ItemId(row.int(1)?),
        target: ItemId(row.int(2)?),
        created: Timestamp(row.int(3)?),
    })
}
