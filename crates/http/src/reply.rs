//! Answers: the one place where outcomes become HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use keysherd_base::{Fault, FaultKind, RequestId, SecretBytes};
use keysherd_wire::{Answer, Hold, headers};
use serde::Serialize;
use serde_json::json;

/// What hyper is given to send.
pub(crate) type Reply = Response<Full<Bytes>>;

const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);
const WARNING: HeaderName = HeaderName::from_static(headers::WARNING);
const NAME_ATTESTED: HeaderName = HeaderName::from_static(headers::NAME_ATTESTED);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Longest warning that is sent; headers over 8 KiB in all are refused by many clients.
const WARNING_BYTES_MAX: usize = 300;

/// An answer's bytes, overwritten once they were sent.
struct Wiped {
    body: SecretBytes,
    _hold: Option<Hold>,
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.body.expose()
    }
}

/// The body of every error (V2 reference, section 0, rule 6).
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

/// The text of the error body for `fault` of `command`, in the form that scripts around the V2
/// API look for (V2 reference, section 1.4).
pub fn error_text(command: &str, fault: &Fault) -> String {
    let status = status_of(fault.kind());
    stated(command, status, fault.code(), fault.public())
}

fn stated(command: &str, status: StatusCode, code: &str, message: &str) -> String {
    let (number, reason) = (status.as_u16(), status.canonical_reason().unwrap_or(""));
    format!("{command} failed: Status {number} {reason}, Error: {code}. Message: {message}")
}

fn status_of(kind: FaultKind) -> StatusCode {
    StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn json(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.reserve(4);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    reply
}

/// The answer to `GET /health`.
pub(crate) fn health(ready: Result<(), &'static str>, with_body: bool) -> Reply {
    let (status, said) = match ready {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    probe(status, &json!({ "status": said }), with_body)
}

/// The answer of a command that succeeded.
pub(crate) fn success(status: StatusCode, answer: Answer, request: RequestId) -> Reply {
    let mut reply =
        json(status, Bytes::from_owner(Wiped { body: answer.body, _hold: answer.hold }));
    insert_id(&mut reply, request);
    let warnings = answer.warnings.iter().take(headers::WARNINGS_MAX);
    for warning in warnings.filter_map(|warning| warning_value(warning)) {
        reply.headers_mut().append(WARNING, warning);
    }
    if let Some(attested) = answer.name_attested {
        let value = HeaderValue::from_static(if attested { "true" } else { "false" });
        reply.headers_mut().insert(NAME_ATTESTED, value);
    }
    reply
}

/// The answer of a command that failed.
pub(crate) fn failure(command: &str, fault: &Fault, request: Option<RequestId>) -> Reply {
    let mut reply = error(status_of(fault.kind()), &error_text(command, fault));
    if let Some(request) = request {
        insert_id(&mut reply, request);
    }
    if let Some(wait) = retry_after(fault) {
        reply.headers_mut().insert(RETRY_AFTER, wait.as_secs().into());
    }
    reply
}

/// An error whose whole text is `text`.
pub(crate) fn error(status: StatusCode, text: &str) -> Reply {
    // A struct of one text is always JSON.
    let body = serde_json::to_vec(&ErrorBody { error: text }).unwrap_or_default();
    json(status, body.into())
}

/// The answer to a method that the path does not take.
pub(crate) fn wrong_method(name: &str, allowed: &'static str) -> Reply {
    let message = format!("send it as {}", allowed.replace(", ", " or "));
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut reply = error(status, &stated(name, status, "MethodNotAllowed", &message));
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// The answer to an unknown command. Clients probe for this exact text (V2 reference, section 0,
/// rule 8).
pub(crate) fn unknown_command(shown: &str) -> Reply {
    error(StatusCode::NOT_FOUND, &format!("unknown command '{shown}'"))
}

/// The answer of a probe, or its head only.
pub(crate) fn probe<T: Serialize>(status: StatusCode, value: &T, with_body: bool) -> Reply {
    // `Value` and maps of texts are always JSON.
    let body = serde_json::to_vec(value).unwrap_or_default();
    json(status, if with_body { body.into() } else { Bytes::new() })
}

fn retry_after(fault: &Fault) -> Option<Duration> {
    if let Some(seconds) = fault.retry_after_seconds() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let seconds = match fault.kind() {
        // Space is made by people or by housekeeping, not within a second.
        FaultKind::StorageFull => 30,
        kind if kind.retryable() => 1,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// Says under which id the log knows the request.
pub(crate) fn insert_id(reply: &mut Reply, request: RequestId) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(request.as_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        reply.headers_mut().insert(REQUEST_ID, value);
    }
}

/// The id under which the log knows the request.
pub(crate) fn request_id(reply: &Reply) -> Option<String> {
    reply.headers().get(REQUEST_ID)?.to_str().ok().map(str::to_owned)
}

fn warning_value(warning: &str) -> Option<HeaderValue> {
    let sentence: String = warning
        .chars()
        .take(WARNING_BYTES_MAX)
        .map(|c| match c {
            ' '..='~' => c,
            c if c.is_whitespace() => ' ',
            _ => '?',
        })
        .collect();
    HeaderValue::from_str(sentence.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_form_that_scripts_look_for() {
        let fault = Fault::not_found("no item /team/db").with_private("row 7");
        assert_eq!(
            error_text("describe-item", &fault),
            "describe-item failed: Status 404 Not Found, Error: NotFound. \
             Message: no item /team/db"
        );
        let fault = Fault::conflict("item /a exists already");
        assert!(error_text("x", &fault).contains("Status 409 Conflict, Error: AlreadyExists"));
    }

    #[test]
    fn every_kind_has_a_status_with_a_reason() {
        use FaultKind as K;
        for kind in [
            K::BadRequest,
            K::Unauthorized,
            K::Forbidden,
            K::NotFound,
            K::Conflict,
            K::Timeout,
            K::TooLarge,
            K::UnsupportedType,
            K::RateLimited,
            K::Unavailable,
            K::StorageFull,
            K::Internal,
        ] {
            let reply = failure("x", &Fault::new(kind, "m"), None);
            assert_eq!(reply.status().as_u16(), kind.http_status());
            assert!(reply.status().canonical_reason().is_some());
            assert_eq!(reply.headers().contains_key(RETRY_AFTER), kind.retryable());
        }
    }

    #[test]
    fn a_warning_becomes_one_line_of_ascii() {
        assert_eq!(warning_value("a\r\nb\u{e9}\u{7}").unwrap(), "a  b??");
        assert_eq!(warning_value(&"w".repeat(9000)).unwrap().len(), 300);
    }

    #[test]
    fn a_request_id_is_32_hex_digits() {
        let id = keysherd_base::Uid([0xa7; 16]);
        let reply = success(StatusCode::OK, Answer::empty(), id);
        assert_eq!(reply.headers()[REQUEST_ID], id.to_string());
    }
}
