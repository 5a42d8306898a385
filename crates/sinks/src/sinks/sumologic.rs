//! A Sumo Logic HTTP source. Its address is its credential.

use keysherd_base::{Fault, SecretString};
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;

use crate::fields::kept;
use crate::http::{Http, Request, header_value, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const ENDPOINT: Field<Text> =
    kept("endpoint", "The address of the HTTP source; whoever has it can send.").secret();
const TAGS: Field<Text> = kept("sumologic-tags", "Fields of the logs, such as env=prod,team=ops.");
const HOST: Field<Text> = kept("host", "The host that the logs are said to come from.");

static KIND: Kind = Kind {
    name: "sumologic",
    receiver: "a Sumo Logic HTTP source",
    fields: &Group { title: "Sumo Logic", fields: &[ENDPOINT.spec(), TAGS.spec(), HOST.spec()] },
    shown: Some(Shown {
        field: "sumo_logic_config",
        content: &[("sumo_logic_host", "host"), ("sumo_logic_tags", "sumologic-tags")],
    }),
    published: true,
};

/// The member.
pub(super) struct Sumologic;

struct Open {
    http: Http,
    endpoint: SecretString,
    headers: Vec<(&'static str, String)>,
}

impl Sink for Sumologic {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let endpoint = settings.secret(&ENDPOINT)?;
        receiver_url(ENDPOINT.name(), endpoint.expose(), &way.egress)?;
        let mut headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        for (name, field) in [("x-sumo-fields", &TAGS), ("x-sumo-host", &HOST)] {
            if let Some(value) = settings.text(field) {
                headers.push((name, header_value(field.name(), value)?.to_owned()));
            }
        }
        Ok(Box::new(Open { http: Http::new(None, &way.egress)?, endpoint, headers }))
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        Url::parse(self.endpoint.expose()).iter().map(receiver).collect()
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let body = batch.text().into_bytes();
        Box::pin(async move {
            let url = receiver_url(ENDPOINT.name(), self.endpoint.expose(), self.http.egress())
                .map_err(|fault| Undelivered::refused(fault.public().to_owned()))?;
            let headers: Vec<_> =
                self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            self.http.send(Request::post(&url, &headers, body)).await.map(drop)
        })
    }
}
