//! One call: checks before its body is read, the body within its limits, and the service.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::rt::Executor;
use keysherd_base::{Fault, FaultKind, SecretBuffer, SecretBytes};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::Attendant;
use crate::connections::Activity;
use crate::peer::Peer;
use crate::routes;
use crate::service::Service;
use crate::wire;

/// Runs the streams of connections as tasks that a drain waits for.
#[derive(Clone)]
pub(super) struct Streams(pub(super) TaskTracker);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        drop(self.0.spawn(stream));
    }
}

impl Attendant {
    /// Answers one request.
    pub(super) async fn answer(
        &self,
        peer: Peer,
        request: Request<Incoming>,
        activity: &Arc<Activity>,
    ) -> Response<Full<Bytes>> {
        if !self.trust.allows(&peer.spki_sha256) {
            // The trust changed since the handshake; the connection is of no use any more.
            activity.finish.cancel();
            let text = "this key is not in the trust bundle any more; ask the owner to add it";
            return wire::answer(Err(Fault::unauthorized(text)));
        }
        if let Err(mismatch) = wire::check_version(request.headers()) {
            return wire::answer(Err(Fault::bad_request(mismatch.to_string())));
        }
        if request.uri().path() == routes::HELLO {
            activity.touch();
            return wire::welcome(self.clock.now());
        }
        let most = self.limits.calls_per_key_max;
        let Some(in_flight) = activity.begin(most) else {
            let text = format!("{most} calls of this role are in progress already; try again");
            return wire::answer(Err(Fault::new(FaultKind::RateLimited, text)));
        };
        let service = match self.service_of(&request) {
            Ok(service) => service,
            Err(fault) => return wire::answer(Err(fault)),
        };
        let (bytes, hold) = match self.read(&*service, request.into_body()).await {
            Ok(read) => read,
            Err(fault) => return wire::answer(Err(fault)),
        };
        // Its own task, so that it is finished also when the caller goes away.
        let call = self.tasks.spawn(async move {
            let _held = (in_flight, hold);
            service.call(peer, bytes).await
        });
        let answered = call.await;
        wire::answer(answered.unwrap_or_else(|error| Err(Fault::internal(error))))
    }

    fn service_of(&self, request: &Request<Incoming>) -> Result<Arc<dyn Service>, Fault> {
        let path = request.uri().path();
        let service = self.services.at(path).filter(|_| request.method() == Method::POST);
        service.cloned().ok_or_else(|| {
            Fault::not_found(format!("this role does not serve {path:.64}; check the address"))
        })
    }

    /// The body, and the hold on the memory it takes.
    async fn read(
        &self,
        service: &dyn Service,
        body: Incoming,
    ) -> Result<(SecretBytes, OwnedSemaphorePermit), Fault> {
        let most = service.request_bytes_max();
        let hint = body.size_hint();
        let too_large =
            || Fault::new(FaultKind::TooLarge, format!("a request here has at most {most} bytes"));
        if hint.lower() > u64::try_from(most).unwrap_or(u64::MAX) {
            return Err(too_large());
        }
        let expected = hint.exact().and_then(|size| usize::try_from(size).ok()).unwrap_or(most);
        let room = u32::try_from(expected).map_err(|_| too_large())?;
        let hold = self.bodies.clone().try_acquire_many_owned(room).map_err(|_| {
            Fault::new(FaultKind::RateLimited, "too many large requests at once; try again")
        })?;
        let mut buffer = SecretBuffer::with_capacity(expected);
        let reading = async {
            let mut body = body;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| Fault::bad_request("the request is incomplete"))?;
                let Some(data) = frame.data_ref() else { continue };
                if buffer.len() + data.len() > expected {
                    return Err(too_large());
                }
                buffer.extend(data);
            }
            Ok(())
        };
        timeout(self.limits.body_timeout, reading).await.map_err(|_| {
            Fault::new(FaultKind::Timeout, "the request did not arrive in time; try again")
        })??;
        Ok((buffer.finish(), hold))
    }
}
