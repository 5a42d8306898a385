//! What the noun files speak instead of a driver's own types: arguments, rows, and the two kinds of
//! access, [`Reader`] and [`Tx`].

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use keysherd_audit::{Draft, Prepared};
use keysherd_base::{AccountId, Fault, Uid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chains::SharedChains;
use crate::changes::Noted;
use crate::engine::Connection;
pub(crate) use crate::engine::Row;

/// Anything that can be read from: a [`Reader`] or a [`Tx`].
pub trait Query: sealed::Engine {}

mod sealed {
    //! What makes a type a `Query`; not nameable outside, so that no driver type is.

    /// Gives the connection.
    pub trait Engine {
        /// The connection.
        fn connection(&self) -> &crate::engine::Connection;
    }
}

/// Read access: one unchanging snapshot of the store.
pub struct Reader {
    connection: Connection,
}

impl Reader {
    pub(crate) const fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// For what is asked of the engine itself.
    pub(crate) const fn raw(&self) -> &Connection {
        &self.connection
    }

    /// From here on, changes by others are not seen.
    pub(crate) fn begin_snapshot(&self) -> Result<(), Fault> {
        self.connection.begin_read()
    }

    /// Ends the snapshot, if there is one.
    pub(crate) fn end_snapshot(&self) -> Result<(), Fault> {
        self.connection.end_read()
    }
}

impl sealed::Engine for Reader {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Query for Reader {}

/// Write access: the transaction of the job it is handed to. What the job wrote is taken back when
/// the job fails.
pub struct Tx {
    connection: Connection,
    more_records: RefCell<Vec<Prepared>>,
    done_records: RefCell<Vec<Prepared>>,
    noted: Noted,
    /// The audit chains, where this transaction is the writer's.
    chains: Option<Arc<SharedChains>>,
}

impl Tx {
    pub(crate) const fn new(connection: Connection) -> Self {
        let more_records = RefCell::new(Vec::new());
        let done_records = RefCell::new(Vec::new());
        Self { connection, more_records, done_records, noted: Noted::new(), chains: None }
    }

    /// From now on it knows the chains that records are appended to.
    pub(crate) fn writes_to(&mut self, chains: Arc<SharedChains>) {
        self.chains = Some(chains);
    }

    /// Whether audit records of this account can be written: not to a chain that somebody has
    /// damaged. A job that adds one all the same is refused.
    ///
    /// # Errors
    /// Only when the store is broken.
    pub fn can_record(&self, account: AccountId) -> Result<bool, Fault> {
        self.chains.as_ref().map_or(Ok(true), |chains| chains.lock().is_sound(self, account))
    }

    /// Adds an audit record to those the job was committed with, for what is known only inside of
    /// it. It shares the job's fate: recorded with the job's outcome.
    pub fn also_record(&self, draft: &Draft) {
        self.more_records.borrow_mut().push(draft.prepare());
    }

    /// Adds an audit record of what the job does. When the job fails or is taken back, nothing is
    /// recorded: it will be done later, and recorded then.
    pub fn record_if_done(&self, draft: &Draft) {
        self.done_records.borrow_mut().push(draft.prepare());
    }

    /// For what is done to the transaction itself.
    pub(crate) const fn raw(&self) -> &Connection {
        &self.connection
    }

    /// What the job has touched so far.
    pub(crate) const fn noted(&self) -> &Noted {
        &self.noted
    }

    /// Makes sure that every record which the job has added can be written.
    pub(crate) fn check_records(&self) -> Result<(), Fault> {
        let Some(chains) = &self.chains else { return Ok(()) };
        let (more, done) = (self.more_records.borrow(), self.done_records.borrow());
        let mut chains = chains.lock();
        more.iter().chain(&*done).try_for_each(|record| chains.check(self, record.account()))
    }

    pub(crate) fn take_more_records(&self) -> Vec<Prepared> {
        self.more_records.take()
    }

    pub(crate) fn take_done_records(&self) -> Vec<Prepared> {
        self.done_records.take()
    }
}

impl sealed::Engine for Tx {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Query for Tx {}

/// One argument of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Arg<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<usize> for Arg<'_> {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

impl<'a> From<&'a Uid> for Arg<'a> {
    fn from(value: &'a Uid) -> Self {
        Self::Blob(value.as_bytes())
    }
}

impl<'a> From<&'a AccountId> for Arg<'a> {
    fn from(value: &'a AccountId) -> Self {
        Self::Blob(value.0.as_bytes())
    }
}

impl<'a, T: Into<Arg<'a>>> From<Option<T>> for Arg<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Why a statement that changes something did not.
#[derive(Debug)]
pub(crate) enum Refused {
    /// A uniqueness constraint: somebody else has the name.
    Taken,
    /// Anything else.
    Fault(Fault),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Taken => Self::conflict("it already exists"),
            Refused::Fault(fault) => fault,
        }
    }
}

impl Refused {
    /// The fault, in which a taken name is worded by `text`.
    pub(crate) fn or_taken(self, text: impl FnOnce() -> String) -> Fault {
        match self {
            Self::Taken => Fault::conflict(text()),
            Self::Fault(fault) => fault,
        }
    }
}

/// Runs a statement that changes rows; gives their number.
pub(crate) fn run(tx: &Tx, sql: &'static str, args: &[Arg<'_>]) -> Result<usize, Refused> {
    tx.connection.run(sql, args)
}

/// Calls `each` for every row, until it breaks.
pub(crate) fn each(
    q: &dyn Query,
    sql: &'static str,
    args: &[Arg<'_>],
    each: &mut dyn FnMut(&Row<'_>) -> Result<ControlFlow<()>, Fault>,
) -> Result<(), Fault> {
    #[cfg(test)]
    ASKED.set(ASKED.get() + 1);
    q.connection().each(sql, args, each)
}

#[cfg(test)]
thread_local! {
    /// Questions that this thread has asked, for tests of what something costs.
    pub(crate) static ASKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The first row, if there is one.
pub(crate) fn first<T>(
    q: &dyn Query,
    sql: &'static str,
    args: &[Arg<'_>],
    map: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = None;
    each(q, sql, args, &mut |row| {
        found = Some(map(row)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// All rows.
pub(crate) fn all<T>(
    q: &dyn Query,
    sql: &'static str,
    args: &[Arg<'_>],
    map: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    each(q, sql, args, &mut |row| {
        found.push(map(row)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The first row of a statement that changes and returns something.
pub(crate) fn first_changed<T>(
    tx: &Tx,
    sql: &'static str,
    args: &[Arg<'_>],
    map: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<T, Refused> {
    tx.connection.first_changed(sql, args, &map)
}

/// A domain value as the text of a body column.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(Fault::internal)
}

/// A domain value from the text of a body column.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|error| Fault::internal(format_args!("unreadable row in the store: {error}")))
}

/// The text of a range that holds every path below the folder `prefix`, which ends in a slash:
/// those after `prefix` and before what this gives. `0` is the character that follows the slash.
pub(crate) fn end_of_folder(prefix: &str) -> String {
    let mut end = prefix.strip_suffix('/').unwrap_or(prefix).to_owned();
    end.push('0');
    end
}
