//! The trust bundle of a process: kept in its data directory, replaced by newer ones while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use keysherd_control::{GatewayIdentity, Gateways};
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::bundle::pinned::PinnedBundle;
use keysherd_fragments::bundle::succession::SignedBundle;
use keysherd_fragments::encoding::Encoding;
use keysherd_fragments::refusal::Refusal;
use tokio::sync::watch;

use super::files::DataDir;
use super::parties::BundleSource;
use crate::exit::Exit;

/// File of the signed bundle in a data directory.
pub(crate) const BUNDLE: &str = "trust-bundle";

/// Lock file of those who write the bundle.
const LOCK: &str = "trust-bundle.lock";

/// The trust bundle in force. There is none before the owner's first reaches the process.
pub(crate) struct Trusted {
    owner: PublicKey,
    dir: DataDir,
    current: ArcSwapOption<PinnedBundle>,
    version: watch::Sender<u64>,
    /// Held while a bundle is compared with the one in force and replaces it.
    change: Mutex<()>,
}

/// What became of a bundle that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// It is in force now.
    Taken,
    /// It was before.
    Known,
}

impl Trusted {
    /// The bundle that `dir` holds, believed only if `owner` signed it.
    pub(crate) fn open(dir: DataDir, owner: PublicKey) -> Result<Arc<Self>, Exit> {
        let file = dir.join(BUNDLE);
        let found = match dir.read(BUNDLE)? {
            None => None,
            Some(bytes) => {
                let opened = SignedBundle::from_bytes(&bytes)
                    .and_then(|signed| PinnedBundle::open(owner, signed));
                Some(opened.map_err(|refusal| {
                    Exit::Damaged(format!("{} is not valid: {refusal}", file.display()))
                })?)
            }
        };
        let version = watch::Sender::new(found.as_ref().map_or(0, PinnedBundle::version));
        let current = ArcSwapOption::from_pointee(found);
        Ok(Arc::new(Self { owner, dir, current, version, change: Mutex::new(()) }))
    }

    /// The bundle in force.
    pub(crate) fn bundle(&self) -> Option<Arc<PinnedBundle>> {
        self.current.load_full()
    }

    /// Its version; 0 before the first.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Where others find the bundle in force.
    pub(crate) fn source(self: &Arc<Self>) -> BundleSource {
        let trusted = self.clone();
        Arc::new(move || trusted.bundle())
    }

    /// The version in words.
    pub(crate) fn described(&self) -> String {
        match self.version() {
            0 => "none yet: the owner must sign one that lists this identity".to_owned(),
            version => format!("version {version}"),
        }
    }

    /// Takes a bundle that is newer than the one in force, durably. Whoever brings it is not
    /// believed: only the owner's signature counts.
    ///
    /// # Errors
    /// [`Exit::Configuration`] when it is not the owner's, older, or another one of the same
    /// version; [`Exit::Files`] when it cannot be kept.
    pub(crate) fn offer(&self, signed: SignedBundle) -> Result<Offered, Exit> {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = match self.current.load().as_deref() {
            Some(current) => current.accept(signed),
            None => PinnedBundle::open(self.owner, signed),
        };
        let newer = newer.map_err(|refusal| self.refused(refusal))?;
        if newer.version() == self.version() {
            return Ok(Offered::Known);
        }
        // Another process of the same role may be at it: a setup beside a running gateway.
        let bytes = newer.signed().to_bytes();
        self.dir.locked(LOCK, || self.dir.write(BUNDLE, &bytes))?;
        let version = newer.version();
        self.current.store(Some(Arc::new(newer)));
        self.version.send_replace(version);
        tracing::info!(version, "a new trust bundle is in force");
        Ok(Offered::Taken)
    }

    fn refused(&self, refusal: Refusal) -> Exit {
        let version = self.version();
        Exit::Configuration(format!(
            "the trust bundle is refused: {refusal} (in force: version {version}, owner key {})",
            self.owner
        ))
    }
}

impl Gateways for Trusted {
    fn bundle_version(&self) -> u64 {
        self.version()
    }

    fn group_of(&self, gateway: &GatewayIdentity) -> Option<String> {
        let bundle = self.current.load();
        let clusters = &bundle.as_ref()?.bundle().clusters;
        let cluster =
            clusters.iter().find(|cluster| cluster.instances.contains(&gateway.spki_sha256))?;
        cluster.groups.first().cloned()
    }
}
