//! One call: body and token out, answer or error in.

use std::io;

use bytes::Bytes;
use keysherd_base::limits::ANSWER_BYTES_MAX;
use keysherd_base::{Secret, SecretBytes, Wiped};
use keysherd_wire::{headers, wipe};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Url, redirect};
use serde_json::Value;

use crate::config::{ClientConfig, Trust, read_certificates};
use crate::error::{ClientError, Place};
use crate::retry::with_retries;
use crate::url::BaseUrl;

/// Longest text of a header or an error that is passed on.
const TEXT_CHARS_MAX: usize = 8 * 1024;

/// A caller of one server. Connections are kept open between calls.
#[derive(Clone, Debug)]
pub struct Client {
    base: BaseUrl,
    config: ClientConfig,
    http: reqwest::Client,
}

/// The server's answer to a command that succeeded.
#[derive(Debug)]
pub struct Response {
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// The JSON text; `{}` when the server sent none.
    pub body: SecretBytes,
    /// Sentences for people.
    pub warnings: Vec<String>,
    /// The id of the request in the server's log and audit records.
    pub request_id: Option<String>,
}

impl Client {
    /// A client for the server in `config`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`], [`ClientError::CaFile`] or [`ClientError::Setup`].
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let base = BaseUrl::parse(&config.url)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(&config.user_agent)
            .timeout(config.timeout)
            .redirect(redirect::Policy::none());
        builder = match &config.trust {
            Trust::System => builder,
            Trust::Only(path) => builder.tls_certs_only(read_certificates(path)?),
            Trust::Also(path) => builder.tls_certs_merge(read_certificates(path)?),
        };
        if base.is_loopback() {
            builder = builder.no_proxy();
        }
        let http =
            builder.build().map_err(|error| ClientError::Setup { why: root_cause(&error) })?;
        Ok(Self { base, config, http })
    }

    /// The server's address.
    pub const fn base_url(&self) -> &BaseUrl {
        &self.base
    }

    /// Runs `command` with `body`, an object or an array of objects.
    ///
    /// The token goes into an object as `token`, or as `uid-token` when it starts with `u-`
    /// (V2 reference, section 1.1), unless the object has one already; beside an array it goes
    /// into the `Authorization` header. The body is wiped after sending.
    ///
    /// # Errors
    /// [`ClientError`]; see its variants for what is known about whether the command ran.
    pub async fn call(
        &self,
        command: &str,
        body: Value,
        token: Option<&str>,
    ) -> Result<Response, ClientError> {
        let (body, authorization) = place_token(body, token)?;
        let text = json_bytes(&body);
        wipe(body);
        let text = text?;
        let route = self.base.route(command)?;
        let attempt = async || {
            let mut request = self
                .http
                .post(Url::clone(&route))
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "application/json")
                .header(headers::CLIENT_TYPE, headers::CLIENT_TYPE_CLI)
                .body(text.clone());
            if let Some(value) = &authorization {
                request = request.header(AUTHORIZATION, value.clone());
            }
            request.send().await.map_err(|error| self.failed(&error))
        };
        let response = with_retries(attempt, async |pause| tokio::time::sleep(pause).await).await?;
        self.read(response).await
    }

    /// Asks a probe of the server, `health` or `status`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn probe(&self, name: &str) -> Result<Response, ClientError> {
        let route = self.base.route(name)?;
        let attempt = async || {
            let request = self.http.get(Url::clone(&route)).header(ACCEPT, "application/json");
            request.send().await.map_err(|error| self.failed(&error))
        };
        let response = with_retries(attempt, async |pause| tokio::time::sleep(pause).await).await?;
        self.read(response).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Response, ClientError> {
        let status = response.status().as_u16();
        let warnings = header_texts(response.headers(), headers::WARNING);
        let warnings: Vec<_> = warnings.take(headers::WARNINGS_MAX).collect();
        let request_id = header_text(response.headers(), headers::REQUEST_ID);
        if (300..400).contains(&status) {
            return Err(ClientError::Redirected {
                url: self.base.to_string(),
                to: header_text(response.headers(), LOCATION.as_str()).unwrap_or_default(),
            });
        }
        let body = self.read_body(&mut response).await?;
        if !(200..300).contains(&status) {
            return Err(self.refusal(status, &body, request_id));
        }
        if body.expose().is_empty() {
            return Ok(Response {
                status,
                body: SecretBytes::new(b"{}".to_vec()),
                warnings,
                request_id,
            });
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(body.expose()).is_err() {
            return Err(self.not_json(status));
        }
        Ok(Response { status, body, warnings, request_id })
    }

    async fn read_body(
        &self,
        response: &mut reqwest::Response,
    ) -> Result<SecretBytes, ClientError> {
        let mut chunks = Vec::new();
        let mut length = 0_usize;
        loop {
            let chunk = response.chunk().await.map_err(|error| self.failed(&error))?;
            let Some(chunk) = chunk else { break };
            length = length.saturating_add(chunk.len());
            if length > ANSWER_BYTES_MAX {
                return Err(ClientError::TooLarge { limit: ANSWER_BYTES_MAX });
            }
            chunks.push(chunk);
        }
        // One allocation of the right size, so that growing leaves no copies behind.
        let mut body = SecretBytes::new(Vec::with_capacity(length));
        for chunk in chunks {
            body.expose_mut().extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn refusal(&self, status: u16, body: &SecretBytes, request_id: Option<String>) -> ClientError {
        let parsed = serde_json::from_slice::<Value>(body.expose());
        let Ok(Value::Object(map)) = parsed else {
            return self.not_json(status);
        };
        let text = ["error", "message"]
            .iter()
            .find_map(|key| map.get(*key).and_then(Value::as_str))
            .filter(|text| !text.is_empty());
        ClientError::Refused {
            status,
            text: match text {
                Some(text) => text.chars().take(TEXT_CHARS_MAX).collect(),
                None => format!("the server answered with status {status} and said no more"),
            },
            request_id,
        }
    }

    fn not_json(&self, status: u16) -> ClientError {
        ClientError::NotJson { url: self.base.to_string(), status }
    }

    fn failed(&self, error: &reqwest::Error) -> ClientError {
        let url = self.base.to_string();
        ClientError::from_transport(
            error,
            &Place { url: &url, ca_file: self.config.trust.file(), timeout: self.config.timeout },
        )
    }
}

/// Puts the token where the server looks for it.
fn place_token(
    mut body: Value,
    token: Option<&str>,
) -> Result<(Value, Option<HeaderValue>), ClientError> {
    match (&mut body, token) {
        (Value::Object(map), Some(token)) => {
            let taken = ["token", "uid-token"]
                .iter()
                .any(|key| map.get(*key).is_some_and(|value| !value.is_null()));
            let key = if token.starts_with("u-") { "uid-token" } else { "token" };
            if !taken {
                map.insert(key.to_owned(), Value::from(token));
            }
            Ok((body, None))
        }
        (Value::Array(_), Some(token)) => {
            let text = Secret::new(format!("Bearer {token}"));
            let mut value =
                HeaderValue::from_str(text.expose()).map_err(|_| ClientError::BadBody)?;
            value.set_sensitive(true);
            Ok((body, Some(value)))
        }
        (Value::Object(_) | Value::Array(_), None) => Ok((body, None)),
        _ => Err(ClientError::BadBody),
    }
}

/// The JSON text of `body`, in one allocation of the right size.
fn json_bytes(body: &Value) -> Result<Bytes, ClientError> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, body).map_err(|_| ClientError::BadBody)?;
    let mut text = SecretBytes::new(Vec::with_capacity(length.0));
    serde_json::to_writer(text.expose_mut(), body).map_err(|_| ClientError::BadBody)?;
    Ok(Bytes::from_owner(Wiped(text)))
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    header_texts(headers, name).next()
}

fn header_texts(headers: &HeaderMap, name: &str) -> impl Iterator<Item = String> {
    headers.get_all(name).into_iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.chars().take(TEXT_CHARS_MAX).collect()
    })
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
