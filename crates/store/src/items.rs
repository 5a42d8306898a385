//! Items without their values.

use keysherd_base::{AccountId, Fault, FolderPath, ItemId, ItemPath, Timestamp};
use keysherd_domain::item::Item;

use crate::changes::{self, Touched};
use crate::moves::{self, MoveStatements, move_statements};
use crate::query::{
    Arg, Query, Row, Tx, all, end_of_folder, first, first_changed, from_json, run, to_json,
};

const INSERT: &str = "INSERT INTO items (account, display_id, path, folder, protection_key, \
                      deletion_at, modified, body) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id";
const UPDATE: &str = "UPDATE items SET account = ?1, display_id = ?2, path = ?3, folder = ?4, \
                      protection_key = ?5, deletion_at = ?6, modified = ?7, body = ?8 \
                      WHERE id = ?9";
const DELETE: &str = "DELETE FROM items WHERE id = ?1";
const BY_ID: &str = "SELECT id, path, modified, body FROM items WHERE id = ?2 AND account = ?1";
const BY_PATH: &str = "SELECT id, path, modified, body FROM items \
                       WHERE account = ?1 AND path = ?2";
const BY_DISPLAY: &str = "SELECT id, path, modified, body FROM items \
                          WHERE account = ?1 AND display_id = ?2";
const PAGE_BELOW: &str = "SELECT id, path, modified, body FROM items \
                          WHERE account = ?1 AND path > ?2 AND path < ?3 AND modified > ?4 \
                          ORDER BY path LIMIT ?5";
const PAGE_DIRECTLY: &str = "SELECT id, path, modified, body FROM items \
                             WHERE account = ?1 AND folder = ?2 AND path > ?3 AND modified > ?4 \
                             ORDER BY path LIMIT ?5";
const ANY_BELOW: &str = "SELECT 1 FROM items WHERE account = ?1 AND path > ?2 AND path < ?3 \
                         LIMIT 1";
const NEXT_FOLDER: &str = "SELECT folder FROM items \
                           WHERE account = ?1 AND folder >= ?2 AND folder < ?3 \
                           ORDER BY folder LIMIT 1";
const COUNT_WITH_KEY: &str = "SELECT COUNT(*) FROM items WHERE protection_key = ?1";
const DUE: &str = "SELECT id, path, modified, body FROM items \
                   WHERE deletion_at <= ?1 ORDER BY deletion_at LIMIT ?2";
const MOVE: MoveStatements = move_statements!("items", "folder = ?4 || substr(folder, ?5), ");

/// Which items a page is of.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All of the account.
    All,
    /// Those that lie directly in a folder.
    Directly(&'a FolderPath),
    /// Those in a folder or below it.
    Below(&'a FolderPath),
}

/// What a page of items holds.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Which items.
    pub scope: Scope<'a>,
    /// Only paths after this one; `None`: from the first.
    pub after: Option<&'a str>,
    /// Only items changed after this time.
    pub modified_after: Option<Timestamp>,
    /// At most this many.
    pub limit: usize,
}

/// Adds an item and gives its id; the id in `item` is not used.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path or display id is taken.
pub fn insert(tx: &Tx, item: &Item) -> Result<ItemId, Fault> {
    let (folder, body) = (item.path.parent(), to_json(item)?);
    let args = columns(item, &folder, &body);
    let id = first_changed(tx, INSERT, &args, |row| row.int(0).map(ItemId))
        .map_err(|refused| refused.or_taken(|| taken(&item.path)))?;
    changes::note(tx, item.account, Touched::Item { id, path: item.path.clone() });
    Ok(id)
}

/// Replaces the item with this id; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path is taken.
pub fn update(tx: &Tx, item: &Item) -> Result<bool, Fault> {
    // The path that it has until now, too.
    changes::note_item(tx, item.id)?;
    changes::note(tx, item.account, Touched::Item { id: item.id, path: item.path.clone() });
    let (folder, body) = (item.path.parent(), to_json(item)?);
    let [a, b, c, d, e, f, g, h] = columns(item, &folder, &body);
    let changed = run(tx, UPDATE, &[a, b, c, d, e, f, g, h, item.id.0.into()])
        .map_err(|refused| refused.or_taken(|| taken(&item.path)))?;
    Ok(changed == 1)
}

/// Deletes an item with all its versions; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Internal`] when it is a key that other items name as theirs: check
/// [`count_with_key`] before.
pub fn delete(tx: &Tx, id: ItemId) -> Result<bool, Fault> {
    changes::note_item(tx, id)?;
    Ok(run(tx, DELETE, &[id.0.into()])? == 1)
}

/// The item with this path.
///
/// # Errors
/// Only when the store is broken.
pub fn by_path(q: &dyn Query, account: AccountId, path: &ItemPath) -> Result<Option<Item>, Fault> {
    first(q, BY_PATH, &[(&account).into(), path.as_str().into()], item_of)
}

/// The item with this integer id.
///
/// # Errors
/// Only when the store is broken.
pub fn by_id(q: &dyn Query, account: AccountId, id: ItemId) -> Result<Option<Item>, Fault> {
    first(q, BY_ID, &[(&account).into(), id.0.into()], item_of)
}

/// The item with this display id.
///
/// # Errors
/// Only when the store is broken.
pub fn by_display(q: &dyn Query, account: AccountId, id: &str) -> Result<Option<Item>, Fault> {
    first(q, BY_DISPLAY, &[(&account).into(), id.into()], item_of)
}

/// A page of items, by path in the order of its bytes.
///
/// # Errors
/// Only when the store is broken.
pub fn page(q: &dyn Query, account: AccountId, page: &Page<'_>) -> Result<Vec<Item>, Fault> {
    let after = page.after.unwrap_or_default();
    let modified = page.modified_after.map_or(i64::MIN, |time| time.0);
    let root = FolderPath::parse("/")?;
    let folder = match page.scope {
        Scope::Directly(folder) => {
            let args = [
                (&account).into(),
                folder.as_str().into(),
                after.into(),
                modified.into(),
                page.limit.into(),
            ];
            return all(q, PAGE_DIRECTLY, &args, item_of);
        }
        Scope::Below(folder) => folder,
        Scope::All => &root,
    };
    let end = end_of_folder(folder.as_str());
    let args = [
        (&account).into(),
        after.max(folder.as_str()).into(),
        (&end).into(),
        modified.into(),
        page.limit.into(),
    ];
    all(q, PAGE_BELOW, &args, item_of)
}

/// Whether any item lies in the folder or below it.
///
/// # Errors
/// Only when the store is broken.
pub fn any_below(q: &dyn Query, account: AccountId, folder: &FolderPath) -> Result<bool, Fault> {
    let end = end_of_folder(folder.as_str());
    let args = [(&account).into(), folder.as_str().into(), (&end).into()];
    Ok(first(q, ANY_BELOW, &args, |_| Ok(()))?.is_some())
}

/// The folders directly in `folder` that the paths of items imply, by path. Takes one step in an
/// index per sub-folder, however many items lie in them.
///
/// [`crate::folders::names_in`] knows those that were created as such, too.
///
/// # Errors
/// Only when the store is broken.
pub fn sub_folders(
    q: &dyn Query,
    account: AccountId,
    folder: &FolderPath,
) -> Result<Vec<FolderPath>, Fault> {
    crate::folders::skip_scan(q, NEXT_FOLDER, account, folder)
}

/// How many items (of any account) name this key as the one that protects them. Versions may be
/// wrapped by it all the same: see [`crate::item_versions::count_items_by_key`].
///
/// # Errors
/// Only when the store is broken.
pub fn count_with_key(q: &dyn Query, key: ItemId) -> Result<u64, Fault> {
    Ok(first(q, COUNT_WITH_KEY, &[key.0.into()], |row| row.number(0))?.unwrap_or(0))
}

/// At most `limit` items of any account whose deletion date has come, the oldest date first.
///
/// # Errors
/// Only when the store is broken.
pub fn due_for_deletion(q: &dyn Query, now: Timestamp, limit: usize) -> Result<Vec<Item>, Fault> {
    all(q, DUE, &[now.0.into(), limit.into()], item_of)
}

/// Moves all items below the folder `from` to the same places below `to`, all or none; gives their
/// number. `from` may be the root, and the folders may lie within one another.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when a path is taken, and
/// [`keysherd_base::FaultKind::BadRequest`] when one would get too long.
pub fn move_folder(
    tx: &Tx,
    account: AccountId,
    from: &FolderPath,
    to: &FolderPath,
    now: Timestamp,
) -> Result<usize, Fault> {
    changes::note(tx, account, Touched::Items);
    moves::move_folder(tx, &MOVE, account, from, to, now)
}

fn columns<'a>(item: &'a Item, folder: &'a FolderPath, body: &'a str) -> [Arg<'a>; 8] {
    [
        (&item.account).into(),
        (&*item.display_id.0).into(),
        item.path.as_str().into(),
        folder.as_str().into(),
        item.protection_key.map(|key| key.0).into(),
        item.deletion_at.map(|time| time.0).into(),
        item.modified.0.into(),
        body.into(),
    ]
}

fn taken(path: &ItemPath) -> String {
    format!("an item named {path} already exists")
}

fn item_of(row: &Row<'_>) -> Result<Item, Fault> {
    let mut item: Item = from_json(row.text(3)?)?;
    item.id = ItemId(row.int(0)?);
    item.path = ItemPath::parse(row.text(1)?)?;
    item.modified = Timestamp(row.int(2)?);
    Ok(item)
}
