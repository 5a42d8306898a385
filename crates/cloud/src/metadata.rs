//! Questions to the address on which a cloud tells its machines who they are.

use std::time::Duration;

use keysherd_base::{Fault, Secret, SecretBytes, SecretString};
use reqwest::{Client, RequestBuilder, redirect};
use serde_json::Value;

/// How long an answer may take. The service is on the machine itself or next to it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes; a token has some two thousand.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A question to such an address.
pub(crate) struct Question {
    pub(crate) request: RequestBuilder,
    /// Who answers, for people.
    pub(crate) whom: &'static str,
    /// A header that the answer must have.
    pub(crate) expected: Option<(&'static str, &'static str)>,
    /// What the answer is.
    pub(crate) answer: Answer,
}

/// What an answer is.
pub(crate) enum Answer {
    /// The token and nothing else.
    Token,
    /// An answer of OAuth 2.0 (RFC 6749 5.1), with the token in it.
    OAuth,
}

impl Question {
    /// The token.
    ///
    /// # Errors
    /// [`Fault::unavailable`]: nobody answers, or not with a token.
    /// Where it goes.
    pub(crate) fn url(&self) -> Option<reqwest::Url> {
        Some(self.request.try_clone()?.build().ok()?.url().clone())
    }

    pub(crate) async fn ask(self) -> Result<SecretString, Fault> {
        let Self { request, whom, expected, answer } = self;
        let body = ask(request, whom, expected).await?;
        match answer {
            Answer::Token => token_of(String::from_utf8_lossy(body.expose()).into_owned(), whom),
            Answer::OAuth => access_token(&body, whom),
        }
    }
}

/// A client that goes the direct way: a proxy would ask about its own machine.
///
/// # Errors
/// [`Fault::unavailable`] when this machine's certificates cannot be read.
pub(crate) fn client() -> Result<Client, Fault> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .timeout(PATIENCE)
        .build()
        .map_err(|error| Fault::unavailable("no HTTPS is possible here").with_private(error))
}

/// Asks, and gives the body of an answer with status 200 and the headers that `expected` wants.
///
/// # Errors
/// [`Fault::unavailable`]: `whom` could not be asked, or says no.
async fn ask(
    request: RequestBuilder,
    whom: &str,
    expected: Option<(&str, &str)>,
) -> Result<SecretBytes, Fault> {
    let unreachable = |error: reqwest::Error| {
        Fault::unavailable(format!("{whom} does not answer; is this a machine of that cloud?"))
            .with_private(error.without_url())
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    if status != 200 {
        let why = format!("{whom} answers with status {status}; has this machine an identity?");
        return Err(Fault::unavailable(why));
    }
    if let Some((name, value)) = expected
        && response.headers().get(name).is_none_or(|found| found.as_bytes() != value.as_bytes())
    {
        return Err(Fault::unavailable(format!("what answers is not {whom}")));
    }
    let mut body = Secret::new(Vec::with_capacity(ANSWER_BYTES_MAX));
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.expose().len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::unavailable(format!("{whom} answers with too many bytes")));
        }
        body.expose_mut().extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The access token in an answer of OAuth 2.0 (RFC 6749 5.1).
///
/// # Errors
/// [`Fault::unavailable`] when there is none.
fn access_token(answer: &SecretBytes, whom: &str) -> Result<SecretString, Fault> {
    let answer = serde_json::from_slice(answer.expose()).unwrap_or(Value::Null);
    match answer {
        Value::Object(mut fields) => match fields.remove("access_token") {
            Some(Value::String(token)) => token_of(token, whom),
            _ => Err(no_token(whom)),
        },
        _ => Err(no_token(whom)),
    }
}

/// A text that can be a token: three parts of base64url, as JSON Web Tokens are.
///
/// # Errors
/// [`Fault::unavailable`] when it is none.
fn token_of(text: String, whom: &str) -> Result<SecretString, Fault> {
    let text = SecretString::new(text);
    let trimmed = text.expose().trim();
    let part = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let parts = trimmed.split('.').filter(|text| !text.is_empty() && part(text)).count();
    if parts != 3 || trimmed.split('.').count() != 3 {
        return Err(no_token(whom));
    }
    Ok(SecretString::new(trimmed.to_owned()))
}

fn no_token(whom: &str) -> Fault {
    Fault::unavailable(format!("the answer of {whom} has no token in it"))
}
