//! Requests to AWS: its identity service (IAM) and the one that lends credentials (STS), in the
//! query form of both (a POST of a form, answered with XML).

mod answers;

use std::time::Duration;

use keysherd_base::{Fault, FaultKind, SecretString, Timestamp};
use keysherd_cloud::{AwsCredentials, Service, Unsigned};
use keysherd_wire::bad_setting;
use tokio::time::timeout;

use crate::http::{FORM, Http, HttpGiven, HttpServer, form};
use crate::words::with_words;
use crate::{Named, Way};

pub use answers::{value, values};

/// Region where none is given.
pub const REGION: &str = "us-east-2";
/// Longest name of a region.
const REGION_BYTES_MAX: usize = 32;
/// How long a role is assumed for that is only used for one call, in seconds: the least.
const ASSUMED_SECONDS: &str = "900";

/// What addresses that others send say about their end, in seconds, as those who read them expect;
/// AWS takes them for a quarter of an hour.
const SHOWN_SECONDS: u64 = 60;

/// What settings say about an account at AWS.
pub struct AwsGiven<'a> {
    /// The region.
    pub region: Named<'a>,
    /// The id of the access key that signs.
    pub key_id: Named<'a>,
    /// The key.
    pub key: Named<'a>,
    /// What makes a key that was lent complete.
    pub token: Option<&'a str>,
    /// A role that is assumed with it first.
    pub role: Option<&'a str>,
}

/// An account at AWS, with what signs requests there.
pub struct Aws {
    region: String,
    key_id: String,
    credentials: AwsCredentials,
    secrets: Vec<SecretString>,
    role: Option<String>,
}

impl Aws {
    /// The account that the settings name.
    ///
    /// # Errors
    /// [`Fault::bad_request`] names the field.
    pub fn new(given: &AwsGiven<'_>) -> Result<Self, Fault> {
        let region = need_region(&given.region)?.to_owned();
        let (id, key) = (given.key_id.need()?, given.key.need()?);
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !plain(id) {
            return Err(bad_setting(given.key_id.field(), "it is no id of an access key"));
        }
        if given.role.is_some_and(|role| !is_role(role)) {
            return Err(bad_setting("role-arn", "it must be such as arn:aws:iam::1234:role/name"));
        }
        let key = SecretString::new(key.to_owned());
        let token = given.token.map(|token| SecretString::new(token.to_owned()));
        let credentials = match &token {
            None => AwsCredentials::of_user(id, &key),
            Some(token) => AwsCredentials::of_session(id, &key, token),
        };
        let secrets = [key].into_iter().chain(token).collect();
        let (key_id, role) = (id.to_owned(), given.role.map(str::to_owned));
        Ok(Self { region, key_id, credentials, secrets, role })
    }

    /// The id of the access key that signs, and the key.
    pub fn into_key(mut self) -> (String, SecretString) {
        (self.key_id, self.secrets.swap_remove(0))
    }

    /// Gets ready to ask, as the role if there is one.
    ///
    /// # Errors
    /// A fault that says why AWS does not lend the role.
    pub async fn open(&self, way: &Way) -> Result<Session<'_>, Fault> {
        let endpoint = |given: &Option<String>, own: String| -> Result<Http, Fault> {
            let url = Named::none("region").with(Some(given.as_deref().unwrap_or(&own)));
            HttpServer::new(HttpGiven { url, authority: None, identity: None })?.open(way)
        };
        let (iam, iam_region) = iam_of(&self.region);
        let mut session = Session {
            iam: endpoint(&way.endpoints.iam, format!("https://{iam}"))?,
            sts: endpoint(&way.endpoints.sts, format!("https://{}", sts_of(&self.region)))?,
            iam_region,
            aws: self,
            credentials: self.credentials.clone(),
            way: way.clone(),
        };
        if let Some(role) = &self.role {
            let parameters = [
                ("RoleArn", role.as_str()),
                ("RoleSessionName", "keysherd"),
                ("DurationSeconds", ASSUMED_SECONDS),
            ];
            let answer = session.lent("AssumeRole", &parameters, "assuming the role").await?;
            session.credentials = lent_credentials(&answer)?;
        }
        Ok(session)
    }
}

/// A region that must be one: it becomes a part of the service's address.
///
/// # Errors
/// [`Fault::bad_request`] names the field.
fn need_region<'a>(given: &Named<'a>) -> Result<&'a str, Fault> {
    let region = given.text().unwrap_or(REGION);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = !region.is_empty() && region.len() <= REGION_BYTES_MAX && region.bytes().all(plain);
    fits.then_some(region).ok_or_else(|| bad_setting(given.field(), "it must be such as us-east-2"))
}

/// Whether a text is the ARN of a role, of whatever partition.
pub fn is_role(text: &str) -> bool {
    is_arn(text, "iam", "role/")
}

/// Whether a text is the ARN of a policy.
pub fn is_policy(text: &str) -> bool {
    is_arn(text, "iam", "policy/")
}

fn is_arn(text: &str, service: &str, kind: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_/-".contains(c);
    matches!(parts.as_slice(), ["arn", partition, of, "", _, name]
        if partition.starts_with("aws") && *of == service
            && name.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
        && parts.iter().all(|part| part.chars().all(plain))
        && text.len() <= 2_048
}

/// Where the identity service of a region's partition is, and the region that signs for it.
fn iam_of(region: &str) -> (&'static str, &'static str) {
    match region {
        _ if region.starts_with("cn-") => ("iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        _ if region.starts_with("us-gov-") => ("iam.us-gov.amazonaws.com", "us-gov-west-1"),
        _ => ("iam.amazonaws.com", "us-east-1"),
    }
}

fn sts_of(region: &str) -> String {
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("sts.{region}.amazonaws.com{end}")
}

/// Somebody who asks.
pub struct Session<'a> {
    iam: Http,
    sts: Http,
    iam_region: &'static str,
    aws: &'a Aws,
    credentials: AwsCredentials,
    way: Way,
}

/// What AWS did not do.
#[derive(Debug)]
pub struct Refusal {
    /// Its code, such as `NoSuchEntity`; empty: it did not answer as AWS does.
    pub code: String,
    /// The same as a fault.
    pub fault: Fault,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        refusal.fault
    }
}

/// Words for codes.
const WORDS: &[(&str, FaultKind, &str)] = &[
    ("AccessDenied", FaultKind::Forbidden, "the access key may not do that"),
    ("AccessDeniedException", FaultKind::Forbidden, "the access key may not do that"),
    ("DeleteConflict", FaultKind::Conflict, "the user has something left that was given by others"),
    ("EntityAlreadyExists", FaultKind::Conflict, "something of this name exists already"),
    ("ExpiredToken", FaultKind::Forbidden, "the session token has ended; give another"),
    ("IncompleteSignature", FaultKind::Forbidden, "the access key cannot sign"),
    ("InvalidClientTokenId", FaultKind::Forbidden, "there is no such access key"),
    ("LimitExceeded", FaultKind::Conflict, "the account has as many of these as it may have"),
    ("NoSuchEntity", FaultKind::BadRequest, "there is no such thing in the account"),
    ("SignatureDoesNotMatch", FaultKind::Forbidden, "the access key's secret is wrong"),
    ("Throttling", FaultKind::Unavailable, "AWS is asked too often; try again"),
    ("ServiceUnavailable", FaultKind::Unavailable, "AWS is not ready; try again"),
];

impl Session<'_> {
    /// Asks the identity service; gives its XML.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn identity(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        what: &str,
    ) -> Result<SecretString, Refusal> {
        let place = (&self.iam, Service::IAM, self.iam_region, "2010-05-08");
        self.ask(place, action, parameters, what).await
    }

    /// Asks the service that lends credentials; gives its XML.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn lent(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        what: &str,
    ) -> Result<SecretString, Refusal> {
        let place = (&self.sts, Service::STS, self.aws.region.as_str(), "2011-06-15");
        self.ask(place, action, parameters, what).await
    }

    /// The address of a request to the service that lends credentials, which others can send to
    /// find out whose it is, with this header as well: always the service's own address, since who
    /// gets it knows no other.
    ///
    /// # Errors
    /// [`Fault::internal`] for a header that is none.
    pub fn shown_to(&self, header: (&str, &str)) -> Result<SecretString, Fault> {
        let region = self.aws.region.as_str();
        let url =
            format!("https://{}/?Action=GetCallerIdentity&Version=2011-06-15", sts_of(region));
        let request = Unsigned { method: "GET", url: &url, headers: &[header], body: &[] };
        let now = self.way.clock.now();
        self.credentials.presign(&request, region, Service::STS, now, SHOWN_SECONDS)
    }

    async fn ask(
        &self,
        (http, service, region, version): (&Http, Service, &str, &str),
        action: &str,
        parameters: &[(&str, &str)],
        what: &str,
    ) -> Result<SecretString, Refusal> {
        let plain = |fault: Fault| Refusal { code: String::new(), fault };
        let first = [("Action", action), ("Version", version)];
        let form = form(first.iter().chain(parameters).copied());
        let url = http.url_of(&[]).map_err(plain)?;
        let headers = [("content-type", FORM)];
        let body = form.expose().as_bytes();
        let unsigned = Unsigned { method: "POST", url: url.as_str(), headers: &headers, body };
        let now = self.way.clock.now();
        let signed = self.credentials.sign(&unsigned, region, service, now).map_err(plain)?;
        let mut call = http.call("POST", &[]).map_err(plain)?.body(FORM, form.into());
        for (name, value) in &signed {
            call = call.header(name, value);
        }
        let reply = call.send().await.map_err(plain)?;
        let text = SecretString::new(String::from_utf8_lossy(reply.body()).into_owned());
        if reply.status() == 200 {
            return Ok(text);
        }
        let code = value(text.expose(), "Code").filter(|code| is_code(code)).unwrap_or_default();
        let known = WORDS.iter().find(|(known, ..)| *known == code);
        let (kind, words) = match known {
            Some((_, kind, words)) => (*kind, *words),
            None if reply.status() >= 500 => (FaultKind::Unavailable, "AWS is not ready"),
            None => (FaultKind::BadRequest, "AWS refuses it"),
        };
        let status = reply.status();
        let named = if code.is_empty() { status.to_string() } else { code.clone() };
        let fault = Fault::new(kind, format!("{what} failed with {named}: {words}"));
        let given = parameters.iter().filter(|(name, _)| *name == "Password").map(|(_, v)| *v);
        let secrets = self.aws.secrets.iter().map(|secret| secret.expose().as_str());
        let fault = with_words(fault, text.expose(), secrets.chain(given));
        Err(Refusal { code, fault })
    }
}

/// Codes are words; whatever else is sent is not repeated.
fn is_code(code: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
    !code.is_empty() && code.len() <= 64 && code.bytes().all(plain)
}

/// The credentials in an answer of the service that lends them.
fn lent_credentials(answer: &SecretString) -> Result<AwsCredentials, Fault> {
    let part = |name: &str| {
        let missing = || Fault::unavailable("AWS answers without credentials; try again");
        value(answer.expose(), name).map(SecretString::new).ok_or_else(missing)
    };
    let id = part("AccessKeyId")?;
    Ok(AwsCredentials::of_session(id.expose(), &part("SecretAccessKey")?, &part("SessionToken")?))
}

/// Everything within the time that a call has.
///
/// # Errors
/// Those of `doing`, and [`Fault::unavailable`] when it takes too long.
pub async fn within<T>(
    way: &Way,
    doing: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let late = |_| Fault::unavailable("AWS does not answer in time; try again later");
    timeout(way.timeout.max(Duration::from_millis(1)), doing).await.map_err(late)?
}

/// When credentials that were lent end.
pub fn ends(answer: &SecretString) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&value(answer.expose(), "Expiration")?)
}

#[cfg(test)]
mod tests;
