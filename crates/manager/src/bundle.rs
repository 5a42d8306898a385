//! Newer trust bundles: verified, kept durably, logged, then obeyed.

use std::sync::Arc;

use keysherd_base::Fault;
use keysherd_crypto::hash::sha256;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::refusal::Refusal;

use crate::keys::store_refusal;
use crate::log::{Entry, Event};
use crate::manager::{Manager, lock};
use crate::serve::log_refusal;

/// The log entry of a bundle.
pub(crate) fn event(bundle: &PinnedBundle) -> Event {
    Event::Bundle { version: bundle.version(), sha256: sha256(&[&bundle.signed().body]) }
}

impl Manager {
    /// Pins the trust bundle with this encoding and gives its version. The same bundle again
    /// changes nothing. Anybody may relay it: only the owner's signature counts.
    ///
    /// # Errors
    /// When the owner did not sign it, when it is older than the pinned one or another one of the
    /// same version, and when it cannot be kept.
    pub async fn accept_bundle(self: &Arc<Self>, signed: &[u8]) -> Result<u64, Fault> {
        let signed = SignedBundle::from_bytes(signed)?;
        self.heavy(move |manager| manager.pin_bundle(signed)).await.map_err(Fault::from)
    }

    /// As [`Self::accept_bundle`], on a thread that may block.
    ///
    /// # Errors
    /// As [`PinnedBundle::accept`]; [`Refusal::BadRecord`] when the store fails.
    pub(crate) fn pin_bundle(&self, signed: SignedBundle) -> Result<u64, Refusal> {
        let _change = lock(&self.bundle_change);
        let bundle = match self.bundle.load().as_deref() {
            Some(pinned) => {
                let newer = pinned.accept(signed)?;
                if newer.version() == pinned.version() {
                    return Ok(newer.version());
                }
                newer
            }
            None => PinnedBundle::open(self.owner, signed)?,
        };
        let version = bundle.version();
        let store = self.keys.store();
        store.set_bundle(bundle.signed().to_bytes()).map_err(|fault| store_refusal(&fault))?;
        let entry = Entry { at: self.clock.now(), event: event(&bundle) };
        // Stored and not logged is the safe half: caps may only have become stricter, and the
        // next start reads it from the store.
        self.bundle.store(Some(Arc::new(bundle)));
        self.bundle_version.send_replace(version);
        self.log.append_blocking(&entry).map_err(log_refusal)?;
        self.keep_log_floor().map_err(|fault| store_refusal(&fault))?;
        Ok(version)
    }
}
