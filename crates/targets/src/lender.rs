//! Tokens that are lent to whoever shows something of their own: a signed text, or a secret.

use keysherd_base::{Fault, FaultKind, SecretString, Timestamp};
use keysherd_wire::wipe;
use serde_json::{Map, Value};

use crate::http::Http;
use crate::{BoxFuture, NOT_ADMITTED, WRONG_CREDENTIALS, Way};

/// Longest time that a token is taken to live for, in seconds: a day.
const LIFE_SECONDS_MAX: i64 = 24 * 3_600;
/// Longest code of an error that is repeated, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// Microsoft's numbers for what is wrong: no such user, a wrong password or none, a wrong secret of
/// an application, one that has ended.
const MICROSOFT_WRONG: &[i64] = &[50_034, 50_056, 50_126, 7_000_215, 7_000_222];
/// Those for passwords that are right and have ended, or do not do alone: a second factor, a device
/// or a place is asked for.
const MICROSOFT_RIGHT: &[i64] =
    &[50_055, 50_072, 50_074, 50_076, 50_079, 50_144, 50_158, 53_000, 53_001, 53_002, 53_003];

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
        let mut answer = reply.json().unwrap_or_default();
        let numbers = answer.get_mut("error_codes").map(Value::take);
        let code = match answer.get_mut("error").map(Value::take) {
            Some(Value::String(code)) if is_code(&code) => Some(code),
            _ => None,
        };
        let Some(code) = code.filter(|_| reply.status() < 500) else {
            return Err(reply.fault("signing in", secrets));
        };
        let text = format!(
            "signing in failed with {code}: what the target signs in with is wrong, has ended, or \
             is of something else"
        );
        let fault = Fault::new(FaultKind::Forbidden, text);
        let fault = match meaning(&code, numbers.as_ref()) {
            Some(meaning) => fault.with_code(meaning),
            None => fault,
        };
        return Err(reply.heard(fault, secrets));
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

/// What a refusal says of what was shown: that it is wrong, or that it is right and does not do.
/// Microsoft has numbers for that; others have the code alone.
fn meaning(code: &str, numbers: Option<&Value>) -> Option<&'static str> {
    if !["invalid_grant", "invalid_client"].contains(&code) {
        return None;
    }
    let Some(numbers) = numbers.and_then(Value::as_array) else { return Some(WRONG_CREDENTIALS) };
    let has = |known: &[i64]| numbers.iter().filter_map(Value::as_i64).any(|n| known.contains(&n));
    match (has(MICROSOFT_WRONG), has(MICROSOFT_RIGHT)) {
        (true, _) => Some(WRONG_CREDENTIALS),
        (_, true) => Some(NOT_ADMITTED),
        _ => None,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_say_whether_what_was_shown_is_wrong() {
        let said =
            |code: &str, numbers: Value| meaning(code, Some(&numbers).filter(|n| !n.is_null()));
        assert_eq!(said("invalid_grant", Value::Null), Some(WRONG_CREDENTIALS));
        assert_eq!(said("invalid_client", json!([7_000_215])), Some(WRONG_CREDENTIALS));
        assert_eq!(said("invalid_grant", json!([50_126])), Some(WRONG_CREDENTIALS));
        assert_eq!(said("invalid_grant", json!([50_076])), Some(NOT_ADMITTED));
        assert_eq!(said("invalid_grant", json!([50_053])), None, "locked out, whatever it is");
        assert_eq!(said("invalid_request", Value::Null), None);
        assert_eq!(said("temporarily_unavailable", json!([50_126])), None);
    }
}
