//! Writes frames to the last segment, makes them durable, reserves disk space and begins new
//! segments. Synchronous; [`super::writer`] runs it on a thread of its own.

use std::io;
use std::path::{Path, PathBuf};

use keysherd_base::{ClockHandle, Fault, FaultKind, Uid};

use super::entry::{Entry, Event};
use super::frame;
use super::read::segment_path;
use super::sink::{Sink, SinkFactory};
use super::{Checkpoint, LogStatus, LogSummary};

/// How large segments get and how much disk space is reserved ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// A segment file of at least this many bytes is closed and the next one begun.
    pub segment_bytes: u64,
    /// Disk space reserved ahead of the end of the log, in bytes.
    pub reserve_bytes: u64,
    /// Space is reserved again when less than this many bytes are left.
    pub reserve_low_bytes: u64,
}

impl Default for LogLimits {
    /// Segments of 64 MiB; 8 MiB ahead (about 25,000 single reads), renewed at half.
    fn default() -> Self {
        let mebibyte = 1024 * 1024;
        Self {
            segment_bytes: 64 * mebibyte,
            reserve_bytes: 8 * mebibyte,
            reserve_low_bytes: 4 * mebibyte,
        }
    }
}

/// Why nothing more is appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// The disk is full; the entries are not in the log, and it may work later.
    Full,
    /// It is unknown what is on disk. Nothing may be appended before the next start.
    Broken(io::Error),
}

/// Who keeps this log, for the first entry of each segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOwner {
    /// The random id of the manager's store.
    pub(crate) manager: Uid,
    /// The manager's index.
    pub(crate) index: u8,
}

/// The end of the log, open for writing.
pub(crate) struct Appender {
    dir: PathBuf,
    owner: LogOwner,
    clock: ClockHandle,
    limits: LogLimits,
    sinks: SinkFactory,
    sink: Box<dyn Sink>,
    segment: u64,
    /// End of the last frame in the segment file.
    offset: u64,
    /// End of the reserved space; at most `offset` when nothing is reserved.
    reserved_to: u64,
    at: Checkpoint,
    /// So that it is reported once.
    rotation_failing: bool,
    status: LogStatus,
}

impl Appender {
    /// Opens the log whose end `summary` describes, in segment `last`, and cuts a torn tail; or
    /// begins a new log when there is no segment.
    ///
    /// # Errors
    /// When files cannot be created, cut or made durable.
    pub(crate) fn open(
        dir: &Path,
        last: Option<u64>,
        summary: &LogSummary,
        owner: LogOwner,
        clock: ClockHandle,
        limits: LogLimits,
        sinks: SinkFactory,
    ) -> Result<Self, Fault> {
        let opened = match last {
            Some(segment) => sinks(&segment_path(dir, segment)).and_then(|mut sink| {
                if summary.torn_bytes > 0 {
                    sink.truncate(summary.last_segment_bytes)?;
                    sink.sync()?;
                }
                Ok((segment, sink, summary.last_segment_bytes, summary.end))
            }),
            None => begin_segment(dir, 1, Checkpoint::default(), owner, &clock, &sinks)
                .map(|(sink, offset, at)| (1, sink, offset, at)),
        };
        let (segment, sink, offset, at) = opened.map_err(|error| cannot_open(dir, &error))?;
        let dir = dir.to_owned();
        let status = LogStatus::default();
        let mut appender = Self {
            dir,
            owner,
            clock,
            limits,
            sinks,
            sink,
            segment,
            offset,
            reserved_to: offset,
            at,
            rotation_failing: false,
            status,
        };
        appender.reserve();
        appender.status.publish(&appender.at);
        Ok(appender)
    }

    /// The numbers others may look at.
    pub(crate) fn status(&self) -> LogStatus {
        self.status.clone()
    }

    /// The position at the end.
    #[cfg(test)]
    pub(crate) const fn at(&self) -> Checkpoint {
        self.at
    }

    /// Appends `entries` as one frame and makes it durable. Returns the position after each.
    pub(super) fn append(&mut self, entries: &[&[u8]]) -> Result<Vec<Checkpoint>, AppendError> {
        if self.offset >= self.limits.segment_bytes {
            self.rotate();
        }
        let (bytes, positions) = frame::encode(self.at, entries);
        if let Err(error) = self.sink.write_at(self.offset, &bytes) {
            return Err(self.give_up(error));
        }
        // After a failed sync the kernel may have dropped the dirty pages and report success the
        // next time: only a new start, which reads the file again, knows what is there.
        self.sink.sync().map_err(AppendError::Broken)?;
        self.offset += bytes.len() as u64;
        self.at = positions.last().copied().unwrap_or(self.at);
        self.reserve();
        self.status.publish(&self.at);
        Ok(positions)
    }

    /// Takes back what a failed write may have left.
    fn give_up(&mut self, error: io::Error) -> AppendError {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let taken_back = self.sink.truncate(self.offset);
        self.reserved_to = self.offset;
        match taken_back {
            Ok(()) if full => AppendError::Full,
            _ => AppendError::Broken(error),
        }
    }

    /// Keeps space ahead of the end, so that a full disk does not stop reads at once.
    fn reserve(&mut self) {
        if self.reserved_to.saturating_sub(self.offset) >= self.limits.reserve_low_bytes.max(1) {
            return;
        }
        let reserved = self.sink.reserve(self.offset, self.limits.reserve_bytes);
        if let Err(error) = &reserved
            && !self.status.reserve_failing()
        {
            tracing::warn!(%error, "no disk space can be reserved for the fragment log");
        }
        if reserved.is_ok() {
            self.reserved_to = self.offset.saturating_add(self.limits.reserve_bytes);
        }
        self.status.set_reserve_failing(reserved.is_err());
    }

    /// Begins the next segment. On failure (such as a full disk) the current one goes on.
    fn rotate(&mut self) {
        let next = self.segment + 1;
        let begun = begin_segment(&self.dir, next, self.at, self.owner, &self.clock, &self.sinks);
        let (sink, offset, at) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                if !self.rotation_failing {
                    tracing::warn!(%error, segment = next, "the next log segment cannot be begun");
                }
                self.rotation_failing = true;
                return;
            }
        };
        self.rotation_failing = false;
        // Gives back what was reserved behind the end; the file is complete either way.
        if let Err(error) = self.sink.truncate(self.offset) {
            tracing::warn!(%error, segment = self.segment, "reserved log space was not given back");
        }
        self.sink = sink;
        self.segment = next;
        self.offset = offset;
        self.reserved_to = offset;
        self.at = at;
        self.reserve();
    }
}

fn cannot_open(dir: &Path, error: &io::Error) -> Fault {
    Fault::new(
        FaultKind::Unavailable,
        format!("the fragment log in {} cannot be opened: {error}", dir.display()),
    )
}

type Begun = (Box<dyn Sink>, u64, Checkpoint);

/// Creates a segment file with its first entry. It gets its name when that is durable.
fn begin_segment(
    dir: &Path,
    number: u64,
    before: Checkpoint,
    owner: LogOwner,
    clock: &ClockHandle,
    sinks: &SinkFactory,
) -> io::Result<Begun> {
    let entry = Entry {
        at: clock.now(),
        event: Event::Segment {
            manager: owner.manager,
            index: owner.index,
            segment: number,
            size_before: before.size,
            head_before: before.head,
        },
    };
    let (bytes, positions) = frame::encode(before, &[&entry.to_bytes()]);
    let path = segment_path(dir, number);
    let unfinished = path.with_extension("new");
    let mut sink = sinks(&unfinished)?;
    sink.truncate(0)?;
    sink.write_at(0, &bytes)?;
    sink.sync()?;
    std::fs::rename(&unfinished, &path)?;
    std::fs::File::open(dir)?.sync_all()?;
    Ok((sink, bytes.len() as u64, positions.last().copied().unwrap_or(before)))
}
