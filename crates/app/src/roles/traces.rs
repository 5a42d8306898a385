//! Traces of requests, from the listener to a collector.

use std::sync::Arc;

use keysherd_egress::Egress;
use keysherd_http::{Span, Traces};
use keysherd_sinks::{SpanExport, SpanRecord};

use crate::config::traces::TraceSettings;
use crate::exit::Exit;

/// Traces for a listener, and what sends them. Call it on the runtime that serves.
///
/// # Errors
/// [`Exit::Configuration`] says what is wrong with the settings.
pub(super) fn open(
    settings: &TraceSettings,
    egress: &Egress,
) -> Result<(Traces, Arc<SpanExport>), Exit> {
    let wrong = |text: String| Exit::Configuration(format!("traces: {text}"));
    let ca = settings.ca.as_ref().map(|file| {
        let read = std::fs::read_to_string(file);
        read.map_err(|error| wrong(format!("{}: {error}", file.display())))
    });
    let (ca, headers) = (ca.transpose()?, settings.headers()?);
    let export = SpanExport::start(&settings.url, headers.expose(), ca.as_deref(), egress);
    let export = Arc::new(export.map_err(|fault| wrong(fault.to_string()))?);
    let ended = export.clone();
    let record = Arc::new(move |span| ended.record(record(span)));
    Ok((Traces::new(settings.per_million, record), export))
}

fn record(span: Span) -> SpanRecord {
    let start = u64::try_from(span.started.0).unwrap_or(0).saturating_mul(1_000_000);
    let took = u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX);
    SpanRecord {
        trace: span.trace,
        span: span.span,
        parent: span.parent,
        name: span.name,
        start_nanos: start,
        end_nanos: start.saturating_add(took),
        status: span.status,
        request: span.request,
    }
}
