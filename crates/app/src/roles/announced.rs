//! The version of the trust bundle that permits name: a moment behind the one in force.
//!
//! Managers take a newer bundle within a second and refuse permits that name one they do not have
//! yet. Naming it at once would turn every change of the bundle into a short outage. A control
//! plane that lies about the version gains nothing: managers obey their own bundle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keysherd_control::{GatewayIdentity, Gateways};

use super::trust::Trusted;

/// A version is named after one to two of these; managers ask once a second.
const TURN: Duration = Duration::from_secs(2);

/// The gateways of the bundle in force, and a version that all managers should have.
pub(crate) struct Announced {
    trusted: Arc<Trusted>,
    version: AtomicU64,
}

impl Announced {
    /// Names the version that is in force at the start.
    pub(crate) fn new(trusted: Arc<Trusted>) -> Arc<Self> {
        let version = AtomicU64::new(trusted.version());
        Arc::new(Self { trusted, version })
    }

    /// Keeps up with the bundle in force.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut turns = tokio::time::interval(TURN);
        let mut seen = self.trusted.version();
        loop {
            turns.tick().await;
            self.version.store(seen, Ordering::Relaxed);
            seen = self.trusted.version();
        }
    }
}

impl Gateways for Announced {
    fn bundle_version(&self) -> u64 {
        match self.version.load(Ordering::Relaxed) {
            // Before the first bundle nobody works with an older one.
            0 => self.trusted.version(),
            version => version,
        }
    }

    fn group_of(&self, gateway: &GatewayIdentity) -> Option<String> {
        self.trusted.group_of(gateway)
    }
}
