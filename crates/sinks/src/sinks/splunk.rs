//! Splunk's HTTP event collector.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::fields::{ENABLE_BATCH, ENABLE_TLS, TLS_CERTIFICATE, authority, kept};
use crate::http::{Http, Request, below, header_value, json as as_json, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::{Batch, BoxFuture, Format, Kind, Line, Settings, Sink, Way};

const SPLUNK_URL: Field<Text> =
    kept("splunk-url", "Where the collector is, such as https://splunk.example:8088.");
const SPLUNK_TOKEN: Field<Text> = kept("splunk-token", "The collector's token.").secret();
const SOURCE: Field<Text> = kept("source", "The source that events are marked with.");
const SOURCE_TYPE: Field<Text> = kept("source-type", "The source type of the events.");
const INDEX: Field<Text> = kept("index", "The index they go to.");

static KIND: Kind = Kind {
    name: "splunk",
    receiver: "Splunk's HTTP event collector",
    fields: &Group {
        title: "Splunk",
        fields: &[
            SPLUNK_URL.spec(),
            SPLUNK_TOKEN.spec(),
            SOURCE.spec(),
            SOURCE_TYPE.spec(),
            INDEX.spec(),
            ENABLE_BATCH.spec(),
            ENABLE_TLS.spec(),
            TLS_CERTIFICATE.spec(),
        ],
    },
    shown: Some(Shown {
        field: "splunk_config",
        content: &[
            ("splunk_enable_batch", "enable-batch"),
            ("splunk_enable_tls", "enable-tls"),
            ("splunk_index", "index"),
            ("splunk_source", "source"),
            ("splunk_sourcetype", "source-type"),
            ("splunk_tls_certificate", "tls-certificate"),
            ("splunk_url", "splunk-url"),
        ],
    }),
    published: true,
};

/// The member.
pub(super) struct Splunk;

struct Open {
    http: Http,
    url: Url,
    authorization: SecretString,
    metadata: Map<String, Value>,
    batched: bool,
}

impl Sink for Splunk {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let url = receiver_url(SPLUNK_URL.name(), settings.need(&SPLUNK_URL)?, &way.egress)?;
        let collector = url.path().contains("/services/collector");
        let token = settings.secret(&SPLUNK_TOKEN)?;
        header_value(SPLUNK_TOKEN.name(), token.expose())?;
        let mut metadata = Map::new();
        for (name, field) in [("source", &SOURCE), ("sourcetype", &SOURCE_TYPE), ("index", &INDEX)]
        {
            if let Some(value) = settings.text(field) {
                metadata.insert(name.to_owned(), value.into());
            }
        }
        Ok(Box::new(Open {
            http: Http::new(authority(settings)?.as_deref(), &way.egress)?,
            url: if collector { url } else { below(&url, "services/collector/event") },
            authorization: SecretString::new(format!("Splunk {}", token.expose())),
            metadata,
            batched: settings.flag(&ENABLE_BATCH, true),
        }))
    }
}

impl Open {
    fn event(&self, line: &Line, format: Format) -> String {
        let mut event = self.metadata.clone();
        let millis = line.time().0;
        event.insert("time".to_owned(), json!(format!("{}.{:03}", millis / 1000, millis % 1000)));
        event.insert("event".to_owned(), line.value(format));
        Value::Object(event).to_string()
    }

    async fn post(&self, body: String) -> Result<(), Undelivered> {
        let headers = [
            ("authorization", self.authorization.expose().as_str()),
            ("content-type", "application/json"),
        ];
        let request = Request::post(&self.url, &headers, body.into_bytes());
        let answer = as_json(&self.http.send(request).await?)?;
        match answer["code"].as_i64() {
            Some(0) => Ok(()),
            // Some proxy may answer in the collector's place.
            _ => Err(Undelivered::later("its answer is not that of a Splunk collector")),
        }
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        vec![receiver(&self.url)]
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let mut events = batch.lines.iter().map(|line| self.event(line, batch.format));
            if self.batched {
                return self.post(events.collect::<Vec<_>>().join("\n")).await;
            }
            for event in &mut events {
                self.post(event).await?;
            }
            Ok(())
        })
    }
}
