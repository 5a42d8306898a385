//! The HTTP client that members share: bounded in time and size, without redirects.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use keysherd_base::{Fault, SecretString};
use keysherd_egress::{Egress, Target};
use reqwest::{Certificate, Client, Method, Url};
use serde_json::Value;

use crate::member::{Receiver, Undelivered};
use crate::settings::bad;

/// How long one request may take, from connecting to the last byte of its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes: a bulk answer with a few hundred bytes for each line.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Most headers that settings add.
const HEADERS_MAX: usize = 16;
/// Longest time a receiver may ask to wait.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A client for one receiver.
pub(crate) struct Http {
    client: Client,
    egress: Egress,
}

/// What is sent.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Vec<u8>,
}

impl<'a> Request<'a> {
    /// A POST of `body`.
    pub(crate) fn post(url: &Url, headers: &'a [(&'a str, &'a str)], body: Vec<u8>) -> Self {
        Self { method: Method::POST, url: url.clone(), headers, body }
    }
}

impl Http {
    /// A client that trusts `ca`, or this machine's authorities.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when the certificate cannot be read.
    pub(crate) fn new(ca: Option<&str>, egress: &Egress) -> Result<Self, Fault> {
        let mut builder = egress
            .http()
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(Duration::from_secs(60));
        if let Some(ca) = ca {
            let unreadable = |_| bad("tls-certificate", "it must be a certificate in PEM");
            let found = Certificate::from_pem_bundle(ca.as_bytes()).map_err(unreadable)?;
            builder = builder.tls_certs_only(found);
        }
        let client = builder.build().map_err(|error| {
            Fault::bad_request("the certificates cannot be used").with_private(innermost(&error))
        })?;
        Ok(Self { client, egress: egress.clone() })
    }

    /// The way that it goes.
    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    /// Sends a request; gives the body of an answer that says it was taken.
    ///
    /// # Errors
    /// [`Undelivered`], by the answer's status.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Vec<u8>, Undelivered> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let port = request.url.port_or_known_default().unwrap_or_default();
        let proxied = self.egress.proxy_for(&host, port).is_some();
        let unreachable = |error: reqwest::Error| {
            let way = if proxied { " through this gateway's proxy" } else { "" };
            Undelivered::later(format!("it does not answer{way}: {}", innermost(&error)))
        };
        let mut sending = self.client.request(request.method, request.url).body(request.body);
        for (name, value) in request.headers {
            sending = sending.header(*name, *value);
        }
        let mut response = sending.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Undelivered::later("it answers with too many bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        let why = || format!("it answers with status {status}");
        match status {
            200..=299 => Ok(body),
            413 => Err(Undelivered::TooLarge),
            408 | 425 | 429 | 500..=599 => {
                Err(Undelivered::Later { why: why(), after: wait.map(|wait| wait.min(WAIT_MAX)) })
            }
            _ => Err(Undelivered::refused(why())),
        }
    }
}

/// An answer as JSON.
///
/// # Errors
/// [`Undelivered::Later`] when it is none: whatever answered is not the receiver.
pub(crate) fn json(body: &[u8]) -> Result<Value, Undelivered> {
    serde_json::from_slice(body).map_err(|_| Undelivered::later("its answer is no JSON"))
}

/// The innermost cause of an error, which names no address.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The address of a receiver: `https`, or `http` to this very machine, since what goes there has
/// credentials and the audit log in it.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn receiver_url(field: &str, text: &str, egress: &Egress) -> Result<Url, Fault> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) || text.len() > 2_048 {
        return Err(bad(field, "it has a space or a control character, or over 2048 bytes"));
    }
    let url = Url::parse(text).ok().filter(Url::has_host);
    let url = url.ok_or_else(|| bad(field, "it must be an address such as https://host:port"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(bad(field, "it has a user name, a password or a fragment (#)"));
    }
    if !url.host_str().is_some_and(|host| egress.admits(host)) {
        return Err(private(field));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(bad(
            field,
            "it must begin with https://; without TLS only receivers on this machine are sent to",
        )),
    }
}

/// A receiver in a network that this gateway is inside of.
pub(crate) fn private(field: &str) -> Fault {
    bad(
        field,
        "it is an address of this machine or of a private network, which only gateways send to \
         that run with --allow-private-receivers",
    )
}

/// Who is at an address.
pub(crate) fn receiver(url: &Url) -> Receiver {
    let port = url.port_or_known_default().unwrap_or_default();
    let protocol = if url.scheme() == "https" { "https" } else { "http" };
    Receiver { target: Target::new(url.host_str().unwrap_or_default(), port), protocol }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `url` with `path` (without a slash in front) after its own.
pub(crate) fn below(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    let full = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&full);
    url
}

/// Headers such as `name=value,other=value`.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn header_list(field: &str, text: &str) -> Result<Vec<(String, SecretString)>, Fault> {
    let wrong = || bad(field, "it must be such as name=value,other=value");
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let ours = ["content-type", "content-length", "host"].contains(&name.as_str());
        if name.is_empty() || ours || !name.bytes().all(token) {
            return Err(wrong());
        }
        header_value(field, value)?;
        Ok((name, SecretString::new(value.to_owned())))
    };
    let pairs: Vec<_> = parts.map(pair).collect::<Result<_, Fault>>()?;
    if pairs.len() > HEADERS_MAX { Err(wrong()) } else { Ok(pairs) }
}

/// Demands a value that is good as a header's.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub(crate) fn header_value<'a>(field: &str, value: &'a str) -> Result<&'a str, Fault> {
    let good = value.len() <= 4_096 && value.bytes().all(|b| (0x20..0x7f).contains(&b));
    if good { Ok(value) } else { Err(bad(field, "it must be printable ASCII")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_have_addresses_that_may_be_sent_to() {
        let (all, public) = (Egress::default(), Egress::default().public_only());
        for inside in ["https://127.0.0.1", "https://2130706433", "https://[::ffff:a00:1]:9"] {
            assert!(receiver_url("url", inside, &all).is_ok(), "{inside}");
            let refused = receiver_url("url", inside, &public).unwrap_err();
            assert!(refused.public().contains("--allow-private-receivers"), "{inside}");
        }
        assert!(receiver_url("url", "http://127.0.0.1:1", &all).is_ok());
        assert!(receiver_url("url", "http://127.0.0.1:1", &public).is_err());
        assert!(receiver_url("url", "https://logs.example", &public).is_ok());
        let url = receiver_url("url", "https://logs.example/token-in-path", &public).unwrap();
        let Receiver { target, protocol } = receiver(&url);
        assert_eq!((target.to_string().as_str(), protocol), ("logs.example:443", "https"));
    }
}
