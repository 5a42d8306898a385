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
            seen = self.turn(seen);
        }
    }

    /// Names what was in force a turn ago, and gives what is now.
    fn turn(&self, seen: u64) -> u64 {
        self.version.store(seen, Ordering::Relaxed);
        self.trusted.version()
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use keysherd_base::{Secret, Timestamp, Uid};
    use keysherd_crypto::sign::SigningKey;
    use keysherd_fragments::bundle::{Bundle, Caps};

    use super::*;
    use crate::roles::files::DataDir;

    fn bundle(version: u64) -> Bundle {
        Bundle {
            deployment: Uid([1; 16]),
            version,
            issued_at: Timestamp(0),
            accounts: Vec::new(),
            managers: Vec::new(),
            permit_keys: Vec::new(),
            clusters: Vec::new(),
            groups: Vec::new(),
            account_caps: Caps::UNLIMITED,
            cache_ttl_seconds_max: 0,
            destroy_delay_seconds: 0,
            witnesses: Vec::new(),
            recovery_key: None,
            controls: Vec::new(),
        }
    }

    #[test]
    fn a_newer_version_is_named_after_a_turn_and_the_first_at_once() {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let owner = SigningKey::from_seed(&Secret::new([7; 32]));
        let dir = DataDir::open(place.path()).unwrap();
        let trusted = Trusted::open(dir, owner.public()).unwrap();
        let announced = Announced::new(trusted.clone());
        let mut seen = trusted.version();
        assert_eq!(announced.bundle_version(), 0);
        trusted.offer(bundle(1).seal(&owner)).unwrap();
        assert_eq!(announced.bundle_version(), 1);
        seen = announced.turn(seen);
        seen = announced.turn(seen);
        trusted.offer(bundle(2).seal(&owner)).unwrap();
        assert_eq!((trusted.version(), announced.bundle_version()), (2, 1));
        seen = announced.turn(seen);
        assert_eq!(announced.bundle_version(), 1, "managers may not have it yet");
        announced.turn(seen);
        assert_eq!(announced.bundle_version(), 2);
    }
}
