//! What is sent: audit records as lines, several at a time.

use keysherd_audit::{Published, Record};
use keysherd_base::{AccountId, Timestamp};
use serde_json::Value;

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of `key=value` pairs.
    Text,
    /// One line of JSON.
    Json,
}

impl Format {
    /// The name in commands.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// An audit record on its way.
#[derive(Clone, Debug)]
pub struct Line {
    /// The record.
    pub record: Record,
}

impl Line {
    /// The record's number in the account's log.
    pub const fn seq(&self) -> u64 {
        self.record.seq
    }

    /// When it was recorded.
    pub const fn time(&self) -> Timestamp {
        self.record.time
    }

    /// The line, without a line break.
    pub fn text(&self, format: Format) -> String {
        match format {
            Format::Text => self.record.line(),
            Format::Json => self.json().to_string(),
        }
    }

    /// The record as an object.
    pub fn json(&self) -> Value {
        Published::of(&self.record).json()
    }

    /// What goes into a receiver's own JSON: the object, or the line as a text.
    pub(crate) fn value(&self, format: Format) -> Value {
        match format {
            Format::Text => self.record.line().into(),
            Format::Json => self.json(),
        }
    }

    /// Whether the request behind it succeeded.
    pub(crate) const fn succeeded(&self) -> bool {
        self.record.status < 400
    }
}

/// Lines that are sent together: at least one, in the order of their numbers.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Whose log.
    pub account: AccountId,
    /// How records are written.
    pub format: Format,
    /// The lines.
    pub lines: &'a [Line],
}

impl Batch<'_> {
    /// The first and the last number.
    pub fn range(&self) -> (u64, u64) {
        let seq = |line: Option<&Line>| line.map_or(0, Line::seq);
        (seq(self.lines.first()), seq(self.lines.last()))
    }

    /// When the first record was recorded.
    pub(crate) fn begins(&self) -> Timestamp {
        self.lines.first().map_or_else(Timestamp::default, Line::time)
    }

    /// All lines, each with a line break.
    pub(crate) fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            text.push_str(&line.text(self.format));
            text.push('\n');
            text
        })
    }
}
