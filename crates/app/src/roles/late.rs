//! The way to other managers, for a manager that must be open before the way is known: its own
//! identity is the key of its connections.

use std::sync::{Arc, OnceLock};

use keysherd_base::SecretBytes;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_manager::{PeerFuture, PeerLink, Unreachable};

/// A [`PeerLink`] that reaches nobody until it is told how.
#[derive(Default)]
pub(crate) struct Late(OnceLock<Arc<dyn PeerLink>>);

impl Late {
    /// Reaches nobody yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Goes through `link` from now on. Only the first call counts.
    pub(crate) fn set(&self, link: Arc<dyn PeerLink>) {
        let _first = self.0.set(link);
    }
}

impl PeerLink for Late {
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_> {
        match self.0.get() {
            Some(link) => link.call(to, message),
            None => Box::pin(async { Err(Unreachable) }),
        }
    }
}
