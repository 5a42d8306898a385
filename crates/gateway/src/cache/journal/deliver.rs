//! Brings the journals to control, which takes each read once however often it is brought.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keysherd_base::{ClockHandle, Fault, FaultKind, Uid};
use keysherd_plane::cache::{
    JournalPut, JournalPutReply, JournaledRead, READS_PER_PUT_MAX, RECEIPT_BYTES_MAX, Receipt,
};
use keysherd_plane::{Caller, PlaneHandle};
use tokio::time::Instant;

use super::Shared;
use super::segment::{Reading, damaged_name, file_name, is_damaged, journal_of};
use crate::files;

/// Time in which reads gather: they are a moment old when they are brought.
const GATHERED: Duration = Duration::from_millis(50);
/// How long it waits after control did not take them; twice as long each time after that.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How long that waits at least for something new.
const IDLE: Duration = Duration::from_secs(5);
/// How long control may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often reads are brought again that control has set aside.
const ASIDE_RETRY: Duration = Duration::from_secs(60);
/// Finished journals that control is told of later, at most; it forgets others by itself.
const FINISHED_MAX: usize = 10_000;
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
    /// Reads that control has set aside, and when it did first. The file is kept for them.
    aside: u64,
    aside_since: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            reading: Reading::default(),
            front: 1,
            taken: 0,
            discounted: 0,
            aside: 0,
            aside_since: None,
        }
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

    /// Begins with the file anew: control takes what it has not.
    fn start_over(&mut self, shared: &Shared) {
        shared.count(self.discounted);
        *self = Self::default();
    }
}

/// What is known of the files, and control's side of it.
struct Courier {
    shared: Arc<Shared>,
    plane: PlaneHandle,
    clock: ClockHandle,
    known: HashMap<Uid, Progress>,
    /// Journals whose files are gone, of which control was not told yet.
    finished: Vec<Uid>,
}

/// Brings what there is and what comes, until the journal is closed.
pub(super) async fn deliver(shared: Arc<Shared>, plane: PlaneHandle, clock: ClockHandle) {
    let (known, finished) = (HashMap::new(), Vec::new());
    let mut courier = Courier { shared: shared.clone(), plane, clock, known, finished };
    let mut failures = 0;
    while !*shared.ended.borrow() {
        match courier.bring_all().await {
            Ok(()) => {
                failures = 0;
                let _new = tokio::time::timeout(IDLE, shared.written.notified()).await;
                tokio::time::sleep(GATHERED).await;
            }
            Err(fault) => {
                if failures == 0 {
                    tracing::warn!(%fault, "reads that were answered here wait for control");
                }
                rest(&shared, failures).await;
                failures += 1;
            }
        }
    }
}

/// Waits after so many failures before, unless there is a reason not to.
async fn rest(shared: &Shared, failures: u32) {
    let pause = RETRY.saturating_mul(1 << failures.min(16)).min(RETRY_MAX);
    let mut ended = shared.ended.subscribe();
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = shared.hurry.notified() => {}
        _ = ended.wait_for(|ended| *ended) => {}
    }
}

impl Courier {
    async fn bring_all(&mut self) -> Result<(), Fault> {
        let shared = self.shared.clone();
        let names = blocking(move || files::list(&shared.dir)).await?;
        let journals: Vec<Uid> = names.iter().filter_map(|name| journal_of(name)).collect();
        let damaged = names.iter().filter(|name| is_damaged(name)).count();
        self.known.retain(|journal, _| journals.contains(journal));
        let (mut problem, mut refused) = (None, u64::try_from(damaged).unwrap_or(u64::MAX));
        for journal in journals {
            let mut progress = self.known.remove(&journal).unwrap_or_default();
            let outcome = self.bring(journal, &mut progress).await;
            let is_aside = progress.aside > 0;
            self.known.insert(journal, progress);
            let is_forbidden = match outcome {
                // Others may be taken all the same, unless control takes nothing now.
                Err(fault) if takes_nothing(&fault) => return Err(fault),
                Err(fault) => {
                    let is_forbidden = fault.kind() == FaultKind::Forbidden;
                    problem = Some(fault);
                    is_forbidden
                }
                Ok(()) => false,
            };
            refused += u64::from(is_aside || is_forbidden);
        }
        self.shared.refused.store(refused, Ordering::Relaxed);
        while let Some(journal) = self.finished.last() {
            let message = self.message(*journal, 1, (Vec::new(), Vec::new()));
            match self.ask(JournalPut { finished: true, ..message }).await {
                Err(fault) if takes_nothing(&fault) => return Err(fault),
                // It is forgotten in time.
                Err(fault) => tracing::warn!(%fault, "control keeps a journal that is finished"),
                Ok(_) => {}
            }
            self.finished.pop();
        }
        problem.map_or(Ok(()), Err)
    }

    async fn bring(&mut self, journal: Uid, progress: &mut Progress) -> Result<(), Fault> {
        let path = self.shared.dir.join(file_name(journal));
        if progress.aside_since.is_some_and(|since| since.elapsed() >= ASIDE_RETRY) {
            progress.start_over(&self.shared);
        }
        loop {
            // Asked before the file is read: what is written later is read later.
            let (durable, goes_on) = self.shared.durable(journal);
            let (mut reading, file) = (std::mem::take(&mut progress.reading), path.clone());
            let read = move || {
                let torn = read_on(&file, journal, durable, &mut reading);
                (reading, torn)
            };
            let read = tokio::task::spawn_blocking(read).await.map_err(Fault::internal)?;
            let (reading, more) = read;
            progress.reading = reading;
            let more = more.map_err(Fault::internal)?;
            progress.skip_taken();
            while !progress.reading.reads.is_empty() {
                let outcome = self.put(journal, progress).await;
                if let Err(fault) = outcome {
                    if fault.kind() == FaultKind::Conflict {
                        // Control was set up again from a backup, or has forgotten the journal.
                        // What it has not is still in the file.
                        progress.start_over(&self.shared);
                    }
                    return Err(fault);
                }
            }
            self.shared.discount(progress.reading.offset - progress.discounted);
            progress.discounted = progress.reading.offset;
            if more {
                continue;
            }
            if durable.is_none_or(|durable| durable <= progress.reading.offset) {
                self.shared.shares().end(journal);
            }
            if !goes_on && progress.aside == 0 {
                let shared = self.shared.clone();
                let (offset, lost) = (progress.reading.offset, progress.reading.damaged);
                blocking(move || finish(&shared, journal, offset, lost)).await?;
                // Only now: whoever finds the file brings it from its beginning.
                if self.finished.len() < FINISHED_MAX {
                    self.finished.push(journal);
                }
            }
            return Ok(());
        }
    }

    /// Brings the next reads, and forgets those that control has.
    async fn put(&self, journal: Uid, progress: &mut Progress) -> Result<(), Fault> {
        let part = part(&progress.reading);
        let (first, count) = (progress.front, part.1.len());
        let last = first + count as u64 - 1;
        let reply = self.ask(self.message(journal, first, part)).await?;
        if last < first || reply.taken < last {
            return Err(Fault::internal("control has not taken what it was brought"));
        }
        if reply.unproven > 0 {
            let unproven = reply.unproven;
            let text = "control did not know receipts: reads are in no log";
            tracing::error!(%journal, unproven, "{text}");
            self.shared.unproven.fetch_add(unproven.into(), Ordering::Relaxed);
        }
        let aside: HashSet<u64> = reply.aside.into_iter().collect();
        for (read, number) in progress.reading.reads.iter().take(count).zip(first..) {
            let at = usize::try_from(read.receipt).unwrap_or(usize::MAX);
            let Some(receipt) = progress.reading.receipts.get(at) else { continue };
            let is_aside = aside.contains(&number);
            self.shared.set_aside(receipt, is_aside);
            progress.aside += u64::from(is_aside);
        }
        if progress.aside > 0 && progress.aside_since.is_none() {
            let reads = progress.aside;
            tracing::error!(%journal, reads, "control sets reads aside: a damaged audit log");
            progress.aside_since = Some(Instant::now());
        }
        progress.taken = reply.taken;
        progress.skip_taken();
        Ok(())
    }

    fn message(
        &self,
        journal: Uid,
        first: u64,
        (receipts, reads): (Vec<Receipt>, Vec<JournaledRead>),
    ) -> JournalPut {
        let sent = self.clock.now();
        JournalPut { journal, first, sent, receipts, reads, finished: false }
    }

    async fn ask(&self, message: JournalPut) -> Result<JournalPutReply, Fault> {
        let question = self.plane.ask(Caller::of_the_server(Uid::default()), message);
        tokio::time::timeout(ANSWER_TIMEOUT, question).await.map_err(|_| {
            Fault::new(FaultKind::Timeout, "the control plane does not answer in time")
        })?
    }
}

/// Whether control would not take others now, either: the call did not arrive, or control is in
/// trouble itself. What only one account's log is to blame for, it sets aside.
fn takes_nothing(fault: &Fault) -> bool {
    use FaultKind as K;
    let is_trouble =
        matches!(fault.kind(), K::Timeout | K::Unavailable | K::RateLimited | K::StorageFull);
    fault.is_not_reached() || is_trouble
}

/// What waits for the disk, where nobody else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?;
    done.map_err(Fault::internal)
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
    if reading.offset == before && reading.skip_damage(&bytes) {
        tracing::error!(%journal, at = before, "a journal of reads is damaged in the middle");
    }
    Ok(reading.offset > before && reading.offset < end)
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

/// Removes a file that control has all of, as far as it can be read. One with damage in it is kept
/// under another name: what is lost was answered, and somebody may want to know of what.
fn finish(shared: &Shared, journal: Uid, offset: u64, damaged: bool) -> io::Result<()> {
    let name = file_name(journal);
    let path = shared.dir.join(&name);
    let left = path.metadata()?.len().saturating_sub(offset);
    if damaged {
        let kept = damaged_name(&name);
        tracing::error!(%journal, file = kept, "reads are in no log: their journal is damaged");
        std::fs::rename(path, shared.dir.join(kept))?;
        File::open(&shared.dir)?.sync_all()?;
    } else {
        if left > 0 {
            // The end of a file that somebody was writing.
            tracing::warn!(%journal, left, "the end of a journal of reads is torn, and dropped");
        }
        files::remove(&shared.dir, &name)?;
    }
    shared.discount(left);
    Ok(())
}
