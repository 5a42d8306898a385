//! Spans of requests to an OpenTelemetry collector: OTLP over HTTP in its JSON encoding.
//!
//! Nothing waits for it: what does not fit into the queue, or is not taken in two attempts, is
//! dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keysherd_base::{Fault, SecretString};
use keysherd_egress::Egress;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::http::{Http, Request, below, header_list, receiver_url};
use crate::member::Undelivered;

/// Spans that wait at most.
const QUEUE_MAX: usize = 4_096;
/// Spans in one request.
const BATCH_MAX: usize = 512;
/// How long a span waits for others to go with it.
const GATHER: Duration = Duration::from_secs(1);
/// The pause before the second attempt, unless the collector says how long.
const RETRY: Duration = Duration::from_secs(2);
/// A collector may not ask for a longer one: others wait meanwhile.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A request that ended.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub span: [u8; 8],
    /// The caller's span.
    pub parent: Option<[u8; 8]>,
    /// What it is called; never what a client sent.
    pub name: &'static str,
    /// When it began, in nanoseconds since 1970.
    pub start_nanos: u64,
    /// When it ended.
    pub end_nanos: u64,
    /// The HTTP status of its answer.
    pub status: u16,
    /// The request's id.
    pub request: Option<String>,
}

/// Where spans go.
#[derive(Debug)]
pub struct SpanExport {
    queue: mpsc::Sender<SpanRecord>,
    dropped: Arc<AtomicU64>,
}

/// The collector.
struct Collector {
    http: Http,
    url: Url,
    headers: Vec<(String, SecretString)>,
    dropped: Arc<AtomicU64>,
}

impl SpanExport {
    /// Begins to send to the collector at `url`, with `headers` such as `api-key=x,tenant=y`. Call
    /// it on the runtime that serves.
    ///
    /// # Errors
    /// [`Fault::bad_request`] says what is wrong with the address, the headers or the authority.
    pub fn start(
        url: &str,
        headers: &str,
        ca: Option<&str>,
        egress: &Egress,
    ) -> Result<Self, Fault> {
        let url = receiver_url("traces-url", url, egress)?;
        let ready = url.path().ends_with("/v1/traces");
        let dropped = Arc::new(AtomicU64::default());
        let collector = Collector {
            http: Http::new(ca, egress)?,
            url: if ready { url } else { below(&url, "v1/traces") },
            headers: header_list("traces-headers-file", headers)?,
            dropped: dropped.clone(),
        };
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(collector.run(waiting));
        Ok(Self { queue, dropped })
    }

    /// Hands a span over; it is dropped when too many wait.
    pub fn record(&self, span: SpanRecord) {
        if self.queue.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many spans were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Collector {
    /// Until nobody hands over spans any more.
    async fn run(self, mut waiting: mpsc::Receiver<SpanRecord>) {
        let mut told = false;
        while let Some(first) = waiting.recv().await {
            let mut batch = vec![first];
            let gathered = tokio::time::timeout(GATHER, async {
                while batch.len() < BATCH_MAX {
                    match waiting.recv().await {
                        Some(next) => batch.push(next),
                        None => return,
                    }
                }
            });
            // What came until then goes, whether or not it is a full batch.
            let _complete = gathered.await;
            match self.deliver(&batch).await {
                Ok(()) => told = false,
                Err(why) => {
                    let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
                    self.dropped.fetch_add(count, Ordering::Relaxed);
                    if !told {
                        tracing::warn!(why, "the collector of traces does not take spans");
                        told = true;
                    }
                }
            }
        }
    }

    async fn deliver(&self, batch: &[SpanRecord]) -> Result<(), String> {
        let body = body(batch).to_string().into_bytes();
        match self.send(body.clone()).await {
            Ok(()) => return Ok(()),
            Err(Undelivered::Later { after, .. }) => {
                tokio::time::sleep(after.unwrap_or(RETRY).min(RETRY_MAX)).await;
            }
            Err(Undelivered::Refused { why }) => return Err(why),
            Err(Undelivered::TooLarge) => return Err("too many at once".to_owned()),
        }
        self.send(body).await.map_err(|failed| match failed {
            Undelivered::Later { why, .. } | Undelivered::Refused { why } => why,
            Undelivered::TooLarge => "too many at once".to_owned(),
        })
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), Undelivered> {
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(own.map(|(name, value)| (name, value.as_str())));
        self.http.send(Request::post(&self.url, &headers, body)).await.map(drop)
    }
}

/// The kind of a span at the side that answers (opentelemetry-proto, `SPAN_KIND_SERVER`).
const SERVER: u8 = 2;
/// The status of a span that went wrong (`STATUS_CODE_ERROR`).
const ERROR: u8 = 2;

fn body(batch: &[SpanRecord]) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let spans: Vec<Value> = batch.iter().map(span).collect();
    let resource = [
        text("service.name", "keysherd-gateway"),
        text("service.version", env!("CARGO_PKG_VERSION")),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "keysherd"}, "spans": spans}],
    }]})
}

fn span(span: &SpanRecord) -> Value {
    let status = json!({"intValue": span.status.to_string()});
    let mut attributes = vec![json!({"key": "http.response.status_code", "value": status})];
    if let Some(request) = &span.request {
        let id = json!({"stringValue": request});
        attributes.push(json!({"key": "keysherd.request_id", "value": id}));
    }
    let mut value = json!({
        "traceId": hex::encode(span.trace),
        "spanId": hex::encode(span.span),
        "name": span.name,
        "kind": SERVER,
        "startTimeUnixNano": span.start_nanos.to_string(),
        "endTimeUnixNano": span.end_nanos.to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        value["parentSpanId"] = hex::encode(parent).into();
    }
    if span.status >= 500 {
        value["status"] = json!({"code": ERROR});
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_says_what_it_is_and_nothing_else() {
        let record = SpanRecord {
            trace: [1; 16],
            span: [2; 8],
            parent: Some([3; 8]),
            name: "get-secret-value",
            start_nanos: 5,
            end_nanos: 7,
            status: 503,
            request: Some("ab".to_owned()),
        };
        let wanted = json!({
            "traceId": "01".repeat(16), "spanId": "02".repeat(8), "parentSpanId": "03".repeat(8),
            "name": "get-secret-value", "kind": 2, "startTimeUnixNano": "5",
            "endTimeUnixNano": "7", "status": {"code": 2},
            "attributes": [
                {"key": "http.response.status_code", "value": {"intValue": "503"}},
                {"key": "keysherd.request_id", "value": {"stringValue": "ab"}},
            ],
        });
        assert_eq!(span(&record), wanted);
        let fine = SpanRecord { parent: None, status: 200, ..record };
        let text = span(&fine);
        assert!(text.get("parentSpanId").is_none() && text.get("status").is_none(), "{text}");
    }

    #[tokio::test]
    async fn a_collector_that_is_not_there_holds_nobody_up() {
        let start =
            |url: &str, headers: &str| SpanExport::start(url, headers, None, &Egress::default());
        assert!(start("http://collector.example:4318", "").is_err());
        assert!(start("https://collector.example", "bad header").is_err());
        let export = start("https://127.0.0.1:1", "api-key=x").unwrap();
        let record = SpanRecord {
            trace: [1; 16],
            span: [2; 8],
            parent: None,
            name: "auth",
            start_nanos: 0,
            end_nanos: 0,
            status: 200,
            request: None,
        };
        for _ in 0..3 * QUEUE_MAX {
            export.record(record.clone());
        }
        assert!(export.dropped() >= u64::try_from(QUEUE_MAX).unwrap(), "the queue is bounded");
    }
}
