//! Reading the log: segment files, their frames, verification, and the tail after a crash.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use keysherd_base::Timestamp;

use super::entry::{Entry, Event};
use super::frame::{self, FRAME_BYTES_MAX, Frame, HEADER_BYTES};
use super::{Checkpoint, LogDamage};

const SUFFIX: &str = ".log";

/// The path of segment `number` in `dir`.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}{SUFFIX}"))
}

/// The numbers of the segment files in `dir`, ascending. Older ones may have been archived.
///
/// # Errors
/// [`LogDamage`] when the directory cannot be read or a number is missing in between.
pub(crate) fn segments(dir: &Path) -> Result<Vec<u64>, LogDamage> {
    let unreadable = |_| damage(0, 0, "the log directory cannot be read");
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(dir).map_err(unreadable)? {
        let name = file.map_err(unreadable)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        numbers.extend(number.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        if let [one, next] = pair
            && one.checked_add(1) != Some(*next)
        {
            return Err(damage(*next, 0, "the segment before this one is missing"));
        }
    }
    Ok(numbers)
}

const fn damage(segment: u64, offset: u64, what: &'static str) -> LogDamage {
    LogDamage { segment, offset, what }
}

/// Reads the frames of one segment file.
struct SegmentReader {
    number: u64,
    file: BufReader<File>,
    /// Where the next frame begins.
    offset: u64,
    /// The position there; `None` before the first frame of the first segment.
    at: Option<Checkpoint>,
}

impl SegmentReader {
    fn open(dir: &Path, number: u64, at: Option<Checkpoint>) -> Result<Self, LogDamage> {
        let unreadable = |_| damage(number, 0, "the file cannot be read");
        let file = File::open(segment_path(dir, number)).map_err(unreadable)?;
        Ok(Self { number, file: BufReader::new(file), offset: 0, at })
    }

    /// The next frame; `None` at the end of the file.
    fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let mut bytes = vec![0; HEADER_BYTES];
        let read = read_up_to(&mut self.file, &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        let total =
            bytes.first_chunk().filter(|_| read == HEADER_BYTES).and_then(frame::frame_bytes);
        let Some(total) = total else {
            bytes.truncate(read);
            return Err(FrameError::Unreadable(bytes));
        };
        bytes.resize(total, 0);
        let rest = bytes.get_mut(HEADER_BYTES..).unwrap_or_default();
        let read = read_up_to(&mut self.file, rest)?;
        bytes.truncate(HEADER_BYTES + read);
        let Some(frame) = frame::decode(&bytes) else {
            return Err(FrameError::Unreadable(bytes));
        };
        if self.at.is_some_and(|at| at != frame.before) {
            return Err(self.damage("it does not continue what is before it").into());
        }
        self.offset += frame.bytes as u64;
        self.at = frame.entries.last().map(|(after, _)| *after);
        Ok(Some(frame))
    }

    /// Whether what follows the last good frame is what a crash leaves: at most one frame long,
    /// and nothing intact behind the damage. `begun` are the bytes read of it so far.
    fn torn_bytes(&mut self, mut begun: Vec<u8>) -> Result<u64, LogDamage> {
        let limit = (FRAME_BYTES_MAX + 1 - begun.len().min(FRAME_BYTES_MAX)) as u64;
        let rest = self.file.by_ref().take(limit).read_to_end(&mut begun);
        rest.map_err(|_| self.damage("the file cannot be read"))?;
        if begun.len() > FRAME_BYTES_MAX {
            return Err(self.damage("what is there is no frame, and too long for a torn one"));
        }
        if frame::any_intact(&begun) {
            return Err(self.damage("a frame is damaged although later ones are intact"));
        }
        Ok(begun.len() as u64)
    }

    const fn damage(&self, what: &'static str) -> LogDamage {
        damage(self.number, self.offset, what)
    }
}

enum FrameError {
    /// No intact frame; these bytes of it were read.
    Unreadable(Vec<u8>),
    Damage(LogDamage),
    Io,
}

impl From<LogDamage> for FrameError {
    fn from(damage: LogDamage) -> Self {
        Self::Damage(damage)
    }
}

impl From<io::Error> for FrameError {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..)
        && !rest.is_empty()
    {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Iterates over the entries of the log, each with the position after it. Verifies the chain on
/// the way; ends after the first error. A torn tail is the end of the log.
pub struct LogReader {
    dir: PathBuf,
    /// Segments not yet opened, the next one last.
    waiting: Vec<u64>,
    segment: Option<SegmentReader>,
    entries: std::vec::IntoIter<(Checkpoint, Vec<u8>)>,
    summary: LogSummary,
}

/// What a reader has seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogSummary {
    /// The position before the first entry that is still there.
    pub begin: Checkpoint,
    /// The position after the last entry.
    pub end: Checkpoint,
    /// How many segment files were read.
    pub segments: u64,
    /// Bytes of a torn write behind the last entry.
    pub torn_bytes: u64,
    /// Bytes of intact frames in the last segment.
    pub last_segment_bytes: u64,
}

impl LogReader {
    /// Opens the log in `dir` (a manager's `log` directory) from its oldest segment.
    ///
    /// # Errors
    /// [`LogDamage`] when files are missing or unreadable.
    pub fn open(dir: &Path) -> Result<Self, LogDamage> {
        Self::from_segment(dir, 0)
    }

    /// Opens the log from segment `first`, or from the oldest one after it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_segment(dir: &Path, first: u64) -> Result<Self, LogDamage> {
        let mut waiting = segments(dir)?;
        waiting.retain(|number| *number >= first);
        waiting.reverse();
        Ok(Self {
            dir: dir.to_owned(),
            waiting,
            segment: None,
            entries: Vec::new().into_iter(),
            summary: LogSummary::default(),
        })
    }

    /// What has been read so far; all of the log once the iterator has ended.
    pub const fn summary(&self) -> LogSummary {
        self.summary
    }

    fn next_entry(&mut self) -> Result<Option<(Checkpoint, Entry)>, LogDamage> {
        let Some((after, bytes)) = self.next_bytes()? else { return Ok(None) };
        let entry = Entry::from_bytes(&bytes);
        let number = self.segment.as_ref().map_or(0, |segment| segment.number);
        let entry = entry.ok_or(damage(number, 0, "an entry cannot be read"))?;
        Ok(Some((after, entry)))
    }

    /// The next entry as it lies there, and the position after it.
    pub(super) fn next_bytes(&mut self) -> Result<Option<(Checkpoint, Vec<u8>)>, LogDamage> {
        loop {
            if let Some((after, bytes)) = self.entries.next() {
                self.summary.end = after;
                return Ok(Some((after, bytes)));
            }
            if !self.next_frame()? && !self.next_segment()? {
                return Ok(None);
            }
        }
    }

    /// Whether there was another frame in this segment.
    fn next_frame(&mut self) -> Result<bool, LogDamage> {
        let Some(segment) = &mut self.segment else { return Ok(false) };
        let frame = match segment.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(false),
            Err(FrameError::Damage(damage)) => return Err(damage),
            Err(FrameError::Io) => return Err(segment.damage("the file cannot be read")),
            Err(FrameError::Unreadable(_)) if !self.waiting.is_empty() => {
                return Err(segment.damage("a frame is damaged although later files exist"));
            }
            Err(FrameError::Unreadable(begun)) => {
                self.summary.torn_bytes = segment.torn_bytes(begun)?;
                return Ok(false);
            }
        };
        if self.summary.segments == 1 && segment.offset == frame.bytes as u64 {
            self.summary.begin = frame.before;
        }
        self.summary.last_segment_bytes = segment.offset;
        self.entries = frame.entries.into_iter();
        Ok(true)
    }

    /// Whether there was another segment; checks that its first entry is the right one.
    fn next_segment(&mut self) -> Result<bool, LogDamage> {
        if self.summary.torn_bytes > 0 {
            return Ok(false);
        }
        let Some(number) = self.waiting.pop() else { return Ok(false) };
        let at = self.segment.as_ref().and_then(|segment| segment.at);
        let mut segment = SegmentReader::open(&self.dir, number, at)?;
        check_start(&mut segment)?;
        self.segment = Some(SegmentReader::open(&self.dir, number, at)?);
        self.summary.segments += 1;
        self.summary.last_segment_bytes = 0;
        Ok(true)
    }
}

/// How many entries come before segment `number`.
pub(super) fn size_before(dir: &Path, number: u64) -> Result<u64, LogDamage> {
    let mut segment = SegmentReader::open(dir, number, None)?;
    let begin = segment.damage("the file does not begin with the entry of its segment");
    match segment.next_frame() {
        Ok(Some(frame)) => Ok(frame.before.size),
        _ => Err(begin),
    }
}

/// A segment file begins with an entry that says which one it is. It was durable before the file
/// got its name, so here nothing can be torn.
fn check_start(segment: &mut SegmentReader) -> Result<(), LogDamage> {
    let begin = segment.damage("the file does not begin with the entry of its segment");
    let Ok(Some(frame)) = segment.next_frame() else { return Err(begin) };
    let first = frame.entries.first().and_then(|(_, bytes)| Entry::from_bytes(bytes));
    match first.map(|entry| entry.event) {
        Some(Event::Segment { segment: number, size_before, head_before, .. })
            if number == segment.number
                && (Checkpoint { size: size_before, head: head_before }) == frame.before =>
        {
            Ok(())
        }
        _ => Err(begin),
    }
}

impl Iterator for LogReader {
    type Item = Result<(Checkpoint, Entry), LogDamage>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_entry();
        if next.is_err() {
            self.waiting.clear();
            self.segment = None;
            self.entries = Vec::new().into_iter();
        }
        next.transpose()
    }
}

/// Reads the whole log and checks every hash.
///
/// # Errors
/// [`LogDamage`] says where it is not what the manager wrote. Entries cut off at the very end
/// cannot be told from entries never written: [`compare`] with a remembered checkpoint can.
pub fn verify(dir: &Path) -> Result<LogSummary, LogDamage> {
    let mut reader = LogReader::open(dir)?;
    for entry in reader.by_ref() {
        entry?;
    }
    Ok(reader.summary())
}

/// How a log relates to a checkpoint that someone remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The log contains it: nothing before it was changed.
    Contained,
    /// The log is shorter: entries were cut off.
    Truncated {
        /// How many entries there are.
        size: u64,
    },
    /// The log has another entry there: it was written anew.
    Forked,
    /// The segments that could tell were archived.
    Archived,
}

/// Compares the log in `dir` with a remembered checkpoint.
///
/// # Errors
/// [`LogDamage`] when the log itself is damaged.
pub fn compare(dir: &Path, remembered: &Checkpoint) -> Result<Comparison, LogDamage> {
    let mut reader = LogReader::open(dir)?;
    let mut found = None;
    while let Some(entry) = reader.next() {
        let (after, _) = entry?;
        let begin = reader.summary().begin;
        if begin.size == remembered.size {
            found = Some(begin.head);
        }
        if after.size == remembered.size {
            found = Some(after.head);
        }
    }
    let summary = reader.summary();
    Ok(match found {
        Some(head) if head == remembered.head => Comparison::Contained,
        Some(_) => Comparison::Forked,
        None if remembered.size < summary.begin.size => Comparison::Archived,
        None => Comparison::Truncated { size: summary.end.size },
    })
}

/// Reads the log from a segment that began before `since`, for whoever has to restore counters,
/// and finds its end. Calls `visit` with every entry of those segments and the position after it.
///
/// # Errors
/// [`LogDamage`] for anything but a torn tail.
pub(crate) fn scan_tail(
    dir: &Path,
    since: Timestamp,
    mut visit: impl FnMut(&Checkpoint, &Entry),
) -> Result<LogSummary, LogDamage> {
    let mut first = 0;
    for number in segments(dir)?.into_iter().rev() {
        first = number;
        let mut segment = SegmentReader::open(dir, number, None)?;
        check_start(&mut segment)?;
        let mut reader = LogReader::from_segment(dir, number)?;
        match reader.next() {
            Some(Ok((_, entry))) if entry.at <= since => break,
            Some(Err(damage)) => return Err(damage),
            _ => {}
        }
    }
    let mut reader = LogReader::from_segment(dir, first)?;
    for entry in reader.by_ref() {
        let (after, entry) = entry?;
        visit(&after, &entry);
    }
    Ok(reader.summary())
}
