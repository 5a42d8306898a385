//! Brings the journals to control, which takes each read once however often it is brought.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, FaultKind, Uid};
use keysherd_plane::cache::{
    JournalPut, JournaledRead, READS_PER_PUT_MAX, RECEIPT_BYTES_MAX, Receipt,
};
use keysherd_plane::{Caller, PlaneHandle};

use super::Shared;
use super::segment::{Reading, journal_of};
use crate::files;

/// Time in which reads gather: they are a moment old when they are brought.
const GATHERED: Duration = Duration::from_millis(50);
/// How often it is tried again while control does not take them.
const RETRY: Duration = Duration::from_secs(1);
/// How long that waits at least for something new.
const IDLE: Duration = Duration::from_secs(5);
/// How long control may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that are read of a file at once.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// How far one journal was brought.
struct Progress {
    reading: Reading,
    /// The number of the first of the reads that were read and not brought.
    front: u64,
    /// The number of the last read that control has.
    taken: u64,
    /// Bytes that are not counted as waiting any more.
    discounted: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { reading: Reading::default(), front: 1, taken: 0, discounted: 0 }
    }
}

impl Progress {
    /// Forgets reads that control has: it may have more than this process brought.
    fn skip_taken(&mut self) {
        let known = (self.taken + 1).saturating_sub(self.front);
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(self.reading.reads.len());
        self.reading.reads.drain(..known);
        self.front += known as u64;
    }
}

/// Brings what there is and what comes, until the journal is closed.
pub(super) async fn deliver(shared: Arc<Shared>, plane: PlaneHandle, clock: ClockHandle) {
    let mut known: HashMap<Uid, Progress> = HashMap::new();
    let mut told = false;
    while !shared.ended.load(Ordering::Acquire) {
        let outcome = bring_all(&shared, &mut known, &plane, &clock).await;
        let pause = match outcome {
            Ok(()) => {
                told = false;
                let _new = tokio::time::timeout(IDLE, shared.written.notified()).await;
                GATHERED
            }
            Err(fault) => {
                if !told {
                    tracing::warn!(%fault, "reads that were answered here wait for control");
                }
                told = true;
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn bring_all(
    shared: &Arc<Shared>,
    known: &mut HashMap<Uid, Progress>,
    plane: &PlaneHandle,
    clock: &ClockHandle,
) -> Result<(), Fault> {
    let names = files::list(&shared.dir).map_err(Fault::internal)?;
    let journals: Vec<Uid> = names.iter().filter_map(|name| journal_of(name)).collect();
    known.retain(|journal, _| journals.contains(journal));
    let (mut problem, mut refused) = (None, 0);
    for journal in journals {
        let progress = known.entry(journal).or_default();
        if let Err(fault) = bring(shared, journal, progress, plane, clock).await {
            // Others may be taken all the same, unless control does not answer.
            if matches!(fault.kind(), FaultKind::Unavailable | FaultKind::Timeout) {
                return Err(fault);
            }
            refused += u64::from(fault.kind() == FaultKind::Forbidden);
            problem = Some(fault);
        }
    }
    shared.refused.store(refused, Ordering::Relaxed);
    problem.map_or(Ok(()), Err)
}

async fn bring(
    shared: &Arc<Shared>,
    journal: Uid,
    progress: &mut Progress,
    plane: &PlaneHandle,
    clock: &ClockHandle,
) -> Result<(), Fault> {
    let path = shared.dir.join(super::segment::file_name(journal));
    loop {
        // Asked before the file is read: what is written later is read later.
        let (durable, goes_on) = shared.durable(journal);
        let (mut reading, file) = (std::mem::take(&mut progress.reading), path.clone());
        let read = move || {
            let torn = read_on(&file, journal, durable, &mut reading);
            (reading, torn)
        };
        let (reading, more) = tokio::task::spawn_blocking(read).await.map_err(Fault::internal)?;
        progress.reading = reading;
        let more = more.map_err(Fault::internal)?;
        progress.skip_taken();
        while !progress.reading.reads.is_empty() {
            let outcome = put(shared, journal, progress, plane, clock).await;
            if let Err(fault) = outcome {
                if fault.kind() == FaultKind::Conflict {
                    // Control was set up again from a backup, or has forgotten the journal. What it
                    // has not is still in the file.
                    shared.count(progress.discounted);
                    *progress = Progress::default();
                }
                return Err(fault);
            }
        }
        shared.discount(progress.reading.offset - progress.discounted);
        progress.discounted = progress.reading.offset;
        if more {
            continue;
        }
        if !goes_on {
            finish(shared, journal, &path, progress).map_err(Fault::internal)?;
        }
        return Ok(());
    }
}

/// Reads on, at most one chunk and at most up to `durable`; whether there is more.
fn read_on(
    path: &std::path::Path,
    journal: Uid,
    durable: Option<u64>,
    reading: &mut Reading,
) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let end = durable.unwrap_or(length).min(length);
    let wanted = end.saturating_sub(reading.offset).min(CHUNK_BYTES);
    file.seek(SeekFrom::Start(reading.offset))?;
    let mut bytes = Vec::new();
    file.take(wanted).read_to_end(&mut bytes)?;
    let before = reading.offset;
    let _torn = reading.go_on(journal, &bytes);
    Ok(reading.offset > before && reading.offset < end)
}

/// Brings the next reads, and forgets those that control has.
async fn put(
    shared: &Shared,
    journal: Uid,
    progress: &mut Progress,
    plane: &PlaneHandle,
    clock: &ClockHandle,
) -> Result<(), Fault> {
    let (receipts, reads) = part(&progress.reading);
    let (first, last) = (progress.front, progress.front + reads.len() as u64 - 1);
    let message = JournalPut { journal, first, sent: clock.now(), receipts, reads };
    let question = plane.ask(Caller::of_the_server(Uid::default()), message);
    let reply = tokio::time::timeout(ANSWER_TIMEOUT, question).await.map_err(|_| {
        Fault::new(FaultKind::Timeout, "the control plane does not answer in time")
    })??;
    if last < first || reply.taken < last {
        return Err(Fault::internal("control has not taken what it was brought"));
    }
    if reply.unproven > 0 {
        let unproven = reply.unproven;
        tracing::error!(%journal, unproven, "control did not know receipts: reads are in no log");
        shared.unproven.fetch_add(unproven.into(), Ordering::Relaxed);
    }
    progress.taken = reply.taken;
    progress.skip_taken();
    Ok(())
}

/// The next reads with their receipts, as one message has them.
fn part(reading: &Reading) -> (Vec<Receipt>, Vec<JournaledRead>) {
    let (mut receipts, mut reads, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut places: HashMap<u32, u32> = HashMap::new();
    for read in reading.reads.iter().take(READS_PER_PUT_MAX) {
        let known = places.get(&read.receipt).copied();
        let place = match known {
            Some(place) => place,
            None => {
                let at = usize::try_from(read.receipt).unwrap_or(usize::MAX);
                let Some(receipt) = reading.receipts.get(at) else { break };
                bytes += receipt.bytes.len();
                if bytes > RECEIPT_BYTES_MAX {
                    break;
                }
                let place = u32::try_from(receipts.len()).unwrap_or(u32::MAX);
                receipts.push(receipt.clone());
                places.insert(read.receipt, place);
                place
            }
        };
        reads.push(JournaledRead { receipt: place, ..*read });
    }
    (receipts, reads)
}

/// Removes a file that control has all of.
fn finish(
    shared: &Shared,
    journal: Uid,
    path: &std::path::Path,
    progress: &Progress,
) -> io::Result<()> {
    let length = path.metadata()?.len();
    let left = length.saturating_sub(progress.reading.offset);
    if left > 0 {
        // The end of a file that somebody was writing; more than a frame would be damage.
        tracing::warn!(%journal, left, "a journal of reads ends in the middle: that is dropped");
    }
    files::remove(&shared.dir, &super::segment::file_name(journal))?;
    shared.discount(left);
    Ok(())
}
