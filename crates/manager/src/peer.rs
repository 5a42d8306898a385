//! The way to the other managers, handed in: in one process, or over mutual TLS.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use keysherd_base::SecretBytes;
use keysherd_fragments::manager_set::ManagerIndex;

/// Another manager did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another fragment manager does not answer; check that it runs and is reachable")
    }
}

impl std::error::Error for Unreachable {}

/// The answer of another manager, to be waited for. It can hold shares.
pub type PeerFuture<'a> =
    Pin<Box<dyn Future<Output = Result<SecretBytes, Unreachable>> + Send + 'a>>;

/// Reaches the other managers.
///
/// An implementation authenticates both ends: the manager at `to` must be the one that the trust
/// bundle names (its TLS certificate's key), and it must learn for certain who calls. Messages
/// carry shares: they may be shown to nobody else.
pub trait PeerLink: Send + Sync {
    /// Sends `message` to the manager with index `to` and gives its answer, which its
    /// [`serve_peer`](crate::Manager::serve_peer) made.
    fn call(&self, to: ManagerIndex, message: SecretBytes) -> PeerFuture<'_>;
}
