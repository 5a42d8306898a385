//! The way out: HTTP requests of the control plane to identity providers, within bounds.
//!
//! Addresses come from whoever may create an auth method, so nothing that is asked is trusted: a
//! request goes over TLS to the very host that was named, follows no redirect, sends no cookie,
//! takes at most [`ANSWER_BYTES_MAX`] and [`REQUEST_SECONDS`], and what comes back is shown to
//! nobody. Callers learn that a provider did not answer; where and why is for the log.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keysherd_base::Fault;
use keysherd_egress::Egress;
use reqwest::{Certificate, Url};
use tokio::sync::Semaphore;

#[cfg(test)]
pub(crate) mod tests;

/// Largest answer that is read, in bytes. Key sets have a few kilobytes, SAML metadata a hundred.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Time for one whole request, in seconds. A login waits that long at most.
pub(crate) const REQUEST_SECONDS: u64 = 5;
/// Longest address, in bytes.
pub(crate) const URL_BYTES_MAX: usize = 2_048;
/// Where Google publishes the keys of its ID tokens.
const GOOGLE_KEYS_URI: &str = "https://www.googleapis.com/oauth2/v3/certs";
/// Where Oracle's identity service is; one of its regions stands for all of them.
const OCI_IDENTITY_URL: &str = "https://identity.us-ashburn-1.oraclecloud.com";
/// Most requests under way at once, over all accounts.
const REQUESTS_MAX: usize = 64;

/// How the control plane reaches identity providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSettings {
    /// Certificates in PEM that are trusted beside those of the operating system.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Whether providers on this very machine may be asked without TLS.
    pub loopback_http: bool,
    /// Where Google's signing keys are, if not where Google publishes them.
    pub google_keys_uri: Option<String>,
    /// Where Oracle's identity service is, if not at `identity.REGION.oraclecloud.com`.
    pub oci_identity_url: Option<String>,
    /// How connections leave.
    pub egress: Egress,
}

/// A request.
#[derive(Clone)]
pub struct WebRequest<'a> {
    /// Where it goes.
    pub url: &'a str,
    /// Header names and values.
    pub headers: &'a [(String, String)],
    /// What is posted; `None`: nothing, by GET.
    pub body: Option<Vec<u8>>,
}

/// An answer, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct WebReply {
    /// HTTP status.
    pub status: u16,
    /// At most [`ANSWER_BYTES_MAX`].
    pub body: Vec<u8>,
}

// By hand, because client secrets, signatures and tokens travel in queries, headers and bodies.

impl fmt::Debug for WebRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRequest").field("url", &without_query(self.url)).finish_non_exhaustive()
    }
}

impl fmt::Debug for WebReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebReply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The way out. Cheap to clone; clones share connections and bounds.
#[derive(Clone, Default)]
pub struct Web(Arc<Parts>);

#[derive(Default)]
struct Parts {
    extra: Vec<Certificate>,
    loopback_http: bool,
    google_keys_uri: Option<String>,
    oci_identity_url: Option<String>,
    egress: Egress,
    // Made at the first request: reading the system's certificates takes time, and machines
    // without any serve methods that ask nobody.
    client: OnceLock<Result<reqwest::Client, String>>,
    turns: Turns,
}

struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(REQUESTS_MAX))
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("loopback_http", &self.0.loopback_http).finish()
    }
}

impl Web {
    /// A way out with these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Fault::bad_request`] when the extra certificates are none, or an address is not good.
    pub fn new(settings: &WebSettings) -> Result<Self, Fault> {
        let extra = match &settings.extra_ca_pem {
            None => Vec::new(),
            Some(pem) => certificates(pem)?,
        };
        for url in [&settings.google_keys_uri, &settings.oci_identity_url].into_iter().flatten() {
            outside_url(url).map_err(|why| Fault::bad_request(format!("'{url}': {why}")))?;
        }
        Ok(Self(Arc::new(Parts {
            extra,
            loopback_http: settings.loopback_http,
            google_keys_uri: settings.google_keys_uri.clone(),
            oci_identity_url: settings.oci_identity_url.clone(),
            egress: settings.egress.clone(),
            ..Parts::default()
        })))
    }

    /// Where Google's signing keys are.
    pub fn google_keys_uri(&self) -> &str {
        self.0.google_keys_uri.as_deref().unwrap_or(GOOGLE_KEYS_URI)
    }

    /// Where Oracle's identity service is. One of its regions stands for all of them.
    pub fn oci_identity_url(&self) -> &str {
        self.0.oci_identity_url.as_deref().unwrap_or(OCI_IDENTITY_URL)
    }

    /// What `url` answers with status 200.
    ///
    /// # Errors
    /// As [`Self::send`], and for any other status.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, Fault> {
        let accept = [("accept".to_owned(), "application/json, */*;q=0.5".to_owned())];
        let reply = self.send(WebRequest { url, headers: &accept, body: None }).await?;
        if reply.status == 200 {
            return Ok(reply.body);
        }
        Err(unreachable(url, &format!("it answered with status {}", reply.status)))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// [`Fault::unavailable`]; the private half has the address and the reason.
    pub async fn send(&self, request: WebRequest<'_>) -> Result<WebReply, Fault> {
        let shown = request.url.to_owned();
        let patience = Duration::from_secs(REQUEST_SECONDS);
        // Includes waiting for a turn, so that no login hangs behind those of others.
        match tokio::time::timeout(patience, self.attempt(request)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(why)) => Err(unreachable(&shown, &why)),
            Err(_) => Err(unreachable(&shown, &format!("no answer in {REQUEST_SECONDS} s"))),
        }
    }

    async fn attempt(&self, request: WebRequest<'_>) -> Result<WebReply, String> {
        let url = outside_url(request.url).map_err(str::to_owned)?;
        if url.scheme() != "https" && !self.0.loopback_http {
            return Err("it is no https address, and --identity-loopback-http is not set".into());
        }
        let _turn = self.0.turns.0.acquire().await.map_err(|closed| closed.to_string())?;
        let mut sending = match request.body {
            None => self.client()?.get(url),
            Some(body) => self.client()?.post(url).body(body),
        };
        for (name, value) in request.headers {
            sending = sending.header(name, value);
        }
        let mut response = sending.send().await.map_err(innermost)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(innermost)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(format!("its answer is larger than {ANSWER_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(WebReply { status, body })
    }

    fn client(&self) -> Result<&reqwest::Client, String> {
        let made = self.0.client.get_or_init(|| {
            let mut builder = self
                .0
                .egress
                .http()
                .https_only(!self.0.loopback_http)
                .connect_timeout(Duration::from_secs(REQUEST_SECONDS))
                .pool_max_idle_per_host(2)
                .pool_idle_timeout(Duration::from_secs(30));
            if !self.0.extra.is_empty() {
                builder = builder.tls_certs_merge(self.0.extra.clone());
            }
            builder.build().map_err(innermost)
        });
        made.as_ref().map_err(Clone::clone)
    }
}

/// Reads the address of an identity provider: `https`, or `http` to this very machine.
///
/// # Errors
/// Why it is none, to end a sentence.
pub fn outside_url(text: &str) -> Result<Url, &'static str> {
    if text.len() > URL_BYTES_MAX {
        return Err("it is longer than 2048 bytes");
    }
    // The library would drop what a person does not see.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("it has a space or a control character");
    }
    let url = Url::parse(text).map_err(|_| "it is no address like https://host/path")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or a password");
    }
    if url.fragment().is_some() {
        return Err("it has a fragment (#)");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("it must begin with https://"),
    }
}

/// Whether `url`, the value of `field`, is the address of an identity provider.
///
/// # Errors
/// [`Fault::bad_request`] names the field, its value and what is wrong.
pub(crate) fn address(field: &str, url: &str) -> Result<(), Fault> {
    let bad = |why| Fault::bad_request(format!("'{field}' is '{}': {why}", url.escape_default()));
    outside_url(url).map(drop).map_err(bad)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, Fault> {
    match Certificate::from_pem_bundle(pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Fault::bad_request("it holds no certificate in PEM form")),
    }
}

/// An identity provider did not answer as it should.
pub(crate) fn unreachable(url: &str, why: &str) -> Fault {
    Fault::unavailable(
        "the identity provider of this auth method does not answer; try again in a minute, and if \
         that does not help, control's log says what is wrong",
    )
    .with_private(format!("{}: {why}", without_query(url)))
}

/// What of an address may be printed: some clouds sign in the query, and what did not arrive
/// there is still good.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
