//! Which keys are trusted: asked at each handshake and each request, so that a new trust bundle
//! takes effect at once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Decides whether the holder of a key may be at the other end.
pub trait Trust: Send + Sync {
    /// Whether the key with this SPKI hash is trusted now. Asked for each handshake and each
    /// request: it must be quick and must not block.
    fn allows(&self, spki_sha256: &[u8; 32]) -> bool;
}

/// A shared [`Trust`].
pub type TrustHandle = Arc<dyn Trust>;

impl<F: Fn(&[u8; 32]) -> bool + Send + Sync> Trust for F {
    fn allows(&self, spki_sha256: &[u8; 32]) -> bool {
        self(spki_sha256)
    }
}

/// A set of trusted keys that can be replaced while it is in use.
#[derive(Default)]
pub struct KeySet {
    keys: ArcSwap<BTreeSet<[u8; 32]>>,
}

impl KeySet {
    /// The keys with these SPKI hashes.
    pub fn new(keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self { keys: ArcSwap::from_pointee(keys.into_iter().collect()) }
    }

    /// Trusts these keys from now on, and no others. Connections that are open are dropped by
    /// [`LinkHandle::revalidate`](crate::LinkHandle::revalidate); requests on them are refused
    /// at once.
    pub fn replace(&self, keys: impl IntoIterator<Item = [u8; 32]>) {
        self.keys.store(Arc::new(keys.into_iter().collect()));
    }
}

impl Trust for KeySet {
    fn allows(&self, spki_sha256: &[u8; 32]) -> bool {
        self.keys.load().contains(spki_sha256)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.keys.load().len())
    }
}
