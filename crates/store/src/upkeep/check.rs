//! Looking a store over: its schema, its files, what its rows say of one another, and the chains.

use keysherd_audit::{HashFn, Verified};
use keysherd_base::{AccountId, Fault, FaultKind};
use serde::de::IgnoredAny;

use super::export::read_all;
use crate::export_file::{Cell, Counts};
use crate::migrations::{self, Schema};
use crate::query::{Reader, first};
use crate::tables::{IMPORT_MARK, TABLES};
use crate::{accounts, assocs, audit, auth_methods, clusters, keys, meta, roles};

/// Problems of one kind that are told.
const TOLD_MAX: usize = 20;

/// What rows must not say: the number of those that do, and what it means.
const CONTRADICTIONS: &[(&str, &str)] = &[
    (
        "SELECT COUNT(*) FROM item_versions v WHERE NOT EXISTS (SELECT 1 FROM keys k \
         WHERE k.key_id = v.key_id AND k.version = v.key_version)",
        "values are wrapped by a key that is not there: nobody can read them",
    ),
    (
        "SELECT COUNT(*) FROM item_versions v JOIN items i ON i.id = v.item JOIN keys k \
         ON k.key_id = v.key_id AND k.version = v.key_version WHERE i.account <> k.account",
        "values are wrapped by a key of another account",
    ),
    (
        "SELECT COUNT(*) FROM assocs a JOIN roles r ON r.id = a.role \
         JOIN auth_methods m ON m.id = a.method \
         WHERE r.account <> a.account OR m.account <> a.account",
        "associations join a role and an auth method of different accounts",
    ),
    (
        "SELECT COUNT(*) FROM items i JOIN items k ON k.id = i.protection_key \
         WHERE k.account <> i.account",
        "items have a key of another account",
    ),
    (
        "SELECT COUNT(*) FROM item_targets t JOIN items i ON i.id = t.item \
         JOIN items o ON o.id = t.target WHERE i.account <> o.account",
        "items use a target of another account",
    ),
    (
        "SELECT COUNT(*) FROM target_assocs a JOIN items i ON i.id = a.item \
         JOIN items o ON o.id = a.target WHERE i.account <> a.account OR o.account <> a.account",
        "associations join an item and a target of different accounts",
    ),
    (
        "SELECT COUNT(*) FROM credential_leases c JOIN items i ON i.id = c.item \
         WHERE i.account <> c.account",
        "temporary credentials are of an item of another account",
    ),
    (
        "SELECT COUNT(*) FROM credential_leases WHERE due IS NULL AND state <> 'quarantined'",
        "temporary credentials have no end",
    ),
    (
        "SELECT COUNT(*) FROM credential_rotations r JOIN items i ON i.id = r.item \
         WHERE i.account <> r.account",
        "rotations are of an item of another account",
    ),
    (
        "SELECT COUNT(*) FROM item_versions c JOIN item_versions v \
         ON v.item = c.item AND v.version > c.version WHERE c.candidate <> 0",
        "candidates of rotations are older than the versions that they are to follow",
    ),
];

/// A store that is looked over.
pub struct Inspection {
    reader: Reader,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The rows of each of [`TABLES`], but the last, which is none.
    pub counts: Counts,
    /// What is wrong, for people: nothing of what is in the rows.
    pub problems: Vec<String>,
}

impl Checked {
    /// What an outcome has; a fault is noted as a problem of `what`.
    ///
    /// # Errors
    /// When the store cannot be reached any more: then nothing is known of it.
    pub fn note<T>(&mut self, what: &str, outcome: Result<T, Fault>) -> Result<Option<T>, Fault> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(fault) if is_gone(&fault) => Err(fault),
            Err(fault) => {
                self.problems.push(format!("{what}: {}", text_of(&fault)));
                Ok(None)
            }
        }
    }
}

/// Whether a fault says nothing of the store but that it is not reached.
fn is_gone(fault: &Fault) -> bool {
    fault.kind() == FaultKind::Unavailable
}

/// An audit chain: how long it is, or what is wrong with it.
pub type ChainState = (AccountId, Result<Verified, String>);

impl Inspection {
    pub(super) const fn new(reader: Reader) -> Self {
        Self { reader }
    }

    /// Its schema.
    ///
    /// # Errors
    /// Only when the store cannot be read.
    pub fn schema(&self) -> Result<Schema, Fault> {
        migrations::schema(&self.reader)
    }

    /// Reads every row at one moment and looks for what cannot be. What cannot be read is a problem
    /// like others, and the rest is looked at all the same.
    ///
    /// # Errors
    /// Only when the store cannot be reached any more.
    pub fn check(&self) -> Result<Checked, Fault> {
        let mut checked = Checked { counts: [0; TABLES.len()], problems: Vec::new() };
        let engine = self.reader.raw().damage(&mut checked.problems);
        checked.note("the engine's own check ended early", engine)?;
        self.reader.begin_snapshot()?;
        let mark = meta::get(&self.reader, IMPORT_MARK);
        if self.note(&mut checked, "meta", mark)?.flatten().is_some() {
            let text = "an import has not come to its end: run keysherd db import again";
            checked.problems.push(text.to_owned());
        }
        self.check_rows(&mut checked)?;
        for (sql, meaning) in CONTRADICTIONS {
            let found = first(&self.reader, sql, &[], |row| row.number::<u64>(0));
            let found = self.note(&mut checked, "rows that refer to others", found)?.flatten();
            if let Some(found) = found.filter(|found| *found > 0) {
                checked.problems.push(format!("{found} rows: {meaning}"));
            }
        }
        self.check_accounts(&mut checked)?;
        self.reader.end_snapshot()?;
        Ok(checked)
    }

    /// As [`Checked::note`], in a snapshot, which may be of no use after that.
    fn note<T>(
        &self,
        checked: &mut Checked,
        what: &str,
        outcome: Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let found = checked.note(what, outcome)?;
        if found.is_none() {
            self.reader.end_snapshot()?;
            self.reader.begin_snapshot()?;
        }
        Ok(found)
    }

    fn check_rows(&self, checked: &mut Checked) -> Result<(), Fault> {
        let mut unreadable = 0_u64;
        let read = read_all(&self.reader, &mut |table, row| {
            if let Some(count) = checked.counts.get_mut(table) {
                *count += 1;
            }
            unreadable += u64::from(!has_readable_bodies(table, &row));
            Ok(())
        });
        self.note(checked, "not all rows can be read", read)?;
        if unreadable > 0 {
            checked.problems.push(format!("{unreadable} rows: their body is no JSON"));
        }
        Ok(())
    }

    /// Reads what decides about access as control does.
    fn check_accounts(&self, checked: &mut Checked) -> Result<(), Fault> {
        let q = &self.reader;
        let accounts = self.note(checked, "the accounts", accounts::list(q))?.unwrap_or_default();
        for account in accounts {
            let id = account.id;
            let owner = auth_methods::by_id(q, id, account.owner_method);
            let of = |what: &str| format!("account {id}: its {what}");
            if self.note(checked, &of("owner's auth method"), owner)? == Some(None) {
                let text = format!("account {id}: its owner's auth method is not there");
                checked.problems.push(text);
            }
            let parts = [
                ("auth methods", auth_methods::all_of(q, id).map(drop)),
                ("roles", roles::all_of(q, id).map(drop)),
                ("associations", assocs::all_of(q, id).map(drop)),
                ("clusters", clusters::of_account(q, id, usize::MAX).map(drop)),
            ];
            for (what, read) in parts {
                self.note(checked, &of(what), read)?;
            }
            let lost = lost_configurations(q, id);
            let lost = self.note(checked, &of("clusters' configurations"), lost)?;
            if let Some(lost) = lost.filter(|lost| *lost > 0) {
                checked.problems.push(format!(
                    "account {id}: {lost} gateway clusters: their configuration is sealed under a \
                     key that is not there"
                ));
            }
            if checked.problems.len() > TOLD_MAX {
                let text = "and perhaps more: the rest was not looked at";
                checked.problems.push(text.to_owned());
                break;
            }
        }
        Ok(())
    }

    /// Verifies every chain, page by page; `of_head` checks the signatures of heads. Calls `tell`
    /// for each. A chain that cannot be read is one that is not intact.
    ///
    /// # Errors
    /// Only when the heads cannot be read, or the store cannot be reached any more.
    pub fn check_chains(
        &self,
        hash: HashFn,
        of_head: &dyn Fn(&[u8], &[u8; 64]) -> bool,
        tell: &mut dyn FnMut(ChainState),
    ) -> Result<(), Fault> {
        for head in audit::heads(&self.reader)? {
            let account = head.head.account;
            let state = match audit::verify_chain_by_page(&self.reader, account, hash, of_head) {
                Ok(state) => state.map_err(|finding| finding.to_string()),
                Err(fault) if is_gone(&fault) => return Err(fault),
                Err(fault) => Err(format!("it cannot be read: {}", text_of(&fault))),
            };
            tell((account, state));
        }
        Ok(())
    }

    /// Whether there are audit records whose chain has lost its signed head.
    ///
    /// # Errors
    /// Only when the store cannot be read.
    pub fn has_headless_chain(&self) -> Result<bool, Fault> {
        Ok(!audit::headless_chains(&self.reader)?.is_empty())
    }

    /// Looks at one moment of the store with its own functions.
    ///
    /// # Errors
    /// What `look` gives.
    pub fn read<T>(&self, look: impl FnOnce(&Reader) -> Result<T, Fault>) -> Result<T, Fault> {
        self.reader.begin_snapshot()?;
        let found = look(&self.reader);
        self.reader.end_snapshot()?;
        found
    }
}

/// How many clusters of an account have a configuration that nobody can open.
fn lost_configurations(q: &Reader, account: AccountId) -> Result<usize, Fault> {
    let mut lost = 0;
    for key in clusters::sealing(q, account)?.into_iter().filter_map(|sealing| sealing.under) {
        lost += usize::from(keys::get(q, key.key_id, key.version)?.is_none());
    }
    Ok(lost)
}

/// Whether the columns that hold domain values hold JSON.
fn has_readable_bodies(table: usize, row: &[Cell]) -> bool {
    let Some(table) = TABLES.get(table) else { return true };
    table.columns.iter().zip(row).all(|((name, _), cell)| match cell {
        Cell::Text(text) if matches!(*name, "body" | "settings" | "recovery") => {
            serde_json::from_str::<IgnoredAny>(text).is_ok()
        }
        _ => true,
    })
}

/// What an operator is told of a fault: its private half names the kind of the damage only.
fn text_of(fault: &Fault) -> String {
    let private = fault.private().unwrap_or_default();
    format!("{fault} ({private})")
}
