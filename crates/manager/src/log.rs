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

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{AccountId, Fault, FaultKind, Uid};
use keysherd_crypto::hash::sha256;

mod appender;
mod entry;
mod frame;
mod read;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

pub use entry::{
    DeriveEvent, DerivedItem, DestroyedEvent, Entry, Event, GenerationEvent, GenerationStep,
    KeyRef, OrderEvent,
};
pub use read::{Comparison, LogReader, LogSummary, compare, verify};

pub use appender::LogLimits;
pub(crate) use appender::{Appender, LogOwner};
pub(crate) use read::{scan_tail, segments};
#[cfg(test)]
pub(crate) use sink::{FileSink, Sink};
pub(crate) use sink::{SinkFactory, files};
pub(crate) use writer::{LogFailure, LogStatus, LogWriter};

/// Domain separation of the hash chain. A test holds it against the registry of `fragments`.
pub(crate) const CHAIN_LABEL: &[u8] = b"KSF1/log-entry\0";

/// How the first line of a checkpoint note begins.
const ORIGIN: &str = "keysherd-fragments/";

/// A position in the log: how many entries come before it, and the hash that chains them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// How many entries.
    pub size: u64,
    /// The chained hash of the last of them; zeros for none.
    pub head: [u8; 32],
}

impl Checkpoint {
    /// The position after `entry` was appended here.
    #[must_use]
    pub fn after(&self, entry: &[u8]) -> Self {
        let head = sha256(&[CHAIN_LABEL, &self.size.to_be_bytes(), &self.head, entry]);
        Self { size: self.size.saturating_add(1), head }
    }

    /// The text by which gateways remember this position in the log of `manager`: that of a C2SP
    /// tlog-checkpoint, origin, size and base64 of the hash, one line each.
    pub fn to_note(&self, manager: &Uid) -> Vec<u8> {
        let head = STANDARD.encode(self.head);
        format!("{ORIGIN}{manager}\n{}\n{head}\n", self.size).into_bytes()
    }

    /// Reads what [`Self::to_note`] wrote; `None` for anything else.
    pub fn from_note(note: &[u8]) -> Option<(Uid, Self)> {
        let text = std::str::from_utf8(note).ok()?;
        let mut lines = text.strip_prefix(ORIGIN)?.strip_suffix('\n')?.split('\n');
        let (manager, size, head) = (lines.next()?, lines.next()?, lines.next()?);
        let manager = AccountId::parse(&format!("acc-{manager}")).ok()?.0;
        let head = STANDARD.decode(head).ok()?.try_into().ok()?;
        let position = Self { size: size.parse().ok()?, head };
        (position.to_note(&manager) == note).then_some((manager, position))
    }
}

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
