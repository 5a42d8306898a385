//! A server that answers each request with its own body: the floor that benchmarks compare to.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use keysherd_base::limits::BODY_BYTES_MAX;
use tokio_util::task::TaskTracker;

use crate::edge::Handler;
use crate::meter::Meter;
use crate::origin::Peer;
use crate::reply::Reply;

/// Answers with what it is sent.
pub(crate) struct Echo {
    orphans: TaskTracker,
    meter: Meter,
}

impl Default for Echo {
    fn default() -> Self {
        Self { orphans: TaskTracker::new(), meter: Meter::new(std::iter::empty()) }
    }
}

impl Handler for Echo {
    async fn handle(self: Arc<Self>, _: Peer, request: Request<Incoming>) -> Reply {
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map(|whole| whole.to_bytes()).unwrap_or_default();
        Response::new(Full::new(body))
    }

    fn is_proxy(&self, _: IpAddr) -> bool {
        // A benchmark's connections all come from one address.
        true
    }

    fn orphans(&self) -> &TaskTracker {
        &self.orphans
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }
}
