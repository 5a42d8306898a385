//! The manager's own log: append-only, hash-chained, durable before an answer leaves (design 5.8).
//!
//! The log is a sequence of [`Entry`]s in segment files. Entries are chained by SHA-256, so a
//! [`Checkpoint`] (how many entries, and the hash of the last) names everything before it. Each
//! signed answer carries the checkpoint after its own entry; gateways remember it, and a log that
//! was cut or written anew no longer contains it ([`compare`]).
//!
//! On disk, entries that became durable together are one *frame* ([`frame`]). A crash can tear
//! only the last frame; every other damage is an error when the manager starts.

use std::fmt;

use keysherd_base::{Fault, FaultKind};

mod appender;
mod entry;
mod epochs;
mod frame;
mod proof;
mod read;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

pub use entry::{
    DeriveEvent, DerivedItem, DestroyedEvent, Entry, Event, GenerationEvent, GenerationStep,
    KeyRef, OrderEvent,
};
pub use epochs::{EpochEvent, EpochStep};
pub use read::{Comparison, LogReader, LogSummary, compare, verify};

pub use appender::LogLimits;
pub(crate) use appender::{Appender, LogOwner};
pub use keysherd_fragments::checkpoint::Checkpoint;
pub(crate) use read::{scan_tail, segments};
#[cfg(test)]
pub(crate) use sink::{FileSink, Sink};
pub(crate) use sink::{SinkFactory, files};
pub(crate) use writer::{LogFailure, LogStatus, LogWriter};

/// Damage that a crash cannot cause: something or someone else changed the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogDamage {
    /// The number of the segment file.
    pub segment: u64,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for LogDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log segment {} at byte {}: {}", self.segment, self.offset, self.what)
    }
}

impl std::error::Error for LogDamage {}

impl From<LogDamage> for Fault {
    fn from(damage: LogDamage) -> Self {
        Self::new(
            FaultKind::Internal,
            format!(
                "the fragment manager's log is damaged ({damage}); a crash does not do this: keep \
                 the file as evidence, then let this manager rejoin by repair",
            ),
        )
    }
}
