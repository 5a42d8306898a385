//! SIGHUP: certificate and customer fragments are read again, and what those were needed for is
//! forgotten.

use std::sync::Arc;

use keysherd_base::ClockHandle;
use keysherd_fragments::encoding::Encoding as _;
use keysherd_gateway::{CustomerFragments, Gateway};
use keysherd_manager::Manager;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::roles::links;
use super::trust::Owner;
use crate::customer_fragments::reload;
use crate::customer_fragments::source::FragmentSource;
use crate::exit::Exit;
use crate::roles::certificate::Certificate;

/// What is brought up to date.
pub(super) struct Reload {
    /// What clients see.
    pub(super) certificate: Arc<Certificate>,
    /// Where the fragments are.
    pub(super) source: FragmentSource,
    /// Those in use.
    pub(super) fragments: Arc<CustomerFragments>,
    /// Who uses them.
    pub(super) gateway: Arc<Gateway>,
    /// Who must know that they are allowed.
    pub(super) managers: Vec<Arc<Manager>>,
    /// Who allows them.
    pub(super) owner: Arc<Owner>,
    /// SHA-256 of the gateway instance's public key.
    pub(super) gateway_spki_sha256: [u8; 32],
    /// Time.
    pub(super) clock: ClockHandle,
}

/// The signal, from now on: before anybody knows that this process runs.
pub(super) fn listen() -> Result<Signal, Exit> {
    signal(SignalKind::hangup()).map_err(|error| Exit::Damaged(error.to_string()))
}

/// Reloads at each signal, for ever.
pub(super) async fn run(mut hangups: Signal, reload: Reload) {
    while hangups.recv().await.is_some() {
        reload.certificate.look(true);
        match reload.once().await {
            Ok(count) => tracing::info!(count, "customer fragments were read again"),
            Err(why) => {
                tracing::error!(%why, "customer fragments were not read again; those in use stay");
            }
        }
    }
}

impl Reload {
    async fn once(&self) -> Result<usize, String> {
        if !self.source.can_change() {
            return Err("they do not come from a file".to_owned());
        }
        reload(&self.source, &self.fragments).await?;
        // Keys that were opened with a fragment which is gone must not outlive it.
        self.gateway.forget_keys();
        let ids = self.fragments.ids();
        let version = self.owner.trusted.version();
        let allowed = self.owner.allow_fragments(&ids, &*self.clock);
        let allowed = allowed.map_err(|exit| exit.to_string())?;
        if allowed.version() > version {
            let signed = allowed.signed().to_bytes();
            for manager in &self.managers {
                manager.accept_bundle(&signed).await.map_err(|fault| fault.to_string())?;
            }
            self.gateway.trust(allowed, links(&self.managers, self.gateway_spki_sha256));
        }
        Ok(ids.len())
    }
}
