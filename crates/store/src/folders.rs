//! Folders that were created as such, and the names of folders however they came to be.

use keysherd_base::{AccountId, Fault, FolderPath, Timestamp};
use keysherd_domain::folder::Folder;

use crate::moves::{self, MoveStatements, move_statements};
use crate::query::{
    Query, Row, Tx, all, end_of_folder, first, first_changed, from_json, run, to_json,
};

const INSERT: &str = "INSERT INTO folders (account, path, modified, body) \
                      VALUES (?1, ?2, ?3, ?4) RETURNING id";
const UPDATE: &str = "UPDATE folders SET path = ?2, modified = ?3, body = ?4 WHERE id = ?1";
const DELETE: &str = "DELETE FROM folders WHERE id = ?1";
const BY_PATH: &str = "SELECT id, path, modified, body FROM folders \
                       WHERE account = ?1 AND path = ?2";
const BELOW: &str = "SELECT id, path, modified, body FROM folders \
                     WHERE account = ?1 AND path > ?2 AND path < ?3 ORDER BY path";
const NEXT_FOLDER: &str = "SELECT path FROM folders \
                           WHERE account = ?1 AND path >= ?2 AND path < ?3 \
                           ORDER BY path LIMIT 1";
const DELETE_ROOT: &str = "DELETE FROM folders WHERE account = ?1 AND path = '/'";
const MOVE: MoveStatements = move_statements!("folders", "");

/// Adds a folder and gives its id; the id in `folder` is not used.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when it exists already.
pub fn insert(tx: &Tx, folder: &Folder) -> Result<i64, Fault> {
    let body = to_json(folder)?;
    let args = [
        (&folder.account).into(),
        folder.path.as_str().into(),
        folder.modified.0.into(),
        (&body).into(),
    ];
    first_changed(tx, INSERT, &args, |row| row.int(0))
        .map_err(|refused| refused.or_taken(|| taken(&folder.path)))
}

/// Replaces the folder with this id; `false` when there is none.
///
/// # Errors
/// [`keysherd_base::FaultKind::Conflict`] when its path is taken.
pub fn update(tx: &Tx, folder: &Folder) -> Result<bool, Fault> {
    let body = to_json(folder)?;
    let args =
        [folder.id.into(), folder.path.as_str().into(), folder.modified.0.into(), (&body).into()];
    let changed =
        run(tx, UPDATE, &args).map_err(|refused| refused.or_taken(|| taken(&folder.path)))?;
    Ok(changed == 1)
}

/// Deletes a folder, not what lies in it; `false` when there is none.
///
/// # Errors
/// Only when the store is broken or the disk full.
pub fn delete(tx: &Tx, id: i64) -> Result<bool, Fault> {
    Ok(run(tx, DELETE, &[id.into()])? == 1)
}

/// The folder with this path, if it was created as such.
///
/// # Errors
/// Only when the store is broken.
pub fn by_path(
    q: &dyn Query,
    account: AccountId,
    path: &FolderPath,
) -> Result<Option<Folder>, Fault> {
    first(q, BY_PATH, &[(&account).into(), path.as_str().into()], folder_of)
}

/// The folders below `folder` at any depth that were created as such, by path.
///
/// # Errors
/// Only when the store is broken.
pub fn all_below(
    q: &dyn Query,
    account: AccountId,
    folder: &FolderPath,
) -> Result<Vec<Folder>, Fault> {
    let end = end_of_folder(folder.as_str());
    all(q, BELOW, &[(&account).into(), folder.as_str().into(), (&end).into()], folder_of)
}

/// The folders directly in `folder` that were created or that folders below them imply, by path.
///
/// # Errors
/// Only when the store is broken.
pub fn children(
    q: &dyn Query,
    account: AccountId,
    folder: &FolderPath,
) -> Result<Vec<FolderPath>, Fault> {
    skip_scan(q, NEXT_FOLDER, account, folder)
}

/// The folders directly in `folder`, created as such or implied by items, by path.
///
/// # Errors
/// Only when the store is broken.
pub fn names_in(
    q: &dyn Query,
    account: AccountId,
    folder: &FolderPath,
) -> Result<Vec<FolderPath>, Fault> {
    let mut names = children(q, account, folder)?;
    names.extend(crate::items::sub_folders(q, account, folder)?);
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Moves the folder `from` itself, if it was created as such, and all folders below it, all or
/// none; gives their number.
///
/// # Errors
/// As [`crate::items::move_folder`].
pub fn move_folder(
    tx: &Tx,
    account: AccountId,
    from: &FolderPath,
    to: &FolderPath,
    now: Timestamp,
) -> Result<usize, Fault> {
    let moved = moves::move_folder(tx, &MOVE, account, from, to, now)?;
    if to.is_root() {
        // What becomes the root is no longer a folder that was created as such.
        run(tx, DELETE_ROOT, &[(&account).into()])?;
    }
    Ok(moved)
}

/// The first segments below `folder` of a sorted column of folder paths: `next` finds the first
/// path in a range, and each step goes on behind everything the last one's segment contains.
pub(crate) fn skip_scan(
    q: &dyn Query,
    next: &'static str,
    account: AccountId,
    folder: &FolderPath,
) -> Result<Vec<FolderPath>, Fault> {
    let end = end_of_folder(folder.as_str());
    // The folder's own path sorts directly before everything below it.
    let mut from = format!("{folder}\u{1}");
    let mut found = Vec::new();
    loop {
        let args = [(&account).into(), (&from).into(), (&end).into()];
        let path = first(q, next, &args, |row| row.text(0).map(str::to_owned))?;
        let Some(path) = path else { return Ok(found) };
        let rest = path.strip_prefix(folder.as_str()).unwrap_or_default();
        let segment = rest.split('/').next().unwrap_or_default();
        let child = FolderPath::parse(&format!("{folder}{segment}"))?;
        from = end_of_folder(child.as_str());
        found.push(child);
    }
}

fn taken(path: &FolderPath) -> String {
    format!("a folder named {path} already exists")
}

fn folder_of(row: &Row<'_>) -> Result<Folder, Fault> {
    let mut folder: Folder = from_json(row.text(3)?)?;
    folder.id = row.int(0)?;
    folder.path = FolderPath::parse(row.text(1)?)?;
    folder.modified = Timestamp(row.int(2)?);
    Ok(folder)
}
