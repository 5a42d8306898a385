//! A webhook, ours: JSON with an HMAC that its receiver can check.
//!
//! ```text
//! keysherd-signature: t=<seconds>,v1=<hex of HMAC-SHA-256(secret, "<seconds>." | body)>
//! ```

use keysherd_base::{ClockHandle, Fault, SecretString};
use keysherd_crypto::hash::hmac_sha256;
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde_json::{Value, json};

use crate::fields::{TLS_CERTIFICATE, authority, kept};
use crate::http::{Http, Request, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Undelivered};
use crate::settings::bad;
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const URL: Field<Text> = kept("webhook-url", "Where records are posted, as JSON.");
const SECRET: Field<Text> =
    kept("webhook-secret", "What posts are signed with, 16 to 256 characters.").secret();

static KIND: Kind = Kind {
    name: "webhook",
    receiver: "a webhook of your own",
    fields: &Group {
        title: "Webhook",
        fields: &[URL.spec(), SECRET.spec(), TLS_CERTIFICATE.spec()],
    },
    shown: None,
    published: false,
};

/// The member.
pub(super) struct Webhook;

struct Open {
    http: Http,
    url: Url,
    secret: SecretString,
    clock: ClockHandle,
}

impl Sink for Webhook {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let secret = settings.secret(&SECRET)?;
        if !(16..=256).contains(&secret.expose().len()) {
            return Err(bad(SECRET.name(), "it must have 16 to 256 characters"));
        }
        Ok(Box::new(Open {
            http: Http::new(authority(settings)?.as_deref(), &way.egress)?,
            url: receiver_url(URL.name(), settings.need(&URL)?, &way.egress)?,
            secret,
            clock: way.clock.clone(),
        }))
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        vec![receiver(&self.url)]
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let (first, last) = batch.range();
        let records: Vec<Value> = batch.lines.iter().map(|line| line.value(batch.format)).collect();
        let body = json!({
            "account_id": batch.account.to_string(),
            "first": first,
            "last": last,
            "records": records,
        });
        let (body, time) = (body.to_string(), self.clock.now().seconds());
        let signed = format!("{time}.{body}");
        let tag = hmac_sha256(self.secret.expose().as_bytes(), &[signed.as_bytes()]);
        let signature = format!("t={time},v1={}", hex::encode(tag));
        Box::pin(async move {
            let headers =
                [("content-type", "application/json"), ("keysherd-signature", signature.as_str())];
            self.http.send(Request::post(&self.url, &headers, body.into_bytes())).await.map(drop)
        })
    }
}
