//! Values of rows outside of a database, and how they are read from bytes.

use crate::query::Arg;
use crate::tables::Kind;

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    /// The same as an argument of a statement.
    pub(crate) fn as_arg(&self) -> Arg<'_> {
        match self {
            Self::Null => Arg::Null,
            Self::Int(number) => Arg::Int(*number),
            Self::Text(text) => Arg::Text(text),
            Self::Blob(bytes) => Arg::Blob(bytes),
        }
    }
}

/// Bytes with their length before them, marked as being there.
pub(super) fn put_bytes(body: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    body.push(1);
    body.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_be_bytes());
    body.extend_from_slice(bytes);
    Some(())
}

/// What is left of a frame's body.
pub(super) struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A value of a column; `None` when there is none that it could have.
    pub(super) fn cell(&mut self, kind: Kind) -> Option<Cell> {
        match self.byte()? {
            0 => return Some(Cell::Null),
            1 => {}
            _ => return None,
        }
        Some(match kind {
            Kind::Int => Cell::Int(i64::from_be_bytes(self.array()?)),
            Kind::Text => Cell::Text(str::from_utf8(self.bytes()?).ok()?.to_owned()),
            Kind::Blob => Cell::Blob(self.bytes()?.to_vec()),
        })
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}
