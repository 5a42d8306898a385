//! What callers say about the trace that a request belongs to.

use keysherd_http::{TraceParent, parse_traceparent};

/// Reads the bytes as the header `traceparent`: what is taken reads back as itself when it is
/// written again, in the version that is known.
pub fn trace_parents(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(parent) = parse_traceparent(text) else { return };
    let TraceParent { trace, span, sampled } = parent;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (trace, span) = (hex(&trace), hex(&span));
    let again = format!("00-{trace}-{span}-{:02x}", u8::from(sampled));
    assert_eq!(parse_traceparent(&again), Some(parent), "{text:?}");
    assert!(text.contains(&trace) && text.contains(&span), "{text:?}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
