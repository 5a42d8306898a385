//! OpenTelemetry collectors, ours: logs over OTLP/HTTP in its JSON encoding.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde_json::{Value, json};

use crate::fields::{TLS_CERTIFICATE, authority, kept};
use crate::http::{Http, Request, below, header_list, json as as_json, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Undelivered};
use crate::{Batch, BoxFuture, Format, Kind, Line, Settings, Sink, Way};

const URL: Field<Text> =
    kept("otlp-url", "The collector, such as https://otel.example:4318; /v1/logs is added.");
const HEADERS: Field<Text> =
    kept("otlp-headers", "Headers for it with commas, such as api-key=x,tenant=y.").secret();

static KIND: Kind = Kind {
    name: "otlp",
    receiver: "an OpenTelemetry collector",
    fields: &Group {
        title: "OpenTelemetry",
        fields: &[URL.spec(), HEADERS.spec(), TLS_CERTIFICATE.spec()],
    },
    shown: None,
    published: false,
};

/// The member.
pub(super) struct Otlp;

struct Open {
    http: Http,
    url: Url,
    headers: Vec<(String, SecretString)>,
}

impl Sink for Otlp {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let url = receiver_url(URL.name(), settings.need(&URL)?, &way.egress)?;
        let ready = url.path().ends_with("/v1/logs");
        Ok(Box::new(Open {
            http: Http::new(authority(settings)?.as_deref(), &way.egress)?,
            url: if ready { url } else { below(&url, "v1/logs") },
            headers: header_list(HEADERS.name(), settings.text(&HEADERS).unwrap_or_default())?,
        }))
    }
}

fn record(line: &Line, format: Format) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let number =
        |key: &str, value: u64| json!({"key": key, "value": {"intValue": value.to_string()}});
    let draft = &line.record.draft;
    let (severity, name) = if line.succeeded() { (9, "INFO") } else { (13, "WARN") };
    let mut attributes = vec![
        number("seq_num", line.seq()),
        text("account_id", &draft.account.to_string()),
        text("action", &draft.action),
        number("status", line.record.status.into()),
    ];
    if let Some(id) = &draft.access_id {
        attributes.push(text("access_id", id.as_str()));
    }
    json!({
        "timeUnixNano": line.time().0.saturating_mul(1_000_000).to_string(),
        "severityNumber": severity,
        "severityText": name,
        "body": {"stringValue": line.text(format)},
        "attributes": attributes,
    })
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        vec![receiver(&self.url)]
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let records: Vec<_> = batch.lines.iter().map(|line| record(line, batch.format)).collect();
        let name = json!({"key": "service.name", "value": {"stringValue": "keysherd"}});
        let body = json!({"resourceLogs": [{
            "resource": {"attributes": [name]},
            "scopeLogs": [{"scope": {"name": "keysherd.audit"}, "logRecords": records}],
        }]});
        Box::pin(async move {
            let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(own.map(|(name, value)| (name, value.as_str())));
            let request = Request::post(&self.url, &headers, body.to_string().into_bytes());
            let answer = self.http.send(request).await?;
            if answer.is_empty() {
                return Ok(());
            }
            let rejected = &as_json(&answer)?["partialSuccess"]["rejectedLogRecords"];
            // In JSON, 64-bit numbers are texts.
            let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok());
            match rejected {
                None | Some(0) => Ok(()),
                Some(count) => Err(Undelivered::refused(format!("it rejects {count} records"))),
            }
        })
    }
}
