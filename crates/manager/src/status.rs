//! How a manager is.

use std::sync::atomic::Ordering;

use keysherd_base::Uid;
use keysherd_crypto::sign::PublicKey;
use keysherd_fragments::manager_set::ManagerIndex;

use crate::log::Checkpoint;
use crate::manager::{Manager, lock};

/// How a manager is. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerStatus {
    /// Its index.
    pub index: ManagerIndex,
    /// The random id of its store; the origin of its checkpoints.
    pub manager_id: Uid,
    /// Its identity key.
    pub identity: PublicKey,
    /// The version of the trust bundle; 0 for none.
    pub bundle_version: u64,
    /// Whether that bundle lists this manager, so that it serves.
    pub serving: bool,
    /// How many key versions it holds, pending ones included.
    pub key_versions: u64,
    /// The last durable position of its log.
    pub checkpoint: Checkpoint,
    /// How many groups of entries were made durable since the start.
    pub log_groups: u64,
    /// Whether the log lives on the disk space that is left: the disk is full or cannot reserve.
    pub log_reserve_failing: bool,
    /// Whether the last entries did not fit on the disk: nothing is answered before there is room.
    pub log_full: bool,
    /// Whether the log failed, so that nothing is answered before the next start.
    pub log_broken: bool,
    /// What keeps the epoch key.
    pub at_rest: &'static str,
    /// The epoch of the store.
    pub at_rest_epoch: u64,
    /// Generations under way.
    pub generations: usize,
    /// Requests answered since the start.
    pub answered: u64,
    /// Requests refused since the start.
    pub refused: u64,
}

impl Manager {
    /// How the manager is. Reads nothing from the disk: whoever reaches it may ask again and again.
    pub fn status(&self) -> ManagerStatus {
        let log = self.log.status();
        let bundle = self.bundle.load();
        ManagerStatus {
            index: self.index,
            manager_id: self.keys.store().owner().manager,
            identity: self.identity.public(),
            bundle_version: bundle.as_ref().map_or(0, |bundle| bundle.version()),
            serving: self.trusted_bundle().is_ok(),
            key_versions: self.keys.store().key_count(),
            checkpoint: log.checkpoint(),
            log_groups: log.groups(),
            log_reserve_failing: log.reserve_failing(),
            log_full: log.full(),
            log_broken: log.broken(),
            at_rest: self.at_rest.name(),
            at_rest_epoch: self.keys.store().epoch(),
            generations: lock(&self.sessions).len(),
            answered: self.answered.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}
