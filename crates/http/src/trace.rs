//! Traces: one span for each request that is looked at, joined to the caller's trace where it says
//! which (W3C Trace Context, level 1). A span has the name of a command, its times, its status and
//! the request's id, and nothing that a client sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use keysherd_base::{Rng, Timestamp};

#[cfg(test)]
mod tests;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `00-`, 32 digits of the trace, `-`, 16 of the span, `-`, 2 of flags.
const LENGTH: usize = 55;
/// The flag of a caller that records its own span.
const SAMPLED: u8 = 1;

/// The caller's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: [u8; 16],
    /// The caller's span.
    pub span: [u8; 8],
    /// Whether the caller records it.
    pub sampled: bool,
}

/// A request that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace it belongs to.
    pub trace: [u8; 16],
    /// Its own id.
    pub span: [u8; 8],
    /// The caller's span.
    pub parent: Option<[u8; 8]>,
    /// The command; `other` for what is none.
    pub name: &'static str,
    /// When its head arrived.
    pub started: Timestamp,
    /// How long the answer took.
    pub took: Duration,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The request's id, in hex, where it has one.
    pub request: Option<String>,
}

/// Which requests are looked at, and where their spans go.
#[derive(Clone)]
pub struct Traces {
    /// Traces with a number up to this one are looked at, here and wherever else the same share is
    /// set.
    most: u64,
    joining: Arc<Joining>,
    ended: Arc<dyn Fn(Span) + Send + Sync>,
}

/// How many traces of callers may be joined. Their numbers are the callers' to choose, so that
/// anybody could have all of their requests looked at: no more are joined than the share of all
/// requests, but for a few at once.
struct Joining {
    /// What a request adds, in millionths of a trace.
    per_request: i64,
    /// Traces that may be joined now, in millionths.
    saved: AtomicI64,
}

/// Traces that may be joined at once.
const JOINED_AT_ONCE: i64 = 100;
const MILLION: i64 = 1_000_000;

impl Joining {
    fn new(per_million: u32) -> Self {
        let saved = AtomicI64::new(JOINED_AT_ONCE * MILLION);
        Self { per_request: i64::from(per_million), saved }
    }

    fn request(&self) {
        let more = |saved: i64| Some((saved + self.per_request).min(JOINED_AT_ONCE * MILLION));
        let _always = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn take(&self) -> bool {
        let less = |saved: i64| (saved >= MILLION).then(|| saved - MILLION);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").field("most", &self.most).finish_non_exhaustive()
    }
}

/// A span that has begun.
pub(crate) struct Started {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    at: Timestamp,
}

impl Traces {
    /// Looks at `per_million` of a million traces; `ended` gets their spans, and must not block.
    pub fn new(per_million: u32, ended: Arc<dyn Fn(Span) + Send + Sync>) -> Self {
        let per_million = per_million.min(1_000_000);
        let share = u128::from(per_million) * u128::from(u64::MAX) / 1_000_000;
        let joining = Arc::new(Joining::new(per_million));
        Self { most: u64::try_from(share).unwrap_or(u64::MAX), joining, ended }
    }

    /// Begins the span of a request, if it is looked at. Callers that do not look at it themselves
    /// are obeyed; those that do are joined as far as the share goes, because anybody can say so,
    /// and beyond it their requests are like those of callers who say nothing.
    pub(crate) fn begin(
        &self,
        headers: &HeaderMap,
        rng: &dyn Rng,
        at: Timestamp,
    ) -> Option<Started> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        // One is the caller's; of two nobody knows which.
        let parent = match (all.next(), all.next()) {
            (Some(one), None) => one.to_str().ok().and_then(parse_traceparent),
            _ => None,
        };
        if parent.is_some_and(|parent| !parent.sampled) {
            return None;
        }
        if self.most == 0 {
            return None;
        }
        self.joining.request();
        let looked_at = |trace: &[u8; 16]| {
            let number = trace.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            number <= self.most
        };
        if parent.is_some_and(|parent| !looked_at(&parent.trace)) {
            return None;
        }
        let parent = parent.filter(|_| self.joining.take());
        // A request is served without a span rather than not at all.
        let trace = match parent {
            Some(parent) => parent.trace,
            None => rng.array::<16>().ok().filter(looked_at)?,
        };
        let span = rng.array::<8>().ok()?;
        Some(Started { trace, span, parent: parent.map(|parent| parent.span), at })
    }

    pub(crate) fn end(
        &self,
        started: Started,
        name: &'static str,
        took: Duration,
        (status, request): (u16, Option<String>),
    ) {
        let Started { trace, span, parent, at: started } = started;
        (self.ended)(Span { trace, span, parent, name, started, took, status, request });
    }
}

/// Reads the header `traceparent`; `None` when it is not one. Versions to come may have more after
/// the flags.
pub fn parse_traceparent(text: &str) -> Option<TraceParent> {
    let bytes = text.as_bytes();
    let (head, rest) = bytes.split_at_checked(LENGTH)?;
    let &[version_high, version_low, b'-', ref ids @ .., b'-', flag_high, flag_low] = head else {
        return None;
    };
    let (trace, span) = (ids.get(..32)?, ids.get(33..)?);
    let [version] = hex::<1>(&[version_high, version_low])?;
    let known = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    if !known || ids.get(32) != Some(&b'-') {
        return None;
    }
    let (trace, span) = (hex::<16>(trace)?, hex::<8>(span)?);
    let [flags] = hex::<1>(&[flag_high, flag_low])?;
    let valid = trace != [0; 16] && span != [0; 8];
    valid.then_some(TraceParent { trace, span, sampled: flags & SAMPLED != 0 })
}

/// Lower case only, as the format has it.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}
