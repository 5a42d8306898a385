//! Filling an empty store from a file.
//!
//! The whole file is looked at before anything is changed. Then a mark is left in the store, with
//! which no control plane opens it, and everything is written in one transaction, which takes the
//! mark away: a process that is killed leaves a store that is empty and known to be unfinished.

use std::io::{Read, Seek};

use keysherd_audit::HashFn;
use keysherd_base::Fault;

use super::StorePlace;
use crate::audit;
use crate::engine::NotCommitted;
use crate::export_file::{BadExport, Cell, Counts, ExportReader, Piece};
use crate::query::{Tx, first, run};
use crate::sqlite::Checkpoint;
use crate::tables::{IMPORT_MARK, NUMBERED, statements};
use crate::{meta, migrations};

const REMOVE_MARK: &str = "DELETE FROM meta WHERE name = ?1";

/// Checks a signature over a body.
pub(super) type Check<'a> = &'a dyn Fn(&[u8], &[u8; 64]) -> bool;

impl StorePlace {
    /// Fills the store, which has to be empty, and gives the rows of each table. `of_file` checks
    /// signatures under [`crate::export_file::EXPORT_LABEL`], `of_head` those of audit heads.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when the file is not good, and then nothing was changed;
    /// [`Fault::conflict`] when the store is not empty; [`Fault::unavailable`] when others work on
    /// it or it cannot be reached.
    pub fn import(
        &self,
        mut file: impl Read + Seek,
        hash: HashFn,
        of_file: Check<'_>,
        of_head: Check<'_>,
    ) -> Result<Counts, Fault> {
        // Rows are made of a file only that is known to be signed.
        let counts = begin(&mut file, hash)?.skim(of_file).map_err(unusable)?;
        let target = self.writer(true)?;
        let tx = &target.tx;
        migrations::apply(tx)?;
        check_empty(tx, &self.shown())?;
        in_transaction(tx, || meta::put(tx, IMPORT_MARK, "unfinished"))?;
        in_transaction(tx, || {
            let written =
                read_through(&mut file, hash, of_file, &mut |table, rows| put(tx, table, rows))?;
            if written != counts {
                return Err(bad("it changed while it was read"));
            }
            check_counts(tx, &counts)?;
            check_chains(tx, hash, of_head)?;
            run(tx, REMOVE_MARK, &[IMPORT_MARK.into()])?;
            Ok(())
        })?;
        // It is durable. What is in the log takes its room a second time in the file; where that is
        // missing, whoever opens the store next copies it.
        if let Err(fault) = tx.raw().checkpoint(Checkpoint::Truncate) {
            tracing::warn!(?fault, "the import is done; its write-ahead log was not copied yet");
        }
        Ok(counts)
    }
}

/// A file from its beginning.
fn begin<R: Read + Seek>(file: &mut R, hash: HashFn) -> Result<ExportReader<&mut R>, Fault> {
    file.rewind().map_err(|error| unusable(BadExport::Io(error.kind())))?;
    let schema = u32::try_from(migrations::newest()).map_err(Fault::internal)?;
    ExportReader::begin(file, hash, schema).map_err(unusable)
}

/// Reads a file from its beginning to its end; gives the rows of each table.
fn read_through(
    file: &mut (impl Read + Seek),
    hash: HashFn,
    of_file: Check<'_>,
    take: &mut dyn FnMut(usize, Vec<Vec<Cell>>) -> Result<(), Fault>,
) -> Result<Counts, Fault> {
    let mut reader = begin(file, hash)?;
    loop {
        match reader.next(of_file).map_err(unusable)? {
            Piece::Rows(table, rows) => take(table, rows)?,
            Piece::End(counts) => return Ok(counts),
        }
    }
}

fn put(tx: &Tx, table: usize, rows: Vec<Vec<Cell>>) -> Result<(), Fault> {
    if let Some(statements) = statements().get(table) {
        let refused = |why: Fault| why.with_private(format!("in table {}", statements.table.name));
        let put = tx.raw().put_rows(statements, &rows).map_err(|no| refused(no.into()))?;
        return if put == rows.len() { Ok(()) } else { Err(bad("a row of it belongs to nothing")) };
    }
    for row in rows {
        match row.as_slice() {
            [Cell::Text(name), Cell::Int(last)] if NUMBERED.contains(&name.as_str()) => {
                tx.raw().set_last_number(name, *last)?;
            }
            _ => return Err(bad("it numbers a table that there is not")),
        }
    }
    Ok(())
}

fn in_transaction(tx: &Tx, work: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    tx.raw().begin_write()?;
    let done = work().and_then(|()| tx.raw().commit().map_err(NotCommitted::into_fault));
    if done.is_err() {
        // The fault that made it necessary is the one to report.
        let _ = tx.raw().roll_back();
    }
    done
}

fn count(tx: &Tx, sql: &'static str) -> Result<u64, Fault> {
    Ok(first(tx, sql, &[], |row| row.number(0))?.unwrap_or(0))
}

fn check_empty(tx: &Tx, place: &str) -> Result<(), Fault> {
    for statements in statements() {
        let found = count(tx, &statements.count)?;
        if found > 0 {
            return Err(Fault::conflict(format!(
                "{place} is not empty: there are {found} rows in the table {}; an import needs a \
                 new database or folder",
                statements.table.name
            )));
        }
    }
    Ok(())
}

fn check_counts(tx: &Tx, counts: &Counts) -> Result<(), Fault> {
    for (statements, wanted) in statements().iter().zip(counts) {
        let found = count(tx, &statements.count)?;
        if found != *wanted {
            let name = statements.table.name;
            let text = format!("{found} rows of {name} were written instead of {wanted}");
            return Err(Fault::internal(text));
        }
    }
    Ok(())
}

/// Every chain is whole and ends at its signed head.
fn check_chains(tx: &Tx, hash: HashFn, of_head: Check<'_>) -> Result<(), Fault> {
    for head in audit::heads(tx)? {
        let account = head.head.account;
        if let Err(finding) = audit::verify_chain(tx, account, hash, of_head)? {
            return Err(bad(&format!(
                "the audit log of account {account} is not intact: {finding}"
            )));
        }
    }
    match audit::headless_chains(tx)?.is_empty() {
        true => Ok(()),
        false => Err(bad("it has audit records without a signed head")),
    }
}

fn unusable(why: BadExport) -> Fault {
    bad(&why.to_string())
}

fn bad(why: &str) -> Fault {
    Fault::bad_request(format!("the file cannot be imported: {why}"))
}
