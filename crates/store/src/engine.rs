//! One face for both engines: the embedded SQLite and PostgreSQL. Everything above speaks to
//! [`Connection`] and [`Row`]; the drivers are named in `sqlite` and `postgres` only.
//!
//! A `match` instead of a trait object: a read of the embedded store costs a few microseconds.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use keysherd_audit::Link;
use keysherd_base::{Fault, FaultKind, Uid};

use crate::export_file::Cell;
use crate::postgres::{self, Server};
use crate::query::{Arg, Refused};
use crate::sqlite::{self, Checkpoint, Log};
use crate::tables::{Kind, Statements};

/// Where the rows are.
#[derive(Clone)]
pub(crate) enum Place {
    /// In this file.
    File(PathBuf),
    /// On this server.
    Server(Arc<Server>),
}

/// A connection to a store.
pub enum Connection {
    /// To a file.
    Sqlite(sqlite::Connection),
    /// To a server.
    Postgres(postgres::Connection),
}

/// Whether somebody else has committed since this connection last did, so that what is remembered
/// of the store has to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    Quiet,
    MayHaveWritten,
}

/// Why a commit did not succeed.
#[derive(Debug)]
pub(crate) enum NotCommitted {
    /// The transaction was taken back.
    TakenBack(Fault),
    /// Nobody could be asked whether it was.
    Unknown(Fault),
}

impl NotCommitted {
    /// Why, where it makes no difference.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::TakenBack(fault) | Self::Unknown(fault) => fault,
        }
    }
}

/// One row of an answer.
pub(crate) enum Row<'a> {
    Sqlite(sqlite::Row<'a>),
    Postgres(&'a postgres::Row),
}

/// One value of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// Of a type that no column of ours has.
    Strange,
}

impl Place {
    /// A connection for reading.
    pub(crate) fn open_reader(&self) -> Result<Connection, Fault> {
        match self {
            Self::File(file) => sqlite::Connection::open_reader(file).map(Connection::Sqlite),
            Self::Server(server) => {
                Ok(Connection::Postgres(postgres::Connection::reader(Arc::clone(server))))
            }
        }
    }

    /// A connection for the one writer.
    pub(crate) fn open_writer(&self) -> Result<Connection, Fault> {
        match self {
            Self::File(file) => sqlite::Connection::open_writer(file).map(Connection::Sqlite),
            Self::Server(server) => {
                Ok(Connection::Postgres(postgres::Connection::writer(Arc::clone(server))))
            }
        }
    }

    /// Whether other processes may write to it, too.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Server(_))
    }
}

impl Connection {
    /// Begins a transaction that sees one unchanging snapshot.
    pub(crate) fn begin_read(&self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => connection.command("BEGIN"),
            Self::Postgres(connection) => {
                connection.begin_read();
                Ok(())
            }
        }
    }

    /// Begins a transaction that writes; there is one at a time, over all processes.
    pub(crate) fn begin_write(&self) -> Result<Others, Fault> {
        match self {
            Self::Sqlite(connection) => {
                connection.command("BEGIN IMMEDIATE").map(|()| Others::Quiet)
            }
            Self::Postgres(connection) => connection.begin_write(),
        }
    }

    /// As [`Self::begin_write`], for making tables.
    pub(crate) fn begin_definitions(&self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => connection.command("BEGIN IMMEDIATE"),
            Self::Postgres(connection) => connection.begin_definitions(),
        }
    }

    /// Ends the transaction and keeps what it wrote.
    pub(crate) fn commit(&self) -> Result<(), NotCommitted> {
        match self {
            Self::Sqlite(connection) => {
                connection.command("COMMIT").map_err(NotCommitted::TakenBack)
            }
            Self::Postgres(connection) => connection.commit(),
        }
    }

    /// Ends the transaction, if there is one, and forgets what it wrote.
    pub(crate) fn roll_back(&self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) if connection.is_outside_transaction() => Ok(()),
            Self::Sqlite(connection) => connection.command("ROLLBACK"),
            Self::Postgres(connection) => {
                connection.roll_back();
                Ok(())
            }
        }
    }

    /// Ends a transaction that wrote nothing.
    pub(crate) fn end_read(&self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) if connection.is_outside_transaction() => Ok(()),
            Self::Sqlite(connection) => match connection.command("COMMIT") {
                // What has read damage is not committed, and is over all the same.
                Err(fault) if !connection.is_outside_transaction() => Err(fault),
                _ => Ok(()),
            },
            Self::Postgres(connection) => {
                connection.end_read();
                Ok(())
            }
        }
    }

    /// Marks a place in the transaction.
    pub(crate) fn begin_job(&self) -> Result<(), Fault> {
        self.in_transaction("SAVEPOINT job")
    }

    /// Forgets what was written since the place was marked; the mark stays.
    pub(crate) fn take_job_back(&self) -> Result<(), Fault> {
        self.in_transaction("ROLLBACK TO SAVEPOINT job")
    }

    /// Forgets the mark.
    pub(crate) fn end_job(&self) -> Result<(), Fault> {
        self.in_transaction("RELEASE SAVEPOINT job")
    }

    fn in_transaction(&self, sql: &'static str) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => connection.command(sql),
            Self::Postgres(connection) => {
                connection.send_with_next(sql);
                Ok(())
            }
        }
    }

    /// Runs definitions of tables, in the dialect of the embedded engine.
    pub(crate) fn define(&self, sql: &'static str) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => connection.setup(sql),
            Self::Postgres(connection) => connection.define(sql),
        }
    }

    /// Whether there is a table of this name.
    pub(crate) fn has_table(&self, name: &str) -> Result<bool, Fault> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1",
            Self::Postgres(_) => {
                "SELECT 1 FROM pg_catalog.pg_tables \
                 WHERE schemaname = current_schema() AND tablename = ?1"
            }
        };
        let mut found = false;
        self.each(sql, &[name.into()], &mut |_| {
            found = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Runs a statement that changes rows; gives their number.
    pub(crate) fn run(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<usize, Refused> {
        match self {
            Self::Sqlite(connection) => connection.run(sql, args),
            Self::Postgres(connection) => connection.run(sql, args),
        }
    }

    /// Appends records to the audit log.
    pub(crate) fn append_records<'a>(
        &self,
        rows: impl Iterator<Item = (i64, &'a Link, &'a [u8])>,
    ) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => connection.append_records(rows),
            Self::Postgres(connection) => connection.append_records(rows),
        }
    }

    /// Writes rows of a table; gives how many were.
    pub(crate) fn put_rows(
        &self,
        statements: &'static Statements,
        rows: &[Vec<Cell>],
    ) -> Result<usize, Refused> {
        match self {
            Self::Sqlite(connection) => {
                let mut put = 0;
                for row in rows {
                    let args: Vec<Arg<'_>> = row.iter().map(Cell::as_arg).collect();
                    put += connection.run(&statements.put, &args)?;
                }
                Ok(put)
            }
            Self::Postgres(connection) => connection.put_rows(statements, rows),
        }
    }

    /// The greatest number that a table ever gave to a row; 0 before the first.
    pub(crate) fn last_number(&self, table: &str) -> Result<i64, Fault> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = ?1",
            Self::Postgres(_) => postgres::LAST_NUMBER,
        };
        let mut last = 0;
        self.each(sql, &[table.into()], &mut |row| {
            last = row.int(0)?;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(last)
    }

    /// Makes `last` the greatest number that a table ever gave to a row.
    pub(crate) fn set_last_number(&self, table: &str, last: i64) -> Result<(), Fault> {
        let args = [table.into(), Arg::Int(last)];
        match self {
            Self::Sqlite(connection) => {
                let [name, _] = &args;
                connection.run("DELETE FROM sqlite_sequence WHERE name = ?1", &[*name])?;
                connection.run("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", &args)?;
            }
            Self::Postgres(connection) => {
                connection.rows(postgres::SET_LAST_NUMBER, &args)?;
            }
        }
        Ok(())
    }

    /// Within a transaction that writes: makes sure that no other process works on the store until
    /// it ends.
    pub(crate) fn be_alone(&self) -> Result<(), Fault> {
        match self {
            // Another process could not have opened it.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => connection.be_alone(),
        }
    }

    /// Whether the rows are on a server.
    pub(crate) const fn is_on_server(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Holds space in reserve where the rows are on a server; in a folder, `Ballast` does.
    pub(crate) fn make_reserve(&self, bytes: u64) -> Result<(), Fault> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => connection.make_reserve(bytes),
        }
    }

    /// Gives that space to whoever needs it.
    pub(crate) fn drop_reserve(&self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => connection.drop_reserve(),
        }
    }

    /// Adds what the engine itself finds wrong with its files to `found`; at most a few lines.
    pub(crate) fn damage(&self, found: &mut Vec<String>) -> Result<(), Fault> {
        let questions: &[&'static str] = match self {
            Self::Sqlite(_) => &sqlite::DAMAGE,
            Self::Postgres(_) => &postgres::DAMAGE,
        };
        for sql in questions {
            self.each(sql, &[], &mut |row| {
                let text = row.text(0)?;
                if text != "ok" {
                    found.push(text.to_owned());
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// Calls `each` for every row, until it breaks.
    pub(crate) fn each(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => connection.each(sql, args, each),
            Self::Postgres(connection) => {
                for row in connection.rows(sql, args)? {
                    if each(&Row::Postgres(&row))?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// The first row of a statement that changes and returns something.
    pub(crate) fn first_changed<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        map: &dyn Fn(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<T, Refused> {
        match self {
            Self::Sqlite(connection) => connection.first_changed(sql, args, map),
            Self::Postgres(connection) => {
                let rows = connection.rows(sql, args)?;
                let row = rows.first().ok_or_else(nothing_returned)?;
                map(&Row::Postgres(row)).map_err(Refused::Fault)
            }
        }
    }

    /// Deals with the write-ahead log of the embedded store; a server sees to its own.
    pub(crate) fn checkpoint(&self, what: Checkpoint) -> Result<Log, Fault> {
        match self {
            Self::Sqlite(connection) => connection.checkpoint(what),
            Self::Postgres(_) => Ok(Log { pages: 0, copied_pages: 0 }),
        }
    }
}

impl Row<'_> {
    fn value(&self, column: usize) -> Result<Value<'_>, Fault> {
        match self {
            Self::Sqlite(row) => row.value(column),
            Self::Postgres(row) => postgres::value(row, column),
        }
    }

    /// A column of a type, as a value of its own.
    pub(crate) fn cell(&self, column: usize, kind: Kind) -> Result<Cell, Fault> {
        Ok(match (self.value(column)?, kind) {
            (Value::Null, _) => Cell::Null,
            (Value::Int(number), Kind::Int) => Cell::Int(number),
            (Value::Text(text), Kind::Text) => Cell::Text(text.to_owned()),
            (Value::Blob(bytes), Kind::Blob) => Cell::Blob(bytes.to_vec()),
            (other, Kind::Int) => return Err(unexpected("a number", other)),
            (other, Kind::Text) => return Err(unexpected("a text", other)),
            (other, Kind::Blob) => return Err(unexpected("bytes", other)),
        })
    }

    /// An integer column.
    pub(crate) fn int(&self, column: usize) -> Result<i64, Fault> {
        match self.value(column)? {
            Value::Int(number) => Ok(number),
            other => Err(unexpected("a number", other)),
        }
    }

    /// An integer column as a smaller or unsigned type.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Fault> {
        T::try_from(self.int(column)?)
            .map_err(|_| Fault::internal("unreadable row in the store: a number is out of range"))
    }

    /// A text column.
    pub(crate) fn text(&self, column: usize) -> Result<&str, Fault> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            other => Err(unexpected("a text", other)),
        }
    }

    /// A column of bytes.
    pub(crate) fn blob(&self, column: usize) -> Result<&[u8], Fault> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(bytes),
            other => Err(unexpected("bytes", other)),
        }
    }

    /// A column of exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], Fault> {
        self.blob(column)?
            .try_into()
            .map_err(|_| Fault::internal("unreadable row in the store: a field has another length"))
    }

    /// An integer, or nothing.
    pub(crate) fn optional_int(&self, column: usize) -> Result<Option<i64>, Fault> {
        match self.value(column)? {
            Value::Null => Ok(None),
            _ => self.int(column).map(Some),
        }
    }

    /// A 16-byte id, or nothing.
    pub(crate) fn optional_uid(&self, column: usize) -> Result<Option<Uid>, Fault> {
        match self.value(column)? {
            Value::Null => Ok(None),
            _ => self.array(column).map(|bytes| Some(Uid(bytes))),
        }
    }
}

/// What a row holds is not for a log: only its type is told.
fn unexpected(wanted: &str, found: Value<'_>) -> Fault {
    let found = match found {
        Value::Null => "nothing",
        Value::Int(_) => "a number",
        Value::Text(_) => "a text",
        Value::Blob(_) => "bytes",
        Value::Strange => "a value of another type",
    };
    Fault::internal(format_args!("unreadable row in the store: {found} instead of {wanted}"))
}

/// The statement should have returned a row.
pub(crate) fn nothing_returned() -> Refused {
    Refused::Fault(Fault::internal("nothing was returned"))
}

/// The fault of every change while the disk is full.
pub(crate) fn storage_full() -> Fault {
    Fault::new(
        FaultKind::StorageFull,
        "the control plane's storage is full: free space on its volume; reads go on",
    )
}
