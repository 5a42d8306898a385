//! Google Chronicle's ingestion of unstructured logs, as a service account.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{ClockHandle, Fault, Secret, SecretString, Timestamp};
use keysherd_crypto::jwt::JwtSigner;
use keysherd_wire::{Field, Group, Text};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fields::{ENDPOINT_URL, kept};
use crate::http::{Http, Request, below, json as as_json, receiver, receiver_url};
use crate::member::{Outlet, Receiver, Shown, Undelivered};
use crate::settings::bad;
use crate::{Batch, BoxFuture, Kind, Settings, Sink, Way};

const GCP_KEY: Field<Text> = kept("gcp-key", "The service account's key file, in base64.").secret();
const CUSTOMER_ID: Field<Text> = kept("customer-id", "The Chronicle customer's id.");
const REGION: Field<Text> = kept("region", "The region, such as eu_multi_region or us.");
const LOG_TYPE: Field<Text> = kept("log-type", "The type under which logs are parsed.");
const SCOPE: &str = "https://www.googleapis.com/auth/malachite-ingestion";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const HOST: &str = "malachiteingestion-pa.googleapis.com";
/// Life of an assertion, and how long before its end a token is replaced, in seconds.
const ASSERTION_SECONDS: i64 = 600;
const EARLY_SECONDS: i64 = 60;

static KIND: Kind = Kind {
    name: "google-chronicle",
    receiver: "Google Chronicle",
    fields: &Group {
        title: "Google Chronicle",
        fields: &[
            GCP_KEY.spec(),
            CUSTOMER_ID.spec(),
            REGION.spec(),
            LOG_TYPE.spec(),
            ENDPOINT_URL.spec(),
        ],
    },
    shown: Some(Shown {
        field: "google_chronicle_config",
        content: &[("customer_id", "customer-id"), ("log_type", "log-type"), ("region", "region")],
    }),
    published: true,
};

/// The member.
pub(super) struct GoogleChronicle;

/// What of a key file is used.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    token_uri: Option<String>,
}

struct Open {
    http: Http,
    url: Url,
    token_url: Url,
    email: String,
    signer: JwtSigner,
    token: Option<(SecretString, Timestamp)>,
    customer: String,
    log_type: String,
    clock: ClockHandle,
}

impl Sink for GoogleChronicle {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn open(&self, settings: &Settings, way: &Way) -> Result<Box<dyn Outlet>, Fault> {
        let unreadable =
            || bad(GCP_KEY.name(), "it must be a service account's key file in JSON, in base64");
        let encoded = settings.secret(&GCP_KEY)?;
        let text = STANDARD.decode(encoded.expose().trim()).map_err(|_| unreadable())?;
        let text = Secret::new(text);
        let key: KeyFile = serde_json::from_slice(text.expose()).map_err(|_| unreadable())?;
        let pem = Secret::new(key.private_key);
        let signer = JwtSigner::from_rsa_pem(&pem).map_err(|_| unreadable())?;
        let usual = usual_url(settings.text(&REGION).unwrap_or("us"))?;
        let url = settings.text(&ENDPOINT_URL).unwrap_or(&usual);
        let url = receiver_url(ENDPOINT_URL.name(), url, &way.egress)?;
        let token_uri = key.token_uri.as_deref().unwrap_or(TOKEN_URI);
        Ok(Box::new(Open {
            http: Http::new(None, &way.egress)?,
            url: below(&url, "v2/unstructuredlogentries:batchCreate"),
            token_url: receiver_url(GCP_KEY.name(), token_uri, &way.egress)?,
            email: key.client_email,
            signer,
            token: None,
            customer: settings.need(&CUSTOMER_ID)?.to_owned(),
            log_type: settings.need(&LOG_TYPE)?.to_owned(),
            clock: way.clock.clone(),
        }))
    }
}

/// Where a region's logs go.
fn usual_url(region: &str) -> Result<String, Fault> {
    let region = region.to_ascii_lowercase().replace('_', "-");
    if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(bad(REGION.name(), "it must be a region, such as us or europe-west2"));
    }
    Ok(match region.as_str() {
        "us" | "us-multi-region" => format!("https://{HOST}"),
        "eu" | "europe" | "eu-multi-region" => format!("https://europe-{HOST}"),
        other => format!("https://{other}-{HOST}"),
    })
}

impl Open {
    /// A token of the service account: that of last time, or a new one.
    async fn authorization(&mut self) -> Result<SecretString, Undelivered> {
        let now = self.clock.now();
        if let Some((token, ends)) = &self.token
            && now < *ends
        {
            return Ok(Secret::new(token.expose().clone()));
        }
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_url.as_str(),
            "iat": now.seconds(),
            "exp": now.seconds() + ASSERTION_SECONDS,
        });
        let claims = claims.as_object().cloned().unwrap_or_default();
        let assertion = self.signer.sign(&claims);
        let assertion = assertion.map_err(|_| Undelivered::refused("its key cannot sign"))?;
        // The characters of an assertion mean themselves in a form.
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let request = Request::post(&self.token_url, &headers, form.into_bytes());
        let answer = Secret::new(self.http.send(request).await?);
        let mut answer = as_json(answer.expose())?;
        let Value::String(token) = answer["access_token"].take() else {
            return Err(Undelivered::later("Google's answer has no token"));
        };
        let life = answer["expires_in"].as_i64().unwrap_or(EARLY_SECONDS);
        let bearer = format!("Bearer {token}");
        drop(Secret::new(token));
        let kept = Secret::new(bearer.clone());
        self.token = Some((kept, now.plus_seconds(life - EARLY_SECONDS)));
        Ok(Secret::new(bearer))
    }
}

impl Outlet for Open {
    fn receivers(&self) -> Vec<Receiver> {
        vec![receiver(&self.url), receiver(&self.token_url)]
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Result<(), Undelivered>> {
        let entries = batch.lines.iter().map(|line| {
            let micros = line.time().0.saturating_mul(1_000);
            json!({ "log_text": line.text(batch.format), "ts_epoch_microseconds": micros })
        });
        let body = json!({
            "customer_id": self.customer,
            "log_type": self.log_type,
            "entries": entries.collect::<Vec<_>>(),
        });
        Box::pin(async move {
            let authorization = self.authorization().await?;
            let headers = [
                ("authorization", authorization.expose().as_str()),
                ("content-type", "application/json"),
            ];
            let request = Request::post(&self.url, &headers, body.to_string().into_bytes());
            let sent = self.http.send(request).await.map(drop);
            if sent.is_err() {
                // It may have been taken back.
                self.token = None;
            }
            sent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_their_hosts() {
        let url = |region: &str| usual_url(region).unwrap();
        assert_eq!(url("us"), "https://malachiteingestion-pa.googleapis.com");
        assert_eq!(url("EU_MULTI_REGION"), "https://europe-malachiteingestion-pa.googleapis.com");
        assert_eq!(url("asia_southeast1"), format!("https://asia-southeast1-{HOST}"));
        assert!(usual_url("evil.example/").is_err());
    }
}
