//! The embedded engine, and the one file that names its driver: connections, statements, rows,
//! errors.

use std::ops::ControlFlow;
use std::path::Path;

use keysherd_audit::Link;
use keysherd_base::Fault;
use rusqlite::ffi;
use rusqlite::types::{self, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags};

use crate::engine::{self, Value, nothing_returned, storage_full};
use crate::query::{Arg, Refused};

const INSERT_RECORD: &str = "INSERT INTO audit (id, link, record) VALUES (?1, ?2, ?3)";

/// Statements kept prepared per connection; there are fewer than this in the whole crate.
const STATEMENTS_MAX: usize = 160;

/// What tells of damage: texts, `ok` among them where there is none.
pub(crate) const DAMAGE: [&str; 2] = [
    "PRAGMA integrity_check(20)",
    "SELECT 'row ' || COALESCE(CAST(\"rowid\" AS TEXT), '?') || ' of ' || \"table\" || \
     ' refers to nothing in ' || \"parent\" FROM pragma_foreign_key_check LIMIT 20",
];

/// How long a statement waits for a lock before it fails. Only a checkpoint or an outside tool
/// such as a backup holds one for longer than a moment.
const BUSY_MILLIS_MAX: u64 = 2_000;

/// What to do with the write-ahead log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Checkpoint {
    /// Nothing: only tell how long it is.
    LookOnly,
    /// Copy what no reader is in the way of, without waiting for anybody.
    Passive,
    /// Copy everything and cut the file, waiting a while for readers with old snapshots.
    Truncate,
}

/// The state of the write-ahead log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    /// Pages in the log.
    pub(crate) pages: u32,
    /// How many of them are in the database, too.
    pub(crate) copied_pages: u32,
}

/// A connection to a store's file.
pub struct Connection(rusqlite::Connection);

/// One row of an answer.
pub(crate) struct Row<'a>(&'a rusqlite::Row<'a>);

impl Connection {
    /// Opens the file for the writer. It must exist.
    pub(crate) fn open_writer(file: &Path) -> Result<Self, Fault> {
        let connection = Self::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // An explicit checkpoint follows the commits, so that no commit waits for one.
        connection.setup(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = 16777216;
             PRAGMA temp_store = MEMORY;",
        )?;
        Ok(connection)
    }

    /// Opens the index of the audit log for its one writer. What a crash takes from it is worked
    /// out again, so its commits need not be durable.
    pub(crate) fn open_index(file: &Path) -> Result<Self, Fault> {
        let connection = Self::open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.setup(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA journal_size_limit = 4194304;
             PRAGMA temp_store = MEMORY;",
        )?;
        Ok(connection)
    }

    /// Opens the file for reading.
    pub(crate) fn open_reader(file: &Path) -> Result<Self, Fault> {
        let connection = Self::open(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.setup("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;")?;
        Ok(connection)
    }

    fn open(file: &Path, access: OpenFlags) -> Result<Self, Fault> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let inner = rusqlite::Connection::open_with_flags(file, flags).map_err(fault)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        inner.busy_timeout(std::time::Duration::from_millis(BUSY_MILLIS_MAX)).map_err(fault)?;
        let connection = Self(inner);
        connection.setup("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
        Ok(connection)
    }

    /// Runs statements without arguments or answers, one after the other.
    pub(crate) fn setup(&self, sql: &'static str) -> Result<(), Fault> {
        self.0.execute_batch(sql).map_err(fault)
    }

    /// Runs one statement without arguments, kept prepared.
    pub(crate) fn command(&self, sql: &'static str) -> Result<(), Fault> {
        self.run(sql, &[]).map(drop).map_err(Fault::from)
    }

    /// Whether no transaction is open. SQLite ends one by itself when the disk is full.
    pub(crate) fn is_outside_transaction(&self) -> bool {
        self.0.is_autocommit()
    }

    /// Deals with the write-ahead log; gives its state afterwards.
    pub(crate) fn checkpoint(&self, what: Checkpoint) -> Result<Log, Fault> {
        let sql = match what {
            Checkpoint::LookOnly => "PRAGMA wal_checkpoint(NOOP)",
            Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        let mut log = Log { pages: 0, copied_pages: 0 };
        self.each(sql, &[], &mut |row| {
            // Both are -1 while there is no log.
            log.pages = row.number(1).unwrap_or(0);
            log.copied_pages = row.number(2).unwrap_or(0).min(log.pages);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(log)
    }

    pub(crate) fn run(&self, sql: &str, args: &[Arg<'_>]) -> Result<usize, Refused> {
        let mut statement = self.0.prepare_cached(sql).map_err(refused)?;
        statement.execute(rusqlite::params_from_iter(args)).map_err(refused)
    }

    /// Appends records to the audit log.
    pub(crate) fn append_records<'a>(
        &self,
        rows: impl Iterator<Item = (i64, &'a Link, &'a [u8])>,
    ) -> Result<(), Fault> {
        let mut statement = self.0.prepare_cached(INSERT_RECORD).map_err(fault)?;
        for (id, link, record) in rows {
            let args = [Arg::Int(id), Arg::Blob(link), Arg::Blob(record)];
            statement.execute(rusqlite::params_from_iter(args)).map_err(fault)?;
        }
        Ok(())
    }

    pub(crate) fn each(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        each: &mut dyn FnMut(&engine::Row<'_>) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        let mut statement = self.0.prepare_cached(sql).map_err(fault)?;
        let mut rows = statement.query(rusqlite::params_from_iter(args)).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            if each(&engine::Row::Sqlite(Row(row)))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn first_changed<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        map: &dyn Fn(&engine::Row<'_>) -> Result<T, Fault>,
    ) -> Result<T, Refused> {
        let mut statement = self.0.prepare_cached(sql).map_err(refused)?;
        let mut rows = statement.query(rusqlite::params_from_iter(args)).map_err(refused)?;
        let row = rows.next().map_err(refused)?.ok_or_else(nothing_returned)?;
        map(&engine::Row::Sqlite(Row(row))).map_err(Refused::Fault)
    }
}

impl Row<'_> {
    pub(crate) fn value(&self, column: usize) -> Result<Value<'_>, Fault> {
        Ok(match self.0.get_ref(column).map_err(fault)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Text(bytes) => {
                Value::Text(std::str::from_utf8(bytes).map_err(Fault::internal)?)
            }
            ValueRef::Blob(bytes) => Value::Blob(bytes),
            ValueRef::Real(_) => Value::Strange,
        })
    }
}

impl ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(types::Value::Null),
            Self::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Blob(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        })
    }
}

fn refused(error: rusqlite::Error) -> Refused {
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => Refused::Taken,
        _ => Refused::Fault(fault(error)),
    }
}

/// The driver's error as a fault; its text goes to the log only.
pub(crate) fn fault(error: rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => storage_full().with_private(error),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::unavailable("the store is busy; try again").with_private(error)
        }
        _ => Fault::internal(error),
    }
}
