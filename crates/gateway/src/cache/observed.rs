//! The way to control, watched for changes: a change that is answered here is in force here.

use std::sync::Arc;

use keysherd_base::Fault;
use keysherd_plane::{
    AccessRequest, BoxFuture, Caller, GatewayRequest, ItemRequest, KeyRequest, Plane, PlaneHandle,
    Reply, Request, SessionRequest,
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
struct Changing<'a>(&'a ReadCache);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.changed_here();
    }
}

impl Plane for ObservedPlane {
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        if ends_nothing(&request) {
            return self.plane.call(caller, request);
        }
        Box::pin(async move {
            let _changing = Changing(&self.cache);
            self.plane.call(caller, request).await
        })
    }
}

/// Whether a message certainly ends nothing that is kept. New ones are taken for changes unless
/// they are named here.
fn ends_nothing(request: &Request) -> bool {
    use {AccessRequest as A, GatewayRequest as G, ItemRequest as I, KeyRequest as K};
    use {Request as R, SessionRequest as S};
    match request {
        R::Session(q) => matches!(
            q,
            S::PasswordParams(_)
                | S::Login(_)
                | S::Present(_)
                | S::ValidateToken(_)
                | S::DescribeClaims(_)
                | S::OwnEmail(_)
                | S::BrowserDepart(_)
                | S::BrowserRefused(_)
                | S::ChallengeMake(_)
                | S::LoginAdmit(_)
                | S::LoginAbandon(_)
                | S::PresentRefused(_)
        ),
        R::Access(q) => matches!(
            q,
            A::MethodGet(_)
                | A::MethodList(_)
                | A::RoleGet(_)
                | A::RoleList(_)
                | A::AssocGet(_)
                | A::PermissionsDescribe(_)
                | A::ReverseRbac(_)
                | A::AccountGet(_)
                | A::AccessExplain(_)
                | A::Advise(_)
                | A::GroupGet(_)
                | A::GroupList(_)
                | A::GatewayConfigure(_)
                | A::KeepBegin(_)
                | A::KeptFor(_)
        ),
        R::Items(q) => {
            matches!(q, I::Grant(_) | I::ItemDescribe(_) | I::ItemList(_) | I::FolderGet(_))
        }
        R::Keys(q) => matches!(
            q,
            K::ManifestGet(_) | K::RewrapTake(_) | K::RewrapStatus(_) | K::ConfirmBegin(_)
        ),
        R::Records(_) => true,
        R::Gateways(q) => matches!(
            q,
            G::ClusterSync(_) | G::ClusterList(_) | G::ChangesWait(_) | G::JournalPut(_)
        ),
    }
}
