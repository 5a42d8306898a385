//! Connections inside one process: the messages are those of the network, only the wire is missing.

use std::sync::{Arc, OnceLock, Weak};

use keysherd_base::SecretBytes;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_gateway::{ManagerLink, Unreachable};
use keysherd_manager::{Manager, PeerFuture, PeerLink};
use keysherd_plane::BoxFuture;

/// The managers of this process, known to each other once all are open.
pub(crate) type Circle = Arc<OnceLock<Vec<Weak<Manager>>>>;

/// How one manager reaches the others.
pub(crate) struct LocalPeers {
    /// Who calls.
    pub(crate) from: ManagerIndex,
    /// All managers, by ascending index.
    pub(crate) circle: Circle,
}

impl PeerLink for LocalPeers {
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_> {
        Box::pin(async move {
            let unreachable = keysherd_manager::Unreachable;
            let managers = self.circle.get().ok_or(unreachable)?;
            let manager = managers.get(to.place()).and_then(Weak::upgrade).ok_or(unreachable)?;
            Ok(manager.serve_peer(self.from, message.expose()).await)
        })
    }
}

/// How the gateway reaches one manager, as the instance with this identity.
pub(crate) struct LocalManager {
    /// The manager.
    pub(crate) manager: Arc<Manager>,
    /// SHA-256 of the gateway instance's public key.
    pub(crate) gateway_spki_sha256: [u8; 32],
}

impl ManagerLink for LocalManager {
    fn call(&self, request: Vec<u8>) -> BoxFuture<'_, Result<SecretBytes, Unreachable>> {
        Box::pin(async move { Ok(self.manager.serve(self.gateway_spki_sha256, &request).await) })
    }
}
