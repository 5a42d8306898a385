//! How the gateway reaches fragment managers: bytes to one manager, bytes back.

use keysherd_base::SecretBytes;
use keysherd_plane::BoxFuture;

/// A manager did not answer in time, or could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;

/// A connection to one fragment manager, authenticated as this gateway's instance.
pub trait ManagerLink: Send + Sync {
    /// Sends a request and waits for its answer. Both are the encodings of `fragments::messages`;
    /// the answer holds partial keys.
    fn call(&self, request: Vec<u8>) -> BoxFuture<'_, Result<SecretBytes, Unreachable>>;
}
