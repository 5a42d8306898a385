//! Looking a store over: its schema, its files, what its rows say of one another, and the chains.

use keysherd_audit::{HashFn, Verified};
use keysherd_base::{AccountId, Fault};
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
        "SELECT COUNT(*) FROM credential_leases c JOIN items i ON i.id = c.item \
         WHERE i.account <> c.account",
        "temporary credentials are of an item of another account",
    ),
    (
        "SELECT COUNT(*) FROM credential_leases WHERE due IS NULL AND state <> 'quarantined'",
        "temporary credentials have no end",
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

    /// Reads every row at one moment and looks for what cannot be.
    ///
    /// # Errors
    /// Only when the store cannot be reached any more.
    pub fn check(&self) -> Result<Checked, Fault> {
        let mut problems = self.reader.raw().damage()?;
        self.reader.begin_snapshot()?;
        if meta::get(&self.reader, IMPORT_MARK)?.is_some() {
            problems
                .push("an import has not come to its end: run keysherd db import again".to_owned());
        }
        let mut counts = [0; TABLES.len()];
        let mut unreadable = 0_u64;
        let read = read_all(&self.reader, &mut |table, row| {
            if let Some(count) = counts.get_mut(table) {
                *count += 1;
            }
            unreadable += u64::from(!has_readable_bodies(table, &row));
            Ok(())
        });
        if let Err(fault) = read {
            problems.push(format!("not all rows can be read: {}", text_of(&fault)));
        }
        if unreadable > 0 {
            problems.push(format!("{unreadable} rows: their body is no JSON"));
        }
        for (sql, meaning) in CONTRADICTIONS {
            let found = first(&self.reader, sql, &[], |row| row.number::<u64>(0))?.unwrap_or(0);
            if found > 0 {
                problems.push(format!("{found} rows: {meaning}"));
            }
        }
        self.check_accounts(&mut problems)?;
        self.reader.end_snapshot()?;
        Ok(Checked { counts, problems })
    }

    /// Reads what decides about access as control does.
    fn check_accounts(&self, problems: &mut Vec<String>) -> Result<(), Fault> {
        let q = &self.reader;
        for account in accounts::list(q)? {
            let id = account.id;
            if auth_methods::by_id(q, id, account.owner_method)?.is_none() {
                problems.push(format!("account {id}: its owner's auth method is not there"));
            }
            let parts = [
                ("auth methods", auth_methods::all_of(q, id).map(drop)),
                ("roles", roles::all_of(q, id).map(drop)),
                ("associations", assocs::all_of(q, id).map(drop)),
                ("clusters", clusters::of_account(q, id, usize::MAX).map(drop)),
            ];
            for (what, read) in parts {
                if let Err(fault) = read {
                    problems.push(format!("account {id}: its {what}: {}", text_of(&fault)));
                }
            }
            let lost = lost_configurations(q, id)?;
            if lost > 0 {
                problems.push(format!(
                    "account {id}: {lost} gateway clusters: their configuration is sealed under a \
                     key that is not there"
                ));
            }
            if problems.len() > TOLD_MAX {
                problems.push("and perhaps more: the rest was not looked at".to_owned());
                break;
            }
        }
        Ok(())
    }

    /// Verifies every chain, page by page; `of_head` checks the signatures of heads. Calls `tell`
    /// for each.
    ///
    /// # Errors
    /// Only when the store cannot be read.
    pub fn check_chains(
        &self,
        hash: HashFn,
        of_head: &dyn Fn(&[u8], &[u8; 64]) -> bool,
        tell: &mut dyn FnMut(ChainState),
    ) -> Result<(), Fault> {
        for head in audit::heads(&self.reader)? {
            let account = head.head.account;
            let state = audit::verify_by_page(&self.reader, account, hash, of_head)?;
            tell((account, state.map_err(|finding| finding.to_string())));
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
