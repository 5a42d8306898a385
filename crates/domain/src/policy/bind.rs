//! Binding a rule's templates to one bearer's claims.
//!
//! Only values that can be one piece of one segment take part: an empty value would turn
//! `/home/{{user}}*` into `/home/*`, and one with a slash would reach into the next segment, so
//! both are left out. Every other character of a value, `*`, `+` and braces included, stands for
//! itself, because a bound pattern is never written out and parsed again.

use std::collections::BTreeMap;
use std::sync::Arc;

use keysherd_base::limits::{BINDINGS_PER_RULE_MAX, SEGMENT_BYTES_MAX};

use super::case::Case;
use super::pattern::{Part, RulePattern, Segment};
use super::template::{Piece, Template, ValueSet};
use crate::claims::SubClaims;

/// A pattern whose templates are bound to values.
#[derive(Clone, Debug)]
pub(super) struct BoundPattern {
    /// The whole segments.
    pub(super) segments: Vec<BoundSegment>,
    /// What the next segment starts with, for a pattern that ends in `*`.
    pub(super) tail: Option<BoundParts>,
}

/// One whole segment of a [`BoundPattern`].
#[derive(Clone, Debug)]
pub(super) enum BoundSegment {
    /// Any one segment.
    Any,
    /// One of certain spellings.
    Parts(BoundParts),
}

/// The spellings of a segment or of its start.
#[derive(Clone, Debug)]
pub(super) enum BoundParts {
    /// Exactly one.
    Text(Box<str>),
    /// Several.
    Template(Template),
}

impl BoundPattern {
    /// `/*`.
    pub(super) fn everything() -> Self {
        Self { segments: Vec::new(), tail: Some(BoundParts::Text("".into())) }
    }

    /// What to sort by, so that a table of texts is filled in order: the segments one after the
    /// other, each behind a character that is less than any other.
    pub(super) fn sort_key(&self) -> Box<str> {
        let segments = self.segments.iter().map(|segment| match segment {
            BoundSegment::Parts(parts) => parts.sort_text(),
            BoundSegment::Any => "",
        });
        let texts = segments.chain(self.tail.iter().map(BoundParts::sort_text));
        let mut key = String::with_capacity(texts.clone().map(|text| text.len() + 1).sum());
        for text in texts {
            key.push('\0');
            key.push_str(text);
        }
        key.into_boxed_str()
    }
}

impl BoundParts {
    fn sort_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Template(_) => "",
        }
    }
}

/// One value for each claim that a pattern repeats.
type Binding<'p> = BTreeMap<&'p str, &'p str>;

/// Binds patterns to the claims of one bearer; value sets are made once and shared.
pub(super) struct Binder<'c> {
    claims: &'c SubClaims,
    sets: BTreeMap<(Box<str>, Case), Option<Arc<ValueSet>>>,
}

impl<'c> Binder<'c> {
    /// A binder for the bearer of `claims`.
    pub(super) const fn new(claims: &'c SubClaims) -> Self {
        Self { claims, sets: BTreeMap::new() }
    }

    /// The patterns that `pattern` stands for; none when a claim has no usable value.
    ///
    /// A claim that occurs twice has the same value in both places, which takes a pattern per
    /// value. Should those be over [`BINDINGS_PER_RULE_MAX`], a grant yields none at all and a deny
    /// one pattern in which the places vary freely: both err on the side of refusal.
    pub(super) fn bind(
        &mut self,
        pattern: &RulePattern,
        case: Case,
        deny: bool,
    ) -> Vec<BoundPattern> {
        if pattern.is_plain() {
            return self.bind_one(pattern, case, &Binding::new()).into_iter().collect();
        }
        let bindings = match self.bindings(pattern) {
            Some(bindings) => bindings,
            None if deny => vec![Binding::new()],
            None => Vec::new(),
        };
        bindings.iter().filter_map(|binding| self.bind_one(pattern, case, binding)).collect()
    }

    fn bindings<'p>(&self, pattern: &'p RulePattern) -> Option<Vec<Binding<'p>>>
    where
        'c: 'p,
    {
        let mut bindings = vec![Binding::new()];
        for name in pattern.repeated_claims() {
            let values = self.usable(name);
            if bindings.len().saturating_mul(values.len()) > BINDINGS_PER_RULE_MAX {
                return None;
            }
            let with = |value: &&'c str| {
                let value = *value;
                bindings.iter().map(move |binding| {
                    let mut binding = binding.clone();
                    binding.insert(name, value);
                    binding
                })
            };
            bindings = values.iter().flat_map(with).collect();
        }
        Some(bindings)
    }

    fn bind_one(
        &mut self,
        pattern: &RulePattern,
        case: Case,
        binding: &Binding<'_>,
    ) -> Option<BoundPattern> {
        let mut segments = Vec::with_capacity(pattern.segments.len());
        for segment in &pattern.segments {
            segments.push(match segment {
                Segment::Any => BoundSegment::Any,
                Segment::Parts(parts) => BoundSegment::Parts(self.parts(parts, case, binding)?),
            });
        }
        let tail = match &pattern.tail {
            Some(parts) => Some(self.parts(parts, case, binding)?),
            None => None,
        };
        Some(BoundPattern { segments, tail })
    }

    fn parts(&mut self, parts: &[Part], case: Case, binding: &Binding<'_>) -> Option<BoundParts> {
        if let [Part::Text(text)] = parts {
            return Some(BoundParts::Text(text.clone()));
        }
        let mut text = String::new();
        let mut pieces = Vec::new();
        for part in parts {
            let values = match part {
                Part::Text(part) => {
                    text.push_str(part);
                    continue;
                }
                Part::Claim(name) => match binding.get(&**name) {
                    Some(value) => Values::of_one(value, case),
                    None => self.values(name, case)?,
                },
            };
            match values {
                Values::One(value) => text.push_str(&value),
                Values::Several(set) => {
                    flush(&mut text, &mut pieces);
                    pieces.push(Piece::Values(set));
                }
            }
        }
        if pieces.is_empty() {
            return Some(BoundParts::Text(text.into_boxed_str()));
        }
        flush(&mut text, &mut pieces);
        Some(BoundParts::Template(Template::new(pieces)))
    }

    fn values(&mut self, name: &str, case: Case) -> Option<Values> {
        let values = self.usable(name);
        if let ([single], Case::Sensitive) = (&values[..], case) {
            return Some(Values::One((*single).into()));
        }
        let set = self
            .sets
            .entry((name.into(), case))
            .or_insert_with(|| (!values.is_empty()).then(|| Arc::new(ValueSet::set(case, values))));
        set.clone().map(Values::Several)
    }

    fn usable(&self, name: &str) -> Vec<&'c str> {
        let mut values: Vec<_> = usable_values(self.claims, name).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// The values of a claim that can stand in a path.
pub(super) fn usable_values<'c>(
    claims: &'c SubClaims,
    name: &str,
) -> impl Iterator<Item = &'c str> + use<'c> {
    let values = claims.values(name).iter().map(String::as_str);
    values
        .filter(|value| !value.is_empty() && value.len() <= SEGMENT_BYTES_MAX)
        .filter(|value| !value.contains('/'))
}

/// What a claim contributes to a segment.
enum Values {
    /// One spelling: plain text.
    One(Box<str>),
    /// Several values, or several spellings of one.
    Several(Arc<ValueSet>),
}

impl Values {
    fn of_one(value: &str, case: Case) -> Self {
        match case {
            Case::Sensitive => Self::One(value.into()),
            Case::Insensitive => Self::Several(Arc::new(ValueSet::set(case, [value]))),
        }
    }
}

fn flush(text: &mut String, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(std::mem::take(text).into_boxed_str()));
    }
}
