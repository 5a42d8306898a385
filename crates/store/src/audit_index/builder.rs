//! The indexer's thread: reads the chains and writes the index, a little at a time.
//!
//! It uses at most a quarter of one core while it is behind, unless somebody waits for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use keysherd_audit::Brief;
use keysherd_base::{AccountId, ClockHandle, Fault, Timestamp};

use super::file::{self, Position, in_transaction};
use super::uses::Items;
use super::{IndexState, READERS, segments};
use crate::audit;
use crate::engine::Place;
use crate::pool::Pool;
use crate::query::{Reader, Tx};
use crate::store::Shared;

/// How often new records are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Segments indexed without a rest.
const SLICE_SEGMENTS: u64 = 4;
/// Records whose uses are taken down without a rest.
const SLICE_RECORDS: usize = 4_096;
/// The rest is this many times as long as the work.
const REST: u64 = 3;
/// Uses and sums that are kept in memory at most; beyond it they are written.
const OVERLAY_MAX: usize = 8_192;
/// How long they are kept in memory.
const OVERLAY_MILLIS_MAX: i64 = 30_000;

/// The indexer.
pub(super) struct Builder {
    file: PathBuf,
    chains: Place,
    clock: ClockHandle,
    shared: Arc<Shared>,
    state: Arc<IndexState>,
    woken: Receiver<Sender<()>>,
    /// Those who wait until it has caught up.
    waiting: Vec<Sender<()>>,
    /// Those who began to wait while it was at work: what they wait for may be newer.
    late: Vec<Sender<()>>,
}

/// What the indexer works on.
struct Files {
    tx: Tx,
    chains: Reader,
    /// Positions ahead of those in the index by what is in the overlay.
    positions: HashMap<i64, Position>,
    written: Timestamp,
}

impl Builder {
    pub(super) fn new(
        file: PathBuf,
        chains: Place,
        clock: ClockHandle,
        shared: Arc<Shared>,
        state: Arc<IndexState>,
        woken: Receiver<Sender<()>>,
    ) -> Self {
        Self { file, chains, clock, shared, state, woken, waiting: Vec::new(), late: Vec::new() }
    }

    /// Works until the store is closed.
    pub(super) fn run(mut self) {
        let mut files = None;
        let mut seen = None;
        let mut failing = false;
        // The first look is at once: there may be much that was recorded before.
        let mut wait = Duration::ZERO;
        loop {
            match self.woken.recv_timeout(wait) {
                Ok(waiter) => self.waiting.push(waiter),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            wait = TICK;
            let records = self.shared.records.load(Ordering::Relaxed);
            // What others record is not counted here.
            let known = seen == Some(records) && !self.chains.is_shared();
            let idle = known && self.waiting.is_empty();
            // A full disk is for the records.
            if (idle && !self.has_old(files.as_ref()))
                || self.shared.low_on_space.load(Ordering::Relaxed)
            {
                self.waiting.clear();
                continue;
            }
            match self.catch_up(&mut files) {
                Ok(()) => {
                    seen = Some(records);
                    failing = false;
                }
                Err(fault) => {
                    // Nothing is lost: searches read the chains.
                    if !failing {
                        tracing::warn!(?fault, "the index of the audit log cannot be written");
                    }
                    (failing, files) = (true, None);
                    *self.state.overlay() = super::uses::Overlay::default();
                }
            }
            self.waiting = std::mem::take(&mut self.late);
            if !self.waiting.is_empty() {
                wait = Duration::ZERO;
            }
        }
        if let Some(mut files) = files
            && let Err(fault) = self.write_overlay(&mut files)
        {
            tracing::warn!(?fault, "uses that were read will be read again");
        }
    }

    /// Whether the overlay should be written although nothing new was recorded.
    fn has_old(&self, files: Option<&Files>) -> bool {
        let due =
            |files: &Files| self.clock.now().millis_since(files.written) >= OVERLAY_MILLIS_MAX;
        files.is_some_and(due) && self.state.overlay().len() > 0
    }

    fn catch_up(&mut self, files: &mut Option<Files>) -> Result<(), Fault> {
        if files.is_none() {
            *files = Some(self.open()?);
        }
        let Some(files) = files else { return Ok(()) };
        for (account, chain, newest) in audit::chains(&files.chains)? {
            self.index(files, account, chain, newest)?;
        }
        let old = self.clock.now().millis_since(files.written) >= OVERLAY_MILLIS_MAX;
        if old || !self.waiting.is_empty() {
            self.write_overlay(files)?;
        }
        Ok(())
    }

    fn open(&self) -> Result<Files, Fault> {
        let tx = file::open(&self.file)?;
        let chains = Reader::new(self.chains.open_reader()?);
        file::check(&tx, &chains)?;
        let _ = self.state.pool.set(Pool::new(Place::File(self.file.clone()), READERS));
        Ok(Files { tx, chains, positions: HashMap::new(), written: self.clock.now() })
    }

    /// Brings the index of one chain up to the record `newest`.
    fn index(
        &mut self,
        files: &mut Files,
        account: AccountId,
        chain: i64,
        newest: u64,
    ) -> Result<(), Fault> {
        let known = match files.positions.get(&chain) {
            Some(position) => Some(*position),
            None => file::position(&files.tx, chain)?,
        };
        let mut at = known.unwrap_or(Position::start(chain, account));
        loop {
            let began = self.clock.now();
            let segments = index_segments(&files.tx, &files.chains, &mut at, newest)?;
            let uses = self.take_uses(files, &mut at, newest)?;
            files.positions.insert(chain, at);
            if self.state.overlay().len() >= OVERLAY_MAX {
                self.write_overlay(files)?;
            }
            if !segments && !uses || !self.rest(began) {
                return Ok(());
            }
        }
    }

    /// Takes down the uses of some records; whether there may be more.
    fn take_uses(&self, files: &Files, at: &mut Position, newest: u64) -> Result<bool, Fault> {
        if at.used >= newest {
            return Ok(false);
        }
        let records = audit::records_of_chain(&files.chains, at.chain, at.used, SLICE_RECORDS)?;
        let mut items = Items::new(at.account, &files.chains);
        let mut overlay = self.state.overlay();
        for record in &records {
            // An altered record tells nothing.
            if let Ok(brief) = Brief::read(&record.bytes) {
                overlay.take(&brief, &mut items)?;
            }
        }
        let Some(last) = records.last() else { return Ok(false) };
        (at.used, at.used_link) = (last.seq, last.link);
        Ok(at.used < newest)
    }

    /// Writes what is in memory, together with how far it reaches.
    fn write_overlay(&self, files: &mut Files) -> Result<(), Fault> {
        let mut overlay = self.state.overlay();
        in_transaction(&files.tx, || {
            overlay.write(&files.tx)?;
            files.positions.values().try_for_each(|at| file::put_position(&files.tx, at))
        })?;
        *overlay = super::uses::Overlay::default();
        files.written = self.clock.now();
        Ok(())
    }

    /// Leaves the machine to others for a while, unless somebody waits; whether to go on.
    fn rest(&mut self, began: Timestamp) -> bool {
        let worked = u64::try_from(self.clock.now().millis_since(began)).unwrap_or(0);
        let awaited = !self.waiting.is_empty() || !self.late.is_empty();
        let rest = if awaited { 0 } else { REST * worked.min(1_000) };
        match self.woken.recv_timeout(Duration::from_millis(rest)) {
            Ok(waiter) => self.late.push(waiter),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }
}

/// Indexes some whole segments; whether there are more.
fn index_segments(tx: &Tx, chains: &Reader, at: &mut Position, newest: u64) -> Result<bool, Fault> {
    let whole = newest / segments::LEN;
    let until = whole.min(at.segments + SLICE_SEGMENTS);
    if at.segments >= until {
        return Ok(false);
    }
    // Uses are not in the index yet: their position stays as it is there.
    let stored = file::position(tx, at.chain)?.unwrap_or(Position::start(at.chain, at.account));
    let mut next = *at;
    in_transaction(tx, || {
        while next.segments < until {
            let page = usize::try_from(segments::LEN).map_err(Fault::internal)?;
            let records = audit::records_of_chain(chains, at.chain, next.indexed(), page)?;
            let expected = next.indexed() + segments::LEN;
            let Some(last) = records.last().filter(|last| last.seq == expected) else {
                return Err(Fault::internal("records are missing in an audit chain"));
            };
            segments::put(tx, at.chain, next.segments, &records)?;
            (next.segments, next.segments_link) = (next.segments + 1, last.link);
        }
        let (used, used_link) = (stored.used, stored.used_link);
        file::put_position(tx, &Position { used, used_link, ..next })
    })?;
    *at = next;
    Ok(until < whole)
}
