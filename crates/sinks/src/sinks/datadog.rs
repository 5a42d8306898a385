//! Datadog's log intake.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde_json::{Value, json};

use crate::fields::kept;
use crate::http::{Http, Request, below, header_value, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const HOST: Field<Text> =
    kept("host", "The site, such as datadoghq.eu, or the whole address of an intake.");
const API_KEY: Field<Text> = kept("api-key", "The API key.").secret();
const LOG_SOURCE: Field<Text> = kept("log-source", "The source of the logs.").default("akeyless");
const LOG_TAGS: Field<Text> = kept("log-tags", "Tags, such as env:prod,team:ops.");
const LOG_SERVICE: Field<Text> =
    kept("log-service", "The service of the logs.").default("akeyless-gateway");

static KIND: Kind = Kind {
    name: "datadog",
    receiver: "Datadog's log intake",
    fields: &Group {
        title: "Datadog",
        fields: &[
            HOST.spec(),
            API_KEY.spec(),
            LOG_SOURCE.spec(),
            LOG_TAGS.spec(),
            LOG_SERVICE.spec(),
        ],
    },
    shown: Some(Shown {
        field: "datadog_config",
        content: &[
            ("datadog_host", "host"),
            ("datadog_log_service", "log-service"),
            ("datadog_log_source", "log-source"),
            ("datadog_log_tags", "log-tags"),
        ],
    }),
    published: true,
};

/// The member.
pub(super) struct Datadog;

struct Open {
    http: Http,
    url: Url,
    key: SecretString,
    source: String,
    tags: Option<String>,
    service: String,
}

impl Sink for Datadog {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let host = settings.need(&HOST)?;
        let url = if host.contains("://") {
            receiver_url(HOST.name(), host, &way.egress)?
        } else {
            receiver_url(HOST.name(), &format!("https://http-intake.logs.{host}"), &way.egress)?
        };
        let key = settings.secret(&API_KEY)?;
        header_value(API_KEY.name(), key.expose())?;
        let text = |field, default: &str| settings.text(field).unwrap_or(default).to_owned();
        Ok(Box::new(Open {
            http: Http::new(None, &way.egress)?,
            url: below(&url, "api/v2/logs"),
            key,
            source: text(&LOG_SOURCE, "akeyless"),
            tags: settings.text(&LOG_TAGS).map(str::to_owned),
            service: text(&LOG_SERVICE, "akeyless-gateway"),
        }))
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        vec![receiver(&self.url)]
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let entries = batch.lines.iter().map(|line| {
            let mut entry = json!({
                "ddsource": self.source,
                "service": self.service,
                "message": line.text(batch.format),
            });
            if let Some(tags) = &self.tags {
                entry["ddtags"] = tags.as_str().into();
            }
            entry
        });
        let body = Value::Array(entries.collect()).to_string().into_bytes();
        Box::pin(async move {
            let headers =
                [("content-type", "application/json"), ("dd-api-key", self.key.expose().as_str())];
            self.http.send(Request::post(&self.url, &headers, body)).await.map(drop)
        })
    }
}
