//! One connection: transactions, statements, and beginning again after it was lost.
//!
//! What needs no answer is not waited for: the beginning of a snapshot and the marks of jobs travel
//! with the next statement ([`Connection::send_with_next`]).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_audit::Link;
use keysherd_base::{Fault, Uid};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::errors::{Trouble, lost};
use super::schema;
use super::server::{Server, Session, Warnings, Way};
use crate::query::{Arg, Refused};

const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const INSERT_RECORDS: &str = "INSERT INTO audit (id, link, record) \
                              SELECT * FROM unnest(?1::bigint[], ?2::bytea[], ?3::bytea[])";

/// Waits until no other process has the database, for as long as locks are waited for. The number
/// follows that of writing transactions.
const ALONE: &str = "SELECT pg_advisory_lock(7738725071285744229)";
/// The same until no process has it for itself alone.
const WITH_OTHERS: &str = "SELECT pg_advisory_lock_shared(7738725071285744229)";

/// A connection to the server, made when it is first needed and again when it was lost.
pub struct Connection {
    pub(super) server: Arc<Server>,
    writes: bool,
    live: RefCell<Option<Arc<Live>>>,
    pub(super) state: Cell<State>,
    /// Commands that travel with the next statement.
    pending: RefCell<String>,
    pub(super) node: Node,
}

/// What a writer knows of itself and of the others.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its name in the table of writers.
    pub(super) name: Cell<Option<Uid>>,
    /// The number of its last commit, if nobody else has committed since as far as it knows.
    pub(super) last: Cell<Option<i64>>,
    /// The number of the commit that it is about to make.
    pub(super) next: Cell<i64>,
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Outside,
    /// A snapshot was asked for; its beginning is pending.
    Deferred,
    Inside,
    /// The transaction was lost with its connection.
    Broken,
}

/// A session with its prepared statements.
pub(super) struct Live {
    pub(super) client: Client,
    pub(super) way: Way,
    pub(super) warnings: Warnings,
    statements: Mutex<HashMap<&'static str, Statement>>,
}

impl Connection {
    /// A connection for snapshots.
    pub(crate) fn reader(server: Arc<Server>) -> Self {
        Self {
            server,
            writes: false,
            live: RefCell::default(),
            state: Cell::new(State::Outside),
            pending: RefCell::default(),
            node: Node::default(),
        }
    }

    /// A connection for the one writer of this process.
    pub(crate) fn writer(server: Arc<Server>) -> Self {
        Self { writes: true, ..Self::reader(server) }
    }

    /// From the next statement on, one unchanging snapshot.
    pub(crate) fn begin_read(&self) {
        self.pending.replace(BEGIN_READ.to_owned());
        self.state.set(State::Deferred);
    }

    /// Ends a snapshot.
    pub(crate) fn end_read(&self) {
        // Nothing was written, and only what writes ends with a commit.
        self.end("ROLLBACK");
    }

    /// Ends a transaction and forgets what it wrote.
    pub(crate) fn roll_back(&self) {
        self.end("ROLLBACK");
    }

    fn end(&self, command: &'static str) {
        self.pending.borrow_mut().clear();
        if self.state.replace(State::Outside) != State::Inside {
            return;
        }
        // Without its connection a transaction ends by itself.
        let live = self.live.borrow().clone();
        let ended = live.map(|live| self.server.wait(live.way, live.client.batch_execute(command)));
        if !matches!(ended, Some(Ok(()))) {
            self.live.replace(None);
        }
    }

    /// Has a command carried out before the next statement.
    pub(crate) fn send_with_next(&self, command: &'static str) {
        let mut pending = self.pending.borrow_mut();
        if !pending.is_empty() {
            pending.push_str("; ");
        }
        pending.push_str(command);
    }

    /// Runs a statement that changes rows; gives their number.
    pub(crate) fn run(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<usize, Refused> {
        let args = parameters(args);
        let ask = async |client: &Client, sql: &Statement| client.execute(sql, &args).await;
        let changed = self.ask(sql, ask)?;
        usize::try_from(changed).map_err(|error| Refused::Fault(Fault::internal(error)))
    }

    /// All rows that a statement gives.
    pub(crate) fn rows(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, Trouble> {
        let args = parameters(args);
        self.ask(sql, async |client: &Client, sql: &Statement| client.query(sql, &args).await)
    }

    /// Appends records to the audit log, in one statement.
    pub(crate) fn append_records<'a>(
        &self,
        rows: impl Iterator<Item = (i64, &'a Link, &'a [u8])>,
    ) -> Result<(), Fault> {
        let (mut ids, mut links, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for (id, link, record) in rows {
            ids.push(id);
            links.push(link.as_slice());
            records.push(record);
        }
        if ids.is_empty() {
            return Ok(());
        }
        let args: [&(dyn ToSql + Sync); 3] = [&ids, &links, &records];
        let ask = async |client: &Client, sql: &Statement| client.execute(sql, &args).await;
        self.ask(INSERT_RECORDS, ask)?;
        Ok(())
    }

    /// Runs definitions of tables.
    pub(crate) fn define(&self, sql: &str) -> Result<(), Fault> {
        let text = schema::translated(sql);
        let live = self.live()?;
        Ok(self.server.wait(live.way, live.client.batch_execute(&text))?)
    }

    /// Asks once; a second time when nothing had been asked of this snapshot before, or there is
    /// none, and the connection turned out to be dead, as after a restart of the server.
    pub(super) fn ask<T>(
        &self,
        sql: &'static str,
        ask: impl AsyncFn(&Client, &Statement) -> Result<T, Error>,
    ) -> Result<T, Trouble> {
        let before = self.state.get();
        let answer = self.ask_once(sql, &ask);
        let Err(Trouble::Lost(fault)) = answer else { return answer };
        self.break_off();
        match before {
            State::Deferred => self.begin_read(),
            State::Outside if !self.writes => {}
            _ => return Err(Trouble::Lost(fault)),
        }
        self.ask_once(sql, &ask).inspect_err(|trouble| {
            if matches!(trouble, Trouble::Lost(_)) {
                self.break_off();
            }
        })
    }

    fn ask_once<T>(
        &self,
        sql: &'static str,
        ask: &impl AsyncFn(&Client, &Statement) -> Result<T, Error>,
    ) -> Result<T, Trouble> {
        let live = self.live().map_err(Trouble::Lost)?;
        let statement = self.prepared(&live, sql)?;
        let before = self.pending.take();
        if self.state.get() == State::Deferred {
            self.state.set(State::Inside);
        }
        self.server.wait(live.way, async {
            if before.is_empty() {
                return ask(&live.client, &statement).await;
            }
            // Both are under way at once; the server does them in order.
            let (done, answer) = tokio::join!(
                biased;
                live.client.batch_execute(&before),
                ask(&live.client, &statement),
            );
            done?;
            answer
        })
    }

    /// The statement, prepared at its first use on this connection.
    pub(super) fn prepared(&self, live: &Live, sql: &'static str) -> Result<Statement, Trouble> {
        if let Some(statement) = live.statements().get(sql) {
            return Ok(statement.clone());
        }
        // After a failure the server prepares nothing before the job is taken back.
        if self.state.get() == State::Inside && !self.pending.borrow().is_empty() {
            let before = self.pending.take();
            self.server.wait(live.way, live.client.batch_execute(&before))?;
        }
        let statement = self.server.wait(live.way, live.client.prepare(&schema::numbered(sql)))?;
        live.statements().insert(sql, statement.clone());
        Ok(statement)
    }

    /// Carries out a command at once.
    pub(super) fn command(&self, command: &str) -> Result<(), Trouble> {
        let live = self.live().map_err(Trouble::Lost)?;
        self.server.wait(live.way, live.client.batch_execute(command))
    }

    /// The session; a new one when there is none and no transaction depends on it.
    pub(super) fn live(&self) -> Result<Arc<Live>, Fault> {
        let known = self.live.borrow().clone();
        let within = matches!(self.state.get(), State::Inside | State::Broken);
        match known {
            Some(live)
                if !live.client.is_closed() && (within || self.server.is_fresh(live.way)) =>
            {
                return Ok(live);
            }
            _ if within => {
                return Err(lost("the connection was lost in the middle of a transaction"));
            }
            _ => {}
        }
        self.live.replace(None);
        let Session { client, way, warnings } = self.server.connect()?;
        if self.writes {
            // Held as long as the session. Whoever was killed gives it back in a moment.
            let presence = if self.server.alone { ALONE } else { WITH_OTHERS };
            self.server.wait(way, client.batch_execute(presence)).map_err(not_alone)?;
        }
        let live = Arc::new(Live { client, way, warnings, statements: Mutex::default() });
        self.live.replace(Some(Arc::clone(&live)));
        Ok(live)
    }

    /// Gives up the connection and what was begun on it.
    pub(super) fn break_off(&self) {
        self.live.replace(None);
        self.pending.borrow_mut().clear();
        if self.state.get() != State::Outside {
            self.state.set(State::Broken);
        }
    }

    /// What was to travel with the next statement.
    pub(super) fn take_pending(&self) -> String {
        self.pending.take()
    }
}

impl Live {
    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        // Nothing that can panic runs under the lock.
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_alone(trouble: Trouble) -> Fault {
    match trouble {
        Trouble::Lost(fault) => fault,
        other => Fault::unavailable(
            "another control plane works on this database, and one of the two has to be alone with \
             it: stop it first; an import has to be waited for",
        )
        .with_private(format_args!("{other:?}")),
    }
}

fn parameters<'a>(args: &'a [Arg<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    args.iter().map(|arg| -> &(dyn ToSql + Sync) { arg }).collect()
}
