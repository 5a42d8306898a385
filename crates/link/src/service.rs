//! What a listener serves: bytes in, bytes out, for a caller whose key is known.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use keysherd_base::{Fault, SecretBytes};
use keysherd_fragments::encoding::MESSAGE_BYTES_MAX;
use keysherd_plane::BoxFuture;

use crate::peer::Peer;

/// Answers the calls of one route.
pub trait Service: Send + Sync {
    /// Largest request that is read, in bytes.
    fn request_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    /// Answers one call. A call that was begun is finished, also when its caller went away.
    ///
    /// The listener lets in every key that its trust allows, so a service that is for some of them
    /// only has to look at `peer`.
    ///
    /// # Errors
    /// [`Fault`], whose public half the caller gets.
    fn call(&self, peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>>;
}

/// The services of a listener, by route.
#[derive(Clone, Default)]
pub struct Services {
    by_route: BTreeMap<&'static str, Arc<dyn Service>>,
}

impl Services {
    /// No services.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `service` at `route` (see [`crate::routes`]); a later one replaces an earlier one.
    #[must_use]
    pub fn with(mut self, route: &'static str, service: Arc<dyn Service>) -> Self {
        self.by_route.insert(route, service);
        self
    }

    pub(crate) fn at(&self, path: &str) -> Option<&Arc<dyn Service>> {
        self.by_route.get(path)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_route.keys()).finish()
    }
}
