//! Azure Log Analytics: the HTTP Data Collector, with requests signed by the workspace's key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{ClockHandle, Fault, SecretBytes, Timestamp};
use keysherd_crypto::hash::hmac_sha256;
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde_json::{Value, json};

use crate::fields::{ENABLE_BATCH, ENDPOINT_URL, kept};
use crate::http::{Http, Request, below, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::settings::bad;
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const WORKSPACE_ID: Field<Text> = kept("workspace-id", "The workspace's id.");
const WORKSPACE_KEY: Field<Text> =
    kept("workspace-key", "The workspace's primary or secondary key.").secret();
/// The table, to which Azure adds `_CL`.
const TABLE: &str = "AkeylessAudit";
const PATH: &str = "api/logs";

static KIND: Kind = Kind {
    name: "azure-analytics",
    receiver: "Azure Log Analytics",
    fields: &Group {
        title: "Azure Log Analytics",
        fields: &[
            WORKSPACE_ID.spec(),
            WORKSPACE_KEY.spec(),
            ENABLE_BATCH.spec(),
            ENDPOINT_URL.spec(),
        ],
    },
    shown: Some(Shown {
        field: "azure_analytics_config",
        content: &[("azure_enable_batch", "enable-batch"), ("azure_workspace_id", "workspace-id")],
    }),
    published: true,
};

/// The member.
pub(super) struct AzureAnalytics;

struct Open {
    http: Http,
    url: Url,
    workspace: String,
    key: SecretBytes,
    batched: bool,
    clock: ClockHandle,
}

impl Sink for AzureAnalytics {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let workspace = settings.need(&WORKSPACE_ID)?.to_owned();
        if !workspace.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(bad(WORKSPACE_ID.name(), "it must be letters, digits and dashes"));
        }
        let key = STANDARD.decode(settings.secret(&WORKSPACE_KEY)?.expose().trim());
        let key = key.map_err(|_| bad(WORKSPACE_KEY.name(), "it must be base64"))?;
        let usual = format!("https://{workspace}.ods.opinsights.azure.com");
        let url = settings.text(&ENDPOINT_URL).unwrap_or(&usual);
        let mut url = below(&receiver_url(ENDPOINT_URL.name(), url, &way.egress)?, PATH);
        url.set_query(Some("api-version=2016-04-01"));
        Ok(Box::new(Open {
            http: Http::new(None, &way.egress)?,
            url,
            workspace,
            key: SecretBytes::new(key),
            batched: settings.flag(&ENABLE_BATCH, true),
            clock: way.clock.clone(),
        }))
    }
}

impl Open {
    async fn post(&self, entries: Vec<Value>) -> Result<(), Undelivered> {
        let body = Value::Array(entries).to_string();
        let date = http_date(self.clock.now())
            .ok_or_else(|| Undelivered::later("this machine's clock is wrong"))?;
        let signed = format!("POST\n{}\napplication/json\nx-ms-date:{date}\n/{PATH}", body.len());
        let signature = STANDARD.encode(hmac_sha256(self.key.expose(), &[signed.as_bytes()]));
        let authorization = format!("SharedKey {}:{signature}", self.workspace);
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("log-type", TABLE),
            ("x-ms-date", date.as_str()),
        ];
        self.http.send(Request::post(&self.url, &headers, body.into_bytes())).await.map(drop)
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        vec![receiver(&self.url)]
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let entries = batch.lines.iter().map(|line| json!({ "msg": line.text(batch.format) }));
        let entries: Vec<_> = entries.collect();
        Box::pin(async move {
            if self.batched {
                return self.post(entries).await;
            }
            for entry in entries {
                self.post(vec![entry]).await?;
            }
            Ok(())
        })
    }
}

/// A time as HTTP writes it, such as `Mon, 05 Jan 2026 10:11:12 GMT`.
fn http_date(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_second(time.seconds()).ok()?;
    Some(time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        let time = Timestamp::parse_rfc3339("2026-01-05T10:11:12Z").unwrap();
        assert_eq!(http_date(time).as_deref(), Some("Mon, 05 Jan 2026 10:11:12 GMT"));
    }
}
