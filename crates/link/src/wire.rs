//! What stands around a call's bytes: the protocol's version, and faults.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use keysherd_base::{Fault, SecretBytes, Timestamp, Wiped};

use crate::error::LinkError;
use crate::plane::codec;

/// Carries the version of the protocol, in requests and answers.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("keysherd-link");
/// The version that is spoken here. Raised whenever a message changes its meaning or its place;
/// there is no negotiation, because all roles of a deployment run one release.
pub(crate) const SPOKEN: HeaderValue = HeaderValue::from_static("1");
/// Carries what the clock says of whoever lets a connection in, in milliseconds since 1970.
const CLOCK: HeaderName = HeaderName::from_static("keysherd-clock");
/// Marks an answer whose body is a fault.
const FAULT: HeaderValue = HeaderValue::from_static("application/x-keysherd-fault");
/// Largest encoded fault: public text and code.
pub(crate) const FAULT_BYTES_MAX: usize = 64 * 1024;

/// The bytes, without a copy. Wiped when the last clone is dropped.
pub(crate) fn body(bytes: SecretBytes) -> Bytes {
    Bytes::from_owner(Wiped(bytes))
}

/// The answer of a service.
pub(crate) fn answer(result: Result<SecretBytes, Fault>) -> Response<Full<Bytes>> {
    let fault = match result {
        Ok(bytes) => {
            let mut answer = Response::new(Full::new(body(bytes)));
            answer.headers_mut().insert(VERSION, SPOKEN);
            return answer;
        }
        Err(fault) => fault,
    };
    if let Some(private) = fault.private() {
        tracing::debug!(code = fault.code(), private, "a call failed");
    }
    // A fault is two texts and a number, which always encode.
    let encoded = codec::write_fault(&fault).unwrap_or_default();
    let mut answer = Response::new(Full::new(encoded.into()));
    *answer.status_mut() = StatusCode::from_u16(fault.kind().http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(VERSION, SPOKEN);
    answer.headers_mut().insert(CONTENT_TYPE, FAULT);
    answer
}

/// The answer to whoever asks whether they are let in.
pub(crate) fn welcome(now: Timestamp) -> Response<Full<Bytes>> {
    let mut answer = answer(Ok(SecretBytes::new(Vec::new())));
    answer.headers_mut().insert(CLOCK, HeaderValue::from(now.0));
    answer
}

/// The other end's clock, if it says.
pub(crate) fn clock_of(headers: &HeaderMap) -> Option<Timestamp> {
    headers.get(CLOCK)?.to_str().ok()?.parse().ok().map(Timestamp)
}

/// Whether both ends speak the same version.
///
/// # Errors
/// [`LinkError::Mismatch`] with both versions.
pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), LinkError> {
    let Some(theirs) = headers.get(VERSION) else {
        return Err(LinkError::Mismatch("the other end is no role of this product".to_owned()));
    };
    if theirs == SPOKEN {
        return Ok(());
    }
    Err(LinkError::Mismatch(format!(
        "the other end speaks version {:.16} of the link protocol, this one version {}; run the \
         same release everywhere",
        String::from_utf8_lossy(theirs.as_bytes()),
        SPOKEN.to_str().unwrap_or_default(),
    )))
}

/// Whether the answer's body is a fault.
pub(crate) fn is_fault(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE) == Some(&FAULT)
}

/// The fault in the body of an answer.
pub(crate) fn read_fault(status: StatusCode, bytes: &[u8]) -> LinkError {
    match codec::read_fault(bytes) {
        Some(fault) => LinkError::Refused(fault),
        None => LinkError::Mismatch(format!("an unreadable answer with status {status}")),
    }
}
