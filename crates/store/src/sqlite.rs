//! The one file that names the SQLite driver: connections, statements, rows, errors.

use std::ops::ControlFlow;
use std::path::Path;

use keysherd_base::{Fault, FaultKind, Uid};
use rusqlite::ffi;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{ErrorCode, OpenFlags};

use crate::query::{Arg, Refused};

/// Statements kept prepared per connection; there are fewer than this in the whole crate.
const STATEMENTS_MAX: usize = 160;

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

/// A connection to the store's file.
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

    /// Runs one statement once per row of arguments.
    pub(crate) fn run_many<'a, const N: usize>(
        &self,
        sql: &'static str,
        rows: impl Iterator<Item = [Arg<'a>; N]>,
    ) -> Result<(), Fault> {
        let mut statement = self.0.prepare_cached(sql).map_err(fault)?;
        for args in rows {
            statement.execute(rusqlite::params_from_iter(args.iter())).map_err(fault)?;
        }
        Ok(())
    }

    pub(crate) fn each(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        let mut statement = self.0.prepare_cached(sql).map_err(fault)?;
        let mut rows = statement.query(rusqlite::params_from_iter(args)).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            if each(&Row(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn first_changed<T>(
        &self,
        sql: &'static str,
        args: &[Arg<'_>],
        map: &dyn Fn(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<T, Refused> {
        let mut statement = self.0.prepare_cached(sql).map_err(refused)?;
        let mut rows = statement.query(rusqlite::params_from_iter(args)).map_err(refused)?;
        let row = rows.next().map_err(refused)?;
        let row = row.ok_or_else(|| Refused::Fault(Fault::internal("nothing was returned")))?;
        map(&Row(row)).map_err(Refused::Fault)
    }
}

impl Row<'_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>, Fault> {
        self.0.get_ref(column).map_err(fault)
    }

    /// An integer column.
    pub(crate) fn int(&self, column: usize) -> Result<i64, Fault> {
        self.value(column)?.as_i64().map_err(Fault::internal)
    }

    /// An integer column as a smaller or unsigned type.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Fault> {
        T::try_from(self.int(column)?)
            .map_err(|_| Fault::internal("unreadable row in the store: a number is out of range"))
    }

    /// A text column.
    pub(crate) fn text(&self, column: usize) -> Result<&str, Fault> {
        self.value(column)?.as_str().map_err(Fault::internal)
    }

    /// A column of bytes.
    pub(crate) fn blob(&self, column: usize) -> Result<&[u8], Fault> {
        self.value(column)?.as_blob().map_err(Fault::internal)
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
            ValueRef::Null => Ok(None),
            _ => self.int(column).map(Some),
        }
    }

    /// A 16-byte id, or nothing.
    pub(crate) fn optional_uid(&self, column: usize) -> Result<Option<Uid>, Fault> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            _ => self.array(column).map(|bytes| Some(Uid(bytes))),
        }
    }
}

impl ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
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

/// The fault of every change while the disk is full.
pub(crate) fn storage_full() -> Fault {
    Fault::new(
        FaultKind::StorageFull,
        "the control plane's storage is full: free space on its volume; reads go on",
    )
}
