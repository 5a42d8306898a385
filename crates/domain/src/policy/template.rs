//! A segment with claim templates, bound to one bearer's values.

use std::sync::Arc;

use super::case::Case;
use super::text_table::TextTable;

/// The values of one claim, compared in the case of the association.
pub(super) type ValueSet = TextTable<()>;

/// A segment of which at least one piece has several spellings.
#[derive(Clone, Debug)]
pub(super) struct Template(Box<[Piece]>);

/// A stretch of a [`Template`].
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Exactly this text, letter case included: it comes from the rule, not from the bearer.
    Text(Box<str>),
    /// Any of these.
    Values(Arc<ValueSet>),
}

impl Template {
    /// A template of these pieces, in order.
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        Self(pieces.into_boxed_slice())
    }

    /// Whether the whole of `text`, one segment, is a spelling of the template.
    pub(super) fn matches(&self, text: &str) -> bool {
        spells(&self.0, text, Extent::Whole)
    }

    /// Whether `text` starts with a spelling of the template.
    pub(super) fn starts(&self, text: &str) -> bool {
        spells(&self.0, text, Extent::Start)
    }

    /// The text every spelling starts with; may be empty.
    pub(super) fn lead(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Whether both are the same pieces over the same value sets.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|pair| match pair {
                (Piece::Text(a), Piece::Text(b)) => a == b,
                (Piece::Values(a), Piece::Values(b)) => Arc::ptr_eq(a, b),
                _ => false,
            })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Extent {
    Whole,
    Start,
}

/// Recursion is as deep as there are pieces, and `TEMPLATES_PER_SEGMENT_MAX` bounds its breadth.
fn spells(pieces: &[Piece], text: &str, extent: Extent) -> bool {
    match pieces.split_first() {
        None => extent == Extent::Start || text.is_empty(),
        Some((Piece::Text(expected), more)) => Case::Sensitive
            .strip_prefix(text, expected)
            .is_some_and(|rest| spells(more, rest, extent)),
        Some((Piece::Values(values), [])) if extent == Extent::Whole => values.get(text).is_some(),
        Some((Piece::Values(values), more)) => {
            values.prefixes_of(text).any(|(rest, ())| spells(more, rest, extent))
        }
    }
}
