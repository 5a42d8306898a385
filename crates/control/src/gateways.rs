//! The gateways that ask: who they are, and what the owner lets them do.
//!
//! Control cannot read the trust bundle by itself, as it must not depend on the fragment protocol.
//! What it needs of it is handed in as [`Gateways`]. A wrong answer there gives nothing away:
//! managers check each permit against the bundle themselves.

use keysherd_base::Fault;
use keysherd_plane::{BoxFuture, Caller, Plane, PlaneHandle, Reply, Request};

use crate::control::Control;
use crate::dispatch::dispatch;

/// A gateway instance, as its connection proved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayIdentity {
    /// SHA-256 of the `SubjectPublicKeyInfo` of its certificate.
    pub spki_sha256: [u8; 32],
}

/// The gateways, as the trust bundle in force names them.
pub trait Gateways: Send + Sync {
    /// The bundle's version, which permits name.
    fn bundle_version(&self) -> u64;

    /// The key group of keys that this gateway makes; `None` for a gateway that is in no cluster.
    fn group_of(&self, gateway: &GatewayIdentity) -> Option<String>;
}

/// The control plane as one gateway sees it: permits it gets are bound to that gateway.
#[derive(Clone)]
pub struct GatewayPlane {
    control: Control,
    gateway: GatewayIdentity,
}

impl Plane for GatewayPlane {
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            // Its connection may be older than the bundle that no longer names it.
            self.control.group_of(&self.gateway)?;
            dispatch(&self.control, &self.gateway, &caller, request).await
        })
    }
}

impl Control {
    /// The control plane for the gateway with this identity.
    pub fn plane_for(&self, gateway: GatewayIdentity) -> PlaneHandle {
        std::sync::Arc::new(GatewayPlane { control: self.clone(), gateway })
    }

    /// The key group of keys that `gateway` makes.
    ///
    /// # Errors
    /// [`Fault::forbidden`] for a gateway that the trust bundle does not name.
    pub(crate) fn group_of(&self, gateway: &GatewayIdentity) -> Result<String, Fault> {
        self.gateways.group_of(gateway).ok_or_else(|| {
            Fault::forbidden(format!(
                "this gateway is in no cluster of the trust bundle (version {}); the owner must \
                 add it and sign a new bundle",
                self.gateways.bundle_version()
            ))
        })
    }
}
