//! The change feed: what each commit touched of that which others may have in memory.
//!
//! The functions of the noun modules note what they touch, and the writer puts what a whole commit
//! touched into one row, in the same transaction and with the next number. So whoever knows the
//! newest number, and has forgotten everything that was touched up to it, has nothing in memory
//! that is older than the store. [`crate::Store::newest_change`] tells that number,
//! [`crate::Store::watch_changes`] wakes when there is a newer one.
//!
//! Whoever cannot be told what changed since ([`Since::Forget`]) has to forget everything: the rows
//! are gone by now, there are too many, or the store was put back to what it was before.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use keysherd_base::{AccountId, Fault, ItemId, ItemPath, Timestamp, Uid};
use serde::{Deserialize, Serialize};

use crate::query::{Arg, Query, Row, Tx, each, first, first_changed, from_json, run, to_json};

/// Items of one account that a row names; beyond it, it says that any of them may have changed.
const ITEMS_MAX: usize = 256;
/// Rows that are kept, and for how long: an hour.
const ROWS_MAX: i64 = 20_000;
const KEPT_MILLIS: i64 = 3_600_000;
/// Old rows are looked for once in so many new ones.
const PRUNE_EVERY: u64 = 256;

const APPEND: &str = "INSERT INTO changes (number, time, body) \
                      VALUES (COALESCE((SELECT MAX(number) FROM changes), 0) + 1, ?1, ?2) \
                      RETURNING number";
const PRUNE: &str = "DELETE FROM changes WHERE number < ?1 AND (number <= ?2 OR time < ?3)";
const NEWEST: &str = "SELECT number, time FROM changes ORDER BY number DESC LIMIT 1";
const AT: &str = "SELECT number, time FROM changes WHERE number >= ?1 ORDER BY number LIMIT 1";
const AFTER: &str = "SELECT number, time, body FROM changes WHERE number > ?1 \
                     ORDER BY number LIMIT ?2";
const ITEM: &str = "SELECT account, path FROM items WHERE id = ?1";

/// A place in the feed: the number of a row, and its time, by which a history that went another way
/// is told apart.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Mark {
    /// Ascends by one with each commit that touched something; 0 before the first.
    pub number: u64,
    /// When the writer made the row.
    pub time: Timestamp,
}

/// What was touched of one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Change {
    /// The account.
    pub account: AccountId,
    /// What of it.
    pub what: Touched,
}

/// A part of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touched {
    /// The account's settings, an auth method, a role or an association.
    Identities,
    /// An item or a version of it was made, changed or deleted, or it has or had this path.
    Item {
        /// Its number.
        id: ItemId,
        /// A path of it, before or after.
        path: ItemPath,
    },
    /// Any items.
    Items,
    /// A token was revoked.
    Token {
        /// Its id.
        token: Uid,
        /// When it would have ended by itself.
        expires: Timestamp,
    },
    /// What is remembered of somebody's wrong logins, or where they sign in from. Of no account.
    Logins {
        /// Keyed hash of who it is, or of a place of theirs.
        subject: [u8; 32],
    },
    /// A universal-identity token of this auth method was rotated or revoked.
    UidTokens {
        /// The auth method's number.
        method: i64,
    },
}

/// What changed since a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// This, oldest first; nothing else.
    Changes(Vec<Change>),
    /// It cannot be told: everything may have.
    Forget,
}

/// What one job has noted so far.
pub(crate) struct Noted(RefCell<Notes>);

#[derive(Default)]
struct Notes {
    changes: BTreeSet<Change>,
    /// The items among them, whose paths need not be looked up again.
    items: BTreeSet<ItemId>,
}

impl Noted {
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(Notes { changes: BTreeSet::new(), items: BTreeSet::new() }))
    }

    /// What was noted, to be put into the commit or dropped with the job.
    pub(crate) fn take(&self) -> BTreeSet<Change> {
        self.0.take().changes
    }
}

/// Notes that a part of an account is touched.
pub(crate) fn note(tx: &Tx, account: AccountId, what: Touched) {
    let mut notes = tx.noted().0.borrow_mut();
    if let Touched::Item { id, .. } = what {
        notes.items.insert(id);
    }
    notes.changes.insert(Change { account, what });
}

/// As [`note`], of the account that `owner` finds for the row with this id; to be called while the
/// row is there.
pub(crate) fn note_owner(
    tx: &Tx,
    owner: &'static str,
    id: Arg<'_>,
    what: Touched,
) -> Result<(), Fault> {
    let account = first(tx, owner, &[id], |row| Ok(AccountId(Uid(row.array(0)?))))?;
    if let Some(account) = account {
        note(tx, account, what);
    }
    Ok(())
}

/// Notes an item with the path it has; to be called while its row is there.
pub(crate) fn note_item(tx: &Tx, id: ItemId) -> Result<(), Fault> {
    if tx.noted().0.borrow().items.contains(&id) {
        return Ok(());
    }
    let found = first(tx, ITEM, &[id.0.into()], |row| {
        Ok((AccountId(Uid(row.array(0)?)), ItemPath::parse(row.text(1)?)?))
    })?;
    if let Some((account, path)) = found {
        note(tx, account, Touched::Item { id, path });
    }
    Ok(())
}

/// Puts what a commit touched into the feed; gives its mark.
pub(crate) fn append(
    tx: &Tx,
    changes: &mut BTreeSet<Change>,
    now: Timestamp,
) -> Result<Mark, Fault> {
    gather_items(changes);
    let body = to_json(&changes)?;
    let args = [now.0.into(), (&body).into()];
    let number = first_changed(tx, APPEND, &args, |row| row.number::<u64>(0))?;
    if number % PRUNE_EVERY == 0 {
        let newest = i64::try_from(number).map_err(Fault::internal)?;
        let (oldest, then) = (newest - ROWS_MAX, now.0 - KEPT_MILLIS);
        run(tx, PRUNE, &[newest.into(), oldest.into(), then.into()])?;
    }
    Ok(Mark { number, time: now })
}

/// Where too many items of an account are named, says that any of them may have changed.
fn gather_items(changes: &mut BTreeSet<Change>) {
    if changes.len() <= ITEMS_MAX {
        return;
    }
    let mut counts = BTreeMap::<AccountId, usize>::new();
    for change in changes.iter().filter(|change| matches!(change.what, Touched::Item { .. })) {
        *counts.entry(change.account).or_default() += 1;
    }
    for (account, _) in counts.into_iter().filter(|(_, count)| *count > ITEMS_MAX) {
        let is_one = |change: &Change| matches!(change.what, Touched::Item { .. });
        changes.retain(|change| change.account != account || !is_one(change));
        changes.insert(Change { account, what: Touched::Items });
    }
}

/// The newest mark of the snapshot; number 0 while nothing was ever touched.
///
/// # Errors
/// Only when the store is broken.
pub fn newest(q: &dyn Query) -> Result<Mark, Fault> {
    Ok(first(q, NEWEST, &[], mark_of)?.unwrap_or_default())
}

/// What was touched after `mark`, up to the snapshot's newest mark, which comes with it: in the
/// account, or with `None` in all of them.
///
/// It is everything that may have changed, if there were more than `rows_max` commits, if rows
/// after `mark` are forgotten by now, or if the row at `mark` is another one.
///
/// # Errors
/// Only when the store is broken.
pub fn since(
    q: &dyn Query,
    mark: Mark,
    account: Option<AccountId>,
    rows_max: usize,
) -> Result<(Mark, Since), Fault> {
    let newest = newest(q)?;
    if !follows(q, mark, newest)? {
        return Ok((newest, Since::Forget));
    }
    let (mut found, mut rows) = (Vec::new(), 0);
    let number = i64::try_from(mark.number).unwrap_or(i64::MAX);
    let mut outcome = None;
    each(q, AFTER, &[number.into(), (rows_max + 1).into()], &mut |row| {
        rows += 1;
        // What a newer program wrote may be anything.
        match from_json::<Vec<Change>>(row.text(2)?) {
            Ok(changes) if rows <= rows_max => {
                let wanted = |change: &Change| account.is_none_or(|one| one == change.account);
                found.extend(changes.into_iter().filter(wanted));
                Ok(ControlFlow::Continue(()))
            }
            _ => {
                outcome = Some(Since::Forget);
                Ok(ControlFlow::Break(()))
            }
        }
    })?;
    Ok((newest, outcome.unwrap_or(Since::Changes(found))))
}

/// Whether every row from `mark` on is there, and is of the same history.
fn follows(q: &dyn Query, mark: Mark, newest: Mark) -> Result<bool, Fault> {
    if mark == newest {
        return Ok(true);
    }
    let number = i64::try_from(mark.number).unwrap_or(i64::MAX);
    let found = first(q, AT, &[number.into()], mark_of)?;
    Ok(match found {
        // Before the first row there is none to compare with.
        Some(first) if mark.number == 0 => first.number == 1,
        Some(found) => found == mark,
        None => false,
    })
}

fn mark_of(row: &Row<'_>) -> Result<Mark, Fault> {
    Ok(Mark { number: row.number(0)?, time: Timestamp(row.int(1)?) })
}
