//! Tokens that are lent to whoever shows something of their own: a signed text, or a secret.

use keysherd_base::{Fault, FaultKind, SecretString, Timestamp};
use keysherd_wire::wipe;
use serde_json::{Map, Value};

use crate::http::Http;
use crate::{BoxFuture, Way};

/// Longest time that a token is taken to live for, in seconds: a day.
const LIFE_SECONDS_MAX: i64 = 24 * 3_600;
/// Longest code of an error that is repeated, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// A token that was lent.
pub struct Lent {
    /// The token.
    pub token: SecretString,
    /// When it ends.
    pub ends: Timestamp,
}

/// Somebody who gets a token to sign requests in with.
pub trait Lender: Send + Sync {
    /// Asks for one.
    ///
    /// # Errors
    /// A fault that says why there is none.
    fn lend<'a>(&'a self, way: &'a Way) -> BoxFuture<'a, Result<Lent, Fault>>;
}

/// Asks for a token (RFC 6749 section 4): a form, answered with JSON. `secrets` are kept out of the
/// log.
pub(crate) async fn ask(
    http: &Http,
    path: &[&str],
    form: Map<String, Value>,
    way: &Way,
    secrets: &[&str],
) -> Result<Lent, Fault> {
    let reply = http.call("POST", path)?.form(form).send().await?;
    if !(200..300).contains(&reply.status()) {
        // The error has a code (section 5.2), which says more than the status.
        let code = reply.json().ok().and_then(|mut answer| match answer["error"].take() {
            Value::String(code) if is_code(&code) => Some(code),
            _ => None,
        });
        let Some(code) = code.filter(|_| reply.status() < 500) else {
            return Err(reply.fault("signing in", secrets));
        };
        let text = format!(
            "signing in failed with {code}: what the target signs in with is wrong, has ended, or \
             is of something else"
        );
        return Err(reply.heard(Fault::new(FaultKind::Forbidden, text), secrets));
    }
    let mut answer = reply.json()?;
    let seconds = answer["expires_in"].as_i64().unwrap_or_default().clamp(0, LIFE_SECONDS_MAX);
    let token = answer.get_mut("access_token").map(Value::take);
    wipe(answer);
    match token {
        Some(Value::String(token)) if is_token(&token) => {
            let ends = way.clock.now().plus_seconds(seconds);
            Ok(Lent { token: SecretString::new(token), ends })
        }
        other => {
            wipe(other.unwrap_or_default());
            Err(Fault::unavailable("the service lends no token; check where it is"))
        }
    }
}

/// Whether a text can be in a header.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Codes are words; whatever else is sent is not repeated.
fn is_code(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !text.is_empty() && text.len() <= CODE_BYTES_MAX && text.bytes().all(plain)
}
