//! The path pattern of a rule, as it is written and stored.
//!
//! | written | matches |
//! |---|---|
//! | `/team/db` | that path only |
//! | `/team/*` | everything below `/team`, at any depth; not `/team` itself |
//! | `/team/dev-*` | every path that starts with `/team/dev-` |
//! | `/*` | everything |
//! | `/team/+/db` | exactly one segment in place of `+` |
//! | `/home/{{user}}/*` | the bearer's values of the claim `user` in place of the template |
//!
//! A `*` anywhere but at the end is refused rather than guessed at, and so is `+*`; a `+` beside
//! other characters is an ordinary character. A template stands for text inside one segment: a
//! claim value is never read as a pattern and never reaches into another segment. A claim name may
//! contain slashes, since namespaced OIDC claims are URLs.

use std::collections::BTreeSet;
use std::fmt;

use keysherd_base::Fault;
use keysherd_base::limits::{
    CLAIM_NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX, SEGMENT_BYTES_MAX,
    TEMPLATES_PER_PATTERN_MAX, TEMPLATES_PER_SEGMENT_MAX,
};

/// A well-formed rule path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePattern {
    text: Box<str>,
    pub(super) segments: Vec<Segment>,
    /// What the segment after `segments` starts with, for a pattern that ends in `*`.
    pub(super) tail: Option<Vec<Part>>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// `+`.
    Any,
    /// Everything else.
    Parts(Vec<Part>),
}

/// A stretch of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself.
    Text(Box<str>),
    /// The name of a claim between double braces.
    Claim(Box<str>),
}

/// Why a rule path was refused; the text names the rule and how to meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPattern {
    /// Nothing but a slash.
    Empty,
    /// Over [`PATH_BYTES_MAX`].
    TooLong(usize),
    /// The text of a segment is over [`SEGMENT_BYTES_MAX`].
    SegmentTooLong(usize),
    /// A claim name is over [`CLAIM_NAME_BYTES_MAX`].
    ClaimTooLong(usize),
    /// Over [`PATH_DEPTH_MAX`].
    TooDeep(usize),
    /// Two slashes in a row, or one at the end.
    EmptySegment,
    /// A `.` or `..` segment.
    DotSegment,
    /// A control character.
    Control,
    /// A `*` that is not the last character.
    InnerStar,
    /// A last segment `+*`.
    PlusStar,
    /// Braces that do not pair up, or no claim name between them.
    Braces,
    /// Over [`TEMPLATES_PER_PATTERN_MAX`] or [`TEMPLATES_PER_SEGMENT_MAX`].
    TooManyTemplates,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid rule path: ")?;
        match self {
            Self::Empty => f.write_str("it is empty; write /* for everything"),
            Self::TooLong(n) => {
                write!(f, "{n} bytes long; at most {PATH_BYTES_MAX} are allowed")
            }
            Self::SegmentTooLong(n) => {
                write!(f, "a segment is {n} bytes long; at most {SEGMENT_BYTES_MAX} are allowed")
            }
            Self::ClaimTooLong(n) => write!(
                f,
                "a claim name is {n} bytes long; at most {CLAIM_NAME_BYTES_MAX} are allowed"
            ),
            Self::TooDeep(n) => {
                write!(f, "{n} segments; at most {PATH_DEPTH_MAX} are allowed")
            }
            Self::EmptySegment => f.write_str(
                "an empty segment (two slashes, or one at the end); write /folder/* for what lies \
                 in a folder",
            ),
            Self::DotSegment => f.write_str("a '.' or '..' segment is not allowed"),
            Self::Control => f.write_str("it contains a control character"),
            Self::InnerStar => f.write_str(
                "'*' is only allowed as the last character; write '+' for exactly one segment",
            ),
            Self::PlusStar => f.write_str("'+*' is ambiguous; write /+/* or /*"),
            Self::Braces => f.write_str("a template is written {{claim-name}}"),
            Self::TooManyTemplates => write!(
                f,
                "at most {TEMPLATES_PER_PATTERN_MAX} templates are allowed, and \
                 {TEMPLATES_PER_SEGMENT_MAX} in one segment"
            ),
        }
    }
}

impl std::error::Error for BadPattern {}

impl From<BadPattern> for Fault {
    fn from(bad: BadPattern) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl RulePattern {
    /// Parses a rule path with or without its leading slash.
    ///
    /// # Errors
    /// [`BadPattern`] says which rule the path breaks.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let body = text.strip_prefix('/').unwrap_or(text);
        if body.is_empty() {
            return Err(BadPattern::Empty);
        }
        if body.len() >= PATH_BYTES_MAX {
            return Err(BadPattern::TooLong(body.len() + 1));
        }
        if has_control(body) {
            return Err(BadPattern::Control);
        }
        let text = ["/", body].concat().into_boxed_str();
        let mut pattern = Self { text, segments: Vec::new(), tail: None };
        let mut rest = Some(body);
        while let Some(current) = rest {
            let (segment, more) = split_segment(current);
            match segment.strip_suffix('*') {
                Some("+") if more.is_none() => return Err(BadPattern::PlusStar),
                Some(stem) if more.is_none() => pattern.tail = Some(parse_parts(stem)?),
                _ => pattern.segments.push(parse_segment(segment)?),
            }
            rest = more;
        }
        pattern.check_counts()?;
        Ok(pattern)
    }

    /// The pattern as it is stored and shown: with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the claims in its templates, in order, repeated ones repeatedly.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        let segments = self.segments.iter().flat_map(|segment| match segment {
            Segment::Any => &[][..],
            Segment::Parts(parts) => parts,
        });
        segments.chain(self.tail.iter().flatten()).filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Claim(name) => Some(&**name),
        })
    }

    /// Whether it has no template.
    pub(super) fn is_plain(&self) -> bool {
        self.claims().next().is_none()
    }

    /// The claims that occur more than once: each must have one value throughout a path.
    pub(super) fn repeated_claims(&self) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        self.claims().filter(|name| !seen.insert(*name)).collect()
    }

    fn check_counts(&self) -> Result<(), BadPattern> {
        let depth = self.segments.len() + usize::from(self.tail.is_some());
        if depth > PATH_DEPTH_MAX {
            return Err(BadPattern::TooDeep(depth));
        }
        if self.claims().count() > TEMPLATES_PER_PATTERN_MAX {
            return Err(BadPattern::TooManyTemplates);
        }
        Ok(())
    }
}

impl fmt::Display for RulePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Most rules are ASCII, of which looking at the bytes is enough.
fn has_control(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    }
}

/// The first segment, and what follows the slash after it. A slash between braces does not count.
pub(super) fn split_segment(text: &str) -> (&str, Option<&str>) {
    if !text.as_bytes().contains(&b'{') {
        return text.split_once('/').map_or((text, None), |(segment, more)| (segment, Some(more)));
    }
    let mut from = 0;
    while let Some(slash) = text[from..].find('/') {
        let template = text[from..from + slash].find("{{");
        let close = template
            .and_then(|open| text[from + open..].find("}}").map(|length| from + open + length + 2));
        match close {
            Some(close) => from = close,
            None => return (&text[..from + slash], Some(&text[from + slash + 1..])),
        }
    }
    (text, None)
}

fn parse_segment(segment: &str) -> Result<Segment, BadPattern> {
    match segment {
        "" => Err(BadPattern::EmptySegment),
        "." | ".." => Err(BadPattern::DotSegment),
        "+" => Ok(Segment::Any),
        _ => parse_parts(segment).map(Segment::Parts),
    }
}

fn parse_parts(segment: &str) -> Result<Vec<Part>, BadPattern> {
    if !segment.bytes().any(|byte| matches!(byte, b'{' | b'}' | b'*')) {
        return plain_part(segment);
    }
    let mut parts = Vec::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once("{{") {
        push_text(&mut parts, before)?;
        let (name, after) = after.split_once("}}").ok_or(BadPattern::Braces)?;
        let name = name.trim();
        if name.is_empty() || name.contains(['{', '}']) {
            return Err(BadPattern::Braces);
        }
        if name.len() > CLAIM_NAME_BYTES_MAX {
            return Err(BadPattern::ClaimTooLong(name.len()));
        }
        parts.push(Part::Claim(name.into()));
        rest = after;
    }
    push_text(&mut parts, rest)?;
    let text_bytes = parts.iter().map(Part::text_bytes).sum();
    if text_bytes > SEGMENT_BYTES_MAX {
        return Err(BadPattern::SegmentTooLong(text_bytes));
    }
    let templates = parts.iter().filter(|part| matches!(part, Part::Claim(_))).count();
    if templates > TEMPLATES_PER_SEGMENT_MAX {
        return Err(BadPattern::TooManyTemplates);
    }
    Ok(parts)
}

/// The only part of a segment without any template.
fn plain_part(text: &str) -> Result<Vec<Part>, BadPattern> {
    match text.len() {
        0 => Ok(Vec::new()),
        1..=SEGMENT_BYTES_MAX => Ok(vec![Part::Text(text.into())]),
        long => Err(BadPattern::SegmentTooLong(long)),
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), BadPattern> {
    if text.contains('*') {
        return Err(BadPattern::InnerStar);
    }
    if text.contains("}}") {
        return Err(BadPattern::Braces);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
    Ok(())
}

impl Part {
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Claim(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
