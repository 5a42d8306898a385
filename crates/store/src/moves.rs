//! Moving a folder with everything in it, once for all tables whose rows have a path.

use std::ops::ControlFlow;

use keysherd_base::{AccountId, Fault, FolderPath, ItemPath, Timestamp};

use crate::query::{Arg, Tx, each, end_of_folder, first, run};

/// The statements of one table.
pub(crate) struct MoveStatements {
    /// The paths below a folder.
    pub(crate) scan: &'static str,
    /// The first path that is in the way.
    pub(crate) clash: &'static str,
    /// Gives the rows their new paths with a mark in front, so that no row on its way meets another
    /// one that has still to move: both engines check uniqueness row by row.
    pub(crate) lift: &'static str,
    /// Takes the mark away.
    pub(crate) land: &'static str,
}

// One macro for this crate: a statement is a constant text, and the table's name is a part of it.
// `$also` is a further assignment of the lift.
macro_rules! move_statements {
    ($table:literal, $also:literal) => {
        crate::moves::MoveStatements {
            scan: concat!(
                "SELECT path FROM ",
                $table,
                " WHERE account = ?1 AND path >= ?2 AND path < ?3 ORDER BY path"
            ),
            clash: concat!(
                "SELECT other.path FROM ",
                $table,
                " AS moved JOIN ",
                $table,
                " AS other ON other.account = moved.account \
                 AND other.path = ?4 || substr(moved.path, ?5) \
                 WHERE moved.account = ?1 AND moved.path >= ?2 AND moved.path < ?3 \
                 AND NOT (other.path >= ?2 AND other.path < ?3) ORDER BY other.path LIMIT 1"
            ),
            lift: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $also,
                "path = '>' || ?4 || substr(path, ?5), modified = ?6 \
                 WHERE account = ?1 AND path >= ?2 AND path < ?3"
            ),
            land: concat!(
                "UPDATE ",
                $table,
                " SET path = substr(path, 2) WHERE account = ?1 AND path > '>' AND path < '?'"
            ),
        }
    };
}
pub(crate) use move_statements;

/// Moves every row below `from` to the same place below `to`; gives their number. A row whose path
/// is `from` itself, which only a folder can have, gets the path `to`.
pub(crate) fn move_folder(
    tx: &Tx,
    statements: &MoveStatements,
    account: AccountId,
    from: &FolderPath,
    to: &FolderPath,
    now: Timestamp,
) -> Result<usize, Fault> {
    if from == to {
        return Ok(0);
    }
    check_new_paths(tx, statements, account, from, to)?;
    let end = end_of_folder(from.as_str());
    // Both engines count characters, from 1.
    let rest = from.as_str().chars().count() + 1;
    let args: [Arg<'_>; 6] = [
        (&account).into(),
        from.as_str().into(),
        (&end).into(),
        to.as_str().into(),
        rest.into(),
        now.0.into(),
    ];
    let clash = first(tx, statements.clash, &args[..5], |row| row.text(0).map(str::to_owned))?;
    if let Some(path) = clash {
        return Err(Fault::conflict(format!("{path} already exists")));
    }
    let moved = run(tx, statements.lift, &args)?;
    run(tx, statements.land, &args[..1])?;
    Ok(moved)
}

/// Refuses the move when a path would get too long or too deep.
fn check_new_paths(
    tx: &Tx,
    statements: &MoveStatements,
    account: AccountId,
    from: &FolderPath,
    to: &FolderPath,
) -> Result<(), Fault> {
    let end = end_of_folder(from.as_str());
    let args = [(&account).into(), from.as_str().into(), (&end).into()];
    each(tx, statements.scan, &args, &mut |row| {
        let rest = row.text(0)?.strip_prefix(from.as_str()).unwrap_or_default();
        // A folder's path has a slash at the end, which is not a part of its name.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if !rest.is_empty() {
            ItemPath::parse(&format!("{to}{rest}"))?;
        }
        Ok(ControlFlow::Continue(()))
    })
}
