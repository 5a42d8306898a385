//! The way to control, watched for changes: a change that is answered here is in force here. And
//! watched for answers: whoever answers is there.

use std::sync::Arc;

use keysherd_base::Fault;
use keysherd_plane::{
    AccessRequest, BoxFuture, Caller, KeyRequest, Plane, PlaneHandle, Reply, Request,
    SessionRequest,
};

use super::ReadCache;

/// A plane in front of which reads are answered.
pub(crate) struct ObservedPlane {
    plane: PlaneHandle,
    cache: Arc<ReadCache>,
}

impl ObservedPlane {
    /// Watches what goes to `plane`.
    pub(crate) fn handle(plane: PlaneHandle, cache: Arc<ReadCache>) -> PlaneHandle {
        Arc::new(Self { plane, cache })
    }
}

/// Says that something may have changed, however the request ends: also when nobody waits for its
/// answer any longer.
struct Changing<'a> {
    cache: &'a ReadCache,
    done: bool,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.cache.changed_here(self.done);
    }
}

impl Plane for ObservedPlane {
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        let changes = !ends_nothing(&request);
        Box::pin(async move {
            let mut changing = changes.then(|| Changing { cache: &self.cache, done: false });
            let reply = self.plane.call(caller, request).await;
            self.cache.saw(&reply);
            if let Some(changing) = &mut changing {
                changing.done = reply.is_ok();
            }
            reply
        })
    }
}

/// Whether a message certainly ends nothing that is kept. New ones are taken for changes unless
/// they are named here.
fn ends_nothing(request: &Request) -> bool {
    use {AccessRequest as A, KeyRequest as K, Request as R, SessionRequest as S};
    let harmless = match request {
        R::Session(q) => matches!(
            q,
            S::Login(_)
                | S::Present(_)
                | S::BrowserDepart(_)
                | S::BrowserRefused(_)
                | S::ChallengeMake(_)
                | S::LoginAdmit(_)
                | S::LoginAbandon(_)
                | S::PresentRefused(_)
        ),
        R::Access(q) => matches!(
            q,
            A::AccessExplain(_)
                | A::Advise(_)
                | A::GroupGet(_)
                | A::GroupList(_)
                | A::GatewayConfigure(_)
                | A::KeepBegin(_)
                | A::KeptFor(_)
        ),
        R::Keys(q) => {
            matches!(q, K::RewrapTake(_) | K::RewrapStatus(_) | K::ConfirmBegin(_))
        }
        R::Items(_) => false,
        R::Records(_) | R::Gateways(_) | R::Engines(_) => true,
    };
    harmless || request.only_reads()
}
