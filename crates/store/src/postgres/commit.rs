//! Writing transactions: one at a time over all nodes, and what became of a commit whose answer
//! was lost.
//!
//! Every one takes a lock that is the server's to give, and leaves the next number under its
//! node's name in the table of writers. Whoever finds its own number there as the greatest knows
//! that nobody else has written since. And when a connection breaks while it commits, the number
//! tells on the next connection whether it had: the lock is free only when the old transaction is
//! over, one way or the other.
//!
//! What a server lets others read need not be on its standbys yet: a commit whose waiting for them
//! was broken off is there all the same, and a primary that stood still shows it when it goes on,
//! before it knows that another one has taken its place. So nothing is believed of a server but
//! what comes with a commit of its own, acknowledged without a warning.

use keysherd_base::{Fault, Uid};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connection::{Connection, State};
use super::errors::{Trouble, lost};
use super::schema;
use super::values::value;
use crate::engine::{NotCommitted, Others, Value};

/// Begins, and waits for its turn. The number is `keysherd` in ASCII.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7738725071285744228)";
const NAME: &str = "SELECT uuid_send(gen_random_uuid()), current_setting('server_encoding')";
const LAST: &str = "SELECT node, seq FROM writers ORDER BY seq DESC LIMIT 1";
const MINE: &str = "SELECT seq FROM writers WHERE node = ?1";
const PUT: &str = "INSERT INTO writers (node, seq, time) \
                   VALUES (?1, ?2, (extract(epoch FROM now()) * 1000)::bigint) \
                   ON CONFLICT (node) DO UPDATE SET seq = excluded.seq, time = excluded.time";
/// Names of processes that ended a month ago or did nothing since.
const FORGET: &str = "DELETE FROM writers WHERE seq < (SELECT MAX(seq) FROM writers) \
                      AND time < ((extract(epoch FROM now()) - 2592000) * 1000)::bigint";

/// How often a server that does not answer is asked what became of a commit: for half a minute at
/// least, in which a cluster has found another primary.
const QUESTIONS_MAX: u32 = 80;

impl Connection {
    /// Begins a transaction that writes, as soon as it is its turn.
    pub(crate) fn begin_write(&self) -> Result<Others, Fault> {
        match self.begin_with(BEGIN) {
            // Nothing was done yet, and the connection may have been dead for long.
            Err(Trouble::Lost(_)) => {
                self.break_off();
                self.state.set(State::Outside);
                Ok(self.begin_with(BEGIN).inspect_err(|_| self.break_off())?)
            }
            other => Ok(other?),
        }
    }

    /// As [`Self::begin_write`], where the tables may not be there yet.
    pub(crate) fn begin_definitions(&self) -> Result<(), Fault> {
        let begin = format!("{BEGIN}; {}", schema::OWN);
        self.begin_with(&begin)?;
        Ok(())
    }

    fn begin_with(&self, begin: &str) -> Result<Others, Trouble> {
        let name = self.name()?;
        self.command(begin).inspect_err(|trouble| {
            if !matches!(trouble, Trouble::Lost(_)) {
                // It may have begun, and waited for its turn in vain.
                self.state.set(State::Inside);
                self.roll_back();
            }
        })?;
        self.state.set(State::Inside);
        let last = match self.rows(LAST, &[])?.first() {
            Some(row) => Some((uid(row, 0)?, number(row, 1)?)),
            None => None,
        };
        let known = self.node.last.get();
        if self.server.alone && known.is_some() && last.is_some_and(|(node, _)| node != name) {
            return Err(Trouble::Refused(superseded()));
        }
        self.node.next.set(last.map_or(0, |(_, seq)| seq) + 1);
        if known.is_none() {
            self.rows(FORGET, &[])?;
        }
        let quiet = last.is_some_and(|(node, seq)| node == name && Some(seq) == known);
        Ok(if quiet { Others::Quiet } else { Others::MayHaveWritten })
    }

    /// The name of this process in the table of writers.
    fn name(&self) -> Result<Uid, Trouble> {
        if let Some(name) = self.node.name.get() {
            return Ok(name);
        }
        let rows = self.rows(NAME, &[])?;
        let row = rows.first().ok_or_else(unreadable)?;
        if !matches!(value(row, 1), Ok(Value::Text("UTF8"))) {
            return Err(Trouble::Refused(Fault::unavailable(
                "the control plane's database must be made with the encoding UTF8",
            )));
        }
        let name = uid(row, 0)?;
        self.node.name.set(Some(name));
        Ok(name)
    }

    /// Ends a writing transaction. When the answer is lost, finds out.
    pub(crate) fn commit(&self) -> Result<(), NotCommitted> {
        let outcome = self.put_and_commit(self.node.next.get());
        self.state.set(State::Outside);
        match outcome {
            Ok(()) => {
                self.node.last.set(Some(self.node.next.get()));
                Ok(())
            }
            Err(Trouble::Lost(fault)) => {
                tracing::warn!(?fault, "the answer to a commit was lost");
                self.find_out()
            }
            Err(trouble) => Err(NotCommitted::TakenBack(trouble.into())),
        }
    }

    /// Everything that is still pending, this number and the commit, on one way.
    fn put_and_commit(&self, seq: i64) -> Result<(), Trouble> {
        if self.state.get() != State::Inside {
            // Nothing can have been committed.
            return Err(Trouble::Refused(lost("the transaction was lost")));
        }
        let not_sent = |trouble: Trouble| Trouble::Refused(trouble.into());
        let live = self.live().map_err(Trouble::Refused)?;
        let put = self.prepared(&live, PUT).map_err(not_sent)?;
        let before = self.take_pending();
        let name = self.node.name.get().ok_or_else(unreadable)?;
        let args: [&(dyn ToSql + Sync); 2] = [&name.as_bytes().as_slice(), &seq];
        let warnings = live.warnings.count();
        let (done, put, committed) = self.server.wait(live.way, async {
            Ok(tokio::join!(
                biased;
                live.client.batch_execute(&before),
                live.client.execute(&put, &args),
                live.client.batch_execute("COMMIT"),
            ))
        })?;
        // A transaction in which something failed is taken back by its commit, and the answer to
        // that is no error: so the other two are looked at first.
        for answer in [done, put.map(drop), committed] {
            answer.map_err(|error| Trouble::of(&error))?;
        }
        // Such as: it did not wait for its standbys because somebody had it stop that.
        match live.warnings.count() == warnings {
            true => Ok(()),
            false => Err(Trouble::Lost(lost("the server warned when it committed"))),
        }
    }

    /// Asks the primary, when there is one again, whether the commit took place.
    fn find_out(&self) -> Result<(), NotCommitted> {
        self.node.last.set(None);
        self.break_off();
        let _doubt = self.server.doubt();
        let mut why = None;
        for _ in 0..QUESTIONS_MAX {
            let found = self.has_committed();
            self.roll_back();
            match found {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(NotCommitted::TakenBack(lost("it was not committed"))),
                Err(trouble) => {
                    self.break_off();
                    self.state.set(State::Outside);
                    why = Some(Fault::from(trouble));
                    self.server.pause();
                }
            }
        }
        tracing::error!(?why, "what became of a commit could not be found out");
        Err(NotCommitted::Unknown(
            Fault::unavailable(
                "the control plane's database does not answer, and whether the change was made is \
                 not known: look before you repeat it",
            )
            .with_code("OutcomeUnknown"),
        ))
    }

    /// What the primary says, with a commit for proof.
    fn has_committed(&self) -> Result<bool, Trouble> {
        let name = self.node.name.get().ok_or_else(unreadable)?;
        self.command(BEGIN)?;
        self.state.set(State::Inside);
        let mine = self.rows(MINE, &[(&name).into()])?;
        let mine = mine.first().map(|row| number(row, 0)).transpose()?;
        self.put_and_commit(mine.unwrap_or(0))?;
        self.state.set(State::Outside);
        Ok(mine == Some(self.node.next.get()))
    }
}

fn number(row: &Row, column: usize) -> Result<i64, Trouble> {
    match value(row, column) {
        Ok(Value::Int(number)) => Ok(number),
        _ => Err(unreadable()),
    }
}

fn uid(row: &Row, column: usize) -> Result<Uid, Trouble> {
    match value(row, column) {
        Ok(Value::Blob(bytes)) => bytes.try_into().map(Uid).map_err(|_| unreadable()),
        _ => Err(unreadable()),
    }
}

/// Others have written since, so what this control remembers may have been taken back: a revoked
/// token, a role. It must not answer with it again.
fn superseded() -> Fault {
    Fault::unavailable(
        "another control plane has written to this database since this one did; end this one, and \
         start it again when the other has ended",
    )
}

fn unreadable() -> Trouble {
    Trouble::Refused(Fault::internal("the table of writers cannot be read"))
}
