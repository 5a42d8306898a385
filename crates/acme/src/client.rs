//! The way to the authority: HTTPS through the operator's way out, with bounds on time and size.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use keysherd_base::{Fault, FaultKind};
use keysherd_egress::Egress;
use reqwest::Certificate;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

/// Asks the authority.
pub(crate) struct Client(reqwest::Client);

impl Client {
    /// One that believes the authorities in `ca`, or those of this machine.
    pub(crate) fn new(egress: &Egress, ca: Option<&str>) -> Result<Self, Fault> {
        let mut builder = egress.http().https_only(true).timeout(PATIENCE);
        if let Some(ca) = ca {
            let unreadable = |_| Fault::bad_request("acme-ca: not certificates in PEM");
            let found = Certificate::from_pem_bundle(ca.as_bytes()).map_err(unreadable)?;
            builder = builder.tls_certs_only(found);
        }
        builder.build().map(Self).map_err(Fault::internal)
    }
}

impl HttpClient for Client {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let client = self.0.clone();
        Box::pin(async move {
            let other = |error: reqwest::Error| Error::Other(Box::new(error.without_url()));
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| Error::Other(Box::new(error)))?;
            let asking = client
                .request(head.method, head.uri.to_string())
                .headers(head.headers)
                .body(body.to_bytes());
            let mut answer = asking.send().await.map_err(other)?;
            let mut parts = http::Response::new(()).into_parts().0;
            parts.status = answer.status();
            parts.headers = answer.headers().clone();
            let mut body = BytesMut::new();
            while let Some(piece) = answer.chunk().await.map_err(other)? {
                if body.len() + piece.len() > ANSWER_BYTES_MAX {
                    return Err(Error::Str("the authority's answer is too long"));
                }
                body.extend_from_slice(&piece);
            }
            Ok(BytesResponse { parts, body: Box::new(body.freeze()) })
        })
    }
}

/// What the authority says of an account that it does not have (RFC 8555 section 6.7).
const NO_ACCOUNT: &str = ":accountDoesNotExist";

/// What went wrong, for the operator; not found when it is the account. An authority's words are
/// shown up to some length.
pub(crate) fn described(error: Error) -> Fault {
    let is_account = matches!(&error, Error::Api(problem)
        if problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(NO_ACCOUNT)));
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    let text: String = text.chars().filter(|c| !c.is_control()).take(500).collect();
    let kind = if is_account { FaultKind::NotFound } else { FaultKind::Unavailable };
    Fault::new(kind, format!("the ACME authority: {text}"))
}
