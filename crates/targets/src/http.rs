//! Requests to servers that are driven over HTTP: bounded in time and size, and never sent on to
//! another address.
//!
//! Names go into paths as segments of their own, each percent-encoded (RFC 3986 section 2.1), so no
//! name of a user, a queue or a namespace leads anywhere else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use keysherd_base::{Fault, FaultKind, SecretBuffer, SecretBytes, SecretString, Wiped};
use keysherd_egress::{ClientIdentity, Target as Place, authority, tls_config};
use keysherd_wire::{bad_setting, wipe};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, Url};
use serde_json::{Map, Value};

use crate::Way;
use crate::server::{Named, is_here};
use crate::words::with_words;

#[cfg(test)]
mod tests;

/// Longest address, in bytes.
const URL_BYTES_MAX: usize = 2_048;
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What settings say about a server that is driven over HTTP.
pub struct HttpGiven<'a> {
    /// Where it is, such as `https://host:port/path`.
    pub url: Named<'a>,
    /// The authorities that vouch for it; none: those of this machine.
    pub authority: Option<Named<'a>>,
    /// What the gateway shows when the server asks for a certificate.
    pub identity: Option<ClientIdentity>,
}

/// A server that is driven over HTTP.
pub struct HttpServer {
    field: &'static str,
    url: Url,
    authority: Option<String>,
    identity: Option<ClientIdentity>,
}

impl HttpServer {
    /// The server that the settings name. Nothing is connected to.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn new(given: HttpGiven<'_>) -> Result<Self, Fault> {
        let HttpGiven { url, authority: vouching, identity } = given;
        let field = url.field();
        let url = web_url(field, url.need()?)?;
        let given = vouching.and_then(|vouching| Some((vouching.field(), vouching.text()?)));
        let authority = given.map(|(field, text)| authority(field, text)).transpose()?;
        if authority.is_some() || identity.is_some() {
            let vouching = vouching.map_or(field, |vouching| vouching.field());
            tls_config(vouching, authority.as_deref(), identity.as_ref())?;
        }
        Ok(Self { field, url, authority, identity })
    }

    /// Where it is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What whoever set this up should know about the way there.
    pub fn warning(&self) -> Option<String> {
        let here = self.url.host_str().is_some_and(|host| is_here(host.trim_matches(['[', ']'])));
        (self.url.scheme() == "http" && !here).then(|| {
            format!(
                "connections to {} are not encrypted, so its network reads the credentials that \
                 are made; give an address that begins with https",
                self.place()
            )
        })
    }

    /// Host and port.
    pub fn place(&self) -> Place {
        let port = self.url.port_or_known_default().unwrap_or_default();
        Place::new(self.url.host_str().unwrap_or_default(), port)
    }

    /// A client of it. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for a place that this gateway's operator does not let targets have.
    pub fn open(&self, way: &Way) -> Result<Http, Fault> {
        if !self.url.host_str().is_some_and(|host| way.egress.admits(host)) {
            return Err(bad_setting(
                self.field,
                "it is an address of this machine or of its link, which this gateway's operator \
                 does not let targets have (see --allow-local-targets)",
            ));
        }
        let unusable = |error: reqwest::Error| {
            Fault::bad_request("the certificates cannot be used").with_private(innermost(&error))
        };
        let mut builder = way.egress.http().timeout(way.timeout).connect_timeout(way.timeout);
        if let Some(authority) = &self.authority {
            let found = Certificate::from_pem_bundle(authority.as_bytes()).map_err(unusable)?;
            builder = builder.tls_certs_only(found);
        }
        if let Some(identity) = &self.identity {
            let both = format!("{}\n{}", identity.certificate, identity.key.expose());
            let both = SecretString::new(both);
            let shown = Identity::from_pem(both.expose().as_bytes()).map_err(unusable)?;
            builder = builder.identity(shown);
        }
        let client = builder.build().map_err(unusable)?;
        let proxied = way.egress.proxy_for(self.place().host(), self.place().port()).is_some();
        Ok(Http { client, url: self.url.clone(), place: self.place(), proxied })
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpServer").field(&self.place()).finish()
    }
}

/// An address of a web server, without a user, a password or a fragment in it.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
pub fn web_url(field: &str, text: &str) -> Result<Url, Fault> {
    let wanted = || bad_setting(field, "it must be an address such as https://host:port");
    let fits = text.len() <= URL_BYTES_MAX && !text.chars().any(|c| c.is_control() || c == ' ');
    let url = fits.then(|| Url::parse(text).ok()).flatten().filter(Url::has_host);
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(wanted)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad_setting(field, "it has a user or a password, which everybody would see"));
    }
    if url.fragment().is_some() {
        return Err(bad_setting(field, "it has a fragment (#), which is never sent"));
    }
    Ok(url)
}

/// A client of one server.
pub struct Http {
    client: Client,
    url: Url,
    place: Place,
    proxied: bool,
}

/// A request that is being written.
pub struct Call<'h> {
    http: &'h Http,
    request: RequestBuilder,
    shown: Vec<SecretString>,
}

/// What a server answered.
pub struct Reply {
    status: u16,
    body: SecretBytes,
    place: String,
    /// What the request showed of who signed in, as it was sent: servers repeat what they heard.
    shown: Vec<SecretString>,
}

impl Http {
    /// A request about what is at `path` below the server's address, each of whose segments is
    /// taken as it is.
    ///
    /// # Errors
    /// [`Fault::bad_request`] for a segment that paths cannot have: an empty one, `.`, `..`, or one
    /// with control characters, some of which addresses lose.
    pub fn call(&self, method: &'static str, path: &[&str]) -> Result<Call<'_>, Fault> {
        self.ask(method, path, &[])
    }

    /// The same with a query.
    ///
    /// # Errors
    /// Those of [`Http::call`].
    pub fn ask(
        &self,
        method: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Call<'_>, Fault> {
        let url = below(&self.url, path, query)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(Fault::internal)?;
        let request = self.client.request(method, url).header(ACCEPT, "application/json");
        Ok(Call { http: self, request, shown: Vec::new() })
    }

    /// A request with XML about the server's address itself.
    pub(crate) fn soap(&self) -> Call<'_> {
        let request = self.client.post(self.url.clone()).header(ACCEPT, "application/soap+xml");
        Call { http: self, request, shown: Vec::new() }
    }

    /// The whole address of what is at `path`, for what is signed.
    ///
    /// # Errors
    /// Those of [`Http::call`].
    pub fn url_of(&self, path: &[&str]) -> Result<Url, Fault> {
        below(&self.url, path, &[])
    }
}

fn below(base: &Url, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Fault> {
    let fits = |segment: &&str| {
        !matches!(*segment, "" | "." | "..") && !segment.chars().any(char::is_control)
    };
    if !path.iter().all(fits) {
        return Err(Fault::bad_request(
            "a name is empty, made of dots or has control characters, which no address has",
        ));
    }
    let mut url = base.clone();
    if !path.is_empty() {
        let mut segments = url.path_segments_mut().map_err(|()| Fault::internal("no base"))?;
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

impl Call<'_> {
    /// Signed in to with a password (RFC 7617).
    #[must_use]
    pub fn basic(mut self, user: &str, password: &SecretString) -> Self {
        let both = SecretString::new(format!("{user}:{}", password.expose()));
        self.shown.push(SecretString::new(STANDARD.encode(both.expose())));
        self.request = self.request.basic_auth(user, Some(password.expose()));
        self
    }

    /// Signed in to with a token (RFC 6750).
    #[must_use]
    pub fn bearer(mut self, token: &SecretString) -> Self {
        self.shown.push(SecretString::new(token.expose().clone()));
        self.request = self.request.bearer_auth(token.expose());
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// With JSON, which is wiped.
    #[must_use]
    pub fn json(self, body: Value) -> Self {
        let mut text = SecretBuffer::with_capacity(512);
        // Writing into memory does not fail, and a value's keys are texts.
        let _ = serde_json::to_writer(&mut text, &body);
        wipe(body);
        let text = text.finish();
        self.body("application/json", text)
    }

    /// With a form of those members that are texts. It is wiped.
    #[must_use]
    pub fn form(self, members: Map<String, Value>) -> Self {
        let text =
            form(members.iter().filter_map(|(name, value)| Some((&**name, value.as_str()?))));
        wipe(Value::Object(members));
        self.body(FORM, text.into())
    }

    /// With another body, which is wiped when it was sent.
    #[must_use]
    pub fn body(mut self, kind: &str, body: SecretBytes) -> Self {
        let body = Bytes::from_owner(Wiped(body));
        self.request = self.request.header(CONTENT_TYPE, kind).body(body);
        self
    }

    /// Sends it; gives whatever is answered.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when nothing is, or too much.
    pub async fn send(self) -> Result<Reply, Fault> {
        let Self { http, request, shown } = self;
        let silent = |error: reqwest::Error| http.silent(&error);
        let mut response = request.send().await.map_err(silent)?;
        let status = response.status().as_u16();
        let mut body = SecretBuffer::with_capacity(1_024);
        while let Some(chunk) = response.chunk().await.map_err(silent)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let place = &http.place;
                return Err(Fault::unavailable(format!("{place} answers with too many bytes")));
            }
            body.extend(&chunk);
        }
        Ok(Reply { status, body: body.finish(), place: http.place.to_string(), shown })
    }
}

impl Http {
    fn silent(&self, error: &reqwest::Error) -> Fault {
        let (place, why) = (&self.place, innermost(error));
        if error.is_timeout() {
            return Fault::unavailable(format!("{place} does not answer in time; try again later"));
        }
        let way = if self.proxied { " through this gateway's proxy" } else { "" };
        Fault::unavailable(format!(
            "{place} does not answer{way}: {why}; check the address, the authorities of its \
             certificate, and the firewalls on the way from this gateway"
        ))
    }
}

impl Reply {
    /// Its status (RFC 9110 section 15).
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Its body.
    pub fn body(&self) -> &[u8] {
        self.body.expose()
    }

    /// The same when it says that `what` was done. `secrets` are kept out of the log.
    ///
    /// # Errors
    /// A fault by its status.
    pub fn done(self, what: &str, secrets: &[&str]) -> Result<Self, Fault> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(self.fault(what, secrets)),
        }
    }

    /// Its body as JSON: whoever asks wipes it with [`wipe`] where secrets are in it.
    ///
    /// # Errors
    /// [`Fault::unavailable`] when it is none: whatever answered is not what it should be.
    pub fn json(&self) -> Result<Value, Fault> {
        serde_json::from_slice(self.body.expose()).map_err(|_| {
            let place = &self.place;
            Fault::unavailable(format!("{place} answers with something else; check the address"))
        })
    }

    /// The same where nothing may be answered at all, which is null.
    ///
    /// # Errors
    /// Those of [`Reply::json`].
    pub fn body_json(&self) -> Result<Value, Fault> {
        if self.body.expose().is_empty() { Ok(Value::Null) } else { self.json() }
    }

    /// As a fault of `what` was being done. `secrets` are kept out of the log, too.
    pub fn fault(&self, what: &str, secrets: &[&str]) -> Fault {
        let (kind, words) = match self.status {
            401 => (FaultKind::Forbidden, "the user, the password or the token is wrong"),
            403 => (FaultKind::Forbidden, "whoever signs in there may not do that"),
            404 | 410 => (FaultKind::BadRequest, "there is no such thing there"),
            409 | 412 => (FaultKind::Conflict, "something of this name exists already"),
            408 | 425 | 429 => (FaultKind::Unavailable, "the server is busy; try again"),
            500..=599 => (FaultKind::Unavailable, "the server fails; try again later"),
            300..=399 => {
                (FaultKind::BadRequest, "the server sends elsewhere, which is not followed")
            }
            _ => (FaultKind::BadRequest, "the server refuses it"),
        };
        let (place, status) = (&self.place, self.status);
        let fault = Fault::new(kind, format!("{what} failed at {place} with {status}: {words}"));
        self.heard(fault, secrets)
    }

    /// The fault with what the server said, for the log, unless something of `secrets` is in it, or
    /// of what whoever asked signed in with.
    pub fn heard(&self, fault: Fault, secrets: &[&str]) -> Fault {
        let shown = self.shown.iter().map(|shown| shown.expose().as_str());
        let secrets = secrets.iter().copied().chain(shown);
        with_words(fault, &String::from_utf8_lossy(self.body.expose()), secrets)
    }
}

/// The type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A form. Nothing in a value ends it or begins another.
pub(crate) fn form<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> SecretString {
    let mut form = SecretString::new(String::with_capacity(512));
    let text = form.expose_mut();
    for (name, value) in members {
        if !text.is_empty() {
            text.push('&');
        }
        encode(text, name);
        text.push('=');
        encode(text, value);
    }
    form
}

/// Adds a text with everything encoded that is not unreserved (RFC 3986 section 2.3), and spaces as
/// forms have them.
fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            into.push(char::from(byte));
        } else if byte == b' ' {
            into.push('+');
        } else {
            into.push('%');
            for digit in [byte >> 4, byte & 15] {
                into.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
}

/// The innermost cause of an error, which names no address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
