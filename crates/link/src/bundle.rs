//! Handing the newest trust bundle from control to whoever asks for it. It is believed by nobody:
//! each receiver verifies it under the owner's key that it was installed with.

use std::sync::Arc;

use keysherd_base::{Fault, SecretBytes};
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;
use keysherd_plane::BoxFuture;

use crate::channel::Channel;
use crate::error::LinkError;
use crate::limits::CallLimits;
use crate::peer::Peer;
use crate::routes;
use crate::service::Service;

/// Where the newest bundle lies.
pub trait BundleShelf: Send + Sync {
    /// The bundle, if its version is above `known`. It must be quick and must not block.
    fn newer_than(&self, known: u64) -> Option<SignedBundle>;
}

/// Serves [`routes::BUNDLE`]: the request is the version known so far, 8 bytes big-endian; the
/// answer is a newer bundle's encoding, or empty.
pub struct BundleService {
    shelf: Arc<dyn BundleShelf>,
}

impl BundleService {
    /// Serves what lies on `shelf`.
    pub fn new(shelf: Arc<dyn BundleShelf>) -> Self {
        Self { shelf }
    }
}

impl Service for BundleService {
    fn request_bytes_max(&self) -> usize {
        8
    }

    fn call(&self, _peer: Peer, request: SecretBytes) -> BoxFuture<'_, Result<SecretBytes, Fault>> {
        Box::pin(async move {
            let known = <[u8; 8]>::try_from(request.expose().as_slice())
                .map_err(|_| Fault::bad_request("a bundle version has 8 bytes"))?;
            let newer = self.shelf.newer_than(u64::from_be_bytes(known));
            Ok(SecretBytes::new(newer.map(|signed| signed.to_bytes()).unwrap_or_default()))
        })
    }
}

/// Asks control for a bundle with a version above `known` (0: any). Not verified.
///
/// # Errors
/// [`LinkError`]; [`LinkError::Mismatch`] for an answer that is no signed bundle.
pub async fn fetch(control: &Channel, known: u64) -> Result<Option<SignedBundle>, LinkError> {
    let request = SecretBytes::new(known.to_be_bytes().to_vec());
    let answer = control.call(routes::BUNDLE, request, CallLimits::default()).await?;
    if answer.expose().is_empty() {
        return Ok(None);
    }
    let signed = SignedBundle::from_bytes(answer.expose());
    signed.map(Some).map_err(|error| LinkError::Mismatch(format!("not a trust bundle: {error}")))
}
