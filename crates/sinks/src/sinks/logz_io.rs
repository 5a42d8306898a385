//! The listeners of logz.io: over HTTPS, or lines over TLS.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde_json::{Value, json};

use crate::fields::{ENDPOINT_URL, kept};
use crate::http::{Http, Request, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::settings::bad;
use crate::stream::{Place, Stream, tls};
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const TOKEN: Field<Text> = kept("logz-io-token", "The shipping token.").secret();
const PROTOCOL: Field<Text> =
    kept("protocol", "How logs travel: https, or tcp, which is encrypted, too.").default("https");
const HTTPS_LISTENER: &str = "https://listener.logz.io:8071";
const TLS_LISTENER: &str = "listener.logz.io";
const TLS_PORT: u16 = 5052;
/// What logz.io parses the lines as.
const LOG_TYPE: &str = "keysherd-audit";

static KIND: Kind = Kind {
    name: "logz-io",
    receiver: "a listener of logz.io",
    fields: &Group {
        title: "Logz.io",
        fields: &[TOKEN.spec(), PROTOCOL.spec(), ENDPOINT_URL.spec()],
    },
    shown: Some(Shown {
        field: "logz_io_config",
        content: &[("target_logz_io_protocol", "protocol")],
    }),
    published: true,
};

/// The member.
pub(super) struct LogzIo;

enum Road {
    Https { http: Http, url: Url },
    Tls(Stream),
}

struct Open {
    road: Road,
    token: SecretString,
}

impl Sink for LogzIo {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let token = settings.secret(&TOKEN)?;
        if token.expose().is_empty() || !token.expose().bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(bad(TOKEN.name(), "it must be letters and digits"));
        }
        let road = match settings.choice(&PROTOCOL, &["https", "tcp"], "https")? {
            "tcp" => {
                let place = Place::parse(PROTOCOL.name(), TLS_LISTENER, TLS_PORT, &way.egress)?;
                Road::Tls(Stream::new(place, Some(tls(None)?)))
            }
            _ => {
                let url = settings.text(&ENDPOINT_URL).unwrap_or(HTTPS_LISTENER);
                Road::Https {
                    http: Http::new(None, &way.egress)?,
                    url: receiver_url("endpoint-url", url, &way.egress)?,
                }
            }
        };
        Ok(Box::new(Open { road, token }))
    }
}

impl Open {
    fn address(&self, url: &Url) -> Url {
        let mut url = url.clone();
        let query = [("token", self.token.expose().as_str()), ("type", LOG_TYPE)];
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    fn lines(&self, batch: &Batch<'_>, with_token: bool) -> String {
        let mut text = String::new();
        for line in batch.lines {
            let mut entry = json!({
                "@timestamp": line.record.time.rfc3339(),
                "message": line.text(batch.format),
            });
            if with_token {
                entry["token"] = Value::from(self.token.expose().as_str());
                entry["type"] = LOG_TYPE.into();
            }
            text.push_str(&entry.to_string());
            text.push('\n');
        }
        text
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        match &self.road {
            Road::Https { url, .. } => vec![receiver(url)],
            Road::Tls(stream) => vec![stream.receiver()],
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            match &self.road {
                Road::Tls(stream) => stream.send(self.lines(&batch, true).as_bytes()).await,
                Road::Https { http, url } => {
                    let url = self.address(url);
                    let headers = [("content-type", "text/plain")];
                    let body = self.lines(&batch, false).into_bytes();
                    http.send(Request::post(&url, &headers, body)).await.map(drop)
                }
            }
        })
    }
}
