//! The read connections.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use keysherd_base::Fault;

use crate::engine::Place;
use crate::query::Reader;

/// A pool of read connections, opened as they are needed.
pub(crate) struct Pool {
    place: Place,
    readers_max: usize,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Reader>,
    opened: usize,
}

impl Pool {
    pub(crate) fn new(place: Place, readers_max: usize) -> Self {
        Self { place, readers_max, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Takes a connection; waits only when all of them are in use.
    pub(crate) fn take(&self) -> Result<Taken<'_>, Fault> {
        let mut state = self.lock();
        loop {
            if let Some(reader) = state.idle.pop() {
                return Ok(Taken { pool: self, reader: Some(reader) });
            }
            if state.opened < self.readers_max {
                state.opened += 1;
                break;
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        match self.place.open_reader() {
            Ok(connection) => Ok(Taken { pool: self, reader: Some(Reader::new(connection)) }),
            Err(fault) => {
                self.forget_one();
                Err(fault)
            }
        }
    }

    /// Closes the connections that nobody uses. The last connection to a file tidies its log away
    /// when it is closed, which one that only reads cannot.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.opened -= state.idle.len();
        state.idle.clear();
    }

    fn forget_one(&self) {
        self.lock().opened -= 1;
        self.returned.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection taken from the pool; it goes back when this is dropped.
pub(crate) struct Taken<'a> {
    pool: &'a Pool,
    reader: Option<Reader>,
}

impl Deref for Taken<'_> {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        self.reader.as_ref().expect("invariant: the reader is there until the drop")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(reader) = self.reader.take() else {
            return;
        };
        // After a panic in the caller's closure the snapshot is still open.
        if reader.end_snapshot().is_err() {
            return self.pool.forget_one();
        }
        self.pool.lock().idle.push(reader);
        self.pool.returned.notify_one();
    }
}
