//! What concerns a whole database: rows by the table, numbers of rows, damage, being alone with it,
//! and space held in reserve.

use keysherd_base::Fault;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::connection::Connection;
use super::errors::Trouble;
use crate::export_file::Cell;
use crate::query::Refused;
use crate::tables::{Kind, Statements};

/// The greatest number that a table has given to a row.
pub(crate) const LAST_NUMBER: &str =
    "SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence(?1, 'id')::regclass), 0)";
/// Sets it; 0: it has given none.
pub(crate) const SET_LAST_NUMBER: &str =
    "SELECT setval(pg_get_serial_sequence(?1, 'id')::regclass, GREATEST(?2::bigint, 1), ?2 > 0)";

/// What tells of damage: texts.
pub(crate) const DAMAGE: [&str; 2] = [
    "SELECT 'the index ' || c.relname || ' is not valid: REINDEX it' FROM pg_index i \
     JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = current_schema() AND NOT (i.indisvalid AND i.indisready) LIMIT 20",
    "SELECT 'the constraint ' || o.conname || ' is not validated' FROM pg_constraint o \
     JOIN pg_namespace n ON n.oid = o.connamespace \
     WHERE n.nspname = current_schema() AND NOT o.convalidated LIMIT 20",
];

/// The lock of writing transactions.
const WRITE: &str = "SELECT pg_advisory_xact_lock(7738725071285744228)";
const FIND_RESERVE: &str = "SELECT 1 FROM pg_catalog.pg_tables \
                            WHERE schemaname = current_schema() AND tablename = 'reserve'";

/// The lock that every writer shares with the others for as long as it works. Whoever was killed a
/// moment ago is waited for.
const BE_ALONE: &str = "SET LOCAL lock_timeout = '3s'; \
                        SELECT pg_advisory_xact_lock(7738725071285744229)";

/// Pieces of the reserve.
const PIECES: u64 = 8;

impl Connection {
    /// Makes the table that holds space in reserve, if there is none: `bytes` in all, not
    /// compressed. In one transaction, with which a table that finds no space goes as well.
    pub(crate) fn make_reserve(&self, bytes: u64) -> Result<(), Fault> {
        let piece = bytes / PIECES;
        if piece == 0 || !self.rows(FIND_RESERVE, &[])?.is_empty() {
            return Ok(());
        }
        let made = self.command(&format!(
            "BEGIN; {WRITE}; CREATE TABLE IF NOT EXISTS reserve (piece BYTEA NOT NULL); \
             ALTER TABLE reserve ALTER COLUMN piece SET STORAGE EXTERNAL; \
             INSERT INTO reserve SELECT decode(repeat('00', {piece}), 'hex') \
             FROM generate_series(1, {PIECES}) WHERE NOT EXISTS (SELECT 1 FROM reserve); COMMIT"
        ));
        Ok(made.inspect_err(|_| self.forget_transaction())?)
    }

    /// Gives the space in reserve to whoever needs it.
    pub(crate) fn drop_reserve(&self) -> Result<(), Fault> {
        let dropped =
            self.command(&format!("BEGIN; {WRITE}; DROP TABLE IF EXISTS reserve; COMMIT"));
        Ok(dropped.inspect_err(|_| self.forget_transaction())?)
    }

    /// After a failure in the middle of a text of commands.
    fn forget_transaction(&self) {
        if self.command("ROLLBACK").is_err() {
            self.break_off();
        }
    }

    /// Writes rows of a table in one statement; gives how many were.
    pub(crate) fn put_rows(
        &self,
        statements: &'static Statements,
        rows: &[Vec<Cell>],
    ) -> Result<usize, Refused> {
        let columns = statements.table.columns.iter().enumerate();
        let arrays: Vec<Array<'_>> =
            columns.map(|(place, (_, kind))| Array::of(rows, place, *kind)).collect();
        let args: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(Array::as_arg).collect();
        let ask = async |client: &Client, sql: &Statement| client.execute(sql, &args).await;
        let changed = self.ask(&statements.put_all, ask)?;
        usize::try_from(changed).map_err(|error| Refused::Fault(Fault::internal(error)))
    }

    /// As long as this transaction, nobody else works on the database; who does, keeps it from
    /// being so. What this session itself has of the lock is not in the way.
    pub(crate) fn be_alone(&self) -> Result<(), Fault> {
        self.command(BE_ALONE).map_err(|trouble| match trouble {
            Trouble::Refused(fault) => Fault::unavailable(
                "a step of the database's schema is not for the release that works on it: stop all \
                 control planes on the database first",
            )
            .with_private(format_args!("{fault:?}")),
            other => other.into(),
        })
    }
}

/// The values of one column.
enum Array<'a> {
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<&'a str>>),
    Blobs(Vec<Option<&'a [u8]>>),
}

impl<'a> Array<'a> {
    /// A value of another type than the column's is left out: the database refuses the row.
    fn of(rows: &'a [Vec<Cell>], place: usize, kind: Kind) -> Self {
        let cells = rows.iter().map(|row| row.get(place));
        match kind {
            Kind::Int => Self::Ints(
                cells
                    .map(|cell| if let Some(Cell::Int(n)) = cell { Some(*n) } else { None })
                    .collect(),
            ),
            Kind::Text => Self::Texts(
                cells
                    .map(
                        |cell| if let Some(Cell::Text(text)) = cell { Some(&**text) } else { None },
                    )
                    .collect(),
            ),
            Kind::Blob => Self::Blobs(
                cells
                    .map(
                        |cell| {
                            if let Some(Cell::Blob(bytes)) = cell { Some(&**bytes) } else { None }
                        },
                    )
                    .collect(),
            ),
        }
    }

    fn as_arg(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Ints(all) => all,
            Self::Texts(all) => all,
            Self::Blobs(all) => all,
        }
    }
}
