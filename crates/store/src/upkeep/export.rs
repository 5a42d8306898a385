//! Writing everything that a store has into a file.

use std::io::Write;
use std::ops::ControlFlow;

use keysherd_audit::HashFn;
use keysherd_base::{Fault, FaultKind};

use super::StorePlace;
use crate::export_file::{Cell, Counts, ExportWriter};
use crate::migrations;
use crate::query::{Arg, Reader, each};
use crate::tables::{NUMBERED, Statements, TABLES, statements};

impl StorePlace {
    /// Writes the store as it is at one moment; others may go on meanwhile. `sign` signs its
    /// argument under [`crate::export_file::EXPORT_LABEL`]. Gives the rows of each table.
    ///
    /// # Errors
    /// [`FaultKind::Conflict`] when the store has another schema than this program; as
    /// [`StorePlace::inspect`] otherwise, and when the file cannot be written.
    pub fn export(
        &self,
        out: impl Write,
        hash: HashFn,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Counts, Fault> {
        let reader = self.reader()?;
        let schema = migrations::schema(&reader)?;
        if schema.version != schema.known {
            return Err(Fault::new(
                FaultKind::Conflict,
                format!(
                    "the store has schema version {} and this program {}: run keysherd db migrate, \
                     or use the newer program",
                    schema.version, schema.known
                ),
            ));
        }
        let version = u32::try_from(schema.version).map_err(Fault::internal)?;
        let mut file = ExportWriter::begin(out, hash, version).map_err(cannot_write)?;
        reader.begin_snapshot()?;
        read_all(&reader, &mut |table, row| file.row(table, &row).map_err(cannot_write))?;
        reader.end_snapshot()?;
        file.finish(sign).map_err(cannot_write)
    }
}

/// Calls `take` with every row of every table, in the order of [`TABLES`] and of their keys.
pub(super) fn read_all(
    reader: &Reader,
    take: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for (place, table) in statements().iter().enumerate() {
        let mut key = None;
        while let Some(last) = read_page(reader, table, key.as_deref(), place, take)? {
            key = Some(last);
        }
    }
    for name in NUMBERED {
        let last = reader.raw().last_number(name)?;
        take(TABLES.len() - 1, vec![Cell::Text((*name).to_owned()), Cell::Int(last)])?;
    }
    Ok(())
}

/// The rows after `key`; gives the key of the last one, when there may be more.
fn read_page(
    reader: &Reader,
    statements: &'static Statements,
    key: Option<&[Cell]>,
    place: usize,
    take: &mut dyn FnMut(usize, Vec<Cell>) -> Result<(), Fault>,
) -> Result<Option<Vec<Cell>>, Fault> {
    let table = statements.table;
    let sql = if key.is_some() { &statements.next } else { &statements.first };
    let mut args = vec![Arg::from(table.page())];
    args.extend(key.into_iter().flatten().map(Cell::as_arg));
    let (mut last, mut found) = (None, 0);
    each(reader, sql, &args, &mut |row| {
        let columns = table.columns.iter().enumerate();
        let row: Result<Vec<Cell>, Fault> =
            columns.map(|(column, (_, kind))| row.cell(column, *kind)).collect();
        let row = row?;
        last = row.get(..table.key()).map(<[Cell]>::to_vec);
        found += 1;
        take(place, row)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(if found == table.page() { last } else { None })
}

fn cannot_write(error: std::io::Error) -> Fault {
    Fault::unavailable(format!("the export cannot be written: {error}"))
}
