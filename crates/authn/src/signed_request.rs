//! Requests that a client signed with its cloud's credentials and that control sends on its
//! behalf: the cloud then says who signed. The form that `cloud-id` has for several clouds:
//!
//! ```text
//! base64( {"sts_request_method": "POST", "sts_request_url": base64, "sts_request_body": base64,
//!          "sts_request_headers": base64( {"Name": ["value"], ...} )} )
//! ```
//! Whoever signs in chooses every byte of it, so only what is known is sent, to places that are
//! known. Here the form is read and the place checked; what a cloud's request has in it is for
//! the member. What is sent is what was checked: the address as the sender parses it must be
//! spelled as it was given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::{Fault, Timestamp};
use keysherd_wire::Args;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fields::CLOUD_ID;
use crate::web::{WebReply, WebRequest, outside_url};
use crate::world::World;

pub(crate) mod caller;

#[cfg(test)]
mod tests;

/// Longest `cloud-id`, in bytes. Session tokens are the largest part, with up to 4 KiB or so.
const CLOUD_ID_BYTES_MAX: usize = 32 * 1024;
/// Longest body, in bytes.
const BODY_BYTES_MAX: usize = 1_024;
/// Most headers, and the longest value of one.
const HEADERS_MAX: usize = 20;
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// How old a request may be, in seconds. Clouds accept as much.
const AGE_SECONDS_MAX: i64 = 15 * 60;
/// How far the signer's clock may be ahead, in seconds.
const AHEAD_SECONDS_MAX: i64 = 5 * 60;

/// Why something was refused; for the log.
pub(crate) type Why = String;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    sts_request_method: String,
    sts_request_url: String,
    sts_request_body: String,
    sts_request_headers: String,
}

/// A request as the client gave it.
pub(crate) struct SignedRequest {
    /// `GET` or `POST`, as given.
    pub(crate) method: String,
    /// Where the client wants it sent.
    pub(crate) url: Url,
    /// The body.
    pub(crate) body: String,
    /// Names in lower case, each once.
    headers: Vec<(String, String)>,
}

impl std::fmt::Debug for SignedRequest {
    // By hand, because a signature is in the address or in a header.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignedRequest({:?})", self.url.host_str())
    }
}

impl SignedRequest {
    /// Reads a `cloud-id`.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub(crate) fn read(cloud_id: &str) -> Result<Self, Why> {
        if cloud_id.len() > CLOUD_ID_BYTES_MAX {
            return Err(format!("the cloud-id is longer than {CLOUD_ID_BYTES_MAX} bytes"));
        }
        let form = serde_json::from_slice(&unpacked(cloud_id, "the cloud-id")?);
        let form: Form =
            form.map_err(|error| format!("the cloud-id is not of the form: {error}"))?;
        let body = text(&form.sts_request_body, "the body")?;
        if body.len() > BODY_BYTES_MAX {
            return Err("the body is too long".to_owned());
        }
        Ok(Self {
            method: form.sts_request_method,
            url: address(&text(&form.sts_request_url, "the address")?)?,
            body,
            headers: headers(&text(&form.sts_request_headers, "the headers")?)?,
        })
    }

    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The headers called so, for sending.
    pub(crate) fn headers_among(&self, names: &[&str]) -> Vec<(String, String)> {
        let wanted = |(name, _): &&(String, String)| names.contains(&name.as_str());
        self.headers.iter().filter(wanted).cloned().collect()
    }

    /// Whether it goes to the method's own endpoint, or, when that is one of the cloud's, to
    /// another host that `cloud` says is the cloud's.
    ///
    /// # Errors
    /// Where it goes instead.
    pub(crate) fn goes_to(&self, own: &str, cloud: fn(&str) -> bool) -> Result<(), Why> {
        let own = outside_url(own).map_err(str::to_owned)?;
        let place = |url: &Url| {
            let host = url.host_str().unwrap_or_default().to_owned();
            (url.scheme().to_owned(), host, url.port_or_known_default())
        };
        let (wanted, own) = (place(&self.url), place(&own));
        let of_cloud = |(scheme, host, port): &(String, String, Option<u16>)| {
            scheme == "https" && *port == Some(443) && cloud(host)
        };
        if wanted == own || (of_cloud(&own) && of_cloud(&wanted)) {
            return Ok(());
        }
        Err(format!("it goes to {}, which is not the cloud's", self.url))
    }

    /// Sends it with these headers, and gives the answer of success.
    ///
    /// # Errors
    /// [`Fault::unauthorized`] when the cloud refuses it, [`Fault::unavailable`] when the cloud
    /// does not answer as it should.
    pub(crate) async fn send(
        &self,
        headers: &[(String, String)],
        world: &World,
    ) -> Result<Vec<u8>, Fault> {
        let body = (self.method == "POST").then(|| self.body.clone().into_bytes());
        let request = WebRequest { url: self.url.as_str(), headers, body };
        let WebReply { status, body } = world.web().send(request).await?;
        match status {
            200 => Ok(body),
            400..=499 => {
                let start: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                Err(refused(format!("the cloud refused it with status {status}: {start}")))
            }
            _ => Err(Fault::unavailable(
                "the cloud that vouches for this identity does not answer; try again in a minute",
            )
            .with_private(format!("{} answered with status {status}", self.url))),
        }
    }
}

/// Gateway half: the `cloud-id` among the arguments of `auth`.
///
/// # Errors
/// [`Fault::bad_request`].
pub(crate) fn cloud_id_of(given: &Args) -> Result<String, Fault> {
    let cloud_id = given.need(&CLOUD_ID)?;
    if cloud_id.len() <= CLOUD_ID_BYTES_MAX {
        return Ok(cloud_id);
    }
    Err(Fault::bad_request(format!(
        "'cloud-id' is longer than {CLOUD_ID_BYTES_MAX} bytes; make a fresh one"
    )))
}

/// A refusal that tells the client nothing but what to do.
pub(crate) fn refused(why: impl Into<String>) -> Fault {
    Fault::unauthorized("authentication failed; make a fresh cloud-id").with_private(why.into())
}

/// When it was made, if that is not too long ago.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn fresh(made: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Why> {
    let made = made.ok_or("its time cannot be read")?;
    let age = now.seconds().saturating_sub(made.seconds());
    if (-AHEAD_SECONDS_MAX..=AGE_SECONDS_MAX).contains(&age) {
        return Ok(made);
    }
    Err(format!("it was made at {made}, and now is {now}"))
}

/// Uses a request up by its signature.
///
/// # Errors
/// As [`World::use_up`].
pub(crate) fn use_up(
    kind: &str,
    signature: &str,
    made: Timestamp,
    world: &World,
) -> Result<(), Fault> {
    let what = [kind.as_bytes(), &[0], signature.as_bytes()].concat();
    world.use_up(&what, made, made.plus_seconds(AGE_SECONDS_MAX))
}

fn unpacked(given: &str, what: &str) -> Result<Vec<u8>, Why> {
    STANDARD.decode(given.trim()).map_err(|_| format!("{what}: no base64"))
}

fn text(given: &str, what: &str) -> Result<String, Why> {
    String::from_utf8(unpacked(given, what)?).map_err(|_| format!("{what}: no text"))
}

/// An address in the one spelling that is sent. A port that goes without saying may be said, and
/// the path of a bare host may be left out.
fn address(given: &str) -> Result<Url, Why> {
    let url = outside_url(given).map_err(|why| format!("the address: {why}"))?;
    let shown = url.as_str();
    let bare = shown.strip_suffix('/').filter(|_| url.path() == "/" && url.query().is_none());
    let said = given.replacen(":443/", "/", 1);
    if [Some(given), Some(said.as_str())].iter().any(|text| *text == Some(shown) || *text == bare) {
        return Ok(url);
    }
    Err("the address is spelled in a way that different readers read differently".to_owned())
}

fn headers(json: &str) -> Result<Vec<(String, String)>, Why> {
    let map: Map<String, Value> =
        serde_json::from_str(json).map_err(|error| format!("the headers: {error}"))?;
    if map.len() > HEADERS_MAX {
        return Err("it has too many headers".to_owned());
    }
    let mut headers = Vec::new();
    for (name, value) in map {
        let value = match &value {
            Value::String(text) => text,
            Value::Array(values) => match values.as_slice() {
                [Value::String(text)] => text,
                _ => return Err(format!("header {name} does not have one value")),
            },
            _ => return Err(format!("header {name} is no text")),
        };
        let lower = name.to_ascii_lowercase();
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let visible = |c: char| c == ' ' || c.is_ascii_graphic();
        if name.is_empty() || !name.chars().all(token) || !value.chars().all(visible) {
            return Err("a header has characters that headers do not have".to_owned());
        }
        if value.len() > HEADER_BYTES_MAX || headers.iter().any(|(known, _)| *known == lower) {
            return Err(format!("header {name} is too long, or there twice"));
        }
        headers.push((lower, value.trim().to_owned()));
    }
    Ok(headers)
}
