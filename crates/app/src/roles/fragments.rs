//! One fragment manager over its directory.

use std::sync::Arc;

use keysherd_base::{ClockHandle, RngHandle};
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::manager_set::ManagerIndex;
use keysherd_manager::{AtRestKey, Manager, ManagerConfig, ManagerLimits, PeerLink};

use super::files::DataDir;
use crate::exit::Exit;

/// What a manager is opened with.
pub(crate) struct FragmentsParts {
    /// Its place in the trust bundle.
    pub(crate) index: ManagerIndex,
    /// The owner it obeys.
    pub(crate) owner: PublicKey,
    /// A signed trust bundle, when one is at hand.
    pub(crate) bundle: Option<Vec<u8>>,
    /// How it reaches the others.
    pub(crate) peers: Arc<dyn PeerLink>,
    /// What keeps the key of its store.
    pub(crate) at_rest: Arc<dyn AtRestKey>,
    /// Time.
    pub(crate) clock: ClockHandle,
    /// Randomness.
    pub(crate) rng: RngHandle,
}

/// Opens the manager in `dir`, making what is missing.
pub(crate) fn open(dir: &DataDir, parts: FragmentsParts) -> Result<Arc<Manager>, Exit> {
    let FragmentsParts { index, owner, bundle, peers, at_rest, clock, rng } = parts;
    let limits = ManagerLimits::default();
    let config = ManagerConfig { index, dir: dir.join("store"), clock, rng, at_rest, limits };
    Ok(Manager::open(config, owner, bundle.as_deref(), peers)?)
}

/// Does what is due: key versions that were never completed are forgotten, shares that are missing
/// are repaired, all are refreshed once a day.
pub(crate) async fn tidy(manager: &Arc<Manager>) {
    let tidied = manager.clone();
    let outcome = tokio::task::spawn_blocking(move || tidied.tidy()).await;
    if let Ok(Err(fault)) = outcome {
        tracing::warn!(%fault, "a fragment manager could not tidy up");
    }
    if let Err(fault) = manager.maintain().await {
        let manager = manager.index();
        tracing::warn!(%manager, %fault, "a chore among the fragment managers failed");
    }
}
