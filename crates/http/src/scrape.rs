//! Metrics and readiness on a listener of their own, where clients do not come.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use crate::config::Ready;
use crate::edge::Handler;
use crate::exposition;
use crate::meter::Meter;
use crate::origin::Peer;
use crate::reply::{self, Reply};

/// What is answered there.
pub struct Scrape {
    text: Arc<dyn Fn() -> String + Send + Sync>,
    ready: Ready,
    meter: Meter,
    orphans: TaskTracker,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Scrape {
    /// Answers `GET /metrics` with what `text` gives, in the format of [`crate::Exposition`], and
    /// `GET /health` with what `ready` says.
    pub fn new(text: Arc<dyn Fn() -> String + Send + Sync>, ready: Ready) -> Self {
        Self { text, ready, meter: Meter::new(std::iter::empty()), orphans: TaskTracker::new() }
    }

    fn answer(&self, method: &Method, path: &str) -> Reply {
        if *method != Method::GET && *method != Method::HEAD {
            return reply::wrong_method("metrics", "GET, HEAD");
        }
        let with_body = *method == Method::GET;
        match path {
            "/metrics" => {
                let body = if with_body { (self.text)().into() } else { Bytes::new() };
                let mut reply = Response::new(Full::new(body));
                let headers = reply.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(exposition::CONTENT_TYPE));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                reply
            }
            "/health" => reply::health((self.ready)(), with_body),
            _ => reply::error(StatusCode::NOT_FOUND, "there are /metrics and /health here"),
        }
    }
}

impl Handler for Scrape {
    async fn handle(self: Arc<Self>, _: Peer, request: Request<Incoming>) -> Reply {
        // Bodies make no sense here; the connection ends when one is sent.
        self.answer(request.method(), request.uri().path())
    }

    fn is_proxy(&self, _: IpAddr) -> bool {
        false
    }

    fn orphans(&self) -> &TaskTracker {
        &self.orphans
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }
}
